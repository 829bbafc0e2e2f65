// Idempotent producers of one partition: the epoch and the last five batches of each, which is what
// Kafka remembers, so that a retry gets its first offset and a gap is refused.
//
// State lives in typed arrays indexed by a row per producer. When the table is full the producer
// that was idle longest gives up its row: a producer without state may start at any sequence.

import { producerBatchesKept, producersPerPartitionMax } from "../base/limits.ts";

export type SequenceVerdict =
  | { readonly kind: "append" }
  /** Already appended: the offsets of the first time. */
  | {
      readonly kind: "duplicate";
      readonly baseOffset: number;
      readonly lastOffset: number;
      readonly timestamp: number;
    }
  | { readonly kind: "out-of-order" }
  | { readonly kind: "fenced" };

const append: SequenceVerdict = { kind: "append" };
const outOfOrder: SequenceVerdict = { kind: "out-of-order" };
const fenced: SequenceVerdict = { kind: "fenced" };

const sequenceModulus = 2147483648;

/** Sequences wrap from 2^31 - 1 to 0. */
function sequenceAdd(sequence: number, count: number): number {
  return (sequence + count) % sequenceModulus;
}

export class ProducerTable {
  readonly #rows = new Map<number, number>();
  #capacity = 4;
  #ids = new Float64Array(4);
  #epochs = new Int32Array(4);
  #lastSeen = new Float64Array(4);
  /** Batches kept of a row (0..5) and where the next one goes. */
  #kept = new Uint8Array(4);
  #next = new Uint8Array(4);
  #firstSequence = new Int32Array(4 * producerBatchesKept);
  #lastSequence = new Int32Array(4 * producerBatchesKept);
  #baseOffset = new Float64Array(4 * producerBatchesKept);
  #lastOffset = new Float64Array(4 * producerBatchesKept);
  #timestamp = new Float64Array(4 * producerBatchesKept);

  get count(): number {
    return this.#rows.size;
  }

  /** Judges a batch of `count` records by Kafka's rules (ProducerAppendInfo, ProducerStateEntry). */
  judge(producerId: number, epoch: number, firstSequence: number, count: number): SequenceVerdict {
    const row = this.#rows.get(producerId);
    if (row === undefined) return append;
    const known = this.#epochs[row] ?? 0;
    if (epoch < known) return fenced;
    if (epoch > known) return firstSequence === 0 ? append : outOfOrder;
    const lastSequence = sequenceAdd(firstSequence, count - 1);
    const kept = this.#kept[row] ?? 0;
    const start = row * producerBatchesKept;
    for (let i = 0; i < kept; i += 1) {
      if (this.#firstSequence[start + i] !== firstSequence) continue;
      if (this.#lastSequence[start + i] !== lastSequence) continue;
      return {
        kind: "duplicate",
        baseOffset: this.#baseOffset[start + i] ?? 0,
        lastOffset: this.#lastOffset[start + i] ?? 0,
        timestamp: this.#timestamp[start + i] ?? -1,
      };
    }
    if (kept === 0) return append;
    const newest =
      start + (((this.#next[row] ?? 0) + producerBatchesKept - 1) % producerBatchesKept);
    return judgeSequence(this.#lastSequence[newest] ?? 0, firstSequence) ? append : outOfOrder;
  }

  /** Remembers a batch that was given offsets. `wall` orders the producers for expiry. */
  remember(
    producerId: number,
    epoch: number,
    firstSequence: number,
    count: number,
    baseOffset: number,
    timestamp: number,
    wall: number,
  ): void {
    let row = this.#rows.get(producerId);
    if (row === undefined) {
      row = this.#newRow(producerId);
      this.#epochs[row] = epoch;
    }
    if ((this.#epochs[row] ?? 0) !== epoch) {
      this.#epochs[row] = epoch;
      this.#kept[row] = 0;
      this.#next[row] = 0;
    }
    const next = this.#next[row] ?? 0;
    const at = row * producerBatchesKept + next;
    this.#firstSequence[at] = firstSequence;
    this.#lastSequence[at] = sequenceAdd(firstSequence, count - 1);
    this.#baseOffset[at] = baseOffset;
    this.#lastOffset[at] = baseOffset + count - 1;
    this.#timestamp[at] = timestamp;
    this.#next[row] = (next + 1) % producerBatchesKept;
    if ((this.#kept[row] ?? 0) < producerBatchesKept) this.#kept[row] = (this.#kept[row] ?? 0) + 1;
    this.#lastSeen[row] = wall;
  }

  /** Forgets producers that were last seen before `wall` (producer.id.expiration.ms). */
  expire(wall: number): void {
    for (const [id, row] of this.#rows) {
      if ((this.#lastSeen[row] ?? 0) >= wall) continue;
      this.#rows.delete(id);
      this.#free.push(row);
    }
  }

  readonly #free: number[] = [];

  #newRow(producerId: number): number {
    if (this.#rows.size >= producersPerPartitionMax) this.#expireOldest();
    const reused = this.#free.pop();
    const row = reused ?? this.#rows.size;
    if (row >= this.#capacity) this.#grow();
    this.#rows.set(producerId, row);
    this.#ids[row] = producerId;
    this.#kept[row] = 0;
    this.#next[row] = 0;
    return row;
  }

  #expireOldest(): void {
    let oldest = -1;
    let oldestRow = -1;
    for (const [id, row] of this.#rows) {
      if (oldestRow >= 0 && (this.#lastSeen[row] ?? 0) >= (this.#lastSeen[oldestRow] ?? 0))
        continue;
      oldest = id;
      oldestRow = row;
    }
    this.#rows.delete(oldest);
    this.#free.push(oldestRow);
  }

  #grow(): void {
    this.#capacity = Math.min(this.#capacity * 2, producersPerPartitionMax);
    const wide = this.#capacity * producerBatchesKept;
    this.#ids = copied(this.#ids, new Float64Array(this.#capacity));
    this.#epochs = copied(this.#epochs, new Int32Array(this.#capacity));
    this.#lastSeen = copied(this.#lastSeen, new Float64Array(this.#capacity));
    this.#kept = copied(this.#kept, new Uint8Array(this.#capacity));
    this.#next = copied(this.#next, new Uint8Array(this.#capacity));
    this.#firstSequence = copied(this.#firstSequence, new Int32Array(wide));
    this.#lastSequence = copied(this.#lastSequence, new Int32Array(wide));
    this.#baseOffset = copied(this.#baseOffset, new Float64Array(wide));
    this.#lastOffset = copied(this.#lastOffset, new Float64Array(wide));
    this.#timestamp = copied(this.#timestamp, new Float64Array(wide));
  }
}

function copied<T extends Uint8Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** True when `first` follows `last` directly, with the wrap at 2^31. */
export function judgeSequence(last: number, first: number): boolean {
  return first === sequenceAdd(last, 1);
}
