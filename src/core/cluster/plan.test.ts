import { describe, expect, test } from "bun:test";
import type { Command, ConfigChange, TopicToCreate } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import {
  keyedProducerIdMin,
  leaderEpoch,
  nodeId,
  noTopicId,
  offset,
  partitionIndex,
  topicId,
} from "../base/ids.ts";
import {
  configsPerResourceMax,
  configuredResourcesMax,
  partitionsMax,
  partitionsPerCommandMax,
} from "../base/limits.ts";
import { ConfigResource } from "./cluster.ts";
import { Trial } from "./trial.ts";

const topic: TopicToCreate = {
  name: "t",
  partitions: 1,
  replicationFactor: 1,
  assignments: [],
  configs: [],
  internal: false,
};

function created(trial: Trial, over: Partial<TopicToCreate>, validateOnly = false) {
  const outcome = trial.run({
    kind: "create-topics",
    topics: [{ ...topic, ...over }],
    validateOnly,
  });
  return outcome.kind === "create-topics" ? outcome.topics[0] : undefined;
}

function withTopics(): Trial {
  const trial = new Trial();
  trial.create("a.b");
  trial.create("grown", 3);
  return trial;
}

describe("cluster: create topics", () => {
  const refusals: readonly (readonly [string, Partial<TopicToCreate>, number])[] = [
    ["exists", { name: "grown" }, ErrorCode.TOPIC_ALREADY_EXISTS],
    [
      "exists, and every other fault",
      { name: "grown", partitions: 0, configs: [{ name: "x", value: null }] },
      ErrorCode.TOPIC_ALREADY_EXISTS,
    ],
    ["no name", { name: "" }, ErrorCode.INVALID_TOPIC_EXCEPTION],
    ["dot", { name: "." }, ErrorCode.INVALID_TOPIC_EXCEPTION],
    ["two dots", { name: ".." }, ErrorCode.INVALID_TOPIC_EXCEPTION],
    ["250 characters", { name: "x".repeat(250) }, ErrorCode.INVALID_TOPIC_EXCEPTION],
    ["a slash", { name: "a/b" }, ErrorCode.INVALID_TOPIC_EXCEPTION],
    ["an umlaut", { name: "ü" }, ErrorCode.INVALID_TOPIC_EXCEPTION],
    ["a name that collides", { name: "a_b" }, ErrorCode.INVALID_TOPIC_EXCEPTION],
    ["an internal name", { name: "__consumer_offsets" }, ErrorCode.INVALID_TOPIC_EXCEPTION],
    [
      "a null setting",
      { configs: [{ name: "retention.ms", value: null }] },
      ErrorCode.INVALID_CONFIG,
    ],
    [
      "an unknown setting",
      { configs: [{ name: "retention", value: "1" }] },
      ErrorCode.INVALID_CONFIG,
    ],
    [
      "a bad setting before bad counts",
      { partitions: 0, configs: [{ name: "retention.ms", value: "x" }] },
      ErrorCode.INVALID_CONFIG,
    ],
    [
      "replication factor 0",
      { replicationFactor: 0, partitions: 0 },
      ErrorCode.INVALID_REPLICATION_FACTOR,
    ],
    ["replication factor -2", { replicationFactor: -2 }, ErrorCode.INVALID_REPLICATION_FACTOR],
    ["more copies than nodes", { replicationFactor: 2 }, ErrorCode.INVALID_REPLICATION_FACTOR],
    ["0 partitions", { partitions: 0 }, ErrorCode.INVALID_PARTITIONS],
    ["-2 partitions", { partitions: -2 }, ErrorCode.INVALID_PARTITIONS],
    [
      "too many partitions",
      { partitions: partitionsPerCommandMax + 1 },
      ErrorCode.POLICY_VIOLATION,
    ],
    [
      "counts beside an assignment",
      { replicationFactor: -1, assignments: [{ partition: 0, nodes: [1] }] },
      ErrorCode.INVALID_REQUEST,
    ],
    [
      "copies beside an assignment",
      { partitions: -1, assignments: [{ partition: 0, nodes: [1] }] },
      ErrorCode.INVALID_REQUEST,
    ],
    [
      "an unknown node",
      { partitions: -1, replicationFactor: -1, assignments: [{ partition: 0, nodes: [2] }] },
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ],
    [
      "a node below 0",
      { partitions: -1, replicationFactor: -1, assignments: [{ partition: 0, nodes: [-7] }] },
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ],
    [
      "a node twice",
      { partitions: -1, replicationFactor: -1, assignments: [{ partition: 0, nodes: [1, 1] }] },
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ],
    [
      "an empty list of nodes",
      { partitions: -1, replicationFactor: -1, assignments: [{ partition: 0, nodes: [] }] },
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ],
    [
      "a gap between partitions",
      { partitions: -1, replicationFactor: -1, assignments: [{ partition: 1, nodes: [1] }] },
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ],
    [
      "a partition twice",
      {
        partitions: -1,
        replicationFactor: -1,
        assignments: [
          { partition: 0, nodes: [1] },
          { partition: 0, nodes: [1] },
        ],
      },
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ],
  ];
  for (const [why, over, code] of refusals) {
    test(`refused, and nothing is logged (${why})`, () => {
      const trial = withTopics();
      const { length } = trial.log;
      expect(created(trial, over)).toMatchObject({ code, id: null, partitions: -1 });
      expect(trial.log.length).toBe(length);
    });
  }

  test("-1 takes the defaults of the cluster", () => {
    const trial = new Trial({ "num.partitions": "4" });
    expect(created(trial, { partitions: -1, replicationFactor: -1 })).toMatchObject({
      code: 0,
      partitions: 4,
      replicationFactor: 1,
    });
    expect(trial.image.topicByName("t")?.slots).toEqual(new Int32Array([0, 1, 2, 3]));
  });

  test("an assignment in any order is taken", () => {
    const trial = new Trial();
    const assignments = [1, 0].map((partition) => ({ partition, nodes: [1] }));
    expect(created(trial, { partitions: -1, replicationFactor: -1, assignments })).toMatchObject({
      code: 0,
      partitions: 2,
    });
  });

  test("validate only tells the counts, gives no id and logs nothing", () => {
    const trial = new Trial();
    const { length } = trial.log;
    expect(created(trial, { partitions: 5 }, true)).toMatchObject({
      code: 0,
      partitions: 5,
      id: null,
    });
    expect(trial.log.length).toBe(length);
  });

  test("topics of one command collide with each other", () => {
    const trial = new Trial();
    const topics = ["x.y", "x_y", "x.y"].map((name) => ({ ...topic, name }));
    const outcome = trial.run({ kind: "create-topics", topics, validateOnly: false });
    const codes = outcome.kind === "create-topics" ? outcome.topics.map((each) => each.code) : [];
    expect(codes).toEqual([0, ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.TOPIC_ALREADY_EXISTS]);
  });

  test("ids are 16 bytes, differ, and are not used again by a topic of the same name", () => {
    const trial = new Trial();
    const ids = new Set<string>();
    for (let i = 0; i < 50; i += 1) {
      const id = created(trial, {})?.id ?? "";
      expect(id).toMatch(/^[A-Za-z0-9_-]{21}[AQgw]$/);
      ids.add(id);
      trial.run({ kind: "delete-topics", topics: [topicId(id)] });
    }
    expect(ids.size).toBe(50);
  });

  test("the cluster creates its own internal topics", () => {
    const trial = new Trial();
    expect(
      created(trial, { name: "__consumer_offsets", internal: true, partitions: 50 })?.code,
    ).toBe(0);
    expect(trial.image.topicByName("__consumer_offsets")?.internal).toBe(true);
  });

  test("the cluster does not grow beyond its limit of partitions", () => {
    const trial = new Trial();
    for (let i = 0; i < partitionsMax / partitionsPerCommandMax; i += 1) {
      expect(created(trial, { name: `t${i}`, partitions: partitionsPerCommandMax })?.code).toBe(0);
    }
    expect(created(trial, { name: "one-more" })?.code).toBe(ErrorCode.POLICY_VIOLATION);
    const topics = [{ name: "t0", count: partitionsPerCommandMax + 1, assignments: null }];
    expect(trial.run({ kind: "create-partitions", topics, validateOnly: false })).toMatchObject({
      topics: [{ code: ErrorCode.POLICY_VIOLATION }],
    });
  });
});

describe("cluster: delete topics and add partitions", () => {
  test("a deleted topic is gone by name, id and slot, and its name is free again", () => {
    const trial = withTopics();
    const slot = trial.slot("a.b");
    const id = trial.image.slotTopic(slot)?.id ?? noTopicId;
    const outcome = trial.run({ kind: "delete-topics", topics: [id, id, noTopicId] });
    expect(outcome).toMatchObject({
      topics: [
        { code: 0 },
        { code: ErrorCode.UNKNOWN_TOPIC_ID },
        { code: ErrorCode.UNKNOWN_TOPIC_ID },
      ],
    });
    expect(trial.image.slotTopic(slot)).toBeUndefined();
    expect(trial.image.topicById(id)).toBeUndefined();
    expect(trial.changes.at(-1)).toMatchObject({
      kind: "topic-deleted",
      slots: new Int32Array([slot]),
    });
    expect(trial.create("a_b")?.code).toBe(0);
    expect(trial.slot("a_b")).toBe(4 as never);
  });

  test("internal topics are neither deleted nor grown", () => {
    const trial = new Trial();
    const id = created(trial, { name: "__consumer_offsets", internal: true })?.id ?? noTopicId;
    const code = ErrorCode.INVALID_TOPIC_EXCEPTION;
    expect(trial.run({ kind: "delete-topics", topics: [id] })).toMatchObject({
      topics: [{ code }],
    });
    const topics = [{ name: "__consumer_offsets", count: 60, assignments: null }];
    expect(trial.run({ kind: "create-partitions", topics, validateOnly: false })).toMatchObject({
      topics: [{ code }],
    });
  });

  const growths: readonly (readonly [
    string,
    number,
    readonly (readonly number[])[] | null,
    number,
  ])[] = [
    ["grown", 5, null, 0],
    ["grown", 5, [[1], [1]], 0],
    ["none", 5, null, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ["grown", 3, null, ErrorCode.INVALID_PARTITIONS],
    ["grown", 2, null, ErrorCode.INVALID_PARTITIONS],
    ["grown", -1, null, ErrorCode.INVALID_PARTITIONS],
    ["grown", 5, [[1]], ErrorCode.INVALID_REPLICA_ASSIGNMENT],
    ["grown", 4, [[2]], ErrorCode.INVALID_REPLICA_ASSIGNMENT],
    ["grown", 4, [[]], ErrorCode.INVALID_REPLICA_ASSIGNMENT],
    ["grown", 4, [[1, 1]], ErrorCode.INVALID_REPLICA_ASSIGNMENT],
    ["grown", partitionsPerCommandMax + 4, null, ErrorCode.POLICY_VIOLATION],
  ];
  for (const [name, count, assignments, code] of growths) {
    test(`more partitions (${name} to ${count} by ${JSON.stringify(assignments)}: ${code})`, () => {
      const trial = withTopics();
      const command: Command = {
        kind: "create-partitions",
        topics: [{ name, count, assignments }],
        validateOnly: false,
      };
      expect(trial.run(command)).toMatchObject({ topics: [{ code }] });
      expect(trial.image.topicByName("grown")?.slots.length).toBe(code === 0 ? count : 3);
    });
  }

  test("new partitions start in epoch 1 at offset 0, and validate only adds none", () => {
    const trial = withTopics();
    trial.start();
    const topics = [{ name: "grown", count: 4, assignments: null }];
    trial.run({ kind: "create-partitions", topics, validateOnly: true });
    expect(trial.image.topicByName("grown")?.slots.length).toBe(3);
    trial.run({ kind: "create-partitions", topics, validateOnly: false });
    const slot = trial.slot("grown", 3);
    expect([trial.image.epochOf(slot), trial.image.epochStateOf(slot)]).toEqual([
      1,
      "open",
    ] as never);
    expect(trial.image.epochStateOf(trial.slot("grown", 2))).toBe("recovering");
  });
});

describe("cluster: change settings", () => {
  type Operations = ConfigChange["operations"];
  function altered(trial: Trial, over: Partial<ConfigChange>, validateOnly = false): number {
    const change: ConfigChange = {
      resource: "topic",
      name: "grown",
      replace: false,
      operations: [],
      ...over,
    };
    const outcome = trial.run({ kind: "alter-configs", changes: [change], validateOnly });
    return outcome.kind === "alter-configs" ? (outcome.changes[0]?.code ?? -1) : -1;
  }
  function set(
    name: string,
    value: string | null,
    operation: Operations[number]["operation"] = "set",
  ): Operations {
    return [{ name, operation, value }];
  }
  function texts(
    trial: Trial,
    name = "grown",
    resource: number = ConfigResource.topic,
  ): Record<string, string> {
    return Object.fromEntries(trial.image.configs.of(resource, name));
  }

  const refusals: readonly (readonly [string, Partial<ConfigChange>, number])[] = [
    [
      "unknown topic",
      { name: "nope", operations: set("retention.ms", "1") },
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ],
    [
      "bad value of an unknown topic",
      { name: "nope", operations: set("retention.ms", "x") },
      ErrorCode.INVALID_CONFIG,
    ],
    ["no topic", { name: "", operations: set("retention.ms", "1") }, ErrorCode.INVALID_REQUEST],
    [
      "topic name",
      { name: "a b", operations: set("retention.ms", "1") },
      ErrorCode.INVALID_TOPIC_EXCEPTION,
    ],
    ["unknown setting", { operations: set("retention", "1") }, ErrorCode.INVALID_CONFIG],
    ["null value", { operations: set("retention.ms", null) }, ErrorCode.INVALID_REQUEST],
    [
      "null value, replacing",
      { replace: true, operations: set("retention.ms", null) },
      ErrorCode.INVALID_REQUEST,
    ],
    [
      "setting twice",
      { operations: [...set("retention.ms", "1"), ...set("retention.ms", "2")] },
      ErrorCode.INVALID_REQUEST,
    ],
    [
      "append to a number",
      { operations: set("retention.ms", "1", "append") },
      ErrorCode.INVALID_CONFIG,
    ],
    [
      "subtract from an unknown setting",
      { operations: set("retention", "1", "subtract") },
      ErrorCode.INVALID_CONFIG,
    ],
    [
      "append a bad element",
      { operations: set("cleanup.policy", "shred", "append") },
      ErrorCode.INVALID_CONFIG,
    ],
    [
      "unknown node",
      { resource: "broker", name: "2", operations: set("log.retention.bytes", "1") },
      ErrorCode.INVALID_REQUEST,
    ],
    [
      "fixed setting of a node",
      { resource: "broker", name: "1", operations: set("num.partitions", "3") },
      ErrorCode.INVALID_REQUEST,
    ],
    [
      "bad setting of all nodes",
      { resource: "broker", name: "", operations: set("log.retention.bytes", "x") },
      ErrorCode.INVALID_REQUEST,
    ],
    [
      "no group",
      { resource: "group", name: "", operations: set("consumer.session.timeout.ms", "1") },
      ErrorCode.INVALID_REQUEST,
    ],
    [
      "setting of a group",
      { resource: "group", name: "g", operations: set("consumer.session.timeout.ms", "0") },
      ErrorCode.INVALID_CONFIG,
    ],
    [
      "no subscription",
      { resource: "client-metrics", name: "", operations: set("interval.ms", "1000") },
      ErrorCode.INVALID_REQUEST,
    ],
    [
      "setting of a subscription",
      { resource: "client-metrics", name: "m", operations: set("interval.ms", "5") },
      ErrorCode.INVALID_REQUEST,
    ],
  ];
  for (const [why, over, code] of refusals) {
    test(`refused whole (${why})`, () => {
      const trial = withTopics();
      const { length } = trial.log;
      const operations = [...set("segment.bytes", "2000000"), ...(over.operations ?? [])];
      expect(
        altered(trial, {
          ...over,
          operations: over.resource === undefined ? operations : (over.operations ?? []),
        }),
      ).toBe(code);
      expect(trial.log.length).toBe(length);
    });
  }

  test("set, delete, append and subtract change one setting each", () => {
    const trial = withTopics();
    expect(
      altered(trial, {
        operations: [...set("retention.ms", "5"), ...set("cleanup.policy", "compact", "append")],
      }),
    ).toBe(0);
    expect(texts(trial)).toEqual({ "retention.ms": "5", "cleanup.policy": "delete,compact" });
    expect(trial.image.topicByName("grown")).toMatchObject({
      retentionMs: 5,
      compacts: true,
      deletes: true,
    });
    altered(trial, { operations: set("cleanup.policy", "delete", "subtract") });
    altered(trial, { operations: set("cleanup.policy", "compact", "append") });
    expect(texts(trial)).toEqual({ "retention.ms": "5", "cleanup.policy": "compact" });
    altered(trial, { operations: set("retention.ms", null, "delete") });
    expect(texts(trial)).toEqual({ "cleanup.policy": "compact" });
    altered(trial, { operations: set("cleanup.policy", "compact,delete", "subtract") });
    expect(trial.image.topicByName("grown")).toMatchObject({ compacts: false, deletes: false });
  });

  test("replacing takes out what is not named, and what changes nothing is not logged", () => {
    const trial = withTopics();
    altered(trial, {
      operations: [...set("retention.ms", "5"), ...set("segment.bytes", "2000000")],
    });
    const { length } = trial.log;
    expect(altered(trial, { operations: set("retention.ms", "5") })).toBe(0);
    expect(altered(trial, { replace: true, operations: set("retention.ms", "7") }, true)).toBe(0);
    expect(trial.log.length).toBe(length);
    expect(altered(trial, { replace: true, operations: set("retention.ms", "7") })).toBe(0);
    expect(texts(trial)).toEqual({ "retention.ms": "7" });
  });

  test("a setting of all nodes reaches every topic that does not set it", () => {
    const trial = withTopics();
    altered(trial, { operations: set("retention.bytes", "9") });
    trial.changes.length = 0;
    expect(
      altered(trial, { resource: "broker", name: "", operations: set("log.retention.bytes", "4") }),
    ).toBe(0);
    expect(trial.image.topicByName("a.b")?.retentionBytes).toBe(4);
    expect(trial.image.topicByName("grown")?.retentionBytes).toBe(9);
    expect(trial.changes.map((change) => change.kind)).toEqual([
      "configs-changed",
      "configs-changed",
    ]);
  });

  test("a node keeps settings that are nobody's, as in Kafka", () => {
    const trial = new Trial();
    expect(
      altered(trial, { resource: "broker", name: "1", operations: set("my.plugin.level", "3") }),
    ).toBe(0);
    expect(texts(trial, "1", ConfigResource.broker)).toEqual({ "my.plugin.level": "3" });
  });

  test("settings of one resource, and resources with settings, are bounded", () => {
    const trial = new Trial();
    const many = Array.from({ length: configsPerResourceMax + 1 }, (_, i) => ({
      name: `p${i}`,
      operation: "set" as const,
      value: "1",
    }));
    expect(altered(trial, { resource: "broker", name: "1", operations: many })).toBe(
      ErrorCode.POLICY_VIOLATION,
    );
    expect(altered(trial, { resource: "broker", name: "1", operations: many.slice(1) })).toBe(0);
    const operations = set("consumer.session.timeout.ms", "50000");
    const changes = Array.from({ length: configuredResourcesMax + 1 }, (_, i) => ({
      resource: "group" as const,
      name: `g${i}`,
      replace: false,
      operations,
    }));
    const outcome = trial.run({ kind: "alter-configs", changes, validateOnly: false });
    expect(outcome.kind === "alter-configs" && outcome.changes.at(-1)?.code).toBe(
      ErrorCode.POLICY_VIOLATION,
    );
    expect(altered(trial, { resource: "group", name: "more", operations })).toBe(
      ErrorCode.POLICY_VIOLATION,
    );
    expect(
      altered(trial, {
        resource: "group",
        name: "g5",
        operations: set("consumer.session.timeout.ms", "60000"),
      }),
    ).toBe(0);
  });

  test("a list grows to the length of a value and no further", () => {
    const trial = withTopics();
    let refused = 0;
    for (let i = 0; i < 2000 && refused === 0; i += 1) {
      refused = altered(trial, {
        operations: set("leader.replication.throttled.replicas", `${i}:1`, "append"),
      });
    }
    expect(refused).toBe(ErrorCode.INVALID_CONFIG);
  });
});

describe("cluster: nodes, seals, trims and producer ids", () => {
  test("the first registration names the cluster, and another cluster's node is refused", () => {
    const trial = new Trial();
    expect([trial.image.clusterId, trial.image.featureLevel, trial.image.index]).toEqual([
      trial.settings.clusterId,
      1,
      3,
    ] as never);
    expect(trial.image.nodeOf(nodeId(1))?.incarnation).toBe(3 as never);
    const register = {
      kind: "register",
      node: nodeId(2),
      host: "h",
      port: 1,
      diskId: "d",
      starts: 1,
      ticket: 0,
      clusterId: "other",
    } as const;
    expect(trial.run(register)).toMatchObject({ verdict: { code: ErrorCode.INVALID_REQUEST } });
    expect(trial.image.nodeOf(nodeId(2))).toBeUndefined();
  });

  const disks: readonly (readonly [string, string, number, number, boolean])[] = [
    ["the next start", "d", 6, 100, false],
    ["as many starts as before", "d", 5, 200, true],
    ["a shorter log", "d", 6, 99, true],
    ["another disk", "e", 1, 0, false],
  ];
  for (const [why, diskId, starts, ticket, warns] of disks) {
    test(`a disk that was put back is noticed (${why})`, () => {
      const trial = new Trial();
      const register = {
        kind: "register",
        node: nodeId(2),
        host: "h",
        port: 1,
        clusterId: trial.settings.clusterId,
      } as const;
      trial.run({ ...register, diskId: "d", starts: 5, ticket: 100 });
      const outcome = trial.run({ ...register, diskId, starts, ticket });
      expect(outcome.kind === "register" && outcome.verdict).toMatchObject({ code: 0 });
      expect(outcome.kind === "register" && outcome.verdict.message !== null).toBe(warns);
    });
  }

  test("one registration, one record, every partition of the node in its next epoch", () => {
    const trial = new Trial();
    trial.create("t", 1000);
    const { length } = trial.log;
    trial.start();
    expect(trial.log.length).toBe(length + 1);
    for (let i = 0; i < 1000; i += 1) {
      const slot = trial.slot("t", i);
      expect(
        trial.image.epochOf(slot) === leaderEpoch(2) &&
          trial.image.epochStateOf(slot) === "recovering",
      ).toBe(true);
    }
  });

  test("seals open what they name, skip what is stale, and say what opened", () => {
    const trial = new Trial();
    const id = trial.create("t", 3)?.id ?? noTopicId;
    trial.start();
    trial.changes.length = 0;
    const seal = (partition: number, epoch: number, end: number, of = id) => ({
      topic: of,
      partition: partitionIndex(partition),
      epoch: leaderEpoch(epoch),
      end: offset(end),
    });
    const { length } = trial.log;
    trial.run({
      kind: "commit-seals",
      seals: [
        seal(0, 2, 10),
        seal(1, 1, 10),
        seal(2, 2, 0),
        seal(7, 2, 0),
        seal(0, 2, 99),
        seal(0, 2, 1, noTopicId),
      ],
    });
    expect(trial.log.length).toBe(length + 1);
    expect(trial.changes).toEqual([
      { kind: "epoch-opened", slot: trial.slot("t", 0) },
      { kind: "epoch-opened", slot: trial.slot("t", 2) },
    ]);
    expect(trial.image.chainOf(trial.slot("t", 0))).toEqual([
      { epoch: 1, start: 0 },
      { epoch: 2, start: 10 },
    ] as never);
    expect(trial.image.epochStateOf(trial.slot("t", 1))).toBe("recovering");
  });

  test("trims rise, and only a rise is told", () => {
    const trial = new Trial();
    const id = trial.create("t")?.id ?? noTopicId;
    const trim = (at: number) =>
      trial.run({
        kind: "trim",
        trims: [{ topic: id, partition: partitionIndex(0), offset: offset(at) }],
      });
    for (const at of [5, 5, 3, 8]) trim(at);
    const told = trial.changes.map((change) => (change.kind === "trimmed" ? change.offset : -1));
    expect(told).toEqual([5, 8] as never);
    expect(trial.image.logStartOf(trial.slot("t"))).toBe(8 as never);
  });

  test("nothing to seal and nothing to trim is nothing to log", () => {
    const trial = new Trial();
    const { length } = trial.log;
    trial.run({ kind: "commit-seals", seals: [] });
    trial.run({ kind: "trim", trims: [] });
    expect(trial.log.length).toBe(length);
  });

  test("producer ids are handed out in blocks, each once, up to those that are made of keys", () => {
    const trial = new Trial();
    const first = (): unknown => trial.run({ kind: "allocate-producer-ids", count: 1000 });
    expect(first()).toMatchObject({ first: 0, count: 1000 });
    expect(first()).toMatchObject({ first: 1000, count: 1000 });
    const last = keyedProducerIdMin - 500;
    expect(
      trial.image.apply({ kind: "producer-ids", first: last, count: 1 }, trial.image.index + 1),
    ).toBe("applied");
    expect(
      trial.image.apply({ kind: "producer-ids", first: 5, count: 1 }, trial.image.index + 1),
    ).toBe("skipped");
    expect(first()).toMatchObject({ count: 0, verdict: { code: ErrorCode.UNKNOWN_SERVER_ERROR } });
  });
});
