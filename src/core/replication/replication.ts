// Per partition: epoch, positions and what waits for them. On one node every row has one member, so
// a batch is committed when the local disk has it; the high watermark still moves in offset order
// and only by what the disk reports, as it will with more members.
//
// Idle partitions are rows of typed arrays: no object, no closure, no timer per partition.
//
// Invariants: logStart <= highWatermark <= end; end and highWatermark never fall while the partition
// is open; offsets handed out are dense; nothing is appended unless the partition is open.

import { assert } from "../base/assert.ts";
import { type LeaderEpoch, leaderEpoch, type Offset, offset, type Slot } from "../base/ids.ts";
import { ProducerTable } from "./producers.ts";

export { CommitQueue, type Waiting } from "./commit_queue.ts";
export { Replicator, type NodeRecord, type Produced } from "./replicator.ts";
export { judgeSequence, ProducerTable, type SequenceVerdict } from "./producers.ts";

/** Life of a partition on this node; numbers because they live in a typed array. */
export const PartitionState = { closed: 0, opening: 1, sealing: 2, open: 3, removed: 4 } as const;
export type PartitionState = (typeof PartitionState)[keyof typeof PartitionState];

const slotsAtStart = 64;

export class Partitions {
  #state = new Uint8Array(slotsAtStart);
  #epoch = new Int32Array(slotsAtStart);
  #logStart = new Float64Array(slotsAtStart);
  #end = new Float64Array(slotsAtStart);
  #highWatermark = new Float64Array(slotsAtStart);
  #maxTimestamp = new Float64Array(slotsAtStart);
  /** 1: all idempotent producers of the partition are in its table. */
  #producersKnown = new Uint8Array(slotsAtStart);
  /** Idempotent producers, only for partitions that have met one. */
  readonly #producers = new Map<Slot, ProducerTable>();

  stateOf(slot: Slot): PartitionState {
    return (this.#state[slot] ?? PartitionState.closed) as PartitionState; // proof: only written below
  }
  epochOf(slot: Slot): LeaderEpoch {
    return leaderEpoch(this.#epoch[slot] ?? 0);
  }
  logStartOf(slot: Slot): Offset {
    return offset(this.#logStart[slot] ?? 0);
  }
  /** Log end offset: what the next record gets. */
  endOf(slot: Slot): Offset {
    return offset(this.#end[slot] ?? 0);
  }
  highWatermarkOf(slot: Slot): Offset {
    return offset(this.#highWatermark[slot] ?? 0);
  }
  /** Highest record timestamp that was appended or found at open; -1 when there is none. */
  maxTimestampOf(slot: Slot): number {
    return this.#maxTimestamp[slot] ?? -1;
  }
  isOpen(slot: Slot): boolean {
    return this.#state[slot] === PartitionState.open;
  }

  opening(slot: Slot): void {
    this.#grow(slot);
    assert(this.#state[slot] === PartitionState.closed, "only a closed partition is opened");
    this.#state[slot] = PartitionState.opening;
  }

  /** The store could not open it; a later touch tries again. */
  openFailed(slot: Slot): void {
    assert(
      this.#state[slot] === PartitionState.opening,
      "only an opening partition can fail to open",
    );
    this.#state[slot] = PartitionState.closed;
  }

  /**
   * What recovery found. Everything that a store reports has been synced, and the row has one
   * member, so all of it is committed: the high watermark is the end.
   */
  recovered(slot: Slot, logStart: Offset, end: Offset, maxTimestamp: number): void {
    assert(this.#state[slot] === PartitionState.opening, "recovery answers an opening partition");
    assert(logStart <= end, "log start is not behind the end");
    this.#state[slot] = PartitionState.sealing;
    this.#logStart[slot] = logStart;
    this.#end[slot] = end;
    this.#highWatermark[slot] = end;
    this.#maxTimestamp[slot] = maxTimestamp;
    // Where no batch ever was, no producer was.
    this.#producersKnown[slot] = end === 0 ? 1 : 0;
  }

  /** The metadata has opened `epoch` at the recovered end. */
  opened(slot: Slot, epoch: LeaderEpoch): void {
    assert(this.#state[slot] === PartitionState.sealing, "an epoch opens after recovery");
    assert(epoch >= (this.#epoch[slot] ?? 0), "the epoch of a partition never falls");
    this.#state[slot] = PartitionState.open;
    this.#epoch[slot] = epoch;
  }

  /** Hands out `count` offsets; returns the first. */
  assign(slot: Slot, count: number, maxTimestamp: number): Offset {
    assert(
      this.#state[slot] === PartitionState.open,
      "offsets are handed out by an open partition",
    );
    assert(count > 0, "a batch has records");
    const base = offset(this.#end[slot] ?? 0);
    this.#end[slot] = offset(base + count);
    if (maxTimestamp > (this.#maxTimestamp[slot] ?? -1)) this.#maxTimestamp[slot] = maxTimestamp;
    return base;
  }

  /** Everything below `end` is committed. True when the high watermark moved. */
  committed(slot: Slot, end: number): boolean {
    if (end <= (this.#highWatermark[slot] ?? 0)) return false;
    assert(end <= (this.#end[slot] ?? 0), "the high watermark stays at or below the end");
    this.#highWatermark[slot] = end;
    return true;
  }

  /** Raises the log start; a lower one is ignored, because trims may arrive twice. */
  trimmed(slot: Slot, logStart: Offset): boolean {
    if (logStart <= (this.#logStart[slot] ?? 0)) return false;
    assert(
      logStart <= (this.#highWatermark[slot] ?? 0),
      "a trim stays at or below the high watermark",
    );
    this.#logStart[slot] = logStart;
    return true;
  }

  removed(slot: Slot): void {
    this.#grow(slot);
    this.#state[slot] = PartitionState.removed;
    this.#producers.delete(slot);
  }

  producersKnown(slot: Slot): boolean {
    return this.#producersKnown[slot] === 1;
  }

  /** What the log says of the partition's producers. */
  producersLoaded(slot: Slot, table: ProducerTable): void {
    assert(!this.producersKnown(slot), "the producers of a partition are loaded once");
    this.#producersKnown[slot] = 1;
    if (table.count > 0) this.#producers.set(slot, table);
  }

  /** Undefined for a partition that knows of none. */
  producersIn(slot: Slot): ProducerTable | undefined {
    return this.#producers.get(slot);
  }

  producersOf(slot: Slot): ProducerTable {
    assert(this.producersKnown(slot), "nobody is judged by producers that are not loaded");
    let table = this.#producers.get(slot);
    if (table === undefined) {
      table = new ProducerTable();
      this.#producers.set(slot, table);
    }
    return table;
  }

  /** Forgets producers that wrote last before `wall`. */
  expireProducers(wall: number): void {
    for (const [slot, table] of this.#producers) {
      table.expire(wall);
      if (table.isEmpty) this.#producers.delete(slot);
    }
  }

  /** Next closed slot at or after `from`, below `count`; -1 when there is none. */
  nextClosed(from: number, count: number): number {
    for (let at = from; at < count; at += 1) {
      if ((this.#state[at] ?? PartitionState.closed) === PartitionState.closed) return at;
    }
    return -1;
  }

  #grow(slot: Slot): void {
    if (slot < this.#state.length) return;
    let capacity = this.#state.length;
    while (capacity <= slot) capacity *= 2;
    this.#state = widened(this.#state, new Uint8Array(capacity));
    this.#epoch = widened(this.#epoch, new Int32Array(capacity));
    this.#logStart = widened(this.#logStart, new Float64Array(capacity));
    this.#end = widened(this.#end, new Float64Array(capacity));
    this.#highWatermark = widened(this.#highWatermark, new Float64Array(capacity));
    this.#maxTimestamp = widened(this.#maxTimestamp, new Float64Array(capacity));
    this.#producersKnown = widened(this.#producersKnown, new Uint8Array(capacity));
  }
}

function widened<T extends Uint8Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
