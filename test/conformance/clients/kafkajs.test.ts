// kafkajs: the floor of the JavaScript world, non-flexible versions only, no consuming without a
// classic group. It brings gzip; the other codecs are handed to it.

import { Buffer } from "node:buffer";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import {
  lz4Compress,
  lz4Decompress,
  snappyCompress,
  snappyDecompress,
} from "@platformatic/wasm-utils";
import { CompressionCodecs, CompressionTypes, Kafka, logLevel, type IHeaders } from "kafkajs";
import type { Codec, Header } from "../../harness/batch.ts";
import {
  roundTrips,
  type ConsumedRecord,
  type ConsumeOptions,
  type Family,
  type PartitionRecord,
} from "./scenario.ts";

const types: Readonly<Record<Codec, CompressionTypes>> = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};

function addCodec(
  codec: Codec,
  compress: (bytes: Buffer) => Buffer,
  decompress: (bytes: Buffer) => Buffer,
): void {
  Object.assign(CompressionCodecs, {
    [types[codec]]: () => ({
      compress: async (encoder: { buffer: Buffer }) => compress(encoder.buffer),
      decompress: async (bytes: Buffer) => decompress(bytes),
    }),
  });
}

addCodec("snappy", snappyCompress, snappyDecompress);
addCodec("lz4", lz4Compress, lz4Decompress);
addCodec("zstd", zstdCompressSync, zstdDecompressSync);

/** kafkajs keeps headers in an object: repeats of a name lie together, in order. */
function headersOut(headers: readonly Header[]): IHeaders {
  const all: Record<string, Buffer[]> = {};
  for (const [key, value] of headers) (all[key] ??= []).push(Buffer.from(value ?? ""));
  return Object.fromEntries(
    Object.entries(all).map(([key, values]) => [key, values.length === 1 ? values[0] : values]),
  );
}

function headersIn(headers: IHeaders | undefined): Header[] {
  return Object.entries(headers ?? {}).flatMap(([key, value]) =>
    [value ?? []].flat().map((each): Header => [key, Buffer.from(each)]),
  );
}

function shape(record: PartitionRecord): PartitionRecord {
  return { ...record, headers: headersIn(headersOut(record.headers ?? [])) };
}

async function consume(
  kafka: Kafka,
  topic: string,
  { group, count }: ConsumeOptions,
): Promise<ConsumedRecord[]> {
  if (group === null) throw new Error("kafkajs consumes in groups only");
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 200 });
  const found: ConsumedRecord[] = [];
  const next = new Map<number, number>();
  const { promise: complete, resolve, reject } = Promise.withResolvers<void>();
  consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    async eachBatch({ batch }) {
      for (const message of batch.messages) {
        const offset = Number(message.offset);
        next.set(batch.partition, offset + 1);
        found.push({
          partition: batch.partition,
          offset,
          timestamp: Number(message.timestamp),
          key: message.key,
          value: message.value,
          headers: headersIn(message.headers),
        });
      }
      if (found.length >= count) resolve();
    },
  });
  try {
    await complete;
    await consumer.commitOffsets(
      [...next].map(([partition, offset]) => ({ topic, partition, offset: String(offset) })),
    );
  } finally {
    await consumer.disconnect();
  }
  return found;
}

const family: Family = {
  name: "kafkajs",
  codecs: ["none", "gzip", "snappy", "lz4", "zstd"],
  acks: [-1, 0, 1],
  withoutGroup: false,
  timestamps: true,
  shape,
  async open(address) {
    const kafka = new Kafka({ brokers: [address], logLevel: logLevel.ERROR });
    const producer = kafka.producer();
    await producer.connect();
    return {
      async produce(topic, records, { codec, acks }) {
        await producer.send({
          topic,
          acks,
          compression: types[codec],
          messages: records.map((record) => ({
            partition: record.partition,
            key: record.key === null ? null : Buffer.from(record.key),
            value: record.value === null ? null : Buffer.from(record.value),
            headers: headersOut(record.headers ?? []),
            timestamp: String(record.timestamp),
          })),
        });
      },
      consume: (topic, options) => consume(kafka, topic, options),
      close: () => producer.disconnect(),
    };
  },
};

roundTrips(family);
