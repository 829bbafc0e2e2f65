// Record batches for fuzzed Produce requests: right ones, ones with a header or a body that lies
// behind a checksum that holds, and rubbish.

import { gzipSync, zstdCompressSync } from "node:zlib";
import { batchHeaderBytes, stampCrc } from "../../src/wire/batch.ts";
import { buildBatch, type NewRecord } from "../../src/wire/records.ts";
import type { Random } from "../chaos/payload.ts";
import { mutate } from "../wire/mutate.ts";
import { pick, type Vocabulary } from "./vocabulary.ts";

const time = 1_700_000_000_000;

function record(i: number): NewRecord {
  return {
    key: i % 3 === 1 ? null : new Uint8Array(i * 2).fill(i),
    value: i % 5 === 4 ? null : new Uint8Array((i * 37) % 200).fill(65 + i),
    headers: i % 2 === 0 ? [] : [{ key: "h", value: i % 3 === 0 ? null : new Uint8Array(3) }],
    timestamp: time + i * 10 - (i % 4) * 25,
  };
}

function recordsOf(count: number): NewRecord[] {
  return Array.from({ length: count }, (_, i) => record(i));
}

/** Of 20 equal records, in raw form; magic 6 bytes before "hello" and lengths as their formats say. */
const xerialHeader = Uint8Array.from([
  0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1,
]);

/** The batch with its records packed by `codec`. */
function packed(
  batch: Uint8Array,
  codec: number,
  pack: (records: Uint8Array) => Uint8Array,
): Uint8Array {
  const records = pack(batch.subarray(batchHeaderBytes));
  const bytes = new Uint8Array(batchHeaderBytes + records.length);
  bytes.set(batch.subarray(0, batchHeaderBytes));
  bytes.set(records, batchHeaderBytes);
  bytes[22] = ((bytes[22] ?? 0) & 0xf8) | codec;
  return sealed(bytes);
}

/** Length and checksum as the bytes are; `length` is a lie about them. */
function sealed(bytes: Uint8Array, length = bytes.byteLength - 12): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setInt32(8, bytes.byteLength - 12);
  stampCrc(bytes, view, 0);
  view.setInt32(8, length);
  return bytes;
}

/** Snappy of literals only: a size, then pieces of at most 60 bytes. */
function snappyLiterals(records: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (let left = records.length; ; left = Math.floor(left / 128)) {
    out.push(left >= 128 ? (left & 0x7f) | 0x80 : left);
    if (left < 128) break;
  }
  for (let at = 0; at < records.length; at += 60) {
    const piece = records.subarray(at, at + 60);
    out.push((piece.length - 1) << 2, ...piece);
  }
  return Uint8Array.from(out);
}

function xerial(records: Uint8Array): Uint8Array {
  const block = snappyLiterals(records);
  const out = new Uint8Array(xerialHeader.length + 4 + block.length);
  out.set(xerialHeader);
  new DataView(out.buffer).setUint32(xerialHeader.length, block.length);
  out.set(block, xerialHeader.length + 4);
  return out;
}

/** One stored block without block checksums; the header's own checksum byte belongs to these flags. */
function lz4Stored(records: Uint8Array): Uint8Array {
  const out = new Uint8Array(7 + 4 + records.length + 4);
  out.set([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
  new DataView(out.buffer).setUint32(7, (records.length | 0x80000000) >>> 0, true);
  out.set(records, 11);
  return out;
}

const bomb = new Uint8Array(1 << 20);
const plain = [1, 2, 5, 30].map((count) => buildBatch(recordsOf(count)));
const keyed = buildBatch([{ key: new Uint8Array(4), value: new Uint8Array(9), timestamp: time }]);
const many = buildBatch(recordsOf(200));

/** Right batches, codecs included. */
const corpus: readonly Uint8Array[] = [
  ...plain,
  ...[keyed, keyed, many],
  ...[keyed, many].flatMap((batch) => [
    packed(batch, 1, (records) => gzipSync(records)),
    packed(batch, 2, snappyLiterals),
    packed(batch, 2, xerial),
    packed(batch, 3, lz4Stored),
    packed(batch, 4, (records) => zstdCompressSync(records)),
  ]),
  packed(keyed, 1, () => gzipSync(bomb)),
  packed(keyed, 4, () => zstdCompressSync(bomb)),
  buildBatch(recordsOf(2), { attributes: 0x10, producerId: 1, producerEpoch: 0, baseSequence: 0 }),
  buildBatch(recordsOf(1), { attributes: 0x20 }),
];

/** Position, size and edges of header fields that are worth a lie. */
const headerFields: readonly (readonly [at: number, size: 2 | 4 | 8])[] = [
  ...([
    [8, 4],
    [12, 4],
    [21, 2],
    [23, 4],
    [27, 8],
    [35, 8],
    [43, 8],
    [51, 2],
    [53, 4],
    [57, 4],
  ] as const),
];
const lies = [0, 1, -1, 2, 0x7fffffff, -0x80000000, 0x7fff, 5];

function lie(bytes: Uint8Array, random: Random): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [at, size] = pick(headerFields, random);
  const value = pick(lies, random);
  if (size === 2) view.setInt16(at, value);
  else if (size === 4) view.setInt32(at, value);
  else view.setBigInt64(at, random.chance(50) ? BigInt(value) : BigInt(value) << 32n);
}

function idempotent(random: Random, vocabulary: Vocabulary): Uint8Array {
  const id = vocabulary.draw("producerId", "number", random);
  const epoch = vocabulary.draw("producerEpoch", "number", random);
  return buildBatch(recordsOf(1 + random.below(3)), {
    producerId: typeof id === "number" && id >= 0 ? id : random.below(3),
    producerEpoch: typeof epoch === "number" && epoch >= 0 ? epoch : random.below(2),
    baseSequence: random.chance(10) ? 0x7fffffff - random.below(3) : random.below(6),
  });
}

/** What a Produce carries for one partition: a batch, and rarely two or none. */
export function batches(random: Random, vocabulary: Vocabulary): Uint8Array {
  const batch = random.chance(25) ? idempotent(random, vocabulary) : pick(corpus, random);
  const die = random.below(100);
  if (die < 50) return batch;
  if (die < 55) return new Uint8Array(Buffer.concat([batch, pick(corpus, random)]));
  if (die < 75) {
    const lying = batch.slice();
    for (let i = random.below(2); i >= 0; i -= 1) lie(lying, random);
    return sealed(lying, new DataView(lying.buffer).getInt32(8));
  }
  if (batch.length > 2000) return batch.subarray(0, random.below(batch.length));
  const damaged = mutate(batch, [
    random.word() >>> 0,
    random.word() >>> 0,
    random.word() >>> 0,
    random.word() >>> 0,
  ]);
  return damaged.length > batchHeaderBytes && random.chance(70) ? sealed(damaged) : damaged;
}
