// Where every partition stands, in columns of typed arrays indexed by slot: 44 bytes a partition
// and no object, so that 100,000 idle partitions cost little and one registration moves all of them
// in one pass.
//
// Epochs of a partition. Only those that hold records are kept:
//
//   sealed, newest last            target              void           current
//   (e1, s1) (e2, s2) ... (ek, sk) (target, targetStart)  ...          epoch
//
// `target` is the highest epoch with a known start and an unknown end. Where it is the current
// epoch the partition is open, else it is recovering and the epochs between are void. An epoch ends
// where the next one starts. One that ends where it started leaves the chain when that is decided.
//
// Invariants: since <= epoch; target <= epoch; starts grow along the chain; a free slot has topic
// -1 and is never used again.

import { assert } from "../base/assert.ts";
import {
  type LeaderEpoch,
  leaderEpoch,
  type NodeId,
  nodeId,
  none,
  type None,
  type Offset,
  offset,
  type PartitionIndex,
  partitionIndex,
  type Slot,
  slot,
} from "../base/ids.ts";

/** An epoch that owns offsets from `start` on. */
export interface EpochStart {
  readonly epoch: LeaderEpoch;
  readonly start: Offset;
}

export interface EpochEnd {
  readonly epoch: LeaderEpoch | None;
  /** Exclusive. */
  readonly end: Offset | None;
}

/** State of one partition, as snapshots keep it. */
export interface PartitionPlace {
  readonly leader: NodeId;
  readonly epoch: LeaderEpoch;
  readonly since: LeaderEpoch;
  readonly logStart: Offset;
  readonly target: LeaderEpoch;
  readonly targetStart: Offset;
  /** Newest first. */
  readonly sealed: readonly EpochStart[];
}

const undefinedEnd: EpochEnd = { epoch: none, end: none };
const slotsAtStart = 64;
const cellsAtStart = 16;

export class PartitionTable {
  #count = 0;
  #topic = new Int32Array(slotsAtStart);
  #index = new Int32Array(slotsAtStart);
  #leader = new Int32Array(slotsAtStart);
  #epoch = new Int32Array(slotsAtStart);
  #since = new Int32Array(slotsAtStart);
  #target = new Int32Array(slotsAtStart);
  #targetStart = new Float64Array(slotsAtStart);
  #logStart = new Float64Array(slotsAtStart);
  /** Cell of the newest sealed epoch, -1 = none. */
  #sealed = new Int32Array(slotsAtStart);

  // Sealed epochs: cells linked from newest to oldest; free ones are linked from #cellFree.
  #cellEpoch = new Int32Array(cellsAtStart);
  #cellStart = new Float64Array(cellsAtStart);
  #cellOlder = new Int32Array(cellsAtStart);
  #cellCount = 0;
  #cellFree = -1;

  /** Slots given so far, those of deleted topics included. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of all columns. */
  get bytes(): number {
    const perSlot = 7 * 4 + 2 * 8;
    return this.#topic.length * perSlot + this.#cellEpoch.length * (4 + 8 + 4);
  }

  /** A new partition: epoch 1 is open and starts at 0. */
  add(topic: number, index: number, leader: NodeId): Slot {
    const at = this.#count;
    if (at === this.#topic.length) this.#grow();
    this.#count += 1;
    this.#topic[at] = topic;
    this.#index[at] = index;
    this.#leader[at] = leader;
    this.#epoch[at] = 1;
    this.#since[at] = 1;
    this.#target[at] = 1;
    this.#targetStart[at] = 0;
    this.#logStart[at] = 0;
    this.#sealed[at] = -1;
    return slot(at);
  }

  remove(at: Slot): void {
    assert(this.topicOf(at) >= 0, "a slot is freed once");
    this.#releaseFrom(this.#sealed[at] ?? -1);
    this.#sealed[at] = -1;
    this.#topic[at] = -1;
    this.#leader[at] = -1;
  }

  /** Number of the topic within its image; -1 = the slot is free. */
  topicOf(at: Slot): number {
    assert(at < this.#count, "slot was given");
    return this.#topic[at] ?? -1;
  }

  indexOf(at: Slot): PartitionIndex {
    assert(at < this.#count, "slot was given");
    return partitionIndex(this.#index[at] ?? 0);
  }

  leaderOf(at: Slot): NodeId {
    return nodeId(this.#leader[at] ?? 0);
  }

  epochOf(at: Slot): LeaderEpoch {
    return leaderEpoch(this.#epoch[at] ?? 0);
  }

  sinceOf(at: Slot): LeaderEpoch {
    return leaderEpoch(this.#since[at] ?? 0);
  }

  logStartOf(at: Slot): Offset {
    return offset(this.#logStart[at] ?? 0);
  }

  isOpen(at: Slot): boolean {
    return this.#target[at] === this.#epoch[at];
  }

  /** First offset of the epoch that is open, or of the one whose end is to be found. */
  targetStartOf(at: Slot): Offset {
    return offset(this.#targetStart[at] ?? 0);
  }

  /** The partitions that `leader` leads go to their next epoch, in recovery. Returns how many. */
  assignAll(leader: NodeId): number {
    let moved = 0;
    for (let at = 0; at < this.#count; at += 1) {
      if (this.#leader[at] !== leader) continue;
      const next = leaderEpoch((this.#epoch[at] ?? 0) + 1);
      this.#epoch[at] = next;
      this.#since[at] = next;
      moved += 1;
    }
    return moved;
  }

  /**
   * CommitSeal: `by` is the current epoch and opens at `end`. False, and nothing changes, unless
   * `by` is current and recovering and `end` lies at or above the start of the target and the log
   * start.
   */
  seal(at: Slot, by: number, end: number): boolean {
    if (by !== this.#epoch[at] || this.isOpen(at)) return false;
    const start = this.#targetStart[at] ?? 0;
    if (end < start || end < (this.#logStart[at] ?? 0)) return false;
    if (end > start) {
      this.#sealed[at] = this.#take(this.#target[at] ?? 0, start, this.#sealed[at] ?? -1);
      this.#dropTrimmed(at, end);
    }
    this.#target[at] = by;
    this.#targetStart[at] = end;
    return true;
  }

  /** Trim points only rise. False when this one is not above the last. */
  trim(at: Slot, to: number): boolean {
    if (to <= (this.#logStart[at] ?? 0)) return false;
    this.#logStart[at] = to;
    this.#dropTrimmed(at, this.#targetStart[at] ?? 0);
    return true;
  }

  /** Epochs that own offsets at or above the log start, oldest first; the last has no known end. */
  chainOf(at: Slot): EpochStart[] {
    const chain = [this.#targetOf(at), ...this.#sealedOf(at)];
    return chain.reverse();
  }

  /**
   * Which epoch ends where, for a reader that knows `asked` (KIP-101, KIP-320): the highest epoch
   * that is not above it and where the next one starts. `logEnd` is the end of the open epoch.
   * Unknown (-1, -1) for an epoch above the current one.
   */
  epochEnd(at: Slot, asked: number, logEnd: Offset): EpochEnd {
    const current = this.#epoch[at] ?? 0;
    if (asked < 0 || asked > current) return undefinedEnd;
    const target = this.#target[at] ?? 0;
    if (asked >= target) return { epoch: leaderEpoch(target), end: logEnd };
    let end = this.#targetStart[at] ?? 0;
    for (let cell = this.#sealed[at] ?? -1; cell >= 0; cell = this.#cellOlder[cell] ?? -1) {
      const epoch = this.#cellEpoch[cell] ?? 0;
      if (epoch <= asked) return { epoch: leaderEpoch(epoch), end: offset(end) };
      end = this.#cellStart[cell] ?? 0;
    }
    // Older than all that is left: its records ended at or below the oldest start.
    const oldest = Math.max(end, this.#logStart[at] ?? 0);
    return { epoch: leaderEpoch(asked), end: offset(oldest) };
  }

  placeOf(at: Slot): PartitionPlace {
    return {
      leader: this.leaderOf(at),
      epoch: this.epochOf(at),
      since: this.sinceOf(at),
      logStart: this.logStartOf(at),
      target: leaderEpoch(this.#target[at] ?? 0),
      targetStart: this.targetStartOf(at),
      sealed: this.#sealedOf(at),
    };
  }

  /** Takes the state of a snapshot over a new partition. */
  place(at: Slot, of: PartitionPlace): void {
    assert(this.#sealed[at] === -1, "a snapshot places a partition once");
    this.#leader[at] = of.leader;
    this.#epoch[at] = of.epoch;
    this.#since[at] = of.since;
    this.#logStart[at] = of.logStart;
    this.#target[at] = of.target;
    this.#targetStart[at] = of.targetStart;
    let newest = -1;
    for (let i = of.sealed.length - 1; i >= 0; i -= 1) {
      const sealed = of.sealed[i];
      if (sealed !== undefined) newest = this.#take(sealed.epoch, sealed.start, newest);
    }
    this.#sealed[at] = newest;
  }

  #targetOf(at: Slot): EpochStart {
    return { epoch: leaderEpoch(this.#target[at] ?? 0), start: this.targetStartOf(at) };
  }

  #sealedOf(at: Slot): EpochStart[] {
    const sealed: EpochStart[] = [];
    for (let cell = this.#sealed[at] ?? -1; cell >= 0; cell = this.#cellOlder[cell] ?? -1) {
      const epoch = leaderEpoch(this.#cellEpoch[cell] ?? 0);
      sealed.push({ epoch, start: offset(this.#cellStart[cell] ?? 0) });
    }
    return sealed;
  }

  /** Takes sealed epochs out of the chain that end at or below the log start. */
  #dropTrimmed(at: Slot, endOfNewest: number): void {
    const logStart = this.#logStart[at] ?? 0;
    let end = endOfNewest;
    let newer = -1;
    let cell = this.#sealed[at] ?? -1;
    while (cell >= 0 && end > logStart) {
      end = this.#cellStart[cell] ?? 0;
      newer = cell;
      cell = this.#cellOlder[cell] ?? -1;
    }
    if (cell < 0) return;
    // Everything older ends lower still.
    if (newer >= 0) this.#cellOlder[newer] = -1;
    else this.#sealed[at] = -1;
    this.#releaseFrom(cell);
  }

  #releaseFrom(newest: number): void {
    let cell = newest;
    while (cell >= 0) {
      const older = this.#cellOlder[cell] ?? -1;
      this.#cellOlder[cell] = this.#cellFree;
      this.#cellFree = cell;
      cell = older;
    }
  }

  #take(epoch: number, start: number, older: number): number {
    let cell = this.#cellFree;
    if (cell >= 0) {
      this.#cellFree = this.#cellOlder[cell] ?? -1;
    } else {
      cell = this.#cellCount;
      if (cell === this.#cellEpoch.length) this.#growCells();
      this.#cellCount += 1;
    }
    this.#cellEpoch[cell] = epoch;
    this.#cellStart[cell] = start;
    this.#cellOlder[cell] = older;
    return cell;
  }

  #grow(): void {
    const capacity = this.#topic.length * 2;
    this.#topic = widened(this.#topic, new Int32Array(capacity));
    this.#index = widened(this.#index, new Int32Array(capacity));
    this.#leader = widened(this.#leader, new Int32Array(capacity));
    this.#epoch = widened(this.#epoch, new Int32Array(capacity));
    this.#since = widened(this.#since, new Int32Array(capacity));
    this.#target = widened(this.#target, new Int32Array(capacity));
    this.#targetStart = widened(this.#targetStart, new Float64Array(capacity));
    this.#logStart = widened(this.#logStart, new Float64Array(capacity));
    this.#sealed = widened(this.#sealed, new Int32Array(capacity));
  }

  #growCells(): void {
    const capacity = this.#cellEpoch.length * 2;
    this.#cellEpoch = widened(this.#cellEpoch, new Int32Array(capacity));
    this.#cellStart = widened(this.#cellStart, new Float64Array(capacity));
    this.#cellOlder = widened(this.#cellOlder, new Int32Array(capacity));
  }
}

function widened<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
