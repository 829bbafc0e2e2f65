// Zig-zag varints of record batches: 32 bits in at most 5 bytes, 64 bits in at most 10. Failure is
// a flag, not an exception: a malformed record is an everyday no, and is told by its index.
//
// A form longer than its value needs is taken, as Kafka takes it; bits beyond the width are not.

export class Varints {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  position = 0;
  /** The last read ran out of bytes or out of bits; `position` is then without meaning. */
  failed = false;
  /** The two halves of the last int64: `high` signed, `low` unsigned. */
  high = 0;
  low = 0;

  reset(bytes: Uint8Array): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.position = 0;
    this.failed = false;
  }

  int32(end: number): number {
    this.failed = false;
    const { bytes } = this;
    let at = this.position;
    let raw = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (at >= end) break;
      const byte = bytes[at] ?? 0;
      at += 1;
      if (shift === 28 && byte > 0x0f) break;
      raw |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.position = at;
        return (raw >>> 1) ^ -(raw & 1);
      }
    }
    this.failed = true;
    return 0;
  }

  /** Leaves its value in `high` and `low`. */
  int64(end: number): void {
    this.failed = false;
    const { bytes } = this;
    let at = this.position;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= end) break;
      const byte = bytes[at] ?? 0;
      at += 1;
      if (shift === 63 && byte > 1) break;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        const sign = -(low & 1);
        this.low = (((low >>> 1) | (high << 31)) ^ sign) >>> 0;
        this.high = (high >>> 1) ^ sign;
        this.position = at;
        return;
      }
    }
    this.failed = true;
    this.low = 0;
    this.high = 0;
  }

  /** Moves over `count` bytes; `least` = -1 allows null. False when they are not there. */
  skip(count: number, end: number, least: -1 | 0): boolean {
    if (count < least || count > end - this.position) return false;
    if (count > 0) this.position += count;
    return true;
  }
}
