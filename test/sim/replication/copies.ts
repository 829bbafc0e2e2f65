// The disk of one simulated node: copies and fences that are staged, written, synced, in that order.
// A process that dies loses what is staged; a power cut loses any part of what is not synced; a disk
// that is replaced loses all. Fields are `private` and not `#`: the explorer copies whole disks.

import type { Random } from "../../../src/core/base/random.ts";
import type { Durability } from "../../../src/core/base/epochs.ts";
import type { Slot, Ticket } from "../../../src/core/base/ids.ts";
import type { StoredStream } from "../../../src/core/replication/member.ts";
import { type BatchCopy, digestStride } from "../../../src/core/replication/messages.ts";

export interface StoredCopy {
  readonly slot: Slot;
  readonly epoch: number;
  readonly highWatermark: number;
  readonly copy: BatchCopy;
  readonly ticket: number;
  isDamaged: boolean;
}

interface Fence {
  readonly slot: Slot;
  readonly epoch: number;
  readonly ticket: number;
}

/** Epochs of a partition are few and offsets small: one number names a copy. */
function keyOf(epoch: number, base: number): number {
  return epoch * 2 ** 24 + base;
}

export class Copies {
  private readonly slots = new Map<Slot, Map<number, StoredCopy>>();
  private fences: Fence[] = [];
  private last = 0;
  written = 0;
  durable = 0;
  /** Bytes of batches that were staged. */
  bytes = 0;

  get staged(): number {
    return this.last;
  }

  copiesOf(slot: Slot): Map<number, StoredCopy> {
    let copies = this.slots.get(slot);
    if (copies === undefined) {
      copies = new Map();
      this.slots.set(slot, copies);
    }
    return copies;
  }

  find(slot: Slot, epoch: number, base: number): StoredCopy | undefined {
    return this.slots.get(slot)?.get(keyOf(epoch, base));
  }

  append(slot: Slot, epoch: number, highWatermark: number, copy: BatchCopy): Ticket {
    const copies = this.copiesOf(slot);
    const had = copies.get(keyOf(epoch, copy.base));
    if (had !== undefined && !had.isDamaged) return had.ticket as Ticket;
    this.last += 1;
    this.bytes += copy.batch.byteLength;
    const { base, count, checksum, batch } = copy;
    const kept = { base, count, checksum, batch };
    const rest = { ticket: this.last, isDamaged: false };
    copies.set(keyOf(epoch, copy.base), { slot, epoch, highWatermark, copy: kept, ...rest });
    return this.last as Ticket;
  }

  fence(slot: Slot, epoch: number): Ticket {
    this.last += 1;
    this.fences.push({ slot, epoch, ticket: this.last });
    return this.last as Ticket;
  }

  drop(slot: Slot, epoch: number, from: number): void {
    const copies = this.copiesOf(slot);
    for (const [key, { epoch: of, copy }] of copies)
      if (of === epoch && copy.base >= from) copies.delete(key);
  }

  trim(slot: Slot, logStart: number): void {
    const copies = this.copiesOf(slot);
    for (const [key, { copy }] of copies)
      if (copy.base + copy.count <= logStart) copies.delete(key);
  }

  /** Ascending by base offset; `isCertain` = nothing in the epoch is damaged. */
  survey(
    slot: Slot,
    epoch: number,
    from: number,
    to: number,
    level: Durability,
  ): { readonly digest: Float64Array; readonly isCertain: boolean } {
    const limit = level === "os" ? this.written : this.durable;
    const found: StoredCopy[] = [];
    let isCertain = true;
    for (const copy of this.copiesOf(slot).values()) {
      if (copy.epoch !== epoch) continue;
      if (copy.isDamaged) isCertain = false;
      else if (copy.copy.base >= from && copy.copy.base < to && copy.ticket <= limit)
        found.push(copy);
    }
    found.sort((a, b) => a.copy.base - b.copy.base);
    const digest = new Float64Array(found.length * digestStride);
    found.forEach(({ copy }, i) =>
      digest.set([copy.base, copy.count, copy.checksum], i * digestStride),
    );
    return { digest, isCertain };
  }

  write(): void {
    this.written = this.last;
  }

  /** What was written when the sync began. */
  sync(upTo: number): void {
    this.durable = Math.max(this.durable, upTo);
  }

  /** `survives` per mille of what is not synced; says what is lost to `lose`. */
  cutPower(random: Random, survives: number, lose: (copy: StoredCopy) => void): void {
    const stays = (ticket: number): boolean =>
      ticket <= this.durable || (ticket <= this.written && random.below(1000) < survives);
    this.keep(stays, lose);
  }

  /** The page cache outlives the process. */
  crash(): void {
    this.keep(
      (ticket) => ticket <= this.written,
      () => {},
    );
  }

  /** A power cut that takes all it can. */
  crashToDurable(): void {
    this.keep(
      (ticket) => ticket <= this.durable,
      () => {},
    );
  }

  lose(lose: (copy: StoredCopy) => void): void {
    this.keep(() => false, lose);
  }

  private keep(stays: (ticket: number) => boolean, lose: (copy: StoredCopy) => void): void {
    for (const copies of this.slots.values())
      for (const [key, copy] of copies) {
        if (stays(copy.ticket)) continue;
        lose(copy);
        copies.delete(key);
      }
    this.fences = this.fences.filter(({ ticket }) => stays(ticket));
  }

  /** The first thing that a start does: what was found is synced, and only then spoken of. */
  recover(): readonly StoredStream[] {
    this.written = this.last;
    this.durable = this.last;
    const streams = new Map<Slot, { fence: number; epoch: number; highWatermark: number }>();
    const of = (slot: Slot) => {
      const stream = streams.get(slot) ?? { fence: 0, epoch: 0, highWatermark: 0 };
      streams.set(slot, stream);
      return stream;
    };
    for (const { slot, epoch } of this.fences) of(slot).fence = Math.max(of(slot).fence, epoch);
    for (const copies of this.slots.values())
      for (const { slot, epoch, highWatermark } of copies.values()) {
        const stream = of(slot);
        stream.epoch = Math.max(stream.epoch, epoch);
        stream.highWatermark = Math.max(stream.highWatermark, highWatermark);
      }
    return [...streams].map(([slot, stream]) => ({ slot, ...stream }));
  }
}
