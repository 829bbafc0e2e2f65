// Replicators of a few nodes that talk in memory, without faults; the faults are in the simulator.

import { describe, expect, test } from "bun:test";
import { Copies } from "../../../test/sim/replication/copies.ts";
import type { CopysetTable, Placement } from "../base/copyset.ts";
import type { EpochRecord, PartitionEpochs } from "../base/epochs.ts";
import {
  leaderEpoch,
  metadataIndex,
  nodeId,
  type NodeId,
  type Offset,
  offset,
  slot as slotOf,
  ticket,
} from "../base/ids.ts";
import type { Proposal, ReplicationEffects } from "./effects.ts";
import type { PeerMessage } from "./messages.ts";
import { Replicator } from "./replicator.ts";
import { replicationLimits } from "./settings.ts";

const slot = slotOf(0);
const bytes = new Uint8Array(100);

function placed(rows: readonly (readonly number[])[], writeQuorum: number): Placement {
  const [width, members] = [rows[0]?.length ?? 0, Int32Array.from(rows.flat())];
  const table: CopysetTable = {
    ...{ id: 1, version: 1, strategy: "per_record_coordinator", width, members },
  };
  return { table, salt: 0, shift: 0, writeQuorum };
}

function epochsOf(placement: Placement): PartitionEpochs {
  const record: EpochRecord = {
    epoch: leaderEpoch(1),
    leader: nodeId(0),
    leaderIncarnation: 1,
    state: "open",
    start: offset(0),
    end: -1,
    placement,
    lossPossible: false,
  };
  const [current, logStart] = [record.epoch, offset(0)];
  return { current, logStart, durability: "fsync", placement, epochs: [record] };
}

/** Nodes whose messages wait until they are carried. */
class Cluster {
  readonly replicators: Replicator[] = [];
  readonly copies: Copies[] = [];
  readonly waiting: { from: NodeId; to: NodeId; message: PeerMessage }[] = [];
  readonly proposals: Proposal[] = [];
  readonly committed: number[] = [];
  failed = 0;
  readonly silent = new Set<number>();
  readonly #sinks: ReplicationEffects[] = [];

  constructor(count: number, placement: Placement, limits = replicationLimits) {
    for (let node = 0; node < count; node += 1) {
      const record = { node: nodeId(node), incarnation: metadataIndex(1), isLimbo: false };
      this.replicators.push(new Replicator(record, limits, []));
      this.copies.push(new Copies());
      this.#sinks.push(this.#sink(node));
    }
    this.replicators.forEach((replicator, node) => {
      const sink = this.sink(node);
      for (let other = 0; other < count; other += 1)
        replicator.nodeApplied({ node: nodeId(other), incarnation: 1, isLimbo: false }, sink);
      replicator.registered(slot, epochsOf(placement), sink);
    });
  }

  sink(node: number): ReplicationEffects {
    const sink = this.#sinks[node];
    if (sink === undefined) throw new Error("the node exists");
    return sink;
  }

  of(node: number): { readonly replicator: Replicator; readonly copies: Copies } {
    const [replicator, copies] = [this.replicators[node], this.copies[node]];
    if (replicator === undefined || copies === undefined) throw new Error("the node exists");
    return { replicator, copies };
  }

  #sink(node: number): ReplicationEffects {
    const copies = this.copies[node];
    if (copies === undefined) throw new Error("the node exists");
    return {
      send: (to, message) => this.waiting.push({ from: nodeId(node), to, message }),
      append: (...copy) => copies.append(...copy),
      fence: (...fence) => copies.fence(...fence),
      survey: () => {},
      readCopy: () => {},
      drop: (...orphans) => copies.drop(...orphans),
      trim: (...trimmed) => copies.trim(...trimmed),
      propose: (proposal) => this.proposals.push(proposal),
      pullMetadata: () => {},
    };
  }

  produce(checksum: number): string {
    const { replicator } = this.of(0);
    const producing = {
      committed: (_: unknown, base: Offset) => this.committed.push(base),
      failed: () => {
        this.failed += 1;
      },
    };
    return replicator.produce(slot, 1, checksum, bytes, producing, this.sink(0));
  }

  /** Delivers and syncs until nobody has anything to say. */
  carry(): void {
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      const { from, to, message } = next;
      if (this.silent.has(to)) continue;
      const { replicator, copies } = this.of(to);
      replicator.receive(from, message, this.sink(to));
      copies.write();
      copies.sync(copies.written);
      replicator.appended(ticket(copies.written), ticket(copies.durable), this.sink(to));
    }
  }
}

describe("replication: many nodes", () => {
  test("replication: a leader outside of its rows keeps no byte of its records", () => {
    const cluster = new Cluster(4, placed([[1, 2, 3]], 2));
    for (let i = 0; i < 10; i += 1) {
      expect(cluster.produce(i)).toBe("taken");
      cluster.carry();
    }
    expect(cluster.committed).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(cluster.copies.map((copies) => copies.bytes)).toEqual([0, 1000, 1000, 1000]);
  });

  test("replication: one node with one copy is a row of one", () => {
    const cluster = new Cluster(1, placed([[0]], 1));
    cluster.produce(1);
    expect(cluster.committed).toEqual([]);
    cluster.carry();
    expect(cluster.committed).toEqual([0]);
  });

  for (const [writeQuorum, dead] of [
    [1, 2],
    [2, 1],
    [3, 0],
  ] as const)
    test(`replication: W copies commit and fewer do not (W ${writeQuorum})`, () => {
      const cluster = new Cluster(4, placed([[1, 2, 3]], writeQuorum));
      for (let node = 1; node <= dead; node += 1) cluster.silent.add(node);
      cluster.produce(1);
      cluster.carry();
      expect(cluster.committed).toEqual([0]);
      cluster.silent.add(dead + 1);
      cluster.produce(2);
      cluster.carry();
      expect(cluster.committed).toEqual([0]);
    });

  test("replication: a slow row holds back the batches behind it, and they commit in order", () => {
    const rows = [
      [1, 2, 3],
      [4, 5, 6],
    ];
    const cluster = new Cluster(7, placed(rows, 2));
    for (const node of [1, 2]) cluster.silent.add(node);
    cluster.produce(1);
    cluster.produce(2);
    cluster.carry();
    expect(cluster.committed).toEqual([]);
    cluster.silent.clear();
    cluster.of(0).replicator.tick(replicationLimits.resendMs, cluster.sink(0));
    cluster.carry();
    expect(cluster.committed).toEqual([0, 1]);
  });

  test("replication: what is held for a member that lags is bounded, and it is fed again", () => {
    const limits = { ...replicationLimits, laggingBytesMax: 300 };
    const cluster = new Cluster(4, placed([[1, 2, 3]], 2), limits);
    cluster.silent.add(3);
    for (let i = 0; i < 20; i += 1) {
      cluster.produce(i);
      cluster.carry();
      expect(cluster.of(0).replicator.leaderOf(slot)?.bytesHeld).toBeLessThanOrEqual(300);
    }
    expect(cluster.committed).toHaveLength(20);
    expect(cluster.of(0).replicator.leaderOf(slot)?.laggingCount).toBe(1);
    cluster.silent.clear();
    cluster.produce(20);
    cluster.carry();
    expect(cluster.of(0).replicator.leaderOf(slot)?.laggingCount).toBe(0);
  });

  test("replication: members that have fallen silent are reported, and the leader resigns below W", () => {
    const cluster = new Cluster(4, placed([[1, 2, 3]], 2));
    for (const node of [2, 3]) cluster.silent.add(node);
    cluster.produce(1);
    cluster.carry();
    const { replicator } = cluster.of(0);
    expect(replicator.leaderOf(slot)?.silentMembers(100, 100).map(Number)).toEqual([2, 3]);
    replicator.tick(replicationLimits.leaderBelowWMs, cluster.sink(0));
    expect(cluster.proposals.map(({ kind }) => kind)).toContain("resign");
  });

  test("replication: a full window parks, a full queue refuses", () => {
    const limits = { ...replicationLimits, batchesInFlightMax: 1, parkedBatchesMax: 1 };
    const cluster = new Cluster(4, placed([[1, 2, 3]], 2), limits);
    expect([cluster.produce(1), cluster.produce(2), cluster.produce(3)]).toEqual([
      ...["taken", "taken", "full"],
    ]);
    cluster.carry();
    expect(cluster.committed).toEqual([0, 1]);
  });

  test("replication: who does not lead takes nothing", () => {
    const cluster = new Cluster(4, placed([[1, 2, 3]], 2));
    const { replicator } = cluster.of(1);
    expect(replicator.produce(slot, 1, 1, bytes, null, cluster.sink(1))).toBe("not-leader");
  });
});
