// The records of a batch, compressed and opened again. gzip and zstd come from node:zlib, in both
// directions; snappy and lz4 are only opened, for what other clients wrote. A batch is opened to a
// bounded size, whatever it claims.

import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { Codec } from "../core/base/facts.ts";
import { inspectedBytesMax } from "../core/base/limits.ts";
import { batchHeaderBytes, withSection } from "../wire/batch.ts";

export type Compression = "none" | "gzip" | "zstd";
export const compressions: readonly Compression[] = ["none", "gzip", "zstd"];

/** The batch, compressed; as it is when that would not make it smaller. */
export function compressBatch(batch: Uint8Array, compression: Compression): Uint8Array {
  if (compression === "none") return batch;
  const records = batch.subarray(batchHeaderBytes);
  const gzip = compression === "gzip";
  const section = gzip ? gzipSync(records) : zstdCompressSync(records);
  if (section.length >= records.length) return batch;
  return withSection(batch, section, gzip ? Codec.gzip : Codec.zstd);
}

/** The compressed bytes are no such thing, or larger than `inspectedBytesMax` when opened. */
export class DamagedBatch extends Error {
  override readonly name = "DamagedBatch";
}

/** The records that `section` holds. */
export function openSection(section: Uint8Array, codec: number): Uint8Array {
  try {
    switch (codec) {
      case Codec.none:
        return section;
      case Codec.gzip:
        return gunzipSync(section, { maxOutputLength: inspectedBytesMax });
      case Codec.zstd:
        return zstdDecompressSync(section, { maxOutputLength: inspectedBytesMax });
      case Codec.snappy:
        return openSnappy(section);
      case Codec.lz4:
        return openLz4(section);
      default:
        throw new DamagedBatch(`compression ${codec} has no meaning`);
    }
  } catch (error) {
    if (error instanceof DamagedBatch) throw error;
    throw new DamagedBatch(error instanceof Error ? error.message : String(error));
  }
}

/** What has been opened so far; copies may reach back into it. */
class Opened {
  #bytes: Uint8Array;
  #size = 0;

  constructor(expected: number) {
    this.#bytes = new Uint8Array(Math.min(Math.max(expected, 64), inspectedBytesMax));
  }

  get size(): number {
    return this.#size;
  }

  literal(source: Uint8Array, start: number, count: number): void {
    if (count < 0 || start + count > source.length)
      throw new DamagedBatch("a literal is cut short");
    this.#reserve(count);
    this.#bytes.set(source.subarray(start, start + count), this.#size);
    this.#size += count;
  }

  /** `count` bytes from `distance` back; they may overlap what is being written. */
  copy(distance: number, count: number): void {
    if (distance < 1 || distance > this.#size) throw new DamagedBatch("a copy reaches too far");
    this.#reserve(count);
    for (let i = 0; i < count; i += 1) {
      this.#bytes[this.#size] = this.#bytes[this.#size - distance] ?? 0;
      this.#size += 1;
    }
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  #reserve(count: number): void {
    const needed = this.#size + count;
    if (needed <= this.#bytes.length) return;
    if (needed > inspectedBytesMax) throw new DamagedBatch("it is too large when opened");
    const grown = new Uint8Array(
      Math.min(inspectedBytesMax, Math.max(needed, this.#bytes.length * 2)),
    );
    grown.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = grown;
  }
}

const xerialMagic = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0];
/** Magic and two version numbers. */
const xerialHeadBytes = 16;

/** One block of snappy, or snappy-java's stream of them: a length in four bytes, then a block. */
function openSnappy(bytes: Uint8Array): Uint8Array {
  const opened = new Opened(bytes.length * 4);
  if (!xerialMagic.every((byte, index) => bytes[index] === byte)) {
    openSnappyBlock(bytes, opened);
    return opened.done();
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = xerialHeadBytes; at < bytes.length; ) {
    const size = at + 4 <= bytes.length ? view.getInt32(at) : -1;
    at += 4;
    if (size < 0 || at + size > bytes.length) throw new DamagedBatch("a block is cut short");
    openSnappyBlock(bytes.subarray(at, at + size), opened);
    at += size;
  }
  return opened.done();
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  if (at + count > bytes.length) throw new DamagedBatch("a number is cut short");
  let value = 0;
  for (let i = count - 1; i >= 0; i -= 1) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}

/** Format description of snappy, section 2: a varint with the length, then literals and copies. */
function openSnappyBlock(bytes: Uint8Array, opened: Opened): void {
  let at = 0;
  let length = 0;
  for (let shift = 1; ; shift *= 128) {
    const byte = littleEndian(bytes, at, 1);
    at += 1;
    length += (byte & 0x7f) * shift;
    if (byte < 0x80) break;
    if (at === 5) throw new DamagedBatch("the length of a block is too long");
  }
  const end = opened.size + length;
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0;
    at += 1;
    const kind = tag & 3;
    if (kind === 0) {
      let count = (tag >>> 2) + 1;
      if (count > 60) {
        const width = count - 60;
        count = littleEndian(bytes, at, width) + 1;
        at += width;
      }
      opened.literal(bytes, at, count);
      at += count;
    } else if (kind === 1) {
      opened.copy(((tag >>> 5) << 8) | littleEndian(bytes, at, 1), ((tag >>> 2) & 7) + 4);
      at += 1;
    } else {
      const width = kind === 2 ? 2 : 4;
      opened.copy(littleEndian(bytes, at, width), (tag >>> 2) + 1);
      at += width;
    }
  }
  if (opened.size !== end) throw new DamagedBatch("a block has another length than it says");
}

const lz4Magic = 0x184d2204;

/** LZ4 frame format 1.6. The checksums are not looked at: the batch has its own. */
function openLz4(bytes: Uint8Array): Uint8Array {
  if (littleEndian(bytes, 0, 4) !== lz4Magic) throw new DamagedBatch("it is no LZ4 frame");
  const flags = littleEndian(bytes, 4, 1);
  const hasBlockChecksum = (flags & 0x10) !== 0;
  let at = 7;
  if ((flags & 0x08) !== 0) at += 8; // content size
  if ((flags & 0x01) !== 0) at += 4; // dictionary id
  const opened = new Opened(bytes.length * 4);
  for (;;) {
    const word = littleEndian(bytes, at, 4);
    at += 4;
    if (word === 0) return opened.done();
    const size = word % 0x80000000;
    if (at + size > bytes.length) throw new DamagedBatch("a block is cut short");
    if (word >= 0x80000000) opened.literal(bytes, at, size);
    else openLz4Block(bytes.subarray(at, at + size), opened);
    at += size + (hasBlockChecksum ? 4 : 0);
  }
}

/** LZ4 block format: literals, then a copy, of which the last sequence has none. */
function openLz4Block(bytes: Uint8Array, opened: Opened): void {
  let at = 0;
  const more = (nibble: number): number => {
    let count = nibble;
    if (nibble !== 15) return count;
    for (;;) {
      const byte = littleEndian(bytes, at, 1);
      at += 1;
      count += byte;
      if (byte !== 255) return count;
    }
  };
  while (at < bytes.length) {
    const token = bytes[at] ?? 0;
    at += 1;
    const literals = more(token >>> 4);
    opened.literal(bytes, at, literals);
    at += literals;
    if (at >= bytes.length) return;
    const distance = littleEndian(bytes, at, 2);
    at += 2;
    opened.copy(distance, more(token & 15) + 4);
  }
}
