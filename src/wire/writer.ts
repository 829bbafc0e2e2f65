// The bytes that an encode produces. A writer is kept per connection and reused; it grows by
// reallocation. Compiled encoders keep bytes, view and position in locals: a method that may grow
// takes the position, returns the next one, and the caller reloads `bytes` and `view`.

import { assert } from "../core/base/assert.ts";
import { messageBytesMax, stringBytesMax } from "../core/base/limits.ts";

const encoder = new TextEncoder();
/** Strings up to this length try the loop for ASCII; its length prefix is then one byte. */
const asciiLengthMax = 64;

/** The message does not end before the writer's limit. What was written of it is worthless. */
export class WriterFull extends Error {
  override readonly name = "WriterFull";
}

export class Writer {
  bytes: Uint8Array;
  view: DataView;
  /** Behind the last byte written. */
  position = 0;
  /** The writer does not grow beyond: it throws `WriterFull`, before it takes memory for more. */
  limit = messageBytesMax;
  /**
   * Positions of the `records` fields, when whoever encodes will fill in their bytes himself: their
   * room is then left as it is. Null: the bytes are copied.
   */
  holes: number[] | null = null;

  constructor(size = 1024) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  reset(): void {
    this.position = 0;
    this.holes = null;
  }

  /** What has been written from `start` on; valid until the next write or reset. */
  written(start = 0): Uint8Array {
    return this.bytes.subarray(start, this.position);
  }

  /** Makes room for `count` bytes at `position`. */
  reserve(position: number, count: number): void {
    const needed = position + count;
    if (needed <= this.bytes.length) return;
    if (needed > this.limit) throw new WriterFull();
    const grown = new Uint8Array(Math.min(this.limit, Math.max(needed, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, position));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  /** Unsigned varint of at most 32 bits. */
  uvarint(position: number, value: number): number {
    this.reserve(position, 5);
    let at = position;
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[at] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 128);
      at += 1;
    }
    this.bytes[at] = rest;
    return at + 1;
  }

  /** The length of a tagged field, whose one byte at `at` was left free, now that it is written. */
  patchSize(at: number, position: number): number {
    const size = position - at - 1;
    if (size < 0x80) {
      this.bytes[at] = size;
      return position;
    }
    this.reserve(position, 4);
    const shift = size < 0x4000 ? 1 : size < 0x200000 ? 2 : size < 0x10000000 ? 3 : 4;
    this.bytes.copyWithin(at + 1 + shift, at + 1, position);
    this.uvarint(at, size);
    return position + shift;
  }

  compactString(position: number, text: string): number {
    const length = text.length;
    this.reserve(position, length * 3 + 5);
    if (length <= asciiLengthMax) {
      const bytes = this.bytes;
      let at = position + 1;
      for (let i = 0; i < length; i += 1) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) return this.#longString(position, text, 0);
        bytes[at] = code;
        at += 1;
      }
      bytes[position] = length + 1;
      return at;
    }
    return this.#longString(position, text, 0);
  }

  string(position: number, text: string): number {
    const length = text.length;
    this.reserve(position, length * 3 + 5);
    if (length <= asciiLengthMax) {
      const bytes = this.bytes;
      let at = position + 2;
      for (let i = 0; i < length; i += 1) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) return this.#longString(position, text, 2);
        bytes[at] = code;
        at += 1;
      }
      bytes[position] = 0;
      bytes[position + 1] = length;
      return at;
    }
    return this.#longString(position, text, 2);
  }

  /** `prefix`: 2 = int16 length, 0 = compact length, whose size is known only afterwards. */
  #longString(position: number, text: string, prefix: 0 | 2): number {
    const room = this.bytes.subarray(position + 5);
    const { written } = encoder.encodeInto(text, room);
    assert(written <= stringBytesMax, "a string fits in Kafka's limit");
    let start = position + 2;
    if (prefix === 2) this.view.setInt16(position, written);
    else start = this.uvarint(position, written + 1);
    this.bytes.copyWithin(start, position + 5, position + 5 + written);
    return start + written;
  }

  compactBytes(position: number, source: Uint8Array): number {
    return this.#copy(this.uvarint(position, source.length + 1), source);
  }

  sizedBytes(position: number, source: Uint8Array): number {
    this.reserve(position, 4);
    this.view.setInt32(position, source.length);
    return this.#copy(position + 4, source);
  }

  compactRecords(position: number, source: Uint8Array): number {
    return this.#records(this.uvarint(position, source.length + 1), source);
  }

  sizedRecords(position: number, source: Uint8Array): number {
    this.reserve(position, 4);
    this.view.setInt32(position, source.length);
    return this.#records(position + 4, source);
  }

  #records(position: number, source: Uint8Array): number {
    if (this.holes === null) return this.#copy(position, source);
    this.reserve(position, source.length);
    this.holes.push(position);
    return position + source.length;
  }

  #copy(position: number, source: Uint8Array): number {
    this.reserve(position, source.length);
    this.bytes.set(source, position);
    return position + source.length;
  }
}
