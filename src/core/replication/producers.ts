// Idempotent producers of one partition: the epoch and the last five batches of each, which is what
// Kafka remembers, so that a retry gets its first offset and a gap is refused.
//
// State lives in typed arrays indexed by a row per producer. When the table is full the producer
// that was idle longest gives up its row: a producer without state may start at any sequence.
//
// But not behind a batch of its own that was refused after it was judged, for want of room: the ones
// in flight behind it would take its place, and it could never be appended. So the refused batch is
// remembered, and the others of that producer and epoch wait for it. Memory only: whoever talks to a
// node that has started again sends what is not acknowledged anew, in order.
//
// A table is written as the state of a sidecar, little-endian, 64-bit numbers as float64:
//
//    0 version uint16 (1)     then per producer, idle longest first:
//    2 zero uint16             0 producer id float64     20 per batch kept, oldest first:
//    4 producers uint32        8 last seen float64          0 base offset float64
//                             16 epoch int16                8 highest timestamp float64
//                             18 batches kept uint16       16 first sequence int32
//                                                          20 records uint32
//
// Whatever else stands there, or another version, is no state: then the batches say it all.

import { assert } from "../base/assert.ts";
import { keyedProducerIdMin } from "../base/ids.ts";
import {
  batchBytesMax,
  keyedProducersPerPartitionMax,
  producerBatchesKept,
  producersPerPartitionMax,
  refusedProducersMax,
} from "../base/limits.ts";

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
  /** An earlier batch of this producer was refused and has to come first: retriable. */
  | { readonly kind: "behind-refused" }
  | { readonly kind: "fenced" };

const append: SequenceVerdict = { kind: "append" };
const outOfOrder: SequenceVerdict = { kind: "out-of-order" };
const behindRefused: SequenceVerdict = { kind: "behind-refused" };
const fenced: SequenceVerdict = { kind: "fenced" };

/** The first batch of an unknown producer that was refused. */
interface RefusedBatch {
  readonly epoch: number;
  readonly firstSequence: number;
  readonly wall: number;
}

const sequenceModulus = 2147483648;

const stateVersion = 1;
const stateHeadBytes = 8;
const stateProducerBytes = 20;
const stateBatchBytes = 24;

/** Bytes that the state of so many producers takes at most. */
function stateBytesMax(producers: number): number {
  return stateHeadBytes + producers * (stateProducerBytes + producerBatchesKept * stateBatchBytes);
}

const rowsMax = producersPerPartitionMax + keyedProducersPerPartitionMax;
assert(stateBytesMax(rowsMax) < batchBytesMax, "a table fits in a frame");

/** Sequences wrap from 2^31 - 1 to 0. */
function sequenceAdd(sequence: number, count: number): number {
  return (sequence + count) % sequenceModulus;
}

export class ProducerTable {
  /** Row by producer id, in the order in which they wrote last. */
  readonly #rows = new Map<number, number>();
  /** Of these, the ids that are made of a key. */
  readonly #keyed = new Set<number>();
  #newestId = -1;
  #capacity = 4;
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

  /** By producer id, the longest remembered first; none of them has a row. */
  readonly #refused = new Map<number, RefusedBatch>();

  /** Bytes appended to the partition that no sidecar speaks of, or a guess above that. */
  bytesSince = 0;

  /** Producers that have written. */
  get count(): number {
    return this.#rows.size;
  }

  /** True when nothing is remembered, also of batches that were refused. */
  get isEmpty(): boolean {
    return this.#rows.size === 0 && this.#refused.size === 0;
  }

  /** Judges a batch of `count` records by Kafka's rules (ProducerAppendInfo, ProducerStateEntry). */
  judge(producerId: number, epoch: number, firstSequence: number, count: number): SequenceVerdict {
    const row = this.#rows.get(producerId);
    if (row === undefined) return this.#judgeUnknown(producerId, epoch, firstSequence);
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

  #judgeUnknown(producerId: number, epoch: number, firstSequence: number): SequenceVerdict {
    const refused = this.#refused.get(producerId);
    if (refused === undefined || refused.epoch !== epoch) return append;
    return refused.firstSequence === firstSequence ? append : behindRefused;
  }

  /**
   * A batch that was judged "append" is refused all the same. What follows a known producer's last
   * batch is checked anyway; of an unknown one it is remembered which batch comes first.
   */
  refuse(producerId: number, epoch: number, firstSequence: number, wall: number): void {
    if (this.#rows.has(producerId)) return;
    this.#refused.delete(producerId);
    this.#refused.set(producerId, { epoch, firstSequence, wall });
    if (this.#refused.size <= refusedProducersMax) return;
    for (const oldest of this.#refused.keys()) {
      this.#refused.delete(oldest);
      return;
    }
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
      row = this.#newRow(producerId >= keyedProducerIdMin);
      this.#rows.set(producerId, row);
      if (producerId >= keyedProducerIdMin) this.#keyed.add(producerId);
      this.#epochs[row] = epoch;
      this.#refused.delete(producerId);
    } else if (producerId !== this.#newestId) {
      this.#rows.delete(producerId);
      this.#rows.set(producerId, row);
    }
    this.#newestId = producerId;
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
      this.#keyed.delete(id);
      this.#free.push(row);
    }
    for (const [id, refused] of this.#refused) if (refused.wall < wall) this.#refused.delete(id);
  }

  readonly #free: number[] = [];

  #newRow(keyed: boolean): number {
    const others = this.#rows.size - this.#keyed.size;
    if (keyed && this.#keyed.size >= keyedProducersPerPartitionMax) this.#forgetOldest(this.#keyed);
    if (!keyed && others >= producersPerPartitionMax) this.#forgetOldest(this.#rows.keys());
    const reused = this.#free.pop();
    const row = reused ?? this.#rows.size;
    if (row >= this.#capacity) this.#grow();
    this.#kept[row] = 0;
    this.#next[row] = 0;
    return row;
  }

  /** The first of `ids`, which is as keyed as the set that it comes from. */
  #forgetOldest(ids: Iterable<number>): void {
    const ofKeys = ids === this.#keyed;
    for (const id of ids) {
      if (this.#keyed.has(id) !== ofKeys) continue;
      this.#free.push(this.#rows.get(id) ?? 0);
      this.#rows.delete(id);
      this.#keyed.delete(id);
      return;
    }
  }

  /** Bytes of `state` at most. */
  get stateBytesMax(): number {
    return stateBytesMax(this.#rows.size);
  }

  /** The table as a sidecar keeps it. */
  state(): Uint8Array {
    const bytes = new Uint8Array(this.stateBytesMax);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, stateVersion, true);
    view.setUint32(4, this.#rows.size, true);
    let at = stateHeadBytes;
    for (const [id, row] of this.#rows) {
      const kept = this.#kept[row] ?? 0;
      view.setFloat64(at, id, true);
      view.setFloat64(at + 8, this.#lastSeen[row] ?? 0, true);
      view.setInt16(at + 16, this.#epochs[row] ?? 0, true);
      view.setUint16(at + 18, kept, true);
      at += stateProducerBytes;
      const oldest = (this.#next[row] ?? 0) + producerBatchesKept - kept;
      for (let i = 0; i < kept; i += 1, at += stateBatchBytes) {
        const batch = row * producerBatchesKept + ((oldest + i) % producerBatchesKept);
        const base = this.#baseOffset[batch] ?? 0;
        view.setFloat64(at, base, true);
        view.setFloat64(at + 8, this.#timestamp[batch] ?? -1, true);
        view.setInt32(at + 16, this.#firstSequence[batch] ?? 0, true);
        view.setUint32(at + 20, (this.#lastOffset[batch] ?? 0) - base + 1, true);
      }
    }
    return bytes.subarray(0, at);
  }

  /** The table whose state this is at the offset `end`; null when it is none that we know. */
  static of(state: Uint8Array, end: number): ProducerTable | null {
    const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
    if (state.byteLength < stateHeadBytes || view.getUint16(0, true) !== stateVersion) return null;
    const count = view.getUint32(4, true);
    if (count > rowsMax) return null;
    const table = new ProducerTable();
    let at = stateHeadBytes;
    for (let i = 0; i < count; i += 1) {
      at = table.#readProducer(view, at, end);
      if (at < 0) return null;
    }
    return at === state.byteLength && table.count === count ? table : null;
  }

  /** Where the next producer stands; -1 when none stands here. */
  #readProducer(view: DataView, start: number, end: number): number {
    let at = start + stateProducerBytes;
    if (at > view.byteLength) return -1;
    const id = view.getFloat64(start, true);
    const lastSeen = view.getFloat64(start + 8, true);
    const kept = view.getUint16(start + 18, true);
    if (!Number.isSafeInteger(id) || id < 0 || !Number.isSafeInteger(lastSeen)) return -1;
    if (kept === 0 || kept > producerBatchesKept) return -1;
    if (at + kept * stateBatchBytes > view.byteLength) return -1;
    for (let i = 0; i < kept; i += 1, at += stateBatchBytes) {
      const base = view.getFloat64(at, true);
      const timestamp = view.getFloat64(at + 8, true);
      const firstSequence = view.getInt32(at + 16, true);
      const count = view.getUint32(at + 20, true);
      if (!Number.isSafeInteger(base) || base < 0 || !Number.isSafeInteger(timestamp)) return -1;
      if (firstSequence < 0 || count === 0 || base + count > end) return -1;
      const epoch = view.getInt16(start + 16, true);
      this.remember(id, epoch, firstSequence, count, base, timestamp, lastSeen);
    }
    return at;
  }

  #grow(): void {
    this.#capacity = Math.min(this.#capacity * 2, rowsMax);
    const wide = this.#capacity * producerBatchesKept;
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
