// The batches that a leader has sent and that not all of their members have, in offset order: a ring
// of typed arrays. The front part is committed and kept for members that are behind; the rest waits
// for W copies.
//
// Invariants: base offsets rise; a batch is committed only when all before it are.

import { assert } from "../base/assert.ts";
import type { Placement } from "../base/copyset.ts";
import { type Offset, offset } from "../base/ids.ts";
import type { Producing } from "./effects.ts";
import type { BatchCopy } from "./messages.ts";

const capacityAtStart = 4;

export class Flight {
  private bases = new Float64Array(capacityAtStart);
  private counts = new Int32Array(capacityAtStart);
  private checksums = new Float64Array(capacityAtStart);
  private epochs = new Int32Array(capacityAtStart);
  /** Bit per position in the row: a durable copy that was reported. */
  private acks = new Int32Array(capacityAtStart);
  private bornAt = new Float64Array(capacityAtStart);
  private sentAt = new Float64Array(capacityAtStart);
  private placements: (Placement | null)[] = [];
  private batches: (Uint8Array | null)[] = [];
  private producing: (Producing | null)[] = [];
  private head = 0;
  /** All batches, and those of them at the front that are committed. */
  count = 0;
  committedCount = 0;
  bytesInFlight = 0;
  bytesHeld = 0;

  private place(index: number): number {
    assert(index >= 0 && index < this.count, "the batch is in flight");
    return (this.head + index) & (this.bases.length - 1);
  }

  push(
    copy: BatchCopy,
    epoch: number,
    placement: Placement,
    producing: Producing | null,
    now: number,
  ): number {
    if (this.count === this.bases.length) this.grow();
    this.count += 1;
    const at = this.place(this.count - 1);
    this.bases[at] = copy.base;
    this.counts[at] = copy.count;
    this.checksums[at] = copy.checksum;
    this.epochs[at] = epoch;
    this.acks[at] = 0;
    this.bornAt[at] = now;
    this.sentAt[at] = now;
    this.placements[at] = placement;
    this.batches[at] = copy.batch;
    this.producing[at] = producing;
    this.bytesInFlight += copy.batch.byteLength;
    return this.count - 1;
  }

  /** Index of the batch of this epoch with this base offset; -1 = it has left or never was. */
  find(epoch: number, base: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.baseOf(middle) < base) low = middle + 1;
      else high = middle;
    }
    if (low === this.count) return -1;
    const at = this.place(low);
    return this.bases[at] === base && this.epochs[at] === epoch ? low : -1;
  }

  baseOf(index: number): Offset {
    return offset(this.bases[this.place(index)] ?? 0);
  }
  endOf(index: number): Offset {
    const at = this.place(index);
    return offset((this.bases[at] ?? 0) + (this.counts[at] ?? 0));
  }
  epochOf(index: number): number {
    return this.epochs[this.place(index)] ?? 0;
  }
  acksOf(index: number): number {
    return this.acks[this.place(index)] ?? 0;
  }
  bornAtOf(index: number): number {
    return this.bornAt[this.place(index)] ?? 0;
  }
  sentAtOf(index: number): number {
    return this.sentAt[this.place(index)] ?? 0;
  }
  placementOf(index: number): Placement {
    const placement = this.placements[this.place(index)] ?? null;
    assert(placement !== null, "a batch in flight has a placement");
    return placement;
  }
  producingOf(index: number): Producing | null {
    return this.producing[this.place(index)] ?? null;
  }
  copyOf(index: number): BatchCopy {
    const at = this.place(index);
    const batch = this.batches[at] ?? null;
    assert(batch !== null, "a batch in flight has bytes");
    const [count, checksum] = [this.counts[at] ?? 0, this.checksums[at] ?? 0];
    return { base: this.baseOf(index), count, checksum, batch };
  }

  ack(index: number, position: number): void {
    const at = this.place(index);
    this.acks[at] = (this.acks[at] ?? 0) | (1 << position);
  }

  unack(index: number, position: number): void {
    const at = this.place(index);
    this.acks[at] = (this.acks[at] ?? 0) & ~(1 << position);
  }

  sent(index: number, now: number): void {
    this.sentAt[this.place(index)] = now;
  }

  /** The first batch that is not committed is committed now. */
  commit(): void {
    const at = this.place(this.committedCount);
    this.producing[at] = null;
    const bytes = this.batches[at]?.byteLength ?? 0;
    this.bytesInFlight -= bytes;
    this.bytesHeld += bytes;
    this.committedCount += 1;
  }

  /** What is not committed is sent under another epoch from now on. */
  restamp(epoch: number, placement: Placement, now: number): void {
    for (let index = this.committedCount; index < this.count; index += 1) {
      const at = this.place(index);
      this.epochs[at] = epoch;
      this.placements[at] = placement;
      this.acks[at] = 0;
      this.bornAt[at] = now;
      this.sentAt[at] = now;
    }
  }

  /** The oldest batch leaves; it is committed. */
  shift(): void {
    assert(this.committedCount > 0, "only what is committed leaves");
    const at = this.place(0);
    this.bytesHeld -= this.batches[at]?.byteLength ?? 0;
    this.placements[at] = null;
    this.batches[at] = null;
    this.head = (this.head + 1) & (this.bases.length - 1);
    this.count -= 1;
    this.committedCount -= 1;
  }

  private grow(): void {
    const old = this.bases.length;
    const from = <T extends Float64Array | Int32Array>(ring: T, to: T): T => {
      for (let i = 0; i < this.count; i += 1) to[i] = ring[(this.head + i) & (old - 1)] ?? 0;
      return to;
    };
    const list = <T>(ring: (T | null)[]): (T | null)[] =>
      Array.from({ length: this.count }, (_, i) => ring[(this.head + i) & (old - 1)] ?? null);
    this.counts = from(this.counts, new Int32Array(old * 2));
    this.checksums = from(this.checksums, new Float64Array(old * 2));
    this.epochs = from(this.epochs, new Int32Array(old * 2));
    this.acks = from(this.acks, new Int32Array(old * 2));
    this.bornAt = from(this.bornAt, new Float64Array(old * 2));
    this.sentAt = from(this.sentAt, new Float64Array(old * 2));
    this.placements = list(this.placements);
    this.batches = list(this.batches);
    this.producing = list(this.producing);
    this.bases = from(this.bases, new Float64Array(old * 2));
    this.head = 0;
  }
}
