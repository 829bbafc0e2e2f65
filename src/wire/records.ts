// Records in and out of a batch, one object each: for batches of our own (internal topics, the
// client) and for edges that show records to people. Batches of clients are only walked, without an
// object per record: they may have millions. The path of produce and fetch never comes here.

import { assert } from "../core/base/assert.ts";
import { Attribute } from "../core/base/facts.ts";
import {
  batchAttributes,
  batchBaseOffset,
  batchBaseTimestamp,
  batchBytes,
  batchHeadBytes,
  batchHeaderBytes,
  batchLastOffsetDelta,
  batchMagic,
  batchMagicOf,
  batchMaxTimestamp,
  batchRecordsCount,
  stampBatch,
  stampCrc,
} from "./batch.ts";
import { type DecodeRefusal, refuse } from "./refusal.ts";
import { Varints } from "./varints.ts";

export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** A record as it goes into a batch. */
export interface NewRecord {
  readonly key: Uint8Array | null;
  /** Null: a tombstone where the topic is compacted. */
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
  /** Milliseconds since 1970; -1 = none. */
  readonly timestamp: number;
}

/** A record as it lies in a batch; key, value and header values are views. */
export interface StoredRecord extends Required<NewRecord> {
  readonly offset: number;
}

/** What a batch says beside its records; the defaults are "no producer, no transaction". */
export interface BatchOptions {
  readonly baseOffset?: number;
  readonly leaderEpoch?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  /** Bits of `Attribute`; never a codec, since records are written as they are. */
  readonly attributes?: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const noHeaders: readonly RecordHeader[] = [];

/** A whole batch with its CRC, in bytes of its own. */
export function buildBatch(
  records: readonly NewRecord[],
  options: BatchOptions = {},
): Uint8Array<ArrayBuffer> {
  const batch = new BatchBuilder();
  for (const record of records) batch.add(record);
  return batch.finish(options);
}

/** A batch that grows record by record; what is added is copied at once. */
export class BatchBuilder {
  bytes = new Uint8Array(256);
  /** Records so far. */
  count = 0;
  /** Bytes so far, the header of the batch among them. */
  position = batchHeaderBytes;
  #baseTimestamp = 0;
  #maxTimestamp = 0;

  /** The batch with its CRC, in bytes of its own; the builder may then be started again. */
  finish(options: BatchOptions = {}): Uint8Array<ArrayBuffer> {
    assert(this.count > 0, "a batch has a record");
    const attributes = options.attributes ?? 0;
    assert((attributes & Attribute.codecMask) === 0, "records of ours are not compressed");
    const bytes = this.bytes.slice(0, this.position);
    const view = new DataView(bytes.buffer);
    stampBatch(view, 0, options.baseOffset ?? 0, options.leaderEpoch ?? -1);
    view.setInt32(8, bytes.length - batchHeadBytes);
    view.setInt8(16, batchMagic);
    view.setUint16(21, attributes);
    view.setInt32(23, this.count - 1);
    view.setBigInt64(27, BigInt(this.#baseTimestamp));
    view.setBigInt64(35, BigInt(this.#maxTimestamp));
    view.setBigInt64(43, BigInt(options.producerId ?? -1));
    view.setInt16(51, options.producerEpoch ?? -1);
    view.setInt32(53, options.baseSequence ?? -1);
    view.setInt32(57, this.count);
    stampCrc(bytes, view, 0);
    return bytes;
  }

  /** Forgets its records and keeps its memory. */
  reset(): void {
    this.count = 0;
    this.position = batchHeaderBytes;
  }

  add(record: NewRecord): void {
    const { timestamp } = record;
    assert(Number.isSafeInteger(timestamp), "a timestamp is a safe integer");
    assert(timestamp >= -1, "a timestamp of ours is a time or none");
    if (this.count === 0) this.#baseTimestamp = this.#maxTimestamp = timestamp;
    else if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp;
    this.#record(record, timestamp - this.#baseTimestamp, this.count);
    this.count += 1;
  }

  #record(record: NewRecord, timestampDelta: number, offsetDelta: number): void {
    const headers = record.headers ?? noHeaders;
    const start = this.position;
    // The body is written behind room for the longest length, then moved up against the length.
    this.position = start + 5;
    this.#reserve(5);
    this.bytes[this.position] = 0;
    this.position += 1;
    this.#varint(timestampDelta);
    this.#varint(offsetDelta);
    this.#sized(record.key);
    this.#sized(record.value);
    this.#varint(headers.length);
    for (const header of headers) {
      this.#sized(encoder.encode(header.key));
      this.#sized(header.value);
    }
    const bodyStart = start + 5;
    const bodyEnd = this.position;
    this.position = start;
    this.#varint(bodyEnd - bodyStart);
    this.bytes.copyWithin(this.position, bodyStart, bodyEnd);
    this.position += bodyEnd - bodyStart;
  }

  #sized(source: Uint8Array | null): void {
    if (source === null) return this.#varint(-1);
    this.#varint(source.length);
    this.#reserve(source.length);
    this.bytes.set(source, this.position);
    this.position += source.length;
  }

  /** Zig-zag of a safe integer: the sign goes to the lowest bit, the rest below it unchanged. */
  #varint(value: number): void {
    this.#reserve(10);
    const magnitude = value < 0 ? -value - 1 : value;
    let group = (magnitude % 64) * 2 + (value < 0 ? 1 : 0);
    let rest = Math.floor(magnitude / 64);
    while (rest > 0) {
      this.bytes[this.position] = group | 0x80;
      this.position += 1;
      group = rest % 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.position] = group;
    this.position += 1;
  }

  #reserve(count: number): void {
    const needed = this.position + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.position));
    this.bytes = grown;
  }
}

/**
 * The records of the uncompressed batch at `start`, whose bytes end at or before `end`. The offsets
 * are those of the batch. Refused: a batch that is compressed, cut short or malformed; the CRC is
 * not looked at.
 */
export function readBatch(
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): readonly StoredRecord[] | DecodeRefusal {
  if (end - start < batchHeaderBytes) return refuse("truncated");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = batchBytes(view, start);
  if (size < batchHeaderBytes || size > end - start) return refuse("truncated");
  const attributes = batchAttributes(view, start);
  if (batchMagicOf(view, start) !== batchMagic) return refuse("version");
  if ((attributes & Attribute.codecMask) !== 0) return refuse("version");
  const appendTime = (attributes & Attribute.logAppendTime) !== 0;
  return readRecords(
    bytes,
    start + batchHeaderBytes,
    start + size,
    batchRecordsCount(view, start),
    batchBaseOffset(view, start),
    batchBaseTimestamp(view, start),
    appendTime ? batchMaxTimestamp(view, start) : null,
  );
}

/**
 * `count` records that fill `bytes[start..end)`: the body of a batch, decompressed by the caller
 * where it was compressed. `appendTime`: the time of all of them, where the broker gave it.
 */
export function readRecords(
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
  baseOffset: number,
  baseTimestamp: number,
  appendTime: number | null,
): readonly StoredRecord[] | DecodeRefusal {
  const reader = new RecordReader(bytes, start, end);
  const records: StoredRecord[] = [];
  for (let i = 0; i < count; i += 1) {
    const record = reader.record(baseOffset, baseTimestamp, appendTime);
    if (record === null) return refuse("truncated");
    if (!Number.isSafeInteger(record.timestamp)) return refuse("unsafe-int64");
    if (!Number.isSafeInteger(record.offset)) return refuse("unsafe-int64");
    records.push(record);
  }
  return reader.atEnd ? records : refuse("count");
}

/**
 * Indexes of the records without a key in an uncompressed batch that has been checked, at most `max`
 * of them. No object per record: a refusal must not cost more than what it refuses.
 */
export function keylessRecords(batch: Uint8Array, max: number): readonly number[] {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const count = batchRecordsCount(view, 0);
  const walk = new Varints();
  walk.reset(batch);
  walk.position = batchHeaderBytes;
  const found: number[] = [];
  for (let i = 0; i < count && found.length < max; i += 1) {
    const length = walk.int32(batch.byteLength);
    const end = walk.position + length;
    if (walk.failed || length < 1 || end > batch.byteLength) break;
    walk.position += 1; // attributes
    walk.int64(end); // timestamp delta
    walk.int32(end); // offset delta
    if (walk.int32(end) === -1) found.push(i);
    walk.position = end;
  }
  return found;
}

/** Where a record lies, and its time. */
export interface RecordPlace {
  readonly offset: number;
  readonly timestamp: number;
}

/**
 * The first record at or above `from` with the time `value` or a later one, or the first of those
 * that have the highest time there; null when there is none. The batch is uncompressed and comes from
 * a client whose records nobody has checked: what is malformed, in front of the record that is
 * found, is refused. Keys, values and headers are not looked at.
 */
export function findRecord(
  batch: Uint8Array,
  by: "timestamp" | "max-timestamp",
  value: number,
  from: number,
): RecordPlace | null | DecodeRefusal {
  if (batch.byteLength < batchHeaderBytes) return refuse("truncated");
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const stop = batchBytes(view, 0);
  const attributes = batchAttributes(view, 0);
  if (stop < batchHeaderBytes || stop > batch.byteLength) return refuse("truncated");
  if (batchMagicOf(view, 0) !== batchMagic) return refuse("version");
  if ((attributes & Attribute.codecMask) !== 0) return refuse("version");
  const count = batchRecordsCount(view, 0);
  const lastDelta = batchLastOffsetDelta(view, 0);
  const first = from - batchBaseOffset(view, 0);
  const appendTime = (attributes & Attribute.logAppendTime) !== 0;
  // Added in halves: a delta may be unsafe where the sum is not.
  const baseHigh = view.getInt32(27);
  const baseLow = view.getUint32(31);
  const walk = new Varints();
  walk.reset(batch);
  walk.position = batchHeaderBytes;
  let bestDelta = -1;
  let best = by === "timestamp" ? value : Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i += 1) {
    const length = walk.int32(stop);
    const end = walk.position + length;
    if (walk.failed || length < 1 || end > stop) return refuse("truncated");
    walk.position += 1; // attributes
    walk.int64(end); // timestamp delta
    if (walk.failed) return refuse("truncated");
    const timestamp = appendTime
      ? batchMaxTimestamp(view, 0)
      : (baseHigh + walk.high) * 4294967296 + (baseLow + walk.low);
    const delta = walk.int32(end);
    if (walk.failed || delta < 0 || delta > lastDelta) return refuse("count");
    if (!Number.isSafeInteger(timestamp)) return refuse("unsafe-int64");
    walk.position = end;
    if (delta < first) continue;
    if (by === "timestamp" ? timestamp < best : timestamp <= best) continue;
    bestDelta = delta;
    best = timestamp;
    if (by === "timestamp") break;
  }
  if (bestDelta < 0) return walk.position === stop ? null : refuse("count");
  return { offset: from - first + bestDelta, timestamp: best };
}

class RecordReader {
  readonly #varints = new Varints();
  readonly #end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#varints.reset(bytes);
    this.#varints.position = start;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#varints.position === this.#end;
  }

  /** Null: the record is malformed. */
  record(
    baseOffset: number,
    baseTimestamp: number,
    appendTime: number | null,
  ): StoredRecord | null {
    const v = this.#varints;
    const length = v.int32(this.#end);
    const end = v.position + length;
    if (v.failed || length < 1 || end > this.#end) return null;
    v.position += 1;
    v.int64(end);
    // The halves are added apart: a delta may be unsafe where the sum is not.
    const baseHigh = Math.floor(baseTimestamp / 4294967296);
    const low = baseTimestamp - baseHigh * 4294967296 + v.low;
    const timestamp = appendTime ?? (baseHigh + v.high) * 4294967296 + low;
    const delta = v.failed ? 0 : v.int32(end);
    if (v.failed) return null;
    const key = this.#sized(end);
    const value = key === undefined ? undefined : this.#sized(end);
    const headers = value === undefined ? undefined : this.#headers(end);
    if (key === undefined || value === undefined || headers === undefined) return null;
    if (v.position !== end) return null;
    return { offset: baseOffset + delta, timestamp, key, value, headers };
  }

  /** Undefined: malformed; null: null. */
  #sized(end: number): Uint8Array | null | undefined {
    const v = this.#varints;
    const length = v.int32(end);
    if (v.failed) return undefined;
    const start = v.position;
    if (!v.skip(length, end, -1)) return undefined;
    return length === -1 ? null : v.bytes.subarray(start, v.position);
  }

  #headers(end: number): readonly RecordHeader[] | undefined {
    const count = this.#varints.int32(end);
    if (this.#varints.failed || count < 0 || count * 2 > end - this.#varints.position) {
      return undefined;
    }
    const headers: RecordHeader[] = [];
    for (let i = 0; i < count; i += 1) {
      const key = this.#sized(end);
      if (key === undefined || key === null) return undefined;
      const value = this.#sized(end);
      if (value === undefined) return undefined;
      headers.push({ key: decoder.decode(key), value });
    }
    return headers;
  }
}
