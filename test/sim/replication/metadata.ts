// The metadata log as one linearizable object, in place of the Raft group: transactions with their
// guards, a log that nodes learn in order and late, and a controller that names leaders and tables.

import type { CopysetStrategy, Placement } from "../../../src/core/base/copyset.ts";
import {
  type Durability,
  type EpochRecord,
  epochRecord,
  type PartitionEpochs,
  unsealedEpoch,
} from "../../../src/core/base/epochs.ts";
import { type NodeId, type Offset, type Slot } from "../../../src/core/base/ids.ts";
import type { LeaderEpoch } from "../../../src/core/base/ids.ts";
import type { Random } from "../../../src/core/base/random.ts";
import { generateTable } from "../../../src/core/cluster/copyset_tables.ts";
import type { Proposal } from "../../../src/core/replication/effects.ts";
import type { NodeRecord } from "../../../src/core/replication/replicator.ts";

export type Change =
  | { readonly kind: "partition"; readonly slot: Slot; readonly epochs: PartitionEpochs }
  | { readonly kind: "node"; readonly record: NodeRecord };

export interface TopicRules {
  readonly width: number;
  readonly writeQuorum: number;
  readonly durability: Durability;
  readonly shift: number;
}

/** Told of every end that is decided, before anybody learns it. */
export type OnEnd = (slot: Slot, record: EpochRecord, partition: PartitionEpochs) => void;

export class Metadata {
  readonly log: Change[] = [];
  readonly nodes = new Map<NodeId, NodeRecord>();
  readonly partitions: PartitionEpochs[] = [];
  readonly strategies: CopysetStrategy[] = [];
  /** Every epoch that ever was, by partition: the chain forgets some. */
  readonly history: Map<number, EpochRecord>[] = [];
  readonly rules: TopicRules;
  rejected = 0;
  softBumps = 0;
  seals = 0;
  losses = 0;
  tables = 0;
  readonly #random: Random;
  readonly #onEnd: OnEnd;

  constructor(rules: TopicRules, random: Random, onEnd: OnEnd) {
    this.rules = rules;
    this.#random = random;
    this.#onEnd = onEnd;
  }

  partition(slot: Slot): PartitionEpochs {
    const partition = this.partitions[slot];
    if (partition === undefined) throw new Error("the partition exists");
    return partition;
  }

  current(slot: Slot): EpochRecord {
    const partition = this.partition(slot);
    const record = epochRecord(partition, partition.current);
    if (record === undefined) throw new Error("the newest epoch is in the chain");
    return record;
  }

  place(slot: Slot, leader: NodeId, without: ReadonlySet<NodeId>): Placement {
    const { width, writeQuorum, shift } = this.rules;
    const strategy = this.strategies[slot] ?? "per_partition";
    const all = [...this.nodes.keys()];
    // Rows always have their width: without a spare the silent node stays in them.
    const live = all.filter((node) => !without.has(node));
    const spare = all.filter((node) => without.has(node));
    const candidates = [...live, ...spare.slice(0, Math.max(0, width - live.length))];
    this.tables += 1;
    const table = generateTable(
      {
        id: slot,
        version: this.tables,
        strategy,
        width,
        leader,
        candidates: candidates.map((node) => ({ node, rack: "" })),
        turn: slot,
      },
      this.#random,
    );
    return { table, salt: this.#random.below(1000), shift, writeQuorum };
  }

  create(slot: Slot, strategy: CopysetStrategy, leader: NodeId): void {
    this.strategies[slot] = strategy;
    this.history[slot] = new Map();
    const placement = this.place(slot, leader, new Set());
    const record = this.#record(1, leader, "open", 0, placement);
    const { durability } = this.rules;
    const epochs = [record];
    this.#store(slot, {
      current: record.epoch,
      logStart: 0 as Offset,
      durability,
      placement,
      epochs,
    });
  }

  register(node: NodeId, isLossy: boolean): NodeRecord {
    const before = this.nodes.get(node);
    const isLimbo = isLossy || (before?.isLimbo ?? false);
    const record = { node, incarnation: this.log.length + 1, isLimbo };
    this.nodes.set(node, record);
    this.log.push({ kind: "node", record });
    return record;
  }

  apply(proposal: Proposal): void {
    const isApplied = this.#applied(proposal);
    if (!isApplied) this.rejected += 1;
  }

  #applied(proposal: Proposal): boolean {
    switch (proposal.kind) {
      case "commit-seal":
        return this.#commitSeal(proposal);
      case "soft-bump":
        return this.#softBump(proposal);
      case "resign": {
        const current = this.current(proposal.slot);
        if (current.epoch !== proposal.epoch) return false;
        this.resigned.add(proposal.slot);
        return true;
      }
      case "repaired": {
        const record = this.nodes.get(proposal.node);
        if (record?.incarnation !== proposal.incarnation || !record.isLimbo) return false;
        const whole = { ...record, isLimbo: false };
        this.nodes.set(proposal.node, whole);
        this.log.push({ kind: "node", record: whole });
        return true;
      }
    }
  }

  /** Partitions whose leader or recoverer asked for another one. */
  readonly resigned = new Set<Slot>();

  /** A new epoch in recovery; a late or repeated wish must not fence a healthy successor. */
  assign(slot: Slot, epoch: number, leader: NodeId, without: ReadonlySet<NodeId>): boolean {
    const partition = this.partition(slot);
    if (partition.current !== epoch) return false;
    this.resigned.delete(slot);
    const placement = this.place(slot, leader, without);
    const record = this.#record(epoch + 1, leader, "recovering", -1, placement);
    const epochs = [...partition.epochs, record];
    this.#store(slot, { ...partition, current: record.epoch, placement, epochs });
    return true;
  }

  #commitSeal(seal: Extract<Proposal, { kind: "commit-seal" }>): boolean {
    const { slot, target, by, end, lossPossible } = seal;
    const partition = this.partition(slot);
    const current = this.current(slot);
    const ended = epochRecord(partition, target);
    if (partition.current !== by || current.state !== "recovering") return false;
    if (ended === undefined || ended.start < 0 || ended.end >= 0 || end < ended.start) return false;
    if (unsealedEpoch(partition) !== ended) return false;
    const sealed: EpochRecord = { ...ended, state: "sealed", end, lossPossible };
    this.seals += 1;
    if (lossPossible) this.losses += 1;
    this.#end(slot, sealed);
    for (const one of partition.epochs)
      if (one.epoch > target && one.epoch < by)
        this.history[slot]?.set(one.epoch, { ...one, state: "void", start: end, end });
    const opened: EpochRecord = { ...current, state: "open", start: end };
    const before = partition.epochs.filter(({ epoch }) => epoch < target);
    const kept = end > ended.start ? [sealed] : [];
    this.#store(slot, { ...partition, epochs: [...before, ...kept, opened] });
    return true;
  }

  #softBump(bump: Extract<Proposal, { kind: "soft-bump" }>): boolean {
    const { slot, epoch, incarnation, end, leader } = bump;
    const partition = this.partition(slot);
    const current = this.current(slot);
    if (partition.current !== epoch || current.state !== "open") return false;
    if (current.leaderIncarnation !== incarnation || end < current.start) return false;
    const sealed: EpochRecord = { ...current, state: "sealed", end };
    this.softBumps += 1;
    this.resigned.delete(slot);
    this.#end(slot, sealed);
    const placement =
      leader === current.leader ? partition.placement : this.place(slot, leader, new Set());
    const opened = this.#record(epoch + 1, leader, "open", end, placement);
    const before = partition.epochs.slice(0, -1);
    const kept = end > current.start ? [sealed] : [];
    const epochs = [...before, ...kept, opened];
    this.#store(slot, { ...partition, current: opened.epoch, placement, epochs });
    return true;
  }

  trim(slot: Slot, logStart: Offset): void {
    const partition = this.partition(slot);
    if (logStart > partition.logStart) this.#store(slot, { ...partition, logStart });
  }

  /** The live leader is to move to other rows. */
  replace(slot: Slot, without: ReadonlySet<NodeId>): void {
    const partition = this.partition(slot);
    const placement = this.place(slot, this.current(slot).leader, without);
    this.#store(slot, { ...partition, placement });
  }

  #end(slot: Slot, record: EpochRecord): void {
    const had = this.history[slot]?.get(record.epoch);
    if (had !== undefined && had.end >= 0) throw new Error("an end is set once");
    this.history[slot]?.set(record.epoch, record);
    this.#onEnd(slot, record, this.partition(slot));
  }

  #record(
    epoch: number,
    leader: NodeId,
    state: EpochRecord["state"],
    start: number,
    placement: Placement,
  ): EpochRecord {
    const leaderIncarnation = this.nodes.get(leader)?.incarnation ?? 0;
    return {
      epoch: epoch as LeaderEpoch,
      leader,
      leaderIncarnation,
      state,
      start: start as Offset,
      end: -1,
      placement,
      lossPossible: false,
    };
  }

  #store(slot: Slot, epochs: PartitionEpochs): void {
    this.partitions[slot] = epochs;
    const record = this.current(slot);
    this.history[slot]?.set(record.epoch, record);
    this.log.push({ kind: "partition", slot, epochs });
  }
}
