import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Command, Outcome, TopicToCreate } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import {
  type MetadataIndex,
  metadataIndex,
  nodeId,
  noTopicId,
  offset,
  partitionIndex,
  ticket,
  type Ticket,
} from "../base/ids.ts";
import {
  frameOverheadBytes,
  proposalsMax,
  proposalWaitMs,
  snapshotAfterBytes,
} from "../base/limits.ts";
import type { Settings } from "../base/settings.ts";
import { ClusterImage } from "../cluster/cluster.ts";
import { readMetadata } from "../../wire/metadata_records.ts";
import { type ControlEffects, ControlNode, snapshotBatches } from "./control.ts";

const settings: Settings = {
  nodeId: nodeId(1),
  clusterId: "AAAAAAAAAAAAAAAAAAAAAQ",
  starts: 1,
  segmentBytes: 64 * 1024 * 1024,
  version: "0.0.0-test",
  durability: "fsync",
  replicationFactor: 1,
  writeQuorum: 1,
  kafka: new Map(),
  seed: [1, 2, 3, 4],
};

const register: Command = {
  kind: "register",
  node: nodeId(1),
  host: "h",
  port: 1,
  diskId: "d",
  starts: 1,
  ticket: 0,
  clusterId: settings.clusterId,
};

function create(name: string, partitions = 1, configs: TopicToCreate["configs"] = []): Command {
  const topic = {
    name,
    partitions,
    replicationFactor: 1,
    assignments: [],
    configs,
    internal: false,
  };
  return { kind: "create-topics", topics: [topic], validateOnly: false };
}

/** A control node on a log in memory that becomes durable when the test says so. */
class Bench {
  readonly node = new ControlNode(settings);
  readonly log: { readonly base: number; readonly batch: Uint8Array }[] = [];
  /** What was told to the data thread: metadata, and outcomes by request, in order. */
  readonly told: ("metadata" | number)[] = [];
  readonly outcomes = new Map<number, Outcome>();
  readonly committed: Uint8Array[] = [];
  readonly snapshots: { readonly index: MetadataIndex; readonly batches: Uint8Array }[] = [];
  readonly trims: number[] = [];
  readonly fatals: string[] = [];
  credit = 64 * 1024 * 1024;
  #tail = 0;
  #now = 0;

  readonly #effects: ControlEffects = {
    append: (base, _count, batch): Ticket => {
      this.#tail += batch.byteLength + frameOverheadBytes;
      this.log.push({ base, batch: new Uint8Array(batch) });
      return ticket(this.#tail);
    },
    committed: (batches) => {
      this.told.push("metadata");
      this.committed.push(new Uint8Array(batches));
    },
    outcome: (request, outcome) => {
      this.told.push(request);
      this.outcomes.set(request, outcome);
    },
    snapshot: (index, batches) => void this.snapshots.push({ index, batches }),
    trim: (index) => void this.trims.push(index),
    log: () => {},
    fatal: (event) => void this.fatals.push(event),
  };

  get tail(): number {
    return this.#tail;
  }
  propose(request: number, command: Command): void {
    this.node.step({ kind: "propose", request, command }, this.#effects);
  }
  progress(durable: number = this.#tail): void {
    const { credit } = this;
    this.node.step(
      { kind: "appended", written: ticket(this.#tail), durable: ticket(durable), credit },
      this.#effects,
    );
  }
  tick(ms: number): void {
    this.#now += ms;
    this.node.step(
      { kind: "tick", now: this.#now, wall: 1_700_000_000_000 + this.#now },
      this.#effects,
    );
  }
  replay(batches: Uint8Array): void {
    this.node.step({ kind: "replay", batches }, this.#effects);
  }
  snapshotDone(): void {
    const { index } = this.snapshots.at(-1) ?? { index: metadataIndex(0) };
    this.node.step({ kind: "snapshot-done", index }, this.#effects);
  }
  snapshotFailed(): void {
    const { index } = this.snapshots.at(-1) ?? { index: metadataIndex(0) };
    this.node.step({ kind: "snapshot-failed", index }, this.#effects);
  }
  start(): this {
    this.progress();
    this.propose(0, register);
    this.progress();
    this.told.length = 0;
    return this;
  }
  /** The log grows by at least `bytes`, by trims of a topic that does not exist. */
  grow(bytes: number): void {
    const trims = Array.from({ length: 20_000 }, (_, i) => ({
      topic: noTopicId,
      partition: partitionIndex(i),
      offset: offset(1),
    }));
    let grown = 0;
    while (grown < bytes) {
      this.propose(1_000_000, { kind: "trim", trims });
      const length = this.log.at(-1)?.batch.byteLength ?? 0;
      grown += length;
      if (grown < bytes) this.progress();
    }
  }
}

function saidBy(image: ClusterImage): Uint8Array {
  return snapshotBatches(image, 0);
}

/** The image of a data thread that was told this. */
function imageOf(batches: readonly Uint8Array[]): ClusterImage {
  const image = new ClusterImage(settings);
  for (const each of batches)
    expect(readMetadata(each, (record, index) => void image.apply(record, index))).toBeNull();
  return image;
}

describe("node: control", () => {
  test("a proposal is answered when it is durable, and its metadata comes first", () => {
    const bench = new Bench().start();
    bench.propose(1, create("a"));
    bench.progress(bench.tail - 1);
    expect(bench.told).toEqual([]);
    bench.progress();
    expect(bench.told).toEqual(["metadata", 1]);
    expect(bench.outcomes.get(1)).toMatchObject({ topics: [{ code: 0 }] });
    expect(bench.node.idle).toBe(true);
  });

  test("proposals see what was appended before them, and one sync commits all that came meanwhile", () => {
    const bench = new Bench().start();
    for (const request of [1, 2, 3])
      bench.propose(request, create(request === 2 ? "a" : `a${request}`));
    bench.propose(4, create("a"));
    expect(bench.log.length).toBe(1 + 3);
    bench.progress();
    expect(bench.told).toEqual(["metadata", 1, "metadata", 2, "metadata", 3, 4]);
    expect(bench.outcomes.get(4)).toMatchObject({
      topics: [{ code: ErrorCode.TOPIC_ALREADY_EXISTS }],
    });
  });

  test("a no waits for the record that it rests on, and comes at once where nothing is on its way", () => {
    const bench = new Bench().start();
    bench.propose(1, create("a"));
    bench.propose(2, create("a"));
    expect(bench.told).toEqual([]);
    bench.progress();
    bench.propose(3, create("a"));
    expect(bench.told).toEqual(["metadata", 1, 2, 3]);
  });

  test("nothing is appended beyond the credit; what waits is planned when there is room", () => {
    const bench = new Bench();
    bench.credit = 100;
    bench.progress();
    bench.propose(0, register);
    expect(bench.log.length).toBe(0);
    bench.credit = 10_000;
    bench.progress();
    expect(bench.log.length).toBe(1);
    bench.progress();
    expect(bench.told).toEqual(["metadata", 0]);
  });

  test("a proposal that waits too long, or too many of them, is refused with a retriable code", () => {
    const bench = new Bench();
    const command: Command = { kind: "allocate-producer-ids", count: 1000 };
    for (let request = 0; request <= proposalsMax; request += 1) bench.propose(request, command);
    expect(bench.told).toEqual([proposalsMax]);
    bench.tick(proposalWaitMs - 1);
    expect(bench.told.length).toBe(1);
    bench.tick(1);
    expect(bench.told.length).toBe(1 + proposalsMax);
    expect(bench.outcomes.get(7)).toMatchObject({
      kind: "refused",
      verdict: { code: ErrorCode.REQUEST_TIMED_OUT },
    });
    expect(bench.node.idle).toBe(true);
  });

  test("a command that no entry can hold is refused, and the image stays as it is", () => {
    const bench = new Bench().start();
    const said = saidBy(bench.node.image);
    const value = "0:1,".repeat(2499).slice(0, -1);
    const topics = Array.from({ length: 1000 }, (_, i) =>
      create(`t${i}`, 1, [{ name: "leader.replication.throttled.replicas", value }]),
    );
    bench.propose(1, {
      kind: "create-topics",
      topics: topics.flatMap((each) => (each.kind === "create-topics" ? each.topics : [])),
      validateOnly: false,
    });
    expect(bench.outcomes.get(1)).toMatchObject({
      kind: "refused",
      verdict: { code: ErrorCode.POLICY_VIOLATION },
    });
    expect(saidBy(bench.node.image)).toEqual(said);
  });

  test("the log replays to the same image, and the data thread was told the same", () => {
    const bench = new Bench().start();
    bench.propose(1, create("a", 5));
    bench.propose(2, create("b"));
    bench.progress();
    const again = new Bench();
    for (const { batch } of bench.log) again.replay(batch);
    expect(saidBy(again.node.image)).toEqual(saidBy(bench.node.image));
    expect(saidBy(imageOf(again.committed))).toEqual(saidBy(bench.node.image));
    expect(saidBy(imageOf(bench.committed))).toEqual(saidBy(bench.node.image));
  });

  test("two starts with the same seed give their topics different ids", () => {
    const ids = [0, 1].map((restarts) => {
      const bench = new Bench().start();
      for (let i = 0; i < restarts; i += 1) {
        const next = new Bench();
        for (const { batch } of bench.log) next.replay(batch);
        next.start();
        next.propose(1, create("x"));
        return next.node.image.topicByName("x")?.id;
      }
      bench.propose(1, create("x"));
      return bench.node.image.topicByName("x")?.id;
    });
    expect(ids[0]).not.toBe(ids[1]);
  });

  test("after 16 MiB of log comes a snapshot of what is committed, then the log below it may go", () => {
    const bench = new Bench().start();
    bench.propose(1, create("t"));
    bench.grow(snapshotAfterBytes);
    bench.propose(2, create("held back"));
    bench.propose(3, create("late"));
    expect(bench.snapshots).toEqual([]);
    expect(bench.node.image.topicByName("late")).toBeUndefined();
    bench.progress();
    expect(bench.snapshots.length).toBe(1);
    expect(bench.node.image.topicByName("late")).toBeDefined();
    const snapshot = imageOf(bench.snapshots.map((each) => each.batches));
    expect(snapshot.topicByName("late")).toBeUndefined();
    bench.snapshotDone();
    expect(bench.trims).toEqual([snapshot.index]);
    bench.progress();
    const again = new Bench();
    again.replay(bench.snapshots[0]?.batches ?? new Uint8Array(0));
    for (const { base, batch } of bench.log) if (base > snapshot.index) again.replay(batch);
    expect(saidBy(again.node.image)).toEqual(saidBy(bench.node.image));
    expect(saidBy(imageOf(again.committed))).toEqual(saidBy(bench.node.image));
  });

  test("while a snapshot is written no other is asked for; a failed one is tried again later", () => {
    const bench = new Bench().start();
    bench.propose(1, create("t"));
    bench.grow(snapshotAfterBytes);
    bench.progress();
    bench.grow(snapshotAfterBytes / 2);
    bench.progress();
    expect(bench.snapshots.length).toBe(1);
    bench.snapshotFailed();
    expect([bench.snapshots.length, bench.trims.length]).toEqual([1, 0]);
    bench.grow(snapshotAfterBytes / 2);
    bench.progress();
    expect(bench.snapshots.length).toBe(2);
  });

  test("replayed log counts for the next snapshot, the snapshot itself does not", () => {
    const bench = new Bench().start();
    bench.propose(1, create("t"));
    bench.grow(snapshotAfterBytes);
    const again = new Bench();
    for (const { batch } of bench.log) again.replay(batch);
    again.start();
    expect(again.snapshots.length).toBe(1);
    const third = new Bench();
    third.replay(again.snapshots[0]?.batches ?? new Uint8Array(0));
    third.start();
    expect(third.snapshots.length).toBe(0);
  });

  const damaged: readonly (readonly [string, (log: Uint8Array[]) => Uint8Array[], string])[] = [
    ["a batch is missing", (log) => log.toSpliced(1, 1), "metadata-gap"],
    [
      "a bit is flipped",
      (log) =>
        log.map((batch, i) =>
          i === 1 ? batch.map((byte, at) => (at === 80 ? byte ^ 4 : byte)) : batch,
        ),
      "metadata-unreadable",
    ],
  ];
  for (const [what, harm, event] of damaged) {
    test(`a log that cannot be read is fatal, never skipped (${what})`, () => {
      const bench = new Bench().start();
      for (const name of ["a", "b", "c"]) bench.propose(1, create(name));
      const again = new Bench();
      for (const batch of harm(bench.log.map((each) => each.batch)))
        if (again.fatals.length === 0) again.replay(batch);
      expect(again.fatals).toEqual([event]);
      expect(again.node.image.topicByName("c")).toBeUndefined();
    });
  }

  test("a snapshot without its end is fatal", () => {
    const bench = new Bench().start();
    for (let i = 0; i < 100; i += 1) bench.propose(i, create(`t${i}`));
    const whole = snapshotBatches(bench.node.image, 0);
    const view = new DataView(whole.buffer);
    const again = new Bench();
    again.replay(whole.slice(0, view.getInt32(8) + 12));
    again.propose(0, register);
    expect(again.fatals).toEqual(["snapshot-cut"]);
  });

  test("whatever the disk does, what is told is the log, in order (any schedule)", () => {
    const act = fc.oneof(
      fc.record({ kind: fc.constant("propose" as const), name: fc.constantFrom("a", "b", "c") }),
      fc.record({
        kind: fc.constant("sync" as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
        credit: fc.nat(2000),
      }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const bench = new Bench().start();
        let durable = bench.tail;
        let request = 0;
        for (const each of acts) {
          if (each.kind === "propose") {
            request += 1;
            bench.propose(request, create(each.name));
          } else {
            durable += Math.floor((bench.tail - durable) * each.part);
            bench.credit = each.credit;
            bench.progress(durable);
          }
        }
        bench.credit = 1_000_000;
        bench.progress(durable);
        bench.progress();
        const requests = bench.told.filter((each) => each !== "metadata");
        expect(requests).toEqual(Array.from({ length: request }, (_, i) => i + 1));
        expect(bench.committed).toEqual(bench.log.map((each) => each.batch));
        expect(saidBy(imageOf(bench.committed))).toEqual(saidBy(bench.node.image));
      }),
    );
  });
});
