// The bytes that one decode runs over. Compiled decoders keep the position in a local and call in
// here for what is rare or long; every method is told where the message ends.

import { requestElementsMax, taggedFieldsMax } from "../core/base/limits.ts";
import { fail } from "./refusal.ts";

export class Reader {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  /** Behind what the last call consumed. */
  position = 0;
  /** Array elements that the message may still have. */
  elementsLeft = 0;

  /** Readers are kept and reset: a new DataView per message is dearer than a small message. */
  reset(bytes: Uint8Array, elementsMax = requestElementsMax): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.elementsLeft = elementsMax;
  }

  /** Unsigned varint of at most 32 bits in its shortest form. */
  uvarint(start: number, end: number): number {
    let value = 0;
    let factor = 1;
    for (let at = start; at < end; at += 1) {
      const byte = this.bytes[at] ?? 0;
      if (byte === 0 && at > start) fail("varint");
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > 0xffffffff) fail("varint");
        this.position = at + 1;
        return value;
      }
      if (at === start + 4) fail("varint");
      factor *= 128;
    }
    return fail("truncated");
  }

  /** Skips a section of tagged fields of which none is known. Returns the position behind it. */
  skipTags(start: number, end: number): number {
    const count = this.uvarint(start, end);
    if (count > taggedFieldsMax) fail("tags");
    let previous = -1;
    for (let i = 0; i < count; i += 1) {
      const tag = this.uvarint(this.position, end);
      if (tag <= previous) fail("tags");
      previous = tag;
      const size = this.uvarint(this.position, end);
      if (size > end - this.position) fail("truncated");
      this.position += size;
    }
    return this.position;
  }
}
