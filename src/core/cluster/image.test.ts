import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Command } from "../base/commands.ts";
import {
  type LeaderEpoch,
  noTopicId,
  type Offset,
  partitionIndex,
  type Slot,
  type TopicId,
} from "../base/ids.ts";
import type { MetadataRecord } from "../../../proto/records/metadata.ts";
import { ClusterImage, ConfigResource } from "./cluster.ts";
import { built, saidBy, Trial, trialSettings } from "./trial.ts";

/** What a client or the node itself may do, over a handful of names. */
const act = fc.oneof(
  fc.record({
    kind: fc.constant("create" as const),
    name: fc.constantFrom("a", "b", "c.d", "c_d"),
    count: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({
    kind: fc.constant("delete" as const),
    name: fc.constantFrom("a", "b", "c.d", "c_d"),
  }),
  fc.record({
    kind: fc.constant("grow" as const),
    name: fc.constantFrom("a", "b", "c.d", "c_d"),
    count: fc.integer({ min: 1, max: 6 }),
  }),
  fc.record({
    kind: fc.constant("retain" as const),
    name: fc.constantFrom("a", "b", "c.d", "c_d"),
    ms: fc.option(fc.nat(9)),
  }),
  fc.record({ kind: fc.constant("retain-all" as const), ms: fc.option(fc.nat(9)) }),
  fc.record({ kind: fc.constant("restart" as const) }),
  fc.record({
    kind: fc.constant("seal" as const),
    name: fc.constantFrom("a", "b"),
    partition: fc.nat(3),
    end: fc.nat(50),
  }),
  fc.record({
    kind: fc.constant("trim" as const),
    name: fc.constantFrom("a", "b"),
    partition: fc.nat(3),
    to: fc.nat(60),
  }),
  fc.record({ kind: fc.constant("ids" as const), count: fc.integer({ min: 1, max: 10 }) }),
);
type Act = typeof act extends fc.Arbitrary<infer A> ? A : never;

function retention(name: string, value: number | null, resource: "topic" | "broker"): Command {
  const setting = resource === "topic" ? "retention.ms" : "log.retention.ms";
  const operation = {
    name: setting,
    operation: value === null ? ("delete" as const) : ("set" as const),
    value: value === null ? null : String(value),
  };
  return {
    kind: "alter-configs",
    changes: [{ resource, name, replace: false, operations: [operation] }],
    validateOnly: false,
  };
}

function perform(trial: Trial, of: Act): void {
  const idOf = (name: string): TopicId => trial.image.topicByName(name)?.id ?? noTopicId;
  switch (of.kind) {
    case "create":
      trial.create(of.name, of.count);
      return;
    case "delete":
      trial.run({ kind: "delete-topics", topics: [idOf(of.name)] });
      return;
    case "grow":
      trial.run({
        kind: "create-partitions",
        topics: [{ name: of.name, count: of.count, assignments: null }],
        validateOnly: false,
      });
      return;
    case "retain":
      trial.run(retention(of.name, of.ms, "topic"));
      return;
    case "retain-all":
      trial.run(retention("", of.ms, "broker"));
      return;
    case "restart":
      trial.start();
      return;
    case "seal": {
      const slot = trial.image.topicByName(of.name)?.slotOf(of.partition);
      const epoch = slot === undefined ? (1 as LeaderEpoch) : trial.image.epochOf(slot); // proof: 1 is an epoch
      const seal = {
        topic: idOf(of.name),
        partition: partitionIndex(of.partition),
        epoch,
        end: of.end as Offset,
      }; // proof: a natural number
      trial.run({ kind: "commit-seals", seals: [seal] });
      return;
    }
    case "trim": {
      const trim = {
        topic: idOf(of.name),
        partition: partitionIndex(of.partition),
        offset: of.to as Offset,
      }; // proof: a natural number
      trial.run({ kind: "trim", trims: [trim] });
      return;
    }
    case "ids":
      trial.run({ kind: "allocate-producer-ids", count: of.count });
      return;
  }
}

/** Everything that an image answers, asked one by one: what a snapshot must carry. */
function answersOf(image: ClusterImage): unknown {
  const { index, clusterId, featureLevel, nextProducerId, topicCount, partitionCount } = image;
  const topics = [...image.topics()].map((topic) => ({
    id: topic.id,
    name: topic.name,
    internal: topic.internal,
    replicationFactor: topic.replicationFactor,
    configs: topic.configs,
    overrides: [...image.configs.of(ConfigResource.topic, topic.name)],
    collides: image.collisionOf(topic.name.replaceAll(".", "_")),
    partitions: [...topic.slots.keys()].map((i) => {
      const slot = topic.slotOf(i) ?? (-1 as Slot); // proof: below the length
      return {
        ...image.placeOf(slot),
        state: image.epochStateOf(slot),
        chain: image.chainOf(slot),
      };
    }),
  }));
  const names = image.configs.names(ConfigResource.broker);
  const brokers = names.map((name) => [name, ...image.configs.of(ConfigResource.broker, name)]);
  const counts = { index, clusterId, featureLevel, nextProducerId, topicCount, partitionCount };
  return { ...counts, nodes: [...image.nodes()], topics, brokers };
}

interface PlainTopic {
  partitions: number;
  retentionMs: number | null;
}

describe("cluster: image", () => {
  test("topics are what a plain map of them says (any history)", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
        const trial = new Trial();
        const plain = new Map<string, PlainTopic>();
        let retentionMs: number | null = null;
        const collides = (name: string): boolean =>
          name.startsWith("c") && (plain.has("c.d") || plain.has("c_d"));
        for (const each of acts) {
          perform(trial, each);
          const known = "name" in each ? plain.get(each.name) : undefined;
          if (each.kind === "create" && known === undefined && !collides(each.name))
            plain.set(each.name, { partitions: each.count, retentionMs: null });
          if (each.kind === "delete") plain.delete(each.name);
          if (each.kind === "grow" && known !== undefined)
            known.partitions = Math.max(known.partitions, each.count);
          if (each.kind === "retain" && known !== undefined) known.retentionMs = each.ms;
          if (each.kind === "retain-all") retentionMs = each.ms;
        }
        const { image } = trial;
        expect(image.topicNames()).toEqual([...plain.keys()].sort());
        expect([...image.topics()].map((topic) => topic.name)).toEqual([...plain.keys()]);
        let partitions = 0;
        for (const [name, { partitions: count, retentionMs: own }] of plain) {
          const topic = image.topicByName(name);
          expect(topic?.slots.length).toBe(count);
          expect(topic?.retentionMs).toBe(own ?? retentionMs ?? 604_800_000);
          expect(image.topicById(topic?.id ?? noTopicId)).toBe(topic);
          for (let i = 0; i < count; i += 1) {
            expect([
              image.slotTopic(trial.slot(name, i)),
              image.slotPartition(trial.slot(name, i)),
            ]).toEqual([topic, i] as never);
          }
          partitions += count;
        }
        expect([image.topicCount, image.partitionCount]).toEqual([plain.size, partitions]);
      }),
    );
  });

  test("a snapshot at any point and the log behind it build the image of the whole log", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 40 }), fc.nat(40), (acts, cut) => {
        const trial = new Trial();
        let snapshot: MetadataRecord[] = [];
        let behind = 0;
        for (const [i, each] of acts.entries()) {
          if (i === Math.min(cut, acts.length - 1)) {
            snapshot = saidBy(trial.image);
            behind = trial.log.length;
          }
          perform(trial, each);
        }
        const whole = saidBy(trial.image);
        const answers = answersOf(trial.image);
        const replayed = built(trial.settings, trial.log);
        expect([saidBy(replayed), answersOf(replayed)]).toEqual([whole, answers]);
        const restored = built(trial.settings, [...snapshot, ...trial.log.slice(behind)]);
        expect([saidBy(restored), answersOf(restored)]).toEqual([whole, answers]);
      }),
    );
  });

  test("records that were applied are old, records beyond the next are a gap, and neither changes anything", () => {
    const trial = new Trial();
    trial.create("t");
    const said = saidBy(trial.image);
    const record: MetadataRecord = { kind: "producer-ids", first: 0, count: 10 };
    expect(trial.image.apply(record, trial.image.index)).toBe("old");
    expect(trial.image.apply(record, trial.image.index + 2)).toBe("gap");
    expect(trial.image.apply({ kind: "snapshot", index: 1 }, 0)).toBe("old");
    expect(trial.image.apply({ kind: "snapshot", index: 100 }, 0)).toBe("gap");
    expect(saidBy(trial.image)).toEqual(said);
  });

  test("a repeated creation or deletion changes nothing", () => {
    const trial = new Trial();
    const id = trial.create("t", 2)?.id ?? noTopicId;
    const creation = trial.log.at(-1);
    const apply = (record: MetadataRecord | undefined): unknown =>
      record && trial.image.apply(record, trial.image.index + 1);
    expect(apply(creation)).toBe("skipped");
    expect(apply({ kind: "partitions", topicId: id, count: 2, leaders: [] })).toBe("skipped");
    expect(apply({ kind: "delete-topic", topicId: id })).toBe("applied");
    expect(apply({ kind: "delete-topic", topicId: id })).toBe("skipped");
    expect(apply({ kind: "configs", resource: 2, name: "t", changes: [] })).toBe("skipped");
    expect(trial.image.slotCount).toBe(2);
  });

  test("names do not outlive their topic, nor do its settings", () => {
    const trial = new Trial();
    const id = trial.create("t", 1, { "retention.ms": "5" })?.id ?? noTopicId;
    trial.run({ kind: "delete-topics", topics: [id] });
    trial.create("t");
    expect(trial.image.topicByName("t")?.retentionMs).toBe(604_800_000);
  });
});

describe("cluster: 100,000 partitions", () => {
  const count = 100_000;

  function wide(): { trial: Trial; bytes: number } {
    const trial = new Trial();
    for (let i = 0; i < 10; i += 1) trial.create(`t${i}`, count / 10);
    return { trial, bytes: trial.image.partitionBytes };
  }

  test("a partition costs at most 256 bytes, after a restart with records too", () => {
    const { trial, bytes } = wide();
    expect(bytes / count).toBeLessThan(128);
    trial.start();
    for (const topic of trial.image.topics()) {
      const seals = [...topic.slots.keys()].map((i) => ({
        topic: topic.id,
        partition: partitionIndex(i),
        epoch: 2 as LeaderEpoch,
        end: 9 as Offset,
      })); // proof: constants in range
      trial.run({ kind: "commit-seals", seals });
    }
    expect(trial.image.chainOf(trial.slot("t9", 7)).length).toBe(2);
    expect(trial.image.partitionBytes / count).toBeLessThan(256);
  });

  test("records do not grow with partitions: ten creations, one registration, ten seals", () => {
    const { trial } = wide();
    trial.start();
    expect(trial.log.length).toBe(3 + 10 + 1);
    expect(saidBy(trial.image).length).toBeLessThan(200);
  });

  test("applying touches each partition once, whatever is there already", () => {
    const image = new ClusterImage(trialSettings);
    const { trial } = wide();
    let touched = 0;
    for (const record of trial.log) image.apply(record, image.index + 1, () => (touched += 1));
    expect(touched).toBe(0);
    trial.changes.length = 0;
    trial.start();
    expect(trial.changes.length).toBe(0);
    const seals = [...(trial.image.topicByName("t3")?.slots.keys() ?? [])].map((i) => ({
      topic: trial.image.topicByName("t3")?.id ?? noTopicId,
      partition: partitionIndex(i),
      epoch: 2 as LeaderEpoch,
      end: 0 as Offset,
    })); // proof: constants in range
    trial.run({ kind: "commit-seals", seals });
    expect(trial.changes.length).toBe(count / 10);
  });
});
