// The simulator's own record of what was promised, and the invariants over it. It sees every effect of
// every node; it draws no random number, so that it changes no run.

import { memberAt, positionOf, rowOf } from "../../../src/core/base/copyset.ts";
import { type EpochRecord, epochRecord, ownerOf } from "../../../src/core/base/epochs.ts";
import type { PartitionEpochs } from "../../../src/core/base/epochs.ts";
import type { NodeId, Slot } from "../../../src/core/base/ids.ts";
import type { PeerMessage, ReadAnswer } from "../../../src/core/replication/messages.ts";
import type { Metadata } from "./metadata.ts";
import type { Copies, StoredCopy } from "./copies.ts";

/** `code` = the invariant, in the order of the list in docs/adr/0017. */
export class Violation extends Error {
  override readonly name = "Violation";
}

function broken(code: string, words: string): never {
  throw new Violation(`${code}: ${words}`);
}

interface Acked {
  readonly epoch: number;
  readonly base: number;
  readonly end: number;
  readonly value: number;
}

/** Who lost a copy, and when that was known to everybody who has applied the metadata so far. */
interface Loss {
  readonly node: NodeId;
  readonly registeredAt: () => number;
}

class PartitionTruth {
  /** epoch and base -> value; one ever. */
  readonly values = new Map<string, { readonly value: number; readonly count: number }>();
  readonly visible = new Map<number, { readonly value: number; readonly count: number }>();
  acked: Acked[] = [];
  readonly lost = new Map<string, Loss[]>();
  logStart = 0;
}

export interface JudgedNode {
  readonly node: NodeId;
  readonly copies: Copies;
  /** Metadata entries that it has applied. */
  readonly applied: number;
}

export class Judge {
  readonly #partitions: PartitionTruth[] = [];
  readonly #metadata: () => Metadata;
  readonly #nodes: () => readonly JudgedNode[];
  /** node and slot -> highest fence that it answered or voted under. */
  readonly #fences = new Map<string, number>();
  ackedCount = 0;
  reads = 0;
  /** Lossy failures of one node at a time; what a power cut of all took is counted apart. */
  lossyFailures = 0;
  powerCutsOfAll = 0;

  constructor(metadata: () => Metadata, nodes: () => readonly JudgedNode[]) {
    this.#metadata = metadata;
    this.#nodes = nodes;
  }

  #of(slot: Slot): PartitionTruth {
    let truth = this.#partitions[slot];
    if (truth === undefined) {
      truth = new PartitionTruth();
      this.#partitions[slot] = truth;
    }
    return truth;
  }

  ackedOf(slot: Slot): readonly Acked[] {
    return this.#of(slot).acked;
  }

  /** Every message that leaves a node. */
  sent(node: NodeId, to: NodeId, message: PeerMessage): void {
    switch (message.kind) {
      case "store":
        this.#proposed(message.slot, message.epoch, message.base, message.count, message.checksum);
        return this.#placed(message.slot, message.epoch, message.base, to);
      case "recovery-store":
        this.#proposed(message.slot, message.target, message.base, message.count, message.checksum);
        return this.#placed(message.slot, message.target, message.base, to);
      case "stored":
        return this.#answered(node, message.slot, message.epoch);
      case "recovery-stored":
      case "sealed":
        return this.#answered(node, message.slot, message.by);
      default:
    }
  }

  /** Invariant 1: one value for each epoch and offset. */
  #proposed(slot: Slot, epoch: number, base: number, count: number, value: number): void {
    const { values } = this.#of(slot);
    const key = `${epoch}:${base}`;
    const had = values.get(key);
    if (had === undefined) values.set(key, { value, count });
    else if (had.value !== value || had.count !== count)
      broken(
        "I1",
        `slot ${slot} epoch ${epoch} offset ${base} has values ${had.value} and ${value}`,
      );
  }

  /** Invariant 11: copies are sent to members of the row only. */
  #placed(slot: Slot, epoch: number, base: number, to: NodeId): void {
    const record = this.#metadata().history[slot]?.get(epoch);
    if (record === undefined) broken("I11", `epoch ${epoch} was never opened`);
    const row = rowOf(record.placement, base);
    if (positionOf(record.placement.table, row, to) < 0)
      broken(
        "I11",
        `slot ${slot} epoch ${epoch} offset ${base} is sent to ${to}, not in row ${row}`,
      );
  }

  /** Invariants 8 and 9: no vote or answer below a fence that was answered, restarts included. */
  #answered(node: NodeId, slot: Slot, epoch: number): void {
    const key = `${node}:${slot}`;
    const fence = this.#fences.get(key) ?? 0;
    if (epoch < fence)
      broken("I8", `node ${node} answers epoch ${epoch} of slot ${slot} below its fence ${fence}`);
    this.#fences.set(key, epoch);
  }

  /** Copies of one value: durable ones on its row, and those whose loss its leader cannot know yet. */
  #copies(slot: Slot, record: EpochRecord, base: number, learned: number): number {
    const { table } = record.placement;
    const row = rowOf(record.placement, base);
    const value = this.#of(slot).values.get(`${record.epoch}:${base}`)?.value;
    const isOs = this.#metadata().rules.durability === "os";
    let copies = 0;
    for (let position = 0; position < table.width; position += 1) {
      const node = memberAt(table, row, position);
      const host = this.#nodes().find((one) => one.node === node);
      const copy = host?.copies.find(slot, record.epoch, base);
      const limit = isOs ? (host?.copies.written ?? 0) : (host?.copies.durable ?? 0);
      const isHeld = copy !== undefined && copy.copy.checksum === value && copy.ticket <= limit;
      const losses = this.#of(slot).lost.get(`${record.epoch}:${base}`) ?? [];
      const isLost = losses.some((loss) => loss.node === node && loss.registeredAt() > learned);
      if ((isHeld && !copy.isDamaged) || isLost) copies += 1;
    }
    return copies;
  }

  /** A copy is gone although it was durable. */
  lost(node: NodeId, copy: StoredCopy, registeredAt: () => number): void {
    const key = `${copy.epoch}:${copy.copy.base}`;
    const { lost } = this.#of(copy.slot);
    const losses = lost.get(key) ?? [];
    losses.push({ node, registeredAt });
    lost.set(key, losses);
  }

  /** Invariants 2, 3, 4, 7: what a client is told. `learned` = metadata that the leader has applied. */
  acked(slot: Slot, epoch: number, base: number, end: number, learned: number): void {
    const record = this.#metadata().history[slot]?.get(epoch);
    const value = this.#of(slot).values.get(`${epoch}:${base}`);
    if (record === undefined || value === undefined)
      broken("I1", "an unknown batch is acknowledged");
    if (record.end >= 0 && base >= record.end)
      broken("I3", `slot ${slot} epoch ${epoch} offset ${base} acknowledged, end is ${record.end}`);
    const copies = this.#copies(slot, record, base, learned);
    if (copies < record.placement.writeQuorum)
      broken("I4", `slot ${slot} epoch ${epoch} offset ${base} acknowledged with ${copies} copies`);
    this.#of(slot).acked.push({ epoch, base, end, value: value.value });
    this.ackedCount += 1;
    this.#see(slot, base, value.value, value.count, "acknowledged");
  }

  /** Invariant 7: an offset never changes its value. */
  #see(slot: Slot, base: number, value: number, count: number, how: string): void {
    const { visible } = this.#of(slot);
    const had = visible.get(base);
    if (had === undefined) visible.set(base, { value, count });
    else if (had.value !== value)
      broken("I7", `slot ${slot} offset ${base} was ${had.value}, is ${value} (${how})`);
  }

  /** Invariants 2, 5, 6, 13: an end is decided. */
  ended(slot: Slot, record: EpochRecord, partition: PartitionEpochs): void {
    const truth = this.#of(slot);
    const { epoch, start, end, lossPossible, placement } = record;
    if (lossPossible && this.powerCutsOfAll === 0 && this.lossyFailures < placement.writeQuorum)
      broken("I2", `a loss is flagged after ${this.lossyFailures} lossy failures`);
    if (lossPossible) {
      for (const base of [...truth.visible.keys()]) if (base >= end) truth.visible.delete(base);
      truth.acked = truth.acked.filter((acked) => acked.epoch !== epoch || acked.base < end);
    }
    for (let i = truth.acked.length - 1; i >= 0; i -= 1) {
      const acked = truth.acked[i];
      if (acked === undefined || acked.epoch < epoch) break;
      if (acked.epoch === epoch && acked.base >= end)
        broken(
          "I2",
          `slot ${slot} epoch ${epoch}: offset ${acked.base} was acknowledged, end is ${end}`,
        );
    }
    for (let at = Math.max(start, partition.logStart); at < end; ) {
      const value = truth.values.get(`${epoch}:${at}`);
      if (value === undefined)
        broken("I6", `slot ${slot} epoch ${epoch}: a hole at ${at} below ${end}`);
      const isNew = !truth.visible.has(at);
      this.#see(slot, at, value.value, value.count, "sealed");
      const copies = isNew ? this.#copies(slot, record, at, 0) : placement.writeQuorum;
      if (copies < placement.writeQuorum && !lossPossible && this.powerCutsOfAll === 0)
        broken("I13", `slot ${slot} epoch ${epoch} offset ${at} is sealed with ${copies} copies`);
      at += value.count;
    }
  }

  trimmed(slot: Slot, logStart: number): void {
    this.#of(slot).logStart = Math.max(this.#of(slot).logStart, logStart);
  }

  /** Invariants 7, 10, 12, 17: what a member says to a reader. */
  read(slot: Slot, node: NodeId, at: number, answer: ReadAnswer, learned: PartitionEpochs): void {
    const truth = this.#of(slot);
    this.reads += 1;
    if (answer.kind === "trimmed" && truth.logStart <= at)
      broken("I17", `slot ${slot} offset ${at} is called trimmed, log start is ${truth.logStart}`);
    if (answer.kind === "absent") {
      const epoch = ownerOf(learned, at)?.epoch ?? 0;
      const losses = truth.lost.get(`${epoch}:${at}`) ?? [];
      const isKept = this.#nodes()
        .find((one) => one.node === node)
        ?.copies.find(slot, epoch, at);
      if (losses.some((loss) => loss.node === node) && isKept === undefined && truth.logStart <= at)
        broken("I10", `node ${node} lost slot ${slot} offset ${at} and calls it absent`);
      if (isKept?.isDamaged === true) broken("I10", `node ${node} calls a damaged copy absent`);
    }
    if (answer.kind === "absent" && at < learned.logStart)
      broken("I10", `node ${node} calls a trimmed offset absent`);
    this.shown(slot, node, answer);
  }

  /** Whoever asked. */
  shown(slot: Slot, node: NodeId, answer: ReadAnswer): void {
    if (answer.kind !== "present") return;
    const at = answer.copy.base;
    const owner = this.#metadata().history[slot]?.get(answer.epoch);
    const isOrphan = owner === undefined || (owner.end >= 0 && at >= owner.end);
    if (isOrphan) broken("I12", `node ${node} shows an orphan of epoch ${answer.epoch} at ${at}`);
    this.#see(slot, at, answer.copy.checksum, answer.copy.count, `read at node ${node}`);
  }

  /** At the end: everything acknowledged has an owner, and W copies on its row, all of them if `full`. */
  final(slot: Slot, wantsAll: boolean): void {
    const truth = this.#of(slot);
    const partition = this.#metadata().partition(slot);
    for (const acked of truth.acked) {
      if (acked.end <= partition.logStart) continue;
      const record = this.#metadata().history[slot]?.get(acked.epoch);
      if (record === undefined || (record.end >= 0 && acked.base >= record.end))
        broken("I2", `slot ${slot} epoch ${acked.epoch}: offset ${acked.base} is cut`);
      if (this.powerCutsOfAll > 0 && this.#metadata().rules.durability === "os") continue;
      const { writeQuorum, table } = record.placement;
      const isSealed = epochRecord(partition, acked.epoch)?.state === "sealed";
      const needed = wantsAll && isSealed ? table.width : writeQuorum;
      const copies = this.#copies(slot, record, acked.base, Number.MAX_SAFE_INTEGER);
      if (copies >= needed) continue;
      const lost = truth.lost.get(`${acked.epoch}:${acked.base}`)?.length ?? 0;
      if (lost >= writeQuorum || (!wantsAll && copies + lost >= needed)) continue;
      broken(
        "I20",
        `slot ${slot} offset ${acked.base} of epoch ${acked.epoch} has ${copies} copies`,
      );
    }
  }
}
