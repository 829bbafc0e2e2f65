// The storage node's side of replication, for all partitions of one node: fence, store, seal, answer.
// It decides from one fence, one high watermark and one limbo mark a partition, in typed arrays.
//
// Invariants: a fence never falls, and one that was answered to a recovery is durable; nothing counts
// as stored unless its epoch is at or above the fence at the moment of the answer; what may be lost is
// never called absent; a high watermark is adopted only with the epochs below its own.
//
// Fields are `private` and not `#`: the explorer copies and compares whole machines.

import { assert } from "../base/assert.ts";
import { positionOf, rowOf } from "../base/copyset.ts";
import { epochRecord, ownerOf, type PartitionEpochs } from "../base/epochs.ts";
import { leaderEpoch, type NodeId, type Offset, offset, type Slot } from "../base/ids.ts";
import type { Ticket } from "../base/ids.ts";
import { type Ack, AckQueue } from "./ack_queue.ts";
import type { CopyOutcome, ReplicationEffects } from "./effects.ts";
import { type PeerMessage, type ReadAnswer, type StoreMessage } from "./messages.ts";
import type { ReplicationLimits } from "./settings.ts";

/** What recovery of the store found of one partition; all of it has been synced. */
export interface StoredStream {
  readonly slot: Slot;
  /** Highest fence frame; 0 = none. */
  readonly fence: number;
  /** Highest epoch of a copy; 0 = none. */
  readonly epoch: number;
  /** Highest high watermark that a copy carries. */
  readonly highWatermark: number;
}

/** A seal that waits for its fence and for everything staged before it. */
interface PendingSeal {
  readonly from: NodeId;
  readonly message: Extract<PeerMessage, { kind: "seal" }>;
  readonly ticket: Ticket;
}

/** A question that waits for the disk. */
type Asked =
  | { readonly kind: "seal"; readonly from: NodeId; readonly message: PendingSeal["message"] }
  | {
      readonly kind: "copy-out";
      readonly from: NodeId;
      readonly message: Extract<PeerMessage, { kind: "copy-out" }>;
    }
  | {
      readonly kind: "list";
      readonly from: NodeId;
      readonly message: Extract<PeerMessage, { kind: "list" }>;
    }
  | {
      readonly kind: "read";
      readonly from: NodeId;
      readonly message: Extract<PeerMessage, { kind: "read" }>;
      readonly epoch: number;
    };

const slotsAtStart = 4;

export class Member {
  private readonly node: NodeId;
  private readonly incarnation: number;
  private readonly limits: ReplicationLimits;
  private fences = new Int32Array(slotsAtStart);
  /** Highest fence that is staged or durable as a frame, and the ticket behind it. */
  private fenceFrames = new Int32Array(slotsAtStart);
  private fenceTickets = new Float64Array(slotsAtStart);
  private highWatermarks = new Float64Array(slotsAtStart);
  /** Copies of epochs up to this one may be lost. */
  private limbos = new Int32Array(slotsAtStart);
  private readonly known = new Map<Slot, PartitionEpochs>();
  private readonly synced = new AckQueue();
  private readonly written = new AckQueue();
  private writtenTicket = 0;
  private durableTicket = 0;
  private seals: PendingSeal[] = [];
  /** Messages of epochs that are not learned yet. */
  private early: { readonly from: NodeId; readonly message: PeerMessage }[] = [];
  private readonly asked = new Map<number, Asked>();
  private requests = 0;

  constructor(node: NodeId, incarnation: number, limits: ReplicationLimits) {
    this.node = node;
    this.incarnation = incarnation;
    this.limits = limits;
  }

  /** Before anything else, once for each partition that the store holds. */
  recovered({ slot, fence, epoch, highWatermark }: StoredStream): void {
    this.grow(slot);
    this.raise(slot, Math.max(fence, epoch));
    this.fenceFrames[slot] = fence;
    this.adopt(slot, highWatermark);
  }

  /**
   * The store may have lost what it had promised: nothing up to the current epoch is denied any more,
   * and whoever is the leader now gets no vote from this node before its next epoch.
   */
  enterLimbo(slot: Slot, current: number): void {
    this.grow(slot);
    this.limbos[slot] = Math.max(this.limbos[slot] ?? 0, current);
    this.raise(slot, current + 1);
  }

  /** All of it is back: the metadata says so. */
  leaveLimbo(): void {
    this.limbos.fill(0);
  }

  inLimbo(slot: Slot): number {
    return this.limbos[slot] ?? 0;
  }

  fenceOf(slot: Slot): number {
    return this.fences[slot] ?? 0;
  }

  highWatermarkOf(slot: Slot): Offset {
    return offset(this.highWatermarks[slot] ?? 0);
  }

  epochsOf(slot: Slot): PartitionEpochs | undefined {
    return this.known.get(slot);
  }

  slots(): IterableIterator<Slot> {
    return this.known.keys();
  }

  /** The metadata of a partition, applied in the order of its log. */
  applied(slot: Slot, epochs: PartitionEpochs, effects: ReplicationEffects): void {
    this.grow(slot);
    const before = this.known.get(slot);
    assert(before === undefined || before.current <= epochs.current, "metadata never goes back");
    this.known.set(slot, epochs);
    for (const { epoch, end } of epochs.epochs) {
      if (end < 0) continue;
      this.adopt(slot, end);
      const had = before === undefined ? undefined : epochRecord(before, epoch);
      if (had === undefined || had.end < 0) effects.drop(slot, epoch, offset(end));
    }
    // An epoch that left the chain owns nothing.
    for (const { epoch } of before?.epochs ?? [])
      if (epochRecord(epochs, epoch) === undefined) effects.drop(slot, epoch, offset(0));
    if (epochs.logStart > (before?.logStart ?? 0)) effects.trim(slot, epochs.logStart);
    this.adopt(slot, epochs.logStart);
    this.raise(slot, epochs.current);
    this.readmit(effects);
  }

  /** Progress of the disk: tickets in the page cache, tickets that are synced. */
  appended(written: Ticket, durable: Ticket, effects: ReplicationEffects): void {
    this.writtenTicket = written;
    this.durableTicket = durable;
    this.written.release(written, (at) => this.answerStored(this.written.at(at), effects));
    this.synced.release(durable, (at) => this.answerStored(this.synced.at(at), effects));
    const ready = this.seals.filter(({ ticket }) => ticket <= durable);
    if (ready.length === 0) return;
    this.seals = this.seals.filter(({ ticket }) => ticket > durable);
    for (const seal of ready) this.surveyTail(seal.from, seal.message, effects);
  }

  receive(from: NodeId, message: PeerMessage, effects: ReplicationEffects): void {
    switch (message.kind) {
      case "store":
        return this.store(from, message, effects);
      case "release":
        if (this.isEarly(from, message, message.epoch, effects)) return;
        return this.adopt(message.slot, message.highWatermark);
      case "seal":
        return this.seal(from, message, effects);
      case "recovery-store":
        return this.recoveryStore(from, message, effects);
      case "copy-out":
        return this.copyOut(from, message, effects);
      case "list":
        return this.list(from, message, effects);
      case "read":
        return this.read(from, message, true, effects);
      default:
        assert(false, "a member is sent questions and copies");
    }
  }

  private store(from: NodeId, message: StoreMessage, effects: ReplicationEffects): void {
    const { slot, epoch, base, count, highWatermark } = message;
    if (this.isEarly(from, message, epoch, effects)) return;
    if ((this.limbos[slot] ?? 0) >= epoch) {
      effects.send(from, { kind: "in-limbo", slot, epoch });
      return;
    }
    const fence = this.fences[slot] ?? 0;
    // Below a genuine high watermark no recovery can ever cut: it is kept whatever the fence says.
    const isCommitted = base + count <= highWatermark;
    if (epoch < fence && !isCommitted) {
      effects.send(from, { kind: "fenced-off", slot, epoch, fence: leaderEpoch(fence) });
      return;
    }
    this.raise(slot, epoch);
    const ticket = effects.append(slot, epoch, highWatermark, message);
    this.adopt(slot, highWatermark);
    const kind = epoch >= fence ? "stored" : "backfilled";
    const ack = { ticket, kind, slot, to: from, epoch, by: leaderEpoch(0), base } as const;
    this.answerWhenDurable(ack, effects);
  }

  private recoveryStore(
    from: NodeId,
    message: Extract<PeerMessage, { kind: "recovery-store" }>,
    effects: ReplicationEffects,
  ): void {
    const { slot, by, target, base } = message;
    this.grow(slot);
    if (this.isPreempted(from, slot, by, effects)) return;
    this.stageFence(slot, by, effects);
    const ticket = effects.append(slot, target, offset(0), message);
    const kind = "recovery-stored";
    const ack = { ticket, kind, slot, to: from, epoch: target, by, base } as const;
    this.answerWhenDurable(ack, effects);
  }

  private seal(
    from: NodeId,
    message: Extract<PeerMessage, { kind: "seal" }>,
    effects: ReplicationEffects,
  ): void {
    const { slot, by } = message;
    this.grow(slot);
    if (this.isPreempted(from, slot, by, effects)) return;
    const ticket = this.stageFence(slot, by, effects);
    const isSame = (other: PendingSeal): boolean =>
      other.from === from && other.message.slot === slot && other.message.by === by;
    if (ticket <= this.durableTicket) this.surveyTail(from, message, effects);
    else if (!this.seals.some(isSame)) this.seals.push({ from, message, ticket });
  }

  /** The fence is durable: whatever was accepted before it and is not listed now never gets a vote. */
  private surveyTail(
    from: NodeId,
    message: Extract<PeerMessage, { kind: "seal" }>,
    effects: ReplicationEffects,
  ): void {
    const { slot, by, target } = message;
    if (this.isPreempted(from, slot, by, effects)) return;
    const request = this.ask({ kind: "seal", from, message });
    effects.survey(
      request,
      slot,
      target,
      this.highWatermarkOf(slot),
      offset(Number.MAX_SAFE_INTEGER),
    );
  }

  /** `isCertain` = no copy of the range is damaged or unreadable. */
  surveyed(
    request: number,
    digest: Float64Array,
    isCertain: boolean,
    effects: ReplicationEffects,
  ): void {
    const asked = this.asked.get(request);
    if (asked === undefined) return;
    this.asked.delete(request);
    if (asked.kind === "list") {
      const { slot, epoch } = asked.message;
      const limbo = !isCertain || (this.limbos[slot] ?? 0) >= epoch;
      effects.send(asked.from, { kind: "listed", slot, epoch, limbo, digest });
      return;
    }
    assert(asked.kind === "seal", "surveys are asked by seals and repairs");
    const { slot, by, target } = asked.message;
    if (this.isPreempted(asked.from, slot, by, effects)) return;
    effects.send(asked.from, {
      kind: "sealed",
      slot,
      by,
      target,
      highWatermark: this.highWatermarkOf(slot),
      limbo: !isCertain || (this.limbos[slot] ?? 0) >= target,
      incarnation: this.incarnation,
      digest,
    });
  }

  private copyOut(
    from: NodeId,
    message: Extract<PeerMessage, { kind: "copy-out" }>,
    effects: ReplicationEffects,
  ): void {
    const { slot, epoch, base, by } = message;
    this.grow(slot);
    if (by > 0 && this.isPreempted(from, slot, by, effects)) return;
    const request = this.ask({ kind: "copy-out", from, message });
    effects.readCopy(request, slot, epoch, base);
  }

  /** A repair asks for a sealed epoch only; who has not learned its end would list orphans. */
  private list(
    from: NodeId,
    message: Extract<PeerMessage, { kind: "list" }>,
    effects: ReplicationEffects,
  ): void {
    const { slot, epoch } = message;
    const epochs = this.known.get(slot);
    const record = epochs === undefined ? undefined : epochRecord(epochs, epoch);
    if (epochs === undefined || record === undefined || record.end < 0) {
      effects.pullMetadata();
      return;
    }
    const request = this.ask({ kind: "list", from, message });
    const start = Math.max(record.start, epochs.logStart);
    effects.survey(request, slot, epoch, offset(start), offset(record.end));
  }

  /** `isTrusted`: the high watermark comes from a peer. One that a client names is never adopted. */
  read(
    from: NodeId,
    message: Extract<PeerMessage, { kind: "read" }>,
    isTrusted: boolean,
    effects: ReplicationEffects,
  ): void {
    const { slot, offset: at, request, highWatermark, highWatermarkEpoch } = message;
    if (isTrusted && this.isLearned(slot, highWatermarkEpoch)) this.adopt(slot, highWatermark);
    const epochs = this.known.get(slot);
    const answer = this.answerAtOnce(slot, at, epochs);
    if (answer !== null) {
      effects.send(from, { kind: "read-answer", request, slot, answer });
      return;
    }
    const owner = epochs === undefined ? undefined : ownerOf(epochs, at);
    assert(owner !== undefined, "an offset below the high watermark has an owner");
    const ask = this.ask({ kind: "read", from, message, epoch: owner.epoch });
    effects.readCopy(ask, slot, owner.epoch, at);
  }

  /** Null: the disk has to be asked. */
  private answerAtOnce(
    slot: Slot,
    at: Offset,
    epochs: PartitionEpochs | undefined,
  ): ReadAnswer | null {
    if (epochs === undefined) return { kind: "behind" };
    if (at < epochs.logStart) return { kind: "trimmed", logStart: epochs.logStart };
    if (at >= (this.highWatermarks[slot] ?? 0)) return { kind: "behind" };
    const owner = ownerOf(epochs, at);
    if (owner === undefined) return { kind: "unknown" };
    const row = rowOf(owner.placement, at);
    return positionOf(owner.placement.table, row, this.node) < 0 ? { kind: "elsewhere" } : null;
  }

  copyRead(request: number, outcome: CopyOutcome, effects: ReplicationEffects): void {
    const asked = this.asked.get(request);
    if (asked === undefined) return;
    this.asked.delete(request);
    const copy = outcome.kind === "ok" ? outcome.copy : null;
    if (asked.kind === "copy-out") {
      const { slot, epoch, base, by } = asked.message;
      effects.send(asked.from, { kind: "copied", slot, epoch, base, by, copy });
      return;
    }
    assert(asked.kind === "read", "copies are read for copy-outs and reads");
    const { slot } = asked.message;
    const answer = this.judgeRead(slot, asked.epoch, asked.message.offset, outcome);
    effects.send(asked.from, { kind: "read-answer", request: asked.message.request, slot, answer });
  }

  private judgeRead(slot: Slot, epoch: number, at: Offset, outcome: CopyOutcome): ReadAnswer {
    const epochs = this.known.get(slot);
    // The log start may have passed the offset meanwhile.
    if (epochs !== undefined && at < epochs.logStart)
      return { kind: "trimmed", logStart: epochs.logStart };
    if (outcome.kind === "ok")
      return { kind: "present", epoch: leaderEpoch(epoch), copy: outcome.copy };
    const mayBeLost = (this.limbos[slot] ?? 0) >= epoch;
    return { kind: outcome.kind === "absent" && !mayBeLost ? "absent" : "unknown" };
  }

  private answerStored(ack: Ack, effects: ReplicationEffects): void {
    const { kind, slot, to, epoch, by, base } = ack;
    const fence = this.fences[slot] ?? 0;
    const incarnation = this.incarnation;
    switch (kind) {
      case "backfilled":
        effects.send(to, { kind, slot, epoch, base, incarnation });
        return;
      case "recovery-stored":
        if (this.isPreempted(to, slot, by, effects)) return;
        effects.send(to, { kind, slot, by, target: epoch, base, incarnation });
        return;
      case "stored":
        // The fence may have risen while the batch was on its way to the disk.
        if (epoch < fence)
          effects.send(to, { kind: "fenced-off", slot, epoch, fence: leaderEpoch(fence) });
        else effects.send(to, { kind, slot, epoch, base, incarnation });
    }
  }

  /** A resend of what is durable is answered now. */
  private answerWhenDurable(ack: Ack, effects: ReplicationEffects): void {
    const isWritten =
      ack.kind !== "recovery-stored" && this.known.get(ack.slot)?.durability === "os";
    const queue = isWritten ? this.written : this.synced;
    queue.push(ack);
    const reached = isWritten ? this.writtenTicket : this.durableTicket;
    queue.release(reached, (place) => this.answerStored(queue.at(place), effects));
  }

  /** The fence rises to `by` and its frame is on the way to the disk, once. */
  private stageFence(slot: Slot, by: number, effects: ReplicationEffects): Ticket {
    this.raise(slot, by);
    if ((this.fenceFrames[slot] ?? 0) < by) {
      this.fenceFrames[slot] = by;
      this.fenceTickets[slot] = effects.fence(slot, leaderEpoch(by));
    }
    return (this.fenceTickets[slot] ?? 0) as Ticket; // proof: only written above
  }

  private isPreempted(to: NodeId, slot: Slot, by: number, effects: ReplicationEffects): boolean {
    const fence = this.fences[slot] ?? 0;
    if (by >= fence) return false;
    const message = { kind: "preempted", slot, by: leaderEpoch(by) } as const;
    effects.send(to, { ...message, fence: leaderEpoch(fence) });
    return true;
  }

  /** An epoch that still recovers is known by name only: where it starts is not decided. */
  private isLearned(slot: Slot, epoch: number): boolean {
    const epochs = this.known.get(slot);
    if (epochs === undefined || epoch > epochs.current) return false;
    return epoch < epochs.current || epochRecord(epochs, epoch)?.state === "open";
  }

  /**
   * True: the epoch is newer than what this node has learned, and the message waits. Once an epoch is
   * learned, every older one's end is known and its orphans are dropped; before that a high watermark
   * would show them.
   */
  private isEarly(
    from: NodeId,
    message: PeerMessage,
    epoch: number,
    effects: ReplicationEffects,
  ): boolean {
    if (this.isLearned(this.slotOf(message), epoch)) return false;
    // Beyond the bound it is lost: the leader sends it again.
    if (this.early.length < this.limits.earlyMessagesMax) this.early.push({ from, message });
    effects.pullMetadata();
    return true;
  }

  private slotOf(message: PeerMessage): Slot {
    this.grow(message.slot);
    return message.slot;
  }

  private readmit(effects: ReplicationEffects): void {
    const waiting = this.early;
    if (waiting.length === 0) return;
    this.early = [];
    for (const { from, message } of waiting) this.receive(from, message, effects);
  }

  private ask(question: Asked): number {
    this.requests = this.asked.size === 0 ? 1 : this.requests + 1;
    this.asked.set(this.requests, question);
    return this.requests;
  }

  private raise(slot: Slot, epoch: number): void {
    if (epoch > (this.fences[slot] ?? 0)) this.fences[slot] = epoch;
  }

  private adopt(slot: Slot, highWatermark: number): void {
    if (highWatermark > (this.highWatermarks[slot] ?? 0)) this.highWatermarks[slot] = highWatermark;
  }

  private grow(slot: Slot): void {
    if (slot < this.fences.length) return;
    let capacity = this.fences.length;
    while (capacity <= slot) capacity *= 2;
    this.fences = widened(this.fences, new Int32Array(capacity));
    this.fenceFrames = widened(this.fenceFrames, new Int32Array(capacity));
    this.fenceTickets = widened(this.fenceTickets, new Float64Array(capacity));
    this.highWatermarks = widened(this.highWatermarks, new Float64Array(capacity));
    this.limbos = widened(this.limbos, new Int32Array(capacity));
  }
}

function widened<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
