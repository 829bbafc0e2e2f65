// Ends an epoch whose leader is gone: asks its members, finds the end, brings everything below it to W
// copies, and has the metadata set the end. Only then does the next epoch open.
//
// States: sealing (answers are missing) -> repairing (batches below W) -> committing (the end is
// proposed). An answer that turns out to be lost leads back to sealing. The recovery is over when the
// metadata opens its epoch or moves past it.
//
// Invariants: the end is the first offset that its row proves empty for good, by as many absent
// answers as leave fewer than W members; a member that may have lost copies denies nothing; nothing
// below the high watermark of any answer is cut; the end is proposed only when every batch from there
// to the end has W durable copies.
//
// Fields are `private` and not `#`: the explorer copies and compares whole machines.

import { assert } from "../base/assert.ts";
import { memberAt, negativeQuorum, nodesetOf, positionOf, rowOf } from "../base/copyset.ts";
import { type Durability, type EpochRecord, type PartitionEpochs } from "../base/epochs.ts";
import { leaderEpoch, type NodeId, type Offset, offset, type Slot } from "../base/ids.ts";
import type { ReplicationEffects } from "./effects.ts";
import { type BatchCopy, digestStride, type PeerMessage } from "./messages.ts";
import type { ReplicationLimits } from "./settings.ts";

type Sealed = Extract<PeerMessage, { kind: "sealed" }>;
type Answer = Extract<PeerMessage, { kind: "sealed" | "recovery-stored" | "copied" | "preempted" }>;

/** A batch at or above the best known high watermark. */
interface TailBatch {
  readonly base: Offset;
  readonly count: number;
  /** Members with a durable copy. */
  readonly holders: Set<NodeId>;
  copy: BatchCopy | null;
  /** Times that its holders were asked for it in vain. */
  asks: number;
}

/** A holder that is silent for so many questions is taken for one that never answered. */
const asksMax = 5;

/** What the answers say: not yet, or an end; `isGivenUp` = no member holds more, and not all deny it. */
type Verdict =
  | { readonly kind: "undecided" }
  | { readonly kind: "end"; readonly end: number; readonly isGivenUp: boolean };

export class Recovery {
  private readonly slot: Slot;
  private readonly by: number;
  private readonly target: EpochRecord;
  private readonly durability: Durability;
  private readonly logStart: number;
  private readonly limits: ReplicationLimits;
  private readonly answers = new Map<NodeId, Sealed>();
  private tail: TailBatch[] = [];
  private end = -1;
  private isGivenUp = false;
  private lossAccepted = false;
  private resigns = false;
  private state: "sealing" | "repairing" | "committing" = "sealing";
  private askedAt = -Infinity;

  constructor(
    slot: Slot,
    by: number,
    target: EpochRecord,
    of: PartitionEpochs,
    limits: ReplicationLimits,
  ) {
    assert(target.start >= 0 && target.end < 0, "a recovery ends the one epoch that has no end");
    assert(target.epoch < by, "an epoch is ended by a later one");
    this.slot = slot;
    this.by = by;
    this.target = target;
    this.durability = of.durability;
    this.logStart = of.logStart;
    this.limits = limits;
  }

  get epoch(): number {
    return this.by;
  }

  /** The row whose answers are missing is gone for good: an operator says so. */
  acceptLoss(effects: ReplicationEffects): void {
    this.lossAccepted = true;
    this.decide(effects);
  }

  tick(now: number, effects: ReplicationEffects): void {
    if (now - this.askedAt < this.limits.askAgainMs) return;
    this.askedAt = now;
    if (this.resigns) {
      effects.propose({ kind: "resign", slot: this.slot, epoch: leaderEpoch(this.by) });
      return;
    }
    if (this.state === "sealing") this.askMembers(effects);
    if (this.state === "repairing" && !this.passOver(effects)) this.repair(effects);
    if (this.state === "committing") this.propose(effects);
  }

  private askMembers(effects: ReplicationEffects): void {
    const question = { kind: "seal", slot: this.slot } as const;
    const [by, target] = [leaderEpoch(this.by), this.target.epoch];
    for (const to of nodesetOf(this.target.placement.table))
      if (!this.answers.has(to)) effects.send(to, { ...question, by, target });
  }

  receive(from: NodeId, message: Answer, effects: ReplicationEffects): void {
    if (message.by !== this.by) return;
    switch (message.kind) {
      case "sealed":
        if (message.target !== this.target.epoch || this.state === "committing") return;
        this.answers.set(from, message);
        return this.decide(effects);
      case "recovery-stored":
        return this.stored(from, message.base, effects);
      case "copied":
        return this.copied(from, message.base, message.copy, effects);
      case "preempted":
        // A restart that may have lost copies raised that fence, or a later recovery did. Whoever is
        // right, this epoch can go no further: the metadata knows whether anybody else was named.
        this.resigns = true;
        effects.propose({ kind: "resign", slot: this.slot, epoch: leaderEpoch(this.by) });
    }
  }

  /** A node has registered anew: what it said or kept may be lost. */
  forget(node: NodeId, effects: ReplicationEffects): void {
    if (this.state === "committing") return;
    const hadAnswer = this.answers.delete(node);
    for (const batch of this.tail) batch.holders.delete(node);
    if (hadAnswer && this.state === "repairing") this.reseal(effects);
  }

  private reseal(effects: ReplicationEffects): void {
    this.state = "sealing";
    this.askMembers(effects);
    this.decide(effects);
  }

  private decide(effects: ReplicationEffects): void {
    if (this.state !== "sealing") return;
    const from = this.lowestEnd();
    const verdict = this.judgeTail(from);
    if (verdict.kind === "undecided") return;
    this.end = verdict.end;
    this.isGivenUp = verdict.isGivenUp;
    this.tail = this.tailFrom(from, verdict.end);
    this.state = "repairing";
    this.repair(effects);
  }

  /** Below it everything is committed: it is known to have W copies. */
  private lowestEnd(): number {
    let from = Math.max(this.target.start, this.logStart);
    for (const { highWatermark } of this.answers.values()) from = Math.max(from, highWatermark);
    return from;
  }

  /**
   * Walks the offsets upwards and asks each one's row. A stale leader may still reach other rows, but
   * it commits in order: the first proven hole stops it, so only the rows up to there have to answer.
   */
  private judgeTail(from: number): Verdict {
    const { placement } = this.target;
    for (let at = from; ; ) {
      const row = rowOf(placement, at);
      let held = 0;
      let absent = 0;
      let answered = 0;
      for (let position = 0; position < placement.table.width; position += 1) {
        const answer = this.answers.get(memberAt(placement.table, row, position));
        if (answer === undefined) continue;
        answered += 1;
        const count = countAt(answer.digest, at);
        if (count > 0) held = count;
        else if (!answer.limbo) absent += 1;
      }
      if (held > 0) {
        at += held;
        continue;
      }
      if (absent >= negativeQuorum(placement)) return { kind: "end", end: at, isGivenUp: false };
      // Nobody holds it, and who may have lost it will never know better: waiting cannot help.
      const isSilent = answered < placement.table.width && !this.lossAccepted;
      const mayGiveUp = this.durability === "os" || this.lossAccepted;
      if (isSilent || !mayGiveUp) return { kind: "undecided" };
      return { kind: "end", end: at, isGivenUp: true };
    }
  }

  private tailFrom(from: number, end: number): TailBatch[] {
    const { placement } = this.target;
    const copies = new Map(this.tail.map((batch) => [batch.base, batch]));
    const tail: TailBatch[] = [];
    for (let at = from; at < end; ) {
      const row = rowOf(placement, at);
      const holders = new Set(copies.get(offset(at))?.holders);
      let count = 0;
      for (const [node, { digest }] of this.answers) {
        if (positionOf(placement.table, row, node) < 0) continue;
        const held = countAt(digest, at);
        if (held === 0) continue;
        holders.add(node);
        count = held;
      }
      assert(count > 0, "the tail has no hole below its end");
      const copy = copies.get(offset(at))?.copy ?? null;
      tail.push({ base: offset(at), count, holders, copy, asks: 0 });
      at += count;
    }
    return tail;
  }

  /**
   * True: the only holders of a batch fell silent before they gave it out, and their answers are
   * dropped. Where the rest of the row denies the batch it may be cut; else the recovery waits.
   */
  private passOver(effects: ReplicationEffects): boolean {
    const lost = this.tail.find(({ copy, asks }) => copy === null && asks >= asksMax);
    if (lost === undefined) return false;
    for (const node of lost.holders) this.answers.delete(node);
    lost.holders.clear();
    this.reseal(effects);
    return true;
  }

  private repair(effects: ReplicationEffects): void {
    let isDone = true;
    let asked = 0;
    for (const batch of this.tail) {
      if (batch.holders.size >= this.target.placement.writeQuorum) continue;
      isDone = false;
      if (asked === this.limits.repairsInFlightMax) break;
      asked += 1;
      if (batch.copy === null) this.askForCopy(batch, effects);
      else this.storeCopy(batch, batch.copy, effects);
    }
    if (!isDone) return;
    this.state = "committing";
    this.propose(effects);
  }

  private askForCopy(batch: TailBatch, effects: ReplicationEffects): void {
    const { base, holders } = batch;
    batch.asks += 1;
    const { slot, by } = this;
    const { epoch } = this.target;
    for (const to of holders)
      effects.send(to, { kind: "copy-out", slot, epoch, base, by: leaderEpoch(by) });
  }

  private storeCopy(
    { base, holders }: TailBatch,
    copy: BatchCopy,
    effects: ReplicationEffects,
  ): void {
    const { table } = this.target.placement;
    const row = rowOf(this.target.placement, base);
    for (let position = 0; position < table.width; position += 1) {
      const to = memberAt(table, row, position);
      if (holders.has(to)) continue;
      effects.send(to, {
        kind: "recovery-store",
        slot: this.slot,
        by: leaderEpoch(this.by),
        target: this.target.epoch,
        base,
        count: copy.count,
        checksum: copy.checksum,
        batch: copy.batch,
      });
    }
  }

  private copied(
    from: NodeId,
    base: Offset,
    copy: BatchCopy | null,
    effects: ReplicationEffects,
  ): void {
    const batch =
      this.state === "repairing" ? this.tail.find((one) => one.base === base) : undefined;
    if (batch === undefined || batch.copy !== null) return;
    if (copy !== null) {
      batch.copy = copy;
      this.storeCopy(batch, copy, effects);
      return;
    }
    // It has lost what it listed: it has to say again what it has.
    batch.holders.delete(from);
    this.answers.delete(from);
    this.reseal(effects);
  }

  private stored(from: NodeId, base: Offset, effects: ReplicationEffects): void {
    const batch =
      this.state === "repairing" ? this.tail.find((one) => one.base === base) : undefined;
    if (batch === undefined) return;
    const row = rowOf(this.target.placement, base);
    if (positionOf(this.target.placement.table, row, from) < 0) return;
    batch.holders.add(from);
    if (batch.holders.size >= this.target.placement.writeQuorum) this.repair(effects);
  }

  private propose(effects: ReplicationEffects): void {
    effects.propose({
      kind: "commit-seal",
      slot: this.slot,
      target: this.target.epoch,
      by: leaderEpoch(this.by),
      end: offset(this.end),
      lossPossible: this.isGivenUp,
    });
  }
}

/** Count of the batch with this base offset in a digest; 0 = it is not there. */
function countAt(digest: Float64Array, base: number): number {
  for (let at = 0; at < digest.length; at += digestStride)
    if (digest[at] === base) return digest[at + 1] ?? 0;
  return 0;
}
