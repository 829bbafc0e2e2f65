// Record batches (magic 2) as bytes, made and read by the judges themselves.

import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { crc32c } from "@platformatic/wasm-utils";
import { BodyWriter } from "../../bench/kafka_client.ts";
import { Reader } from "./connection.ts";

export type Header = readonly [key: string, value: Uint8Array | null];

export interface NewRecord {
  readonly key: Uint8Array | null;
  /** Null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers?: readonly Header[];
  /** Unix ms. */
  readonly timestamp: number;
}

export interface StoredRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly Header[];
}

/** Names in the order of their numbers in the batch attributes. */
export const codecs = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
export type Codec = (typeof codecs)[number];

export interface Producer {
  readonly id: number;
  readonly epoch: number;
  readonly sequence: number;
}

export interface BatchOptions {
  /** Snappy and lz4 batches are made by real clients only. */
  readonly codec?: "none" | "gzip" | "zstd";
  readonly producer?: Producer;
}

/** Bytes before the records; the CRC covers everything from `crcStart` on. */
const headBytes = 61;
const crcStart = 21;

function varint(value: number): Buffer {
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  const bytes: number[] = [];
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

function sized(bytes: Uint8Array | null): Uint8Array[] {
  return bytes === null ? [varint(-1)] : [varint(bytes.length), bytes];
}

function encodeRecord(record: NewRecord, index: number, baseTimestamp: number): Buffer {
  const headers = record.headers ?? [];
  const body = Buffer.concat([
    Buffer.from([0]), // attributes
    varint(record.timestamp - baseTimestamp),
    varint(index),
    ...sized(record.key),
    ...sized(record.value),
    varint(headers.length),
    ...headers.flatMap(([key, value]) => [...sized(Buffer.from(key)), ...sized(value)]),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

function compressed(codec: Codec, records: Buffer): Buffer {
  if (codec === "gzip") return gzipSync(records);
  return codec === "zstd" ? zstdCompressSync(records) : records;
}

/** At least one record. The base offset is 0, as every producer sends it. */
export function encodeBatch(records: readonly NewRecord[], options: BatchOptions = {}): Buffer {
  const codec = options.codec ?? "none";
  const baseTimestamp = records[0]?.timestamp ?? 0;
  const blob = Buffer.concat(
    records.map((record, index) => encodeRecord(record, index, baseTimestamp)),
  );
  const checked = new BodyWriter()
    .int16(codecs.indexOf(codec))
    .int32(records.length - 1)
    .int64(baseTimestamp)
    .int64(records.reduce((most, record) => Math.max(most, record.timestamp), 0))
    .int64(options.producer?.id ?? -1)
    .int16(options.producer?.epoch ?? -1)
    .int32(options.producer?.sequence ?? -1)
    .int32(records.length)
    .raw(compressed(codec, blob))
    .done();
  const batch = new BodyWriter().int64(0);
  batch
    .int32(crcStart - 12 + checked.length)
    .int32(-1)
    .int8(2);
  batch.int32(crc32c(checked) | 0).raw(checked);
  return Buffer.from(batch.done());
}

/** One batch of a Fetch answer; `bytes` is the whole of it. */
export interface Batch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly leaderEpoch: number;
  readonly codec: Codec;
  readonly maxTimestamp: number;
  readonly logAppendTime: boolean;
  readonly producerId: number;
  readonly count: number;
  readonly crcHolds: boolean;
  readonly bytes: Buffer;
}

/** The whole batches at the start of `bytes`; a last, cut one is left out, as clients do. */
export function readBatches(bytes: Buffer): Batch[] {
  const found: Batch[] = [];
  for (let start = 0; start + headBytes <= bytes.length; ) {
    const end = start + 12 + bytes.readInt32BE(start + 8);
    if (end > bytes.length) break;
    if (end < start + headBytes) throw new Error(`a batch of ${end - start} bytes`);
    found.push(readBatch(bytes.subarray(start, end)));
    start = end;
  }
  return found;
}

function readBatch(bytes: Buffer): Batch {
  const reader = new Reader(bytes);
  const baseOffset = reader.int64();
  reader.int32(); // length, known
  const leaderEpoch = reader.int32();
  const magic = reader.int8();
  if (magic !== 2) throw new Error(`a batch of magic ${magic}`);
  const crc = reader.int32();
  const attributes = reader.int16();
  const lastOffset = baseOffset + reader.int32();
  reader.int64(); // base timestamp
  const maxTimestamp = reader.int64();
  const producerId = reader.int64();
  reader.int16(); // producer epoch
  reader.int32(); // base sequence
  const codec = codecs[attributes & 7];
  if (codec === undefined) throw new Error(`a batch of codec ${attributes & 7}`);
  return {
    baseOffset,
    lastOffset,
    leaderEpoch,
    codec,
    maxTimestamp,
    logAppendTime: (attributes & 8) !== 0,
    producerId,
    count: reader.int32(),
    crcHolds: (crc32c(bytes.subarray(crcStart)) | 0) === crc,
    bytes,
  };
}

/** Every record of a batch that the judges can open. */
export function readRecords(batch: Batch): StoredRecord[] {
  const blob = batch.bytes.subarray(headBytes);
  const reader = new Reader(opened(batch.codec, blob));
  const baseTimestamp = new Reader(batch.bytes.subarray(27)).int64();
  const found: StoredRecord[] = [];
  for (let index = 0; index < batch.count; index += 1) {
    const end = reader.varint();
    const left = reader.remaining;
    reader.int8(); // attributes
    const timestamp = batch.logAppendTime
      ? (reader.varint(), batch.maxTimestamp)
      : baseTimestamp + reader.varint();
    const offset = batch.baseOffset + reader.varint();
    const key = readSized(reader);
    const value = readSized(reader);
    const headers: Header[] = [];
    for (let left = reader.varint(); left > 0; left -= 1) {
      headers.push([readSized(reader)?.toString("utf8") ?? "", readSized(reader)]);
    }
    if (left - reader.remaining !== end) throw new Error("a record longer than it says");
    found.push({ offset, timestamp, key, value, headers });
  }
  if (reader.remaining !== 0) throw new Error(`${reader.remaining} bytes behind the last record`);
  return found;
}

function readSized(reader: Reader): Buffer | null {
  const size = reader.varint();
  return size < 0 ? null : reader.take(size);
}

function opened(codec: Codec, blob: Buffer): Buffer {
  if (codec === "none") return blob;
  if (codec === "gzip") return gunzipSync(blob);
  if (codec === "zstd") return zstdDecompressSync(blob);
  throw new Error(`the judges do not open ${codec}; a real client does`);
}
