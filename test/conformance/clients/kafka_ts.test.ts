// kafka-ts: the newest versions of every API; its producer always asks for a producer id and does
// not compress; its consumer also works without a group.

import { createKafkaClient, setLogger } from "kafka-ts";
import type { Header } from "../../harness/batch.ts";
import {
  roundTrips,
  type ConsumedRecord,
  type ConsumeOptions,
  type Family,
  type PartitionRecord,
} from "./scenario.ts";

type Client = ReturnType<typeof createKafkaClient>;

function text(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString("utf8");
}

function bytes(value: string | null): Uint8Array | null {
  return value === null ? null : Buffer.from(value);
}

/** Everything is a string here, and headers are an object: one value per name. */
function headersOut(headers: readonly Header[]): Record<string, string> {
  return Object.fromEntries(headers.map(([key, value]) => [key, text(value) ?? ""]));
}

function headersIn(headers: Readonly<Record<string, string>>): Header[] {
  return Object.entries(headers).map(([key, value]): Header => [key, Buffer.from(value)]);
}

function shape(record: PartitionRecord): PartitionRecord {
  return {
    ...record,
    key: bytes(text(record.key)),
    value: bytes(text(record.value)),
    headers: headersIn(headersOut(record.headers ?? [])),
  };
}

async function consume(
  client: Client,
  topic: string,
  { group, count }: ConsumeOptions,
): Promise<ConsumedRecord[]> {
  const found: ConsumedRecord[] = [];
  const { promise: complete, resolve } = Promise.withResolvers<void>();
  const consumer = await client.startConsumer({
    topics: [topic],
    groupId: group,
    maxWaitMs: 200,
    fromTimestamp: -2n, // earliest
    onBatch(messages) {
      for (const message of messages) {
        found.push({
          partition: message.partition,
          offset: Number(message.offset),
          timestamp: Number(message.timestamp),
          key: bytes(message.key),
          value: bytes(message.value),
          headers: headersIn(message.headers),
        });
      }
      if (found.length >= count) resolve();
    },
  });
  await complete;
  // The offsets of the last batch are committed behind onBatch; closing waits for that.
  await consumer.close();
  return found;
}

const family: Family = {
  name: "kafka-ts",
  codecs: ["none"],
  acks: [-1],
  withoutGroup: true,
  timestamps: true,
  shape,
  async open(address) {
    const quiet = (): void => {};
    setLogger({ debug: quiet, info: quiet, warn: quiet, error: console.error });
    const colon = address.lastIndexOf(":");
    const client = createKafkaClient({
      clientId: "pyralog-judge",
      bootstrapServers: [{ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }],
    });
    const producer = client.createProducer({});
    return {
      async produce(topic, records) {
        await producer.send(
          records.map((record) => ({
            topic,
            partition: record.partition,
            key: text(record.key),
            value: text(record.value),
            headers: headersOut(record.headers ?? []),
            timestamp: BigInt(record.timestamp),
          })),
        );
      },
      consume: (topic, options) => consume(client, topic, options),
      close: () => producer.close(),
    };
  },
};

roundTrips(family);
