// The leader of one partition in one open epoch: it gives offsets, sends every batch to all members of
// its row, and commits in offset order what W of them have. It keeps nothing on a disk.
//
// States: open; frozen = a soft bump is proposed, and nothing is committed until the metadata says how
// it ended. A bump keeps the leader and renames its epoch; anything else ends it.
//
// Invariants: an epoch has one leader object, never continued by another; the high watermark moves
// over contiguous batches with W distinct members of their own row; a bump is proposed at the high
// watermark, never beyond; nothing is committed while frozen.
//
// Fields are `private` and not `#`: the explorer copies and compares whole machines.

import { assert } from "../base/assert.ts";
import { blockOf, memberAt, nodesetOf, positionOf, rowOf, samePlacement } from "../base/copyset.ts";
import type { Placement } from "../base/copyset.ts";
import { type EpochRecord, epochRecord, type PartitionEpochs } from "../base/epochs.ts";
import { leaderEpoch, type NodeId, type Offset, offset, type Slot } from "../base/ids.ts";
import type { Producing, ReplicationEffects } from "./effects.ts";
import { Flight } from "./flight.ts";
import type { PeerMessage } from "./messages.ts";
import type { ReplicationLimits } from "./settings.ts";

type Answer = Extract<PeerMessage, { kind: "stored" | "backfilled" | "fenced-off" | "in-limbo" }>;

export class Leader {
  private readonly node: NodeId;
  private readonly incarnation: number;
  private readonly slot: Slot;
  private readonly limits: ReplicationLimits;
  private readonly flight = new Flight();
  private readonly lagging = new Set<NodeId>();
  private epoch: number;
  private placement: Placement;
  private next: number;
  private highWatermark: number;
  private frozen = false;
  private successor: NodeId;
  private proposedAt = -Infinity;
  private committedAt: number;
  /** The high watermark that members were last told, and when. */
  private releasedHighWatermark: number;
  private releasedAt: number;

  constructor(
    node: NodeId,
    slot: Slot,
    record: EpochRecord,
    limits: ReplicationLimits,
    now: number,
  ) {
    assert(record.state === "open" && record.start >= 0, "a leader begins where its epoch opened");
    this.node = node;
    this.incarnation = record.leaderIncarnation;
    this.slot = slot;
    this.limits = limits;
    this.epoch = record.epoch;
    this.placement = record.placement;
    this.next = record.start;
    this.highWatermark = record.start;
    this.successor = node;
    this.committedAt = now;
    this.releasedHighWatermark = -1;
    this.releasedAt = now;
  }

  get currentEpoch(): number {
    return this.epoch;
  }
  get committedTo(): Offset {
    return offset(this.highWatermark);
  }
  get end(): Offset {
    return offset(this.next);
  }
  get isFrozen(): boolean {
    return this.frozen;
  }
  get bytesInFlight(): number {
    return this.flight.bytesInFlight;
  }
  get bytesHeld(): number {
    return this.flight.bytesHeld;
  }
  get laggingCount(): number {
    return this.lagging.size;
  }

  /** False: no room in flight, or frozen; the batch waits. */
  hasRoom(bytes: number): boolean {
    const { blocksInFlightMax, batchesInFlightMax, bytesInFlightMax } = this.limits;
    const { shift } = this.placement;
    const blocks = blockOf(shift, this.next) - blockOf(shift, this.highWatermark);
    return (
      !this.frozen &&
      blocks <= blocksInFlightMax &&
      this.flight.count - this.flight.committedCount < batchesInFlightMax &&
      this.flight.bytesInFlight + bytes <= bytesInFlightMax
    );
  }

  /** Gives the batch its offsets and sends it. The caller has asked for room. */
  append(
    count: number,
    checksum: number,
    batch: Uint8Array,
    producing: Producing | null,
    now: number,
    effects: ReplicationEffects,
  ): Offset {
    assert(this.hasRoom(batch.byteLength), "a batch is appended where there is room");
    assert(count > 0, "a batch has records");
    const base = offset(this.next);
    this.next = offset(base + count);
    if (this.flight.count === this.flight.committedCount) this.committedAt = now;
    const copy = { base, count, checksum, batch };
    const index = this.flight.push(copy, this.epoch, this.placement, producing, now);
    this.transmit(index, now, true, effects);
    return base;
  }

  receive(from: NodeId, message: Answer, now: number, effects: ReplicationEffects): void {
    switch (message.kind) {
      case "stored":
      case "backfilled":
        return this.stored(from, message, now);
      case "fenced-off":
        // A rejection of an epoch that this leader has bumped away says nothing.
        if (message.epoch === this.epoch) this.freeze(this.node, now, effects);
        return;
      case "in-limbo":
        if (message.epoch === this.epoch) this.freeze(this.node, now, effects);
    }
  }

  private stored(
    from: NodeId,
    message: Extract<PeerMessage, { kind: "stored" | "backfilled" }>,
    now: number,
  ): void {
    // It answers: what comes next is kept for it again, whether or not this batch still is.
    this.lagging.delete(from);
    const index = this.flight.find(message.epoch, message.base);
    if (index < 0) return;
    // A copy of what is committed is no vote; a vote for what is not committed is under this epoch.
    if (message.kind === "backfilled" && index >= this.flight.committedCount) return;
    const { table } = this.flight.placementOf(index);
    const row = rowOf(this.flight.placementOf(index), message.base);
    const position = positionOf(table, row, from);
    if (position < 0) return;
    this.flight.ack(index, position);
    this.advance(now);
  }

  private advance(now: number): void {
    const { flight } = this;
    while (!this.frozen && flight.committedCount < flight.count) {
      const index = flight.committedCount;
      const { writeQuorum } = flight.placementOf(index);
      if (bitsOf(flight.acksOf(index)) < writeQuorum) break;
      const base = flight.baseOf(index);
      assert(base === this.highWatermark, "commits leave no hole");
      const end = flight.endOf(index);
      this.highWatermark = end;
      this.committedAt = now;
      const producing = flight.producingOf(index);
      flight.commit();
      producing?.committed(this.slot, base, end);
    }
    this.letGo();
    this.markLagging(now);
  }

  /** What every member has, but for those that are fed no more, need not be kept. */
  private letGo(): void {
    while (this.flight.committedCount > 0 && this.missing(0) === 0) this.flight.shift();
  }

  /** Bits of the positions that have not answered and are still fed. */
  private missing(index: number): number {
    const placement = this.flight.placementOf(index);
    const row = rowOf(placement, this.flight.baseOf(index));
    let missing = 0;
    for (let position = 0; position < placement.table.width; position += 1) {
      if ((this.flight.acksOf(index) & (1 << position)) !== 0) continue;
      if (!this.lagging.has(memberAt(placement.table, row, position))) missing |= 1 << position;
    }
    return missing;
  }

  private transmit(
    index: number,
    now: number,
    isFirst: boolean,
    effects: ReplicationEffects,
  ): void {
    const placement = this.flight.placementOf(index);
    const copy = this.flight.copyOf(index);
    const row = rowOf(placement, copy.base);
    const acks = this.flight.acksOf(index);
    for (let position = 0; position < placement.table.width; position += 1) {
      const to = memberAt(placement.table, row, position);
      if ((acks & (1 << position)) !== 0) continue;
      // A member that is behind is sent what is new, once, and nothing is kept for it.
      if (!isFirst && this.lagging.has(to)) continue;
      effects.send(to, {
        kind: "store",
        slot: this.slot,
        epoch: leaderEpoch(this.flight.epochOf(index)),
        highWatermark: this.committedTo,
        base: copy.base,
        count: copy.count,
        checksum: copy.checksum,
        batch: copy.batch,
      });
    }
    this.flight.sent(index, now);
  }

  tick(now: number, effects: ReplicationEffects): void {
    if (this.frozen && now - this.proposedAt >= this.limits.askAgainMs) this.propose(now, effects);
    this.markLagging(now);
    for (let index = 0; index < this.flight.count; index += 1) {
      if (now - this.flight.sentAtOf(index) >= this.limits.resendMs)
        this.transmit(index, now, false, effects);
    }
    this.release(now, effects);
  }

  /** True: W of a row have been silent for so long that somebody else should lead. */
  isBelowQuorum(now: number): boolean {
    const waits = this.flight.count > this.flight.committedCount;
    return waits && !this.frozen && now - this.committedAt >= this.limits.leaderBelowWMs;
  }

  /** Members that owe an answer for so long: what the node reports of its peers. */
  silentMembers(now: number, silentMs: number): readonly NodeId[] {
    const silent = new Set<NodeId>();
    for (let index = 0; index < this.flight.count; index += 1) {
      if (now - this.flight.bornAtOf(index) < silentMs) break;
      const placement = this.flight.placementOf(index);
      const row = rowOf(placement, this.flight.baseOf(index));
      const missing = this.missing(index);
      for (let position = 0; position < placement.table.width; position += 1)
        if ((missing & (1 << position)) !== 0) silent.add(memberAt(placement.table, row, position));
    }
    return [...silent];
  }

  private markLagging(now: number): void {
    const { laggingMs, laggingBytesMax } = this.limits;
    while (this.flight.committedCount > 0) {
      const isLate = now - this.flight.bornAtOf(0) >= laggingMs;
      if (!isLate && this.flight.bytesHeld <= laggingBytesMax) return;
      const placement = this.flight.placementOf(0);
      const row = rowOf(placement, this.flight.baseOf(0));
      const missing = this.missing(0);
      for (let position = 0; position < placement.table.width; position += 1)
        if ((missing & (1 << position)) !== 0)
          this.lagging.add(memberAt(placement.table, row, position));
      this.letGo();
    }
  }

  private release(now: number, effects: ReplicationEffects): void {
    if (this.highWatermark === this.releasedHighWatermark) return;
    if (now - this.releasedAt < this.limits.releaseMs) return;
    this.releasedHighWatermark = this.highWatermark;
    this.releasedAt = now;
    for (const to of nodesetOf(this.placement.table))
      effects.send(to, {
        kind: "release",
        slot: this.slot,
        epoch: leaderEpoch(this.epoch),
        highWatermark: this.committedTo,
      });
  }

  /** Stops commits and proposes the next epoch at the high watermark, for `successor` to lead. */
  freeze(successor: NodeId, now: number, effects: ReplicationEffects): void {
    if (this.frozen) return;
    this.frozen = true;
    this.successor = successor;
    this.propose(now, effects);
  }

  private propose(now: number, effects: ReplicationEffects): void {
    this.proposedAt = now;
    effects.propose({
      kind: "soft-bump",
      slot: this.slot,
      epoch: leaderEpoch(this.epoch),
      incarnation: this.incarnation,
      end: this.committedTo,
      leader: this.successor,
    });
  }

  /** False: somebody else leads, or recovers; this leader is over. */
  applied(epochs: PartitionEpochs, now: number, effects: ReplicationEffects): boolean {
    if (epochs.current === this.epoch) {
      if (!samePlacement(epochs.placement, this.placement)) this.freeze(this.node, now, effects);
      return true;
    }
    const mine = epochRecord(epochs, this.epoch);
    const now_ = epochRecord(epochs, epochs.current);
    // An epoch that ended where it began has left the chain.
    const isMyEnd = mine === undefined || mine.end === this.highWatermark;
    const isBump = epochs.current === this.epoch + 1 && now_?.state === "open";
    const isMine = now_?.leader === this.node && now_.leaderIncarnation === this.incarnation;
    if (!this.frozen || !isMyEnd || !isBump || !isMine) return false;
    if (now_.start !== this.highWatermark) return false;
    this.continueIn(now_, now, effects);
    return true;
  }

  private continueIn(record: EpochRecord, now: number, effects: ReplicationEffects): void {
    this.epoch = record.epoch;
    this.placement = record.placement;
    this.frozen = false;
    this.committedAt = now;
    this.releasedHighWatermark = -1;
    this.flight.restamp(record.epoch, record.placement, now);
    for (let index = this.flight.committedCount; index < this.flight.count; index += 1)
      this.transmit(index, now, true, effects);
  }

  /** A node has registered anew and may have lost what it reported. */
  forget(node: NodeId): void {
    for (let index = 0; index < this.flight.count; index += 1) {
      const placement = this.flight.placementOf(index);
      const row = rowOf(placement, this.flight.baseOf(index));
      const position = positionOf(placement.table, row, node);
      if (position >= 0) this.flight.unack(index, position);
    }
  }

  /** What is in flight is told that nobody knows. */
  close(): void {
    for (let index = this.flight.committedCount; index < this.flight.count; index += 1)
      this.flight.producingOf(index)?.failed(this.slot);
  }
}

function bitsOf(mask: number): number {
  let bits = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) bits += 1;
  return bits;
}
