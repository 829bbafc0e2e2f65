// Pulls what this node should have of sealed epochs and has not: what was written while it was away or
// behind, what recovery left on W members, what a disk lost. One mechanism for all of them. A member
// compares its own list with those of the others in its rows, and asks for the difference.
//
// Invariants: only epochs whose end is known are compared, so nothing pulled can be an orphan; a node
// that may have lost copies leaves limbo only when every other member of its rows was heard and every
// copy pulled is durable.
//
// Fields are `private` and not `#`: the explorer copies and compares whole machines.

import { nodesetOf, positionOf, rowOf, rowsOf } from "../base/copyset.ts";
import { type EpochRecord, epochRecord, type PartitionEpochs } from "../base/epochs.ts";
import { leaderEpoch, type NodeId, offset, type Slot } from "../base/ids.ts";
import type { Ticket } from "../base/ids.ts";
import type { ReplicationEffects } from "./effects.ts";
import type { Member } from "./member.ts";
import { digestStride, type PeerMessage } from "./messages.ts";
import type { ReplicationLimits } from "./settings.ts";

/** One sealed epoch of one partition that is compared. */
interface Job {
  readonly slot: Slot;
  readonly record: EpochRecord;
  readonly lists: Map<NodeId, { readonly limbo: boolean; readonly digest: Float64Array }>;
  /** Base offset -> who has it; neither pulled nor given up. */
  readonly wanted: Map<number, NodeId[]>;
  /** Bases of those that are asked for. */
  readonly asked: Set<number>;
  own: Float64Array | null;
  isCompared: boolean;
  /** Ticket behind the last copy that was pulled. */
  ticket: number;
  /** Times it was asked for again. */
  turns: number;
}

/** An epoch that cannot go on lets the next one try after so many turns. */
const turnsAtATime = 4;

export class Repair {
  private readonly node: NodeId;
  private readonly limits: ReplicationLimits;
  private readonly member: Member;
  /** The first one is under way. */
  private jobs: Job[] = [];
  private readonly ended = new Map<Slot, Set<number>>();
  private askedAt = -Infinity;
  private surveying: { readonly request: number; readonly job: Job } | null = null;
  private requests = 0;
  private durable = 0;

  constructor(node: NodeId, limits: ReplicationLimits, member: Member) {
    this.node = node;
    this.limits = limits;
    this.member = member;
  }

  /** Epochs that are compared or wait for it. */
  get jobCount(): number {
    return this.jobs.length;
  }

  /** All sealed epochs are to be compared again: bit rot is found by looking. */
  restart(): void {
    this.ended.clear();
    this.jobs = [];
  }

  /** Queues every sealed epoch with rows of this node that was not compared since the start. */
  applied(slot: Slot, epochs: PartitionEpochs): void {
    const ended = this.ended.get(slot) ?? new Set<number>();
    this.ended.set(slot, ended);
    for (const record of epochs.epochs) {
      if (record.end < 0 || ended.has(record.epoch)) continue;
      ended.add(record.epoch);
      if (record.end > record.start && nodesetOf(record.placement.table).includes(this.node))
        this.jobs.push(newJob(slot, record));
    }
  }

  /** What was asked and not answered is asked again. */
  tick(now: number, effects: ReplicationEffects): void {
    const job = this.jobs[0];
    if (job === undefined || now - this.askedAt < this.limits.askAgainMs) return;
    this.askedAt = now;
    job.turns += 1;
    job.asked.clear();
    this.surveying = null;
    if (job.turns % turnsAtATime === 0) this.jobs.push(...this.jobs.splice(0, 1));
    this.advance(true, effects);
  }

  private advance(isTick: boolean, effects: ReplicationEffects): void {
    for (let job = this.jobs[0]; job !== undefined; job = this.jobs[0]) {
      const epochs = this.member.epochsOf(job.slot);
      const record = epochs === undefined ? undefined : epochRecord(epochs, job.record.epoch);
      const isGone = epochs === undefined || record === undefined || record.end <= epochs.logStart;
      if (!isGone && !this.isDone(job, epochs, isTick, effects)) return;
      this.jobs.shift();
      this.surveying = null;
    }
  }

  private isDone(
    job: Job,
    epochs: PartitionEpochs,
    isTick: boolean,
    effects: ReplicationEffects,
  ): boolean {
    const { slot, record } = job;
    const from = Math.max(record.start, epochs.logStart);
    if (job.own === null) {
      if (this.surveying !== null) return false;
      this.requests -= 1; // negative: the other requests of this node are positive
      this.surveying = { request: this.requests, job };
      effects.survey(this.requests, slot, record.epoch, offset(from), offset(record.end));
      this.askForLists(job, effects);
      return false;
    }
    if (!job.isCompared) {
      if (isTick) this.askForLists(job, effects);
      this.compare(job, job.own, from, this.member.inLimbo(slot) >= record.epoch);
    }
    if (!job.isCompared) return false;
    for (const [base, holders] of job.wanted) {
      if (job.asked.size >= this.limits.repairsInFlightMax) break;
      if (base < from) job.wanted.delete(base);
      else if (!job.asked.has(base)) this.askForCopy(job, base, holders, effects);
    }
    return job.wanted.size === 0 && job.ticket <= this.durable;
  }

  private askForLists({ slot, record, lists }: Job, effects: ReplicationEffects): void {
    for (const to of neighboursOf(record, this.node))
      if (lists.get(to)?.limbo !== false)
        effects.send(to, { kind: "list", slot, epoch: record.epoch });
  }

  private askForCopy(
    job: Job,
    base: number,
    holders: readonly NodeId[],
    effects: ReplicationEffects,
  ): void {
    const to = holders[job.turns % holders.length];
    if (to === undefined) return;
    job.asked.add(base);
    const { slot, record } = job;
    const question = { kind: "copy-out", slot, epoch: record.epoch } as const;
    effects.send(to, { ...question, base: offset(base), by: leaderEpoch(0) });
  }

  /** True: the request was one of the repair. */
  surveyed(request: number, digest: Float64Array, effects: ReplicationEffects): boolean {
    if (request >= 0) return false;
    if (this.surveying?.request !== request) return true;
    this.surveying.job.own = digest;
    this.surveying = null;
    this.advance(false, effects);
    return true;
  }

  listed(
    from: NodeId,
    message: Extract<PeerMessage, { kind: "listed" }>,
    effects: ReplicationEffects,
  ): void {
    const { slot, epoch, limbo, digest } = message;
    const job = this.jobs.find((one) => one.slot === slot && one.record.epoch === epoch);
    job?.lists.set(from, { limbo, digest });
    this.advance(false, effects);
  }

  copied(
    from: NodeId,
    message: Extract<PeerMessage, { kind: "copied" }>,
    effects: ReplicationEffects,
  ): void {
    const { slot, epoch, base, copy } = message;
    const job = this.jobs.find((one) => one.slot === slot && one.record.epoch === epoch);
    if (job === undefined || !job.wanted.has(base)) return;
    if (copy === null) {
      // Its list was true once: it is asked for a new one.
      job.lists.delete(from);
      job.isCompared = false;
      job.wanted.clear();
      return;
    }
    // The end is decided, so it is a genuine high watermark.
    job.ticket = effects.append(slot, job.record.epoch, offset(job.record.end), copy);
    job.wanted.delete(base);
    job.asked.delete(base);
    this.advance(false, effects);
  }

  appended(durable: Ticket, effects: ReplicationEffects): void {
    this.durable = durable;
    const job = this.jobs[0];
    if (job !== undefined && job.wanted.size === 0 && job.isCompared) this.advance(false, effects);
  }

  /** True when no epoch of the partition up to `limbo` is left to compare. */
  isWhole(slot: Slot, limbo: number, epochs: PartitionEpochs): boolean {
    const isOpen = ({ epoch, end, placement }: EpochRecord): boolean =>
      end < 0 && epoch <= limbo && nodesetOf(placement.table).includes(this.node);
    return (
      !epochs.epochs.some(isOpen) &&
      !this.jobs.some((job) => job.slot === slot && job.record.epoch <= limbo)
    );
  }

  /** Who lacks a batch that was committed shares its row with W others that had it. */
  private compare(job: Job, own: Float64Array, from: number, isLimbo: boolean): void {
    const { placement } = job.record;
    const { table } = placement;
    const needed = isLimbo ? table.width - 1 : Math.max(1, table.width - placement.writeQuorum);
    for (let row = 0; row < rowsOf(table); row += 1) {
      if (positionOf(table, row, this.node) < 0) continue;
      let heard = 0;
      for (const [node, { limbo }] of job.lists)
        if (positionOf(table, row, node) >= 0 && (!limbo || isLimbo)) heard += 1;
      if (heard < needed && table.width > 1) return;
    }
    job.isCompared = true;
    const mine = new Set<number>();
    for (let at = 0; at < own.length; at += digestStride) mine.add(own[at] ?? 0);
    for (const [node, { digest }] of job.lists)
      for (let at = 0; at < digest.length; at += digestStride) {
        const base = digest[at] ?? 0;
        if (base < from || mine.has(base)) continue;
        const row = rowOf(placement, base);
        if (positionOf(table, row, this.node) < 0 || positionOf(table, row, node) < 0) continue;
        const holders = job.wanted.get(base);
        if (holders === undefined) job.wanted.set(base, [node]);
        else if (!holders.includes(node)) holders.push(node);
      }
  }
}

function newJob(slot: Slot, record: EpochRecord): Job {
  const nothing = { own: null, isCompared: false, ticket: 0, turns: 0 };
  return { slot, record, lists: new Map(), wanted: new Map(), asked: new Set(), ...nothing };
}

/** Everybody who shares a row with the node. */
function neighboursOf({ placement: { table } }: EpochRecord, node: NodeId): readonly NodeId[] {
  const found = new Set<NodeId>();
  for (let row = 0; row < rowsOf(table); row += 1) {
    if (positionOf(table, row, node) < 0) continue;
    for (let position = 0; position < table.width; position += 1) {
      const member = table.members[row * table.width + position] as NodeId; // proof: node ids only
      if (member !== node) found.add(member);
    }
  }
  return [...found];
}
