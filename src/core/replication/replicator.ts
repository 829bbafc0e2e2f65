// Replication of one node: its member, the leaders and recoveries of the partitions that it was given,
// and the repair of what it lacks. Messages go to whom they concern; roles begin and end as the
// metadata says.
//
// Invariants: a process leads or recovers an epoch at most once and only one that names its own
// incarnation, so that no offset is given out twice; a batch that is produced is answered exactly once;
// an answer of a former life of a node counts for nothing.
//
// Fields are `private` and not `#`: the explorer copies and compares whole machines.

import { assert } from "../base/assert.ts";
import { epochRecord, type PartitionEpochs, unsealedEpoch } from "../base/epochs.ts";
import { leaderEpoch, type NodeId, type Slot, type Ticket } from "../base/ids.ts";
import type { CopyOutcome, Producing, ReplicationEffects } from "./effects.ts";
import { Leader } from "./leader.ts";
import { Member, type StoredStream } from "./member.ts";
import type { PeerMessage } from "./messages.ts";
import { Recovery } from "./recovery.ts";
import { Repair } from "./repair.ts";
import type { ReplicationLimits } from "./settings.ts";

/** What the metadata says of a node. */
export interface NodeRecord {
  readonly node: NodeId;
  /** Metadata index of its last registration. */
  readonly incarnation: number;
  /** It may have lost copies and has not pulled them again. */
  readonly isLimbo: boolean;
}

interface ParkedBatch {
  readonly count: number;
  readonly checksum: number;
  readonly batch: Uint8Array;
  readonly producing: Producing | null;
}

/** Batches of one partition that wait for an open epoch or for room. */
interface Parked {
  readonly batches: ParkedBatch[];
  bytes: number;
}

export type Produced = "taken" | "full" | "not-leader";

export class Replicator {
  readonly member: Member;
  private readonly node: NodeId;
  private readonly incarnation: number;
  private readonly limits: ReplicationLimits;
  private readonly incarnations = new Map<NodeId, number>();
  private readonly leaders = new Map<Slot, Leader>();
  private readonly recoveries = new Map<Slot, Recovery>();
  private readonly repair: Repair;
  private readonly parked = new Map<Slot, Parked>();
  /** Highest epoch that this process has led, and has recovered: neither is done twice. */
  private readonly ledTo = new Map<Slot, number>();
  private readonly recoveredTo = new Map<Slot, number>();
  private isLimbo = false;
  private now = 0;
  private repairedAt = -Infinity;

  /** `streams`: what the store holds. Nothing is answered before the node's registration is applied. */
  constructor(self: NodeRecord, limits: ReplicationLimits, streams: readonly StoredStream[]) {
    this.node = self.node;
    this.incarnation = self.incarnation;
    this.limits = limits;
    this.isLimbo = self.isLimbo;
    this.member = new Member(self.node, self.incarnation, limits);
    this.repair = new Repair(self.node, limits, this.member);
    for (const stream of streams) this.member.recovered(stream);
  }

  leaderOf(slot: Slot): Leader | undefined {
    return this.leaders.get(slot);
  }
  recoveryOf(slot: Slot): Recovery | undefined {
    return this.recoveries.get(slot);
  }
  get repairCount(): number {
    return this.repair.jobCount;
  }

  /**
   * A partition as it was when this node registered, once, before any other change of it. A node in
   * limbo may have lost copies of every epoch up to that one.
   */
  registered(slot: Slot, epochs: PartitionEpochs, effects: ReplicationEffects): void {
    if (this.isLimbo) this.member.enterLimbo(slot, epochs.current);
    this.applied(slot, epochs, effects);
  }

  /** A node of the cluster, when it registers and when its record changes. */
  nodeApplied({ node, incarnation, isLimbo }: NodeRecord, effects: ReplicationEffects): void {
    const before = this.incarnations.get(node);
    this.incarnations.set(node, incarnation);
    if (node === this.node) {
      if (incarnation !== this.incarnation || isLimbo || !this.isLimbo) return;
      this.isLimbo = false;
      this.member.leaveLimbo();
      return;
    }
    if (before === undefined || before === incarnation) return;
    for (const leader of this.leaders.values()) leader.forget(node);
    for (const recovery of this.recoveries.values()) recovery.forget(node, effects);
  }

  applied(slot: Slot, epochs: PartitionEpochs, effects: ReplicationEffects): void {
    this.member.applied(slot, epochs, effects);
    this.repair.applied(slot, epochs);
    const leader = this.leaders.get(slot);
    if (leader !== undefined && !leader.applied(epochs, this.now, effects)) {
      leader.close();
      this.leaders.delete(slot);
    }
    const recovery = this.recoveries.get(slot);
    const current = epochRecord(epochs, epochs.current);
    assert(current !== undefined, "the newest epoch is in the chain");
    if (
      recovery !== undefined &&
      (recovery.epoch !== current.epoch || current.state !== "recovering")
    )
      this.recoveries.delete(slot);
    const isMine = current.leader === this.node && current.leaderIncarnation === this.incarnation;
    if (!isMine) this.dropParked(slot);
    else this.takeRole(slot, epochs, effects);
    this.drain(slot, effects);
  }

  private takeRole(slot: Slot, epochs: PartitionEpochs, effects: ReplicationEffects): void {
    const current = epochRecord(epochs, epochs.current);
    assert(current !== undefined, "the newest epoch is in the chain");
    const leader = this.leaders.get(slot);
    if (leader !== undefined) {
      this.ledTo.set(slot, leader.currentEpoch);
      return;
    }
    if (current.state === "open" && current.epoch > (this.ledTo.get(slot) ?? 0)) {
      this.ledTo.set(slot, current.epoch);
      const fresh = new Leader(this.node, slot, current, this.limits, this.now);
      this.leaders.set(slot, fresh);
      fresh.applied(epochs, this.now, effects);
    }
    if (current.state === "recovering" && current.epoch > (this.recoveredTo.get(slot) ?? 0)) {
      const target = unsealedEpoch(epochs);
      assert(target !== undefined, "while an epoch recovers, another one has no end");
      this.recoveredTo.set(slot, current.epoch);
      const recovery = new Recovery(slot, current.epoch, target, epochs, this.limits);
      this.recoveries.set(slot, recovery);
      recovery.tick(this.now, effects);
    }
  }

  receive(from: NodeId, message: PeerMessage, effects: ReplicationEffects): void {
    switch (message.kind) {
      case "stored":
      case "backfilled":
        if (this.incarnations.get(from) !== message.incarnation) return;
        this.leaders.get(message.slot)?.receive(from, message, this.now, effects);
        return this.drain(message.slot, effects);
      case "fenced-off":
      case "in-limbo":
        return this.leaders.get(message.slot)?.receive(from, message, this.now, effects);
      case "sealed":
      case "recovery-stored":
        if (this.incarnations.get(from) !== message.incarnation) return;
        return this.recoveries.get(message.slot)?.receive(from, message, effects);
      case "preempted":
        return this.recoveries.get(message.slot)?.receive(from, message, effects);
      case "copied":
        if (message.by === 0) this.repair.copied(from, message, effects);
        else this.recoveries.get(message.slot)?.receive(from, message, effects);
        return;
      case "listed":
        return this.repair.listed(from, message, effects);
      case "read-answer":
        return assert(false, "reads are answered to whoever asked, outside of the replicator");
      default:
        return this.member.receive(from, message, effects);
    }
  }

  tick(now: number, effects: ReplicationEffects): void {
    this.now = now;
    for (const [slot, leader] of this.leaders) {
      leader.tick(now, effects);
      this.drain(slot, effects);
      if (leader.isBelowQuorum(now))
        effects.propose({ kind: "resign", slot, epoch: leaderEpoch(leader.currentEpoch) });
    }
    for (const recovery of this.recoveries.values()) recovery.tick(now, effects);
    this.repair.tick(now, effects);
    this.proposeRepaired(effects);
  }

  /** Compares everything again; the host says when. */
  scrub(): void {
    this.repair.restart();
    for (const slot of this.member.slots()) {
      const epochs = this.member.epochsOf(slot);
      if (epochs !== undefined) this.repair.applied(slot, epochs);
    }
  }

  private proposeRepaired(effects: ReplicationEffects): void {
    if (!this.isLimbo || this.now - this.repairedAt < this.limits.askAgainMs) return;
    for (const slot of this.member.slots()) {
      const epochs = this.member.epochsOf(slot);
      if (epochs === undefined) continue;
      if (!this.repair.isWhole(slot, this.member.inLimbo(slot), epochs)) return;
    }
    this.repairedAt = this.now;
    effects.propose({ kind: "repaired", node: this.node, incarnation: this.incarnation });
  }

  appended(written: Ticket, durable: Ticket, effects: ReplicationEffects): void {
    this.repair.appended(durable, effects);
    this.member.appended(written, durable, effects);
  }

  surveyed(
    request: number,
    digest: Float64Array,
    isCertain: boolean,
    effects: ReplicationEffects,
  ): void {
    if (this.repair.surveyed(request, digest, effects)) return;
    this.member.surveyed(request, digest, isCertain, effects);
  }

  copyRead(request: number, outcome: CopyOutcome, effects: ReplicationEffects): void {
    this.member.copyRead(request, outcome, effects);
  }

  /** A batch of a client. `taken`: `producing` is told how it ends, exactly once. */
  produce(
    slot: Slot,
    count: number,
    checksum: number,
    batch: Uint8Array,
    producing: Producing | null,
    effects: ReplicationEffects,
  ): Produced {
    const leader = this.leaders.get(slot);
    if (leader === undefined && !this.recoveries.has(slot)) return "not-leader";
    const parked = this.parked.get(slot);
    if (leader !== undefined && parked === undefined && leader.hasRoom(batch.byteLength)) {
      leader.append(count, checksum, batch, producing, this.now, effects);
      return "taken";
    }
    const line = parked ?? { batches: [], bytes: 0 };
    const isFull =
      line.batches.length >= this.limits.parkedBatchesMax ||
      line.bytes + batch.byteLength > this.limits.parkedBytesMax;
    if (isFull) return "full";
    this.parked.set(slot, line);
    line.batches.push({ count, checksum, batch, producing });
    line.bytes += batch.byteLength;
    return "taken";
  }

  private drain(slot: Slot, effects: ReplicationEffects): void {
    const line = this.parked.get(slot);
    const leader = this.leaders.get(slot);
    if (line === undefined || leader === undefined) return;
    let sent = 0;
    for (const { count, checksum, batch, producing } of line.batches) {
      if (!leader.hasRoom(batch.byteLength)) break;
      leader.append(count, checksum, batch, producing, this.now, effects);
      line.bytes -= batch.byteLength;
      sent += 1;
    }
    line.batches.splice(0, sent);
    if (line.batches.length === 0) this.parked.delete(slot);
  }

  private dropParked(slot: Slot): void {
    const line = this.parked.get(slot);
    if (line === undefined) return;
    this.parked.delete(slot);
    for (const { producing } of line.batches) producing?.failed(slot);
  }
}
