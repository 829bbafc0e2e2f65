// Record batch v2 (magic 2, KIP-98): its header in place, and the check that every batch passes
// once, at the door where it comes in. Big-endian:
//
//    0 baseOffset int64          21 attributes int16         51 producerEpoch int16
//    8 batchLength int32         23 lastOffsetDelta int32    53 baseSequence int32
//   12 partitionLeaderEpoch i32  27 baseTimestamp int64      57 recordsCount int32
//   16 magic int8                35 maxTimestamp int64       61 records
//   17 crc uint32                43 producerId int64
//
// batchLength counts from byte 12. The CRC-32C covers bytes 21 to the end, so base offset and leader
// epoch are stamped without touching it. A record is: length, then attributes int8, timestamp delta,
// offset delta, key, value, header count, headers; all numbers zig-zag varints, -1 length = null.
//
// The accessors take a position where a whole header lies. An int64 field that is not a safe integer
// reads as NaN: `checkBatch` has refused such a batch before anybody asks.

import { assert } from "../core/base/assert.ts";
import { Attribute, Codec, Fact, Flaw, factStride } from "../core/base/facts.ts";
import { crc32c } from "./crc32c.ts";
import { Varints } from "./varints.ts";

export const batchHeaderBytes = 61;
/** Bytes that batchLength does not count. */
export const batchHeadBytes = 12;
const crcStart = 21;
export const batchMagic = 2;

function int64(view: DataView, at: number): number {
  const value = view.getInt32(at) * 4294967296 + view.getUint32(at + 4);
  return Number.isSafeInteger(value) ? value : Number.NaN;
}

function setInt64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value), "an int64 field takes a safe integer");
  view.setInt32(at, Math.floor(value / 4294967296));
  view.setInt32(at + 4, value | 0);
}

export function batchBaseOffset(view: DataView, at: number): number {
  return int64(view, at);
}

/** Bytes of the whole batch. */
export function batchBytes(view: DataView, at: number): number {
  return view.getInt32(at + 8) + batchHeadBytes;
}

export function batchLeaderEpoch(view: DataView, at: number): number {
  return view.getInt32(at + 12);
}

export function batchMagicOf(view: DataView, at: number): number {
  return view.getInt8(at + 16);
}

export function batchCrc(view: DataView, at: number): number {
  return view.getUint32(at + 17);
}

/** Bits of `Attribute`. */
export function batchAttributes(view: DataView, at: number): number {
  return view.getUint16(at + 21);
}

export function batchLastOffsetDelta(view: DataView, at: number): number {
  return view.getInt32(at + 23);
}

export function batchBaseTimestamp(view: DataView, at: number): number {
  return int64(view, at + 27);
}

export function batchMaxTimestamp(view: DataView, at: number): number {
  return int64(view, at + 35);
}

/** -1 or below: no producer id, and epoch and sequence mean nothing. */
export function batchProducerId(view: DataView, at: number): number {
  return int64(view, at + 43);
}

export function batchProducerEpoch(view: DataView, at: number): number {
  return view.getInt16(at + 51);
}

export function batchBaseSequence(view: DataView, at: number): number {
  return view.getInt32(at + 53);
}

export function batchRecordsCount(view: DataView, at: number): number {
  return view.getInt32(at + 57);
}

/** What a batch gets when it is appended: outside the CRC, so the rest stays as it came. */
export function stampBatch(view: DataView, at: number, offset: number, leaderEpoch: number): void {
  setInt64(view, at, offset);
  view.setInt32(at + 12, leaderEpoch);
}

/** The broker's time instead of the producer's (LogAppendTime), with the CRC that this changes. */
export function stampAppendTime(bytes: Uint8Array, view: DataView, at: number, time: number): void {
  view.setUint16(at + 21, batchAttributes(view, at) | Attribute.logAppendTime);
  setInt64(view, at + 35, time);
  stampCrc(bytes, view, at);
}

export function stampCrc(bytes: Uint8Array, view: DataView, at: number): void {
  view.setUint32(at + 17, crc32c(bytes, at + crcStart, at + batchBytes(view, at)));
}

/** Who sent the batch, for a producer that learns it after the records, with the CRC it changes. */
export function stampProducer(
  bytes: Uint8Array,
  producerId: number,
  producerEpoch: number,
  baseSequence: number,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  setInt64(view, 43, producerId);
  view.setInt16(51, producerEpoch);
  view.setInt32(53, baseSequence);
  stampCrc(bytes, view, 0);
}

/** The same batch with its records as `section`, which the caller has compressed by `codec`. */
export function withSection(batch: Uint8Array, section: Uint8Array, codec: number): Uint8Array {
  const bytes = new Uint8Array(batchHeaderBytes + section.length);
  bytes.set(batch.subarray(0, batchHeaderBytes));
  bytes.set(section, batchHeaderBytes);
  const view = new DataView(bytes.buffer);
  view.setInt32(8, bytes.length - batchHeadBytes);
  view.setUint16(21, (batchAttributes(view, 0) & ~Attribute.codecMask) | codec);
  stampCrc(bytes, view, 0);
  return bytes;
}

/** First bytes of a compressed section: RFC 1952, LZ4 frame format 1.6, RFC 8878, snappy-java. */
const gzipMagic = [0x1f, 0x8b, 8];
const lz4Magic = [0x04, 0x22, 0x4d, 0x18];
const zstdMagic = [0x28, 0xb5, 0x2f, 0xfd];
const xerialMagic = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0];
/** Snappy's best: a copy of 64 bytes takes 3. */
const snappyRatioMax = 22;

/**
 * Whether the records of the batch in `bytes[start..end)` begin as their codec begins. A few bytes
 * are looked at, so most of what a client did not compress at all is told apart, and nothing more.
 */
export function beginsAsCodec(bytes: Uint8Array, start: number, end: number): boolean {
  const at = start + batchHeaderBytes;
  switch ((bytes[start + 22] ?? 0) & Attribute.codecMask) {
    case Codec.none:
      return true;
    case Codec.gzip:
      return begins(bytes, at, end, gzipMagic);
    case Codec.lz4:
      return begins(bytes, at, end, lz4Magic);
    case Codec.zstd:
      return begins(bytes, at, end, zstdMagic);
    case Codec.snappy:
      return begins(bytes, at, end, xerialMagic) || beginsAsRawSnappy(bytes, at, end);
    default:
      return false;
  }
}

function begins(bytes: Uint8Array, at: number, end: number, magic: readonly number[]): boolean {
  return end - at > magic.length && magic.every((byte, index) => bytes[at + index] === byte);
}

/** A block of snappy has no magic: the length of what it holds as a varint, then a literal. */
function beginsAsRawSnappy(bytes: Uint8Array, at: number, end: number): boolean {
  let length = 0;
  for (let i = 0; i < 5 && at + i + 1 < end; i += 1) {
    const byte = bytes[at + i] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte >= 0x80) continue;
    const isLiteral = ((bytes[at + i + 1] ?? 0) & 3) === 0;
    return isLiteral && length > 0 && length <= (end - at) * snappyRatioMax;
  }
  return false;
}

const varints = new Varints();

/**
 * Checks the batch in `bytes[start..end)` and fills `factStride` numbers of `facts` from `at` on, as
 * facts.ts lists them. Header fields are filled whenever the size holds, records are walked unless
 * size, magic or CRC are wrong or the batch is compressed. Judges nothing that depends on a topic.
 * The twin in Zig must give the same numbers.
 */
export function checkBatch(
  bytes: Uint8Array,
  start: number,
  end: number,
  facts: Float64Array,
  at: number,
): void {
  assert(start >= 0 && start <= end, "a batch starts before it ends");
  assert(at + factStride <= facts.length, "the facts have room for a batch");
  facts.fill(0, at, at + factStride);
  facts[at + Fact.firstWithoutKey] = -1;
  facts[at + Fact.firstBadRecord] = -1;
  varints.reset(bytes);
  const view = varints.view;
  let flaws = 0;
  if (end - start > 16 && batchMagicOf(view, start) !== batchMagic) flaws |= Flaw.magic;
  const size = end - start < batchHeaderBytes ? 0 : batchBytes(view, start);
  if (size < batchHeaderBytes || size > end - start) {
    facts[at + Fact.flaws] = flaws | Flaw.size;
    return;
  }
  if (size < end - start) flaws |= Flaw.severalBatches;
  if (batchCrc(view, start) !== crc32c(bytes, start + crcStart, start + size)) flaws |= Flaw.crc;
  if (fillHeader(view, start, facts, at)) flaws |= Flaw.unsafeInt64;
  facts[at + Fact.bytes] = size;
  const compressed = (batchAttributes(view, start) & Attribute.codecMask) !== 0;
  if (!compressed && (flaws & (Flaw.magic | Flaw.crc)) === 0) {
    flaws |= walkRecords(start + batchHeaderBytes, start + size, facts, at);
  }
  facts[at + Fact.flaws] = flaws;
}

/** The fields of the header, unsafe ones rounded. True when there is an unsafe one. */
function fillHeader(view: DataView, start: number, facts: Float64Array, at: number): boolean {
  const rounded = (position: number) =>
    view.getInt32(position) * 4294967296 + view.getUint32(position + 4);
  const baseOffset = rounded(start);
  const baseTimestamp = rounded(start + 27);
  const maxTimestamp = rounded(start + 35);
  const producerId = rounded(start + 43);
  facts[at + Fact.attributes] = batchAttributes(view, start);
  facts[at + Fact.lastOffsetDelta] = batchLastOffsetDelta(view, start);
  facts[at + Fact.baseTimestamp] = baseTimestamp;
  facts[at + Fact.maxTimestamp] = maxTimestamp;
  facts[at + Fact.producerId] = producerId;
  facts[at + Fact.producerEpoch] = batchProducerEpoch(view, start);
  facts[at + Fact.baseSequence] = batchBaseSequence(view, start);
  facts[at + Fact.recordsCount] = batchRecordsCount(view, start);
  facts[at + Fact.lowestTimestamp] = baseTimestamp;
  facts[at + Fact.highestTimestamp] = maxTimestamp;
  facts[at + Fact.partitionLeaderEpoch] = batchLeaderEpoch(view, start);
  facts[at + Fact.baseOffset] = baseOffset;
  return !(
    Number.isSafeInteger(baseOffset) &&
    Number.isSafeInteger(baseTimestamp) &&
    Number.isSafeInteger(maxTimestamp) &&
    Number.isSafeInteger(producerId)
  );
}

/** Walks the records in `varints` from `start` to `stop`. Returns flaws, fills what they say. */
function walkRecords(start: number, stop: number, facts: Float64Array, at: number): number {
  const count = facts[at + Fact.recordsCount] ?? 0;
  const baseHigh = varints.view.getInt32(start - batchHeaderBytes + 27);
  const baseLow = varints.view.getUint32(start - batchHeaderBytes + 31);
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  let flaws = 0;
  let index = 0;
  varints.position = start;
  for (; index < count; index += 1) {
    if (!walkRecord(stop, index)) {
      facts[at + Fact.firstBadRecord] = index;
      flaws |= Flaw.records;
      break;
    }
    if (walkedAttributes !== 0 && (flaws & Flaw.recordAttributes) === 0) {
      facts[at + Fact.firstBadRecord] = index;
      flaws |= Flaw.recordAttributes;
    }
    if (walkedKeyless && facts[at + Fact.firstWithoutKey] === -1) {
      facts[at + Fact.firstWithoutKey] = index;
    }
    // Exact: the halves are added apart, and only the sum is judged.
    const low = baseLow + walkedDeltaLow;
    const timestamp = (baseHigh + walkedDeltaHigh) * 4294967296 + low;
    if (!Number.isSafeInteger(timestamp)) flaws |= Flaw.unsafeInt64;
    if (timestamp < lowest) lowest = timestamp;
    if (timestamp > highest) highest = timestamp;
  }
  if (index > 0) {
    facts[at + Fact.lowestTimestamp] = lowest;
    facts[at + Fact.highestTimestamp] = highest;
  }
  if ((flaws & Flaw.records) === 0 && varints.position !== stop) flaws |= Flaw.records;
  return flaws;
}

// What the last walkRecord saw: plain variables, since a record must not cost an object.
let walkedAttributes = 0;
let walkedKeyless = false;
let walkedDeltaHigh = 0;
let walkedDeltaLow = 0;

/** One record at the position of `varints`; false when it is malformed or its delta not `index`. */
function walkRecord(stop: number, index: number): boolean {
  const length = varints.int32(stop);
  const end = varints.position + length;
  if (varints.failed || length < 0 || end > stop || varints.position >= end) return false;
  walkedAttributes = varints.view.getInt8(varints.position);
  varints.position += 1;
  varints.int64(end);
  walkedDeltaHigh = varints.high;
  walkedDeltaLow = varints.low;
  if (varints.int32(end) !== index || varints.failed) return false;
  const key = varints.int32(end);
  if (varints.failed || !varints.skip(key, end, -1)) return false;
  walkedKeyless = key === -1;
  const value = varints.int32(end);
  if (varints.failed || !varints.skip(value, end, -1)) return false;
  const headers = varints.int32(end);
  // A header takes two bytes at least.
  if (varints.failed || headers < 0 || headers * 2 > end - varints.position) return false;
  for (let i = 0; i < headers; i += 1) {
    const name = varints.int32(end);
    if (varints.failed || !varints.skip(name, end, 0)) return false;
    const content = varints.int32(end);
    if (varints.failed || !varints.skip(content, end, -1)) return false;
  }
  return varints.position === end;
}
