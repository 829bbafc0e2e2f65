// @platformatic/kafka: a young client with high versions and all codecs built in.

import { Consumer, Producer } from "@platformatic/kafka";
import type { Header } from "../../harness/batch.ts";
import {
  roundTrips,
  type ConsumedRecord,
  type ConsumeOptions,
  type Family,
  type PartitionRecord,
} from "./scenario.ts";

/** A map, but by buffer and not by content: repeats of a name stay. A value cannot be null. */
function headersOut(headers: readonly Header[]): Map<Buffer, Buffer> {
  return new Map(headers.map(([key, value]) => [Buffer.from(key), Buffer.from(value ?? "")]));
}

function shape(record: PartitionRecord): PartitionRecord {
  const headers = [...headersOut(record.headers ?? [])];
  return { ...record, headers: headers.map(([key, value]): Header => [key.toString(), value]) };
}

async function consume(
  address: string,
  topic: string,
  { group, count }: ConsumeOptions,
): Promise<ConsumedRecord[]> {
  if (group === null) throw new Error("consume() always joins a group");
  const consumer = new Consumer<Buffer | null, Buffer | null, Buffer, Buffer>({
    groupId: group,
    clientId: "pyralog-judge",
    bootstrapBrokers: [address],
    maxWaitTime: 200,
    autocommit: false,
  });
  const found: ConsumedRecord[] = [];
  const next = new Map<number, { offset: bigint; leaderEpoch: number }>();
  try {
    const stream = await consumer.consume({
      topics: [topic],
      mode: "committed",
      fallbackMode: "earliest",
    });
    for await (const message of stream) {
      next.set(message.partition, { offset: message.offset + 1n, leaderEpoch: 0 });
      found.push({
        partition: message.partition,
        offset: Number(message.offset),
        timestamp: Number(message.timestamp),
        key: message.key ?? null,
        value: message.value ?? null,
        headers: [...message.headers].map(([key, value]): Header => [key.toString(), value]),
      });
      if (found.length >= count) break;
    }
    await consumer.commit({
      offsets: [...next].map(([partition, position]) => ({ topic, partition, ...position })),
    });
  } finally {
    await consumer.close(true);
  }
  return found;
}

const family: Family = {
  name: "@platformatic/kafka",
  codecs: ["none", "gzip", "snappy", "lz4", "zstd"],
  acks: [-1, 0, 1],
  withoutGroup: false,
  timestamps: true,
  shape,
  async open(address) {
    const producer = new Producer<Buffer | null, Buffer | null, Buffer, Buffer>({
      clientId: "pyralog-judge",
      bootstrapBrokers: [address],
    });
    return {
      async produce(topic, records, { codec, acks }) {
        await producer.send({
          acks,
          compression: codec,
          messages: records.map((record) => ({
            topic,
            partition: record.partition,
            key: record.key === null ? null : Buffer.from(record.key),
            value: record.value === null ? null : Buffer.from(record.value),
            headers: headersOut(record.headers ?? []),
            timestamp: BigInt(record.timestamp),
          })),
        });
      },
      consume: (topic, options) => consume(address, topic, options),
      close: () => producer.close(),
    };
  },
};

roundTrips(family);
