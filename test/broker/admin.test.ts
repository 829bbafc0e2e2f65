// Metadata and administration through the shipping broker and control node, on disks in memory.
// Every request and every answer goes through the codec of its version, as on a socket.

import { describe, expect, test } from "bun:test";
import type { CreatePartitionsResponse } from "../../proto/kafka/37_create_partitions.ts";
import type { CreateTopicsResponse } from "../../proto/kafka/19_create_topics.ts";
import type { DeleteRecordsResponse } from "../../proto/kafka/21_delete_records.ts";
import type { DeleteTopicsResponse } from "../../proto/kafka/20_delete_topics.ts";
import type { DescribeClusterResponse } from "../../proto/kafka/60_describe_cluster.ts";
import type { DescribeConfigsResponse } from "../../proto/kafka/32_describe_configs.ts";
import type { DescribeLogDirsResponse } from "../../proto/kafka/35_describe_log_dirs.ts";
import type { DescribeTopicPartitionsResponse } from "../../proto/kafka/75_describe_topic_partitions.ts";
import type { IncrementalAlterConfigsResponse } from "../../proto/kafka/44_incremental_alter_configs.ts";
import type { InitProducerIdResponse } from "../../proto/kafka/22_init_producer_id.ts";
import type { ListConfigResourcesResponse } from "../../proto/kafka/74_list_config_resources.ts";
import type { MetadataResponse } from "../../proto/kafka/03_metadata.ts";
import type { OffsetForLeaderEpochResponse } from "../../proto/kafka/23_offset_for_leader_epoch.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { noTopicId, type TopicId } from "../../src/core/base/ids.ts";
import { brokerConfigs, ConfigSource, topicConfigs } from "../../src/core/cluster/cluster.ts";
import { type AnyApi, type ApiName, apis } from "../../src/wire/apis.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from "../../src/wire/codec.ts";
import { buildBatch } from "../../src/wire/records.ts";
import { isRefused } from "../../src/wire/refusal.ts";
import { Writer } from "../../src/wire/writer.ts";
import { OneNode } from "../sim/one_node.ts";

/** Asks through the codec of the version, both ways. */
function ask<R>(node: OneNode, name: ApiName, version: number, request: object): R {
  const api: AnyApi = apis[name];
  const writer = new Writer();
  encodeRequest(api, version, writer, request as never); // proof: the compiler of the codec checks the fields
  const decoded = decodeRequest(api, version, writer.bytes, 0, writer.position);
  if (isRefused(decoded))
    throw new Error(`${name} v${version}: request refused: ${decoded.refusal}`);
  const answer = node.ask(name, version, decoded);
  if (answer === undefined) throw new Error(`${name} v${version}: no answer`);
  writer.reset();
  encodeResponse(api, version, writer, answer as never); // proof: as above
  const response = decodeResponse(
    api,
    version,
    new Uint8Array(writer.written()),
    0,
    writer.position,
  );
  if (isRefused(response))
    throw new Error(`${name} v${version}: response refused: ${response.refusal}`);
  return response as R; // proof: the table of that name
}

function versionsOf(name: ApiName): number[] {
  const [first, last] = (apis[name] as AnyApi).versions;
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

interface Wanted {
  readonly name?: string;
  readonly numPartitions?: number;
  readonly replicationFactor?: number;
  readonly configs?: readonly { readonly name: string; readonly value: string | null }[];
}

function create(
  node: OneNode,
  topics: readonly Wanted[],
  version = 7,
  validateOnly = false,
): CreateTopicsResponse["topics"] {
  const wanted = topics.map((topic) => ({
    name: "t",
    numPartitions: 1,
    replicationFactor: 1,
    assignments: [],
    configs: [],
    ...topic,
  }));
  return ask<CreateTopicsResponse>(node, "CreateTopics", version, {
    topics: wanted,
    timeoutMs: 1000,
    validateOnly,
  }).topics;
}

function withTopics(kafka: Record<string, string> = {}): OneNode {
  const node = new OneNode(kafka);
  create(node, [{ name: "t", numPartitions: 3 }, { name: "other" }]);
  return node;
}

function idOf(node: OneNode, name: string): TopicId {
  return node.node.broker.image.topicByName(name)?.id ?? noTopicId;
}

function produce(node: OneNode, name: string, index: number, count: number): void {
  const records = buildBatch(
    Array.from({ length: count }, () => ({
      key: null,
      value: new Uint8Array(3),
      timestamp: node.wall,
    })),
  );
  node.ask("Produce", 9, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1000,
    topics: [{ name, topicId: noTopicId, partitions: [{ index, records }] }],
  });
}

interface MetadataOver {
  readonly topics?: readonly { readonly topicId: TopicId; readonly name: string | null }[] | null;
  readonly allowAutoTopicCreation?: boolean;
  readonly includeClusterAuthorizedOperations?: boolean;
  readonly includeTopicAuthorizedOperations?: boolean;
}

function metadata(node: OneNode, version: number, over: MetadataOver = {}): MetadataResponse {
  return ask(node, "Metadata", version, {
    topics: null,
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
    ...over,
  });
}

const named = (...names: string[]) => names.map((name) => ({ topicId: noTopicId, name }));
const withId = (...ids: TopicId[]) => ids.map((topicId) => ({ topicId, name: null }));
const unknownId = "AAAAAAAAAAAAAAAAAAAABQ" as TopicId; // proof: 22 characters

describe("broker: metadata", () => {
  for (const version of versionsOf("Metadata")) {
    test(`all topics with leader, epoch and this connection's address (v${version})`, () => {
      const node = withTopics();
      const answer = metadata(node, version, { topics: version === 0 ? [] : null });
      expect(answer.brokers).toMatchObject([{ nodeId: 1, host: "127.0.0.1", port: 9092 }]);
      expect(answer.topics.map((topic) => [topic.name, topic.partitions.length])).toEqual([
        ["t", 3],
        ["other", 1],
      ]);
      expect(answer.topics[0]?.partitions[2]).toMatchObject({
        errorCode: 0,
        partitionIndex: 2,
        leaderId: 1,
        replicaNodes: [1],
        isrNodes: [1],
      });
      if (version >= 1) expect(answer.controllerId).toBe(1 as never);
      if (version >= 2) expect(answer.clusterId).toBe("AAAAAAAAAAAAAAAAAAAAAQ");
      if (version >= 7) expect(answer.topics[0]?.partitions[0]?.leaderEpoch).toBe(1 as never);
      if (version >= 10) expect(answer.topics[0]?.topicId).toBe(idOf(node, "t"));
    });
  }

  test("an empty list is no topic from v1 on", () => {
    expect(metadata(withTopics(), 1, { topics: [] }).topics).toEqual([]);
  });

  test("an unknown topic is created with the defaults, and the answer has it", () => {
    const node = withTopics({ "num.partitions": "4" });
    const answer = metadata(node, 4, { topics: named("new", "new", "t") });
    expect(
      answer.topics.map((topic) => [topic.errorCode, topic.name, topic.partitions.length]),
    ).toEqual([
      [0, "new", 4],
      [0, "new", 4],
      [0, "t", 3],
    ]);
    expect(metadata(node, 0, { topics: named("old-client") }).topics[0]?.errorCode).toBe(0);
  });

  const refused: readonly (readonly [string, Record<string, string>, boolean, string, number])[] = [
    ["request forbids it", {}, false, "new", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    [
      "node forbids it",
      { "auto.create.topics.enable": "false" },
      true,
      "new",
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ],
    ["bad name", {}, true, "a/b", ErrorCode.INVALID_TOPIC_EXCEPTION],
    ["bad name, nobody creates", {}, false, "a/b", ErrorCode.INVALID_TOPIC_EXCEPTION],
    ["internal name", {}, true, "__transaction_state", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    [
      "more copies than nodes",
      { "default.replication.factor": "3" },
      true,
      "new",
      ErrorCode.INVALID_REPLICATION_FACTOR,
    ],
    ["collision", {}, true, "o.ther_", ErrorCode.INVALID_TOPIC_EXCEPTION],
  ];
  for (const [why, kafka, allowAutoTopicCreation, name, code] of refused) {
    test(`an unknown topic is not created (${why})`, () => {
      const node = withTopics(kafka);
      create(node, [{ name: "o_ther." }]);
      const [topic] = metadata(node, 9, { topics: named(name), allowAutoTopicCreation }).topics;
      expect(topic).toMatchObject({ errorCode: code, name, partitions: [] });
      expect(node.node.broker.image.topicByName(name)).toBeUndefined();
    });
  }

  test("topics by id from v12 on, an unknown id has no name", () => {
    const node = withTopics();
    const topics = metadata(node, 12, { topics: withId(idOf(node, "t"), unknownId) }).topics;
    expect(topics).toMatchObject([
      { errorCode: 0, name: "t" },
      { errorCode: ErrorCode.UNKNOWN_TOPIC_ID, name: null, topicId: unknownId, partitions: [] },
    ]);
    expect(metadata(node, 10, { topics: withId(idOf(node, "t")) }).topics).toMatchObject([
      { errorCode: ErrorCode.INVALID_REQUEST },
    ]);
  });

  test("authorised operations only where they are asked for", () => {
    const node = withTopics();
    const with_ = metadata(node, 10, {
      includeClusterAuthorizedOperations: true,
      includeTopicAuthorizedOperations: true,
    });
    expect([with_.clusterAuthorizedOperations, with_.topics[0]?.topicAuthorizedOperations]).toEqual(
      [8096, 3576],
    );
    const without = metadata(node, 10);
    expect([
      without.clusterAuthorizedOperations,
      without.topics[0]?.topicAuthorizedOperations,
    ]).toEqual([-2147483648, -2147483648]);
  });

  test("a restart shows in the leader epoch", () => {
    const node = withTopics().powerCut();
    expect(metadata(node, 9).topics[0]?.partitions[0]).toMatchObject({
      errorCode: 0,
      leaderId: 1,
      leaderEpoch: 2,
    });
  });
});

describe("broker: create and delete topics", () => {
  for (const version of versionsOf("CreateTopics")) {
    test(`counts and settings come back where the version has them (v${version})`, () => {
      const [topic] = create(
        new OneNode(),
        [{ numPartitions: 2, configs: [{ name: "retention.ms", value: "5" }] }],
        version,
      );
      expect(topic).toMatchObject({ name: "t", errorCode: 0 });
      if (version < 5) return;
      expect(topic).toMatchObject({
        numPartitions: 2,
        replicationFactor: 1,
        topicConfigErrorCode: 0,
      });
      expect(topic?.configs?.map((each) => each.name)).toEqual(
        topicConfigs.map((spec) => spec.name),
      );
      expect(topic?.configs?.find((each) => each.name === "retention.ms")).toMatchObject({
        value: "5",
        configSource: ConfigSource.topic,
      });
    });
  }

  test("every topic has its own verdict, with words", () => {
    const node = withTopics();
    const topics = create(node, [
      { name: "t" },
      { name: "ok" },
      { name: "twice" },
      { name: "twice" },
      { name: "__cluster_metadata" },
      { name: "bad", numPartitions: 0 },
    ]);
    const codes = new Map(topics.map((topic) => [topic.name, topic.errorCode]));
    expect(Object.fromEntries(codes)).toEqual({
      t: ErrorCode.TOPIC_ALREADY_EXISTS,
      ok: 0,
      twice: ErrorCode.INVALID_REQUEST,
      __cluster_metadata: ErrorCode.INVALID_REQUEST,
      bad: ErrorCode.INVALID_PARTITIONS,
    });
    for (const topic of topics) expect(topic.errorMessage === null).toBe(topic.errorCode === 0);
    expect(node.node.broker.image.topicByName("twice")).toBeUndefined();
  });

  test("a name as long as a string can be does not end the node", () => {
    const name = "x".repeat(32_000);
    expect(create(new OneNode(), [{ name }])[0]?.errorCode).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
    const configs = Array.from({ length: 50 }, (_, i) => ({
      name: `${i}${"y".repeat(30_000)}`,
      value: i % 2 === 0 ? null : "v".repeat(30_000),
    }));
    expect(create(new OneNode(), [{ configs }])[0]?.errorCode).toBe(ErrorCode.INVALID_CONFIG);
  });

  test("the answer comes when the topic is durable, and it is there after a power cut", () => {
    const node = new OneNode();
    node.autoSync = false;
    const call = node.send("CreateTopics", 7, {
      topics: [{ name: "t", numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
      timeoutMs: 1,
      validateOnly: false,
    });
    node.settle();
    expect(node.answerTo(call)).toBeUndefined();
    expect(node.powerCut().node.broker.image.topicByName("t")).toBeUndefined();
    node.sync();
    node.settle();
    expect(node.answerTo(call)).toBeDefined();
    expect(node.powerCut().node.broker.image.topicByName("t")).toBeDefined();
  });

  for (const version of versionsOf("DeleteTopics")) {
    test(`topics go by name (v${version})`, () => {
      const node = withTopics();
      const request =
        version >= 6
          ? { topics: named("t", "none"), topicNames: [], timeoutMs: 1 }
          : { topics: [], topicNames: ["t", "none"], timeoutMs: 1 };
      const { responses } = ask<DeleteTopicsResponse>(node, "DeleteTopics", version, request);
      expect(responses.map((each) => [each.name, each.errorCode])).toEqual([
        ["t", 0],
        ["none", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
      ]);
      expect(node.node.broker.image.topicByName("t")).toBeUndefined();
      expect(metadata(node, 1).topics.map((topic) => topic.name)).toEqual(["other"]);
    });
  }

  test("topics go by id; what is named in two ways or twice does not", () => {
    const node = withTopics();
    const topics = [
      ...withId(idOf(node, "other"), unknownId),
      { name: "x", topicId: unknownId },
      { name: null, topicId: noTopicId },
      ...named("t"),
      ...withId(idOf(node, "t")),
    ];
    const { responses } = ask<DeleteTopicsResponse>(node, "DeleteTopics", 6, {
      topics,
      topicNames: [],
      timeoutMs: 1,
    });
    const { INVALID_REQUEST, UNKNOWN_TOPIC_ID } = ErrorCode;
    expect(responses.map((each) => each.errorCode)).toEqual([
      0,
      UNKNOWN_TOPIC_ID,
      INVALID_REQUEST,
      INVALID_REQUEST,
      INVALID_REQUEST,
      INVALID_REQUEST,
    ]);
    expect(responses[0]).toMatchObject({ name: "other" });
  });

  for (const version of [2, 3]) {
    test(`delete.topic.enable=false keeps them (v${version})`, () => {
      const node = withTopics({ "delete.topic.enable": "false" });
      const { responses } = ask<DeleteTopicsResponse>(node, "DeleteTopics", version, {
        topics: [],
        topicNames: ["t"],
        timeoutMs: 1,
      });
      expect(responses[0]?.errorCode).toBe(
        version < 3 ? ErrorCode.INVALID_REQUEST : ErrorCode.TOPIC_DELETION_DISABLED,
      );
    });
  }

  for (const version of versionsOf("CreatePartitions")) {
    test(`every topic asked for has its result (v${version})`, () => {
      const node = withTopics();
      const topics = [
        { name: "t", count: 5, assignments: null },
        { name: "other", count: 1, assignments: null },
        { name: "none", count: 2, assignments: null },
        { name: "twice", count: 2, assignments: null },
        { name: "twice", count: 3, assignments: [{ brokerIds: [1] }] },
      ];
      const { results } = ask<CreatePartitionsResponse>(node, "CreatePartitions", version, {
        topics,
        timeoutMs: 1,
        validateOnly: false,
      });
      const { INVALID_PARTITIONS, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST } = ErrorCode;
      expect(results.map((each) => each.errorCode)).toEqual([
        0,
        INVALID_PARTITIONS,
        UNKNOWN_TOPIC_OR_PARTITION,
        INVALID_REQUEST,
      ]);
      expect(metadata(node, 1, { topics: named("t") }).topics[0]?.partitions.length).toBe(5);
      produce(node, "t", 4, 1);
    });
  }
});

type Entries = DescribeConfigsResponse["results"][number]["configs"];

function describeConfigs(
  node: OneNode,
  resourceType: number,
  resourceName: string,
  version = 4,
  keys: readonly string[] | null = null,
): DescribeConfigsResponse["results"][number] {
  const request = {
    resources: [{ resourceType, resourceName, configurationKeys: keys }],
    includeSynonyms: true,
    includeDocumentation: version >= 3,
  };
  const [result] = ask<DescribeConfigsResponse>(node, "DescribeConfigs", version, request).results;
  if (result === undefined) throw new Error("no result");
  return result;
}

function find(entries: Entries, name: string): Entries[number] | undefined {
  return entries.find((each) => each.name === name);
}

describe("broker: settings", () => {
  for (const version of versionsOf("DescribeConfigs")) {
    test(`a topic has all its settings with source and synonyms (v${version})`, () => {
      const node = withTopics({ "log.segment.bytes": "2000000" });
      const { configs } = describeConfigs(node, 2, "t", version);
      expect(configs.map((each) => each.name)).toEqual(topicConfigs.map((spec) => spec.name));
      expect(find(configs, "segment.bytes")).toMatchObject({
        value: "2000000",
        configSource: ConfigSource.staticBroker,
        readOnly: false,
        isSensitive: false,
        synonyms: [
          { name: "log.segment.bytes", value: "2000000", source: ConfigSource.staticBroker },
          { name: "log.segment.bytes", value: "1073741824", source: ConfigSource.default },
        ],
      });
      expect(find(configs, "flush.messages")?.value).toBe("9223372036854775807");
      if (version >= 3)
        expect(find(configs, "retention.ms")).toMatchObject({
          configType: 5,
          documentation: expect.stringContaining("Age"),
        });
    });
  }

  test("only the settings that are asked for, in any number", () => {
    const node = withTopics();
    expect(
      describeConfigs(node, 2, "t", 1, ["retention.ms", "no.such"]).configs.map(
        (each) => each.name,
      ),
    ).toEqual(["retention.ms"]);
    expect(describeConfigs(node, 2, "t", 1, []).configs.length).toBe(topicConfigs.length);
  });

  test("a node has all its settings, all nodes together only what was set for them", () => {
    const node = withTopics({ "num.partitions": "4" });
    const { configs } = describeConfigs(node, 4, "1");
    expect(configs.map((each) => each.name)).toEqual(brokerConfigs.map((spec) => spec.name));
    expect(find(configs, "num.partitions")).toMatchObject({
      value: "4",
      readOnly: true,
      configSource: ConfigSource.staticBroker,
    });
    expect(find(configs, "node.id")?.value).toBe("1");
    expect(find(configs, "log.retention.bytes")).toMatchObject({
      value: "-1",
      readOnly: false,
      configSource: ConfigSource.default,
    });
    expect(describeConfigs(node, 4, "").configs).toEqual([]);
  });

  const refused: readonly (readonly [number, string, number])[] = [
    [2, "none", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    [2, "a/b", ErrorCode.INVALID_TOPIC_EXCEPTION],
    [4, "2", ErrorCode.INVALID_REQUEST],
    [4, "x".repeat(32_000), ErrorCode.INVALID_REQUEST],
    [8, "2", ErrorCode.INVALID_REQUEST],
    [16, "", ErrorCode.INVALID_REQUEST],
    [32, "", ErrorCode.INVALID_REQUEST],
    [3, "t", ErrorCode.INVALID_REQUEST],
  ];
  for (const [type, name, code] of refused) {
    test(`a resource that is none is refused (${type} ${name.slice(0, 10)})`, () => {
      expect(describeConfigs(withTopics(), type, name)).toMatchObject({
        errorCode: code,
        configs: [],
      });
    });
  }

  interface Change {
    readonly type?: number;
    readonly name?: string;
    readonly configs: readonly {
      readonly name: string;
      readonly configOperation: number;
      readonly value: string | null;
    }[];
  }

  function alter(
    node: OneNode,
    changes: readonly Change[],
    version = 1,
    validateOnly = false,
  ): number[] {
    const resources = changes.map(({ type = 2, name = "t", configs }) => ({
      resourceType: type,
      resourceName: name,
      configs,
    }));
    const { responses } = ask<IncrementalAlterConfigsResponse>(
      node,
      "IncrementalAlterConfigs",
      version,
      { resources, validateOnly },
    );
    expect(responses.map((each) => [each.resourceType, each.resourceName])).toEqual(
      resources.map((each) => [each.resourceType, each.resourceName]),
    );
    return responses.map((each) => each.errorCode);
  }
  const op = (configOperation: number, name: string, value: string | null) => ({
    name,
    configOperation,
    value,
  });

  for (const version of versionsOf("IncrementalAlterConfigs")) {
    test(`set, delete, append and subtract (v${version})`, () => {
      const node = withTopics();
      const value = (name: string): string | null | undefined =>
        find(describeConfigs(node, 2, "t").configs, name)?.value;
      expect(
        alter(
          node,
          [{ configs: [op(0, "retention.ms", "5"), op(2, "cleanup.policy", "compact")] }],
          version,
        ),
      ).toEqual([0]);
      expect([value("retention.ms"), value("cleanup.policy")]).toEqual(["5", "delete,compact"]);
      expect(
        alter(
          node,
          [{ configs: [op(1, "retention.ms", null), op(3, "cleanup.policy", "delete")] }],
          version,
        ),
      ).toEqual([0]);
      expect([value("retention.ms"), value("cleanup.policy")]).toEqual(["604800000", "compact"]);
    });
  }

  test("each resource has its verdict; append to a number is refused, never an end of the node", () => {
    const node = withTopics();
    const codes = alter(node, [
      { configs: [op(2, "retention.ms", "1")] },
      { name: "other", configs: [op(0, "retention.ms", "1")] },
      { name: "none", configs: [op(0, "retention.ms", "1")] },
      { type: 4, name: "1", configs: [op(0, "node.id", "7")] },
      { type: 8, name: "1", configs: [op(0, "root", "DEBUG")] },
      { type: 32, name: "g", configs: [op(0, "consumer.session.timeout.ms", "50000")] },
      { type: 16, name: "m", configs: [op(9, "interval.ms", "1000")] },
      { type: 99, name: "m", configs: [] },
    ]);
    const { INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION } = ErrorCode;
    expect(codes).toEqual([
      INVALID_CONFIG,
      0,
      UNKNOWN_TOPIC_OR_PARTITION,
      INVALID_REQUEST,
      INVALID_REQUEST,
      0,
      INVALID_REQUEST,
      INVALID_REQUEST,
    ]);
    expect(alter(node, [{ configs: [] }, { configs: [] }])).toEqual([
      INVALID_REQUEST,
      INVALID_REQUEST,
    ]);
    expect(
      find(describeConfigs(node, 32, "g").configs, "consumer.session.timeout.ms"),
    ).toMatchObject({ value: "50000", configSource: ConfigSource.group });
  });

  test("validate only judges and changes nothing", () => {
    const node = withTopics();
    expect(alter(node, [{ configs: [op(0, "retention.ms", "5")] }], 1, true)).toEqual([0]);
    expect(find(describeConfigs(node, 2, "t").configs, "retention.ms")?.value).toBe("604800000");
  });

  for (const version of versionsOf("AlterConfigs")) {
    test(`read, change one, write back all (v${version})`, () => {
      const node = withTopics();
      const all = describeConfigs(node, 2, "t").configs;
      const configs = all.map(({ name, value }) => ({
        name,
        value: name === "max.message.bytes" ? "2000" : value,
      }));
      const request = {
        resources: [{ resourceType: 2, resourceName: "t", configs }],
        validateOnly: false,
      };
      const { responses } = ask<IncrementalAlterConfigsResponse>(
        node,
        "AlterConfigs",
        version,
        request,
      );
      expect(responses).toMatchObject([{ errorCode: 0 }]);
      const after = describeConfigs(node, 2, "t").configs;
      expect(after.map((each) => [each.name, each.value])).toEqual(
        configs.map((each) => [each.name, each.value]),
      );
      expect(after.every((each) => each.configSource === ConfigSource.topic)).toBe(true);
      ask(node, "AlterConfigs", version, {
        resources: [{ resourceType: 2, resourceName: "t", configs: [] }],
        validateOnly: false,
      });
      expect(describeConfigs(node, 2, "t").configs).toEqual(all);
    });
  }

  test("a setting of all nodes survives a power cut and reaches the topics", () => {
    const node = withTopics();
    expect(
      alter(node, [{ type: 4, name: "", configs: [op(0, "log.retention.bytes", "77")] }]),
    ).toEqual([0]);
    const again = node.powerCut();
    expect(find(describeConfigs(again, 2, "t").configs, "retention.bytes")).toMatchObject({
      value: "77",
      configSource: ConfigSource.dynamicDefaultBroker,
    });
    expect(describeConfigs(again, 4, "").configs).toMatchObject([
      { name: "log.retention.bytes", value: "77" },
    ]);
  });

  test("resources with settings are listed by type, v0 lists metrics subscriptions only", () => {
    const node = withTopics();
    alter(node, [
      { type: 16, name: "m", configs: [op(0, "interval.ms", "1000")] },
      { type: 32, name: "g", configs: [op(0, "share.isolation.level", "read_committed")] },
    ]);
    const list = (version: number, resourceTypes: readonly number[]) =>
      ask<ListConfigResourcesResponse>(node, "ListConfigResources", version, { resourceTypes });
    expect(list(0, []).configResources).toEqual([{ resourceName: "m", resourceType: 16 }]);
    expect(list(1, [32]).configResources).toEqual([{ resourceName: "g", resourceType: 32 }]);
    expect(
      list(1, []).configResources.map((each) => `${each.resourceType}:${each.resourceName}`),
    ).toEqual(["2:other", "2:t", "4:1", "8:1", "16:m", "32:g"]);
    expect(list(1, [5])).toMatchObject({
      errorCode: ErrorCode.UNSUPPORTED_VERSION,
      configResources: [],
    });
  });
});

describe("broker: the cluster, topic partitions and directories", () => {
  for (const version of versionsOf("DescribeCluster")) {
    test(`nodes, controller and operations (v${version})`, () => {
      const node = withTopics();
      const request = {
        includeClusterAuthorizedOperations: true,
        endpointType: 1,
        includeFencedBrokers: false,
      };
      expect(ask<DescribeClusterResponse>(node, "DescribeCluster", version, request)).toMatchObject(
        {
          errorCode: 0,
          clusterId: "AAAAAAAAAAAAAAAAAAAAAQ",
          controllerId: 1,
          brokers: [{ brokerId: 1, host: "127.0.0.1", port: 9092, isFenced: false }],
          clusterAuthorizedOperations: 8096,
        },
      );
    });
  }

  test("controllers are asked for elsewhere, other endpoints nowhere", () => {
    const of = (endpointType: number) =>
      ask<DescribeClusterResponse>(withTopics(), "DescribeCluster", 1, {
        includeClusterAuthorizedOperations: false,
        endpointType,
        includeFencedBrokers: false,
      });
    expect(of(2)).toMatchObject({
      errorCode: ErrorCode.MISMATCHED_ENDPOINT_TYPE,
      endpointType: 1,
      brokers: [],
    });
    expect(of(7)).toMatchObject({ errorCode: ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, brokers: [] });
  });

  type Page = DescribeTopicPartitionsResponse;
  function page(
    node: OneNode,
    names: readonly string[],
    limit: number,
    cursor: Page["nextCursor"],
  ): Page {
    return ask(node, "DescribeTopicPartitions", 0, {
      topics: names.map((name) => ({ name })),
      responsePartitionLimit: limit,
      cursor,
    });
  }
  function shape(of: Page): unknown[] {
    return of.topics.map((topic) => [
      topic.name,
      topic.partitions.map((partition) => partition.partitionIndex),
    ]);
  }

  for (const limit of [1, 2, 3, 4, 100]) {
    test(`pages hold every partition once, in the order of names (limit ${limit})`, () => {
      const node = withTopics();
      create(node, [{ name: "z", numPartitions: 2 }]);
      const seen: string[] = [];
      let pages = 0;
      for (let cursor: Page["nextCursor"] = null; ; pages += 1) {
        const next = page(node, [], limit, cursor);
        for (const topic of next.topics)
          for (const { partitionIndex } of topic.partitions)
            seen.push(`${topic.name}/${partitionIndex}`);
        cursor = next.nextCursor;
        if (cursor === null) break;
      }
      expect(seen).toEqual(["other/0", "t/0", "t/1", "t/2", "z/0", "z/1"]);
      expect(pages).toBeLessThanOrEqual(Math.ceil(6 / limit));
    });
  }

  test("the node lowers the limit of a page, and a limit below 1 is 1", () => {
    const node = withTopics({ "max.request.partition.size.limit": "2" });
    expect(shape(page(node, ["t"], 100, null))).toEqual([["t", [0, 1]]]);
    expect(shape(page(node, ["t"], -5, null))).toEqual([["t", [0]]]);
  });

  test("unknown topics are told, deleted ones skipped, a cursor below 0 refused", () => {
    const node = withTopics();
    expect(
      page(node, ["t", "none", "a/b"], 9, null).topics.map((topic) => [
        topic.name,
        topic.errorCode,
      ]),
    ).toEqual([
      ["a/b", ErrorCode.INVALID_TOPIC_EXCEPTION],
      ["none", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
      ["t", 0],
    ]);
    expect(shape(page(node, [], 9, { topicName: "p", partitionIndex: 7 as never }))).toEqual([
      ["t", [0, 1, 2]],
    ]);
    expect(shape(page(node, [], 9, { topicName: "t", partitionIndex: 9 as never }))).toEqual([
      ["t", []],
    ]);
    for (const cursor of [
      { topicName: "t", partitionIndex: -1 as never },
      { topicName: "p", partitionIndex: 0 as never },
    ]) {
      expect(page(node, ["t"], 9, cursor)).toMatchObject({
        topics: [{ errorCode: ErrorCode.INVALID_REQUEST }],
        nextCursor: null,
      });
    }
  });

  for (const version of versionsOf("DescribeLogDirs")) {
    test(`one directory with the bytes of every partition (v${version})`, () => {
      const node = withTopics({ "log.dirs": "/data" });
      produce(node, "t", 1, 3);
      const of = (topics: unknown) =>
        ask<DescribeLogDirsResponse>(node, "DescribeLogDirs", version, { topics }).results;
      const [all] = of(null);
      expect(all).toMatchObject({ errorCode: 0, logDir: "/data" });
      expect(all?.topics.map((topic) => topic.name)).toEqual(["t", "other"]);
      const sizes = all?.topics[0]?.partitions.map((partition) => partition.partitionSize) ?? [];
      expect([sizes[0], (sizes[1] ?? 0) > 61, sizes[2]]).toEqual([0, true, 0]);
      expect(
        of([
          { topic: "t", partitions: [1, 9] },
          { topic: "none", partitions: [0] },
        ]),
      ).toMatchObject([{ topics: [{ name: "t", partitions: [{ partitionIndex: 1 }] }] }]);
      expect(of([])).toMatchObject([{ topics: [] }]);
    });
  }
});

describe("broker: producer ids, epochs and deleted records", () => {
  function init(
    node: OneNode,
    version: number,
    over: Record<string, unknown> = {},
  ): InitProducerIdResponse {
    return ask(node, "InitProducerId", version, {
      transactionalId: null,
      transactionTimeoutMs: 1000,
      producerId: -1,
      producerEpoch: -1,
      ...over,
    });
  }

  for (const version of versionsOf("InitProducerId")) {
    test(`every producer gets an id of its own at epoch 0 (v${version})`, () => {
      const node = new OneNode();
      const ids = [0, 1, 2].map(() => init(node, version));
      expect(ids.map((each) => [each.errorCode, each.producerId, each.producerEpoch])).toEqual([
        [0, 0, 0],
        [0, 1, 0],
        [0, 2, 0],
      ] as never);
    });
  }

  test("ids come in blocks of 1000 and are not given again after a power cut", () => {
    const node = new OneNode();
    const seen = new Set<number>();
    for (let i = 0; i < 1500; i += 1) seen.add(Number(init(node, 4).producerId));
    expect(seen.size).toBe(1500);
    expect(init(node.powerCut(), 4).producerId).toBe(2000 as never);
  });

  test("many at once share one block, each with its own id", () => {
    const node = new OneNode();
    node.autoSync = false;
    const request = {
      transactionalId: null,
      transactionTimeoutMs: 0,
      producerId: -1,
      producerEpoch: -1,
    };
    const calls = Array.from({ length: 1200 }, () => node.send("InitProducerId", 4, request));
    node.settle();
    for (let i = 0; i < 2; i += 1) {
      node.sync();
      node.settle();
    }
    const ids = calls.map((call) => node.answerTo<InitProducerIdResponse>(call)?.producerId);
    expect(new Set(ids).size).toBe(1200);
    expect(ids.includes(undefined)).toBe(false);
  });

  const refused: readonly (readonly [string, Record<string, unknown>, number])[] = [
    ["transactions are off", { transactionalId: "tx" }, ErrorCode.UNSUPPORTED_VERSION],
    ["an empty transactional id", { transactionalId: "" }, ErrorCode.INVALID_REQUEST],
    ["an id without epoch", { producerId: 5 }, ErrorCode.INVALID_REQUEST],
    ["an epoch without id", { producerEpoch: 5 }, ErrorCode.INVALID_REQUEST],
  ];
  for (const [why, over, code] of refused) {
    test(`no id is given (${why})`, () => {
      expect(init(new OneNode(), 4, over)).toMatchObject({ errorCode: code, producerId: -1 });
    });
  }

  test("an id with its epoch gets a new id, as in Kafka", () => {
    expect(init(new OneNode(), 3, { producerId: 5, producerEpoch: 2 })).toMatchObject({
      errorCode: 0,
      producerId: 0,
      producerEpoch: 0,
    });
  });

  function epochEnd(
    node: OneNode,
    epoch: number,
    version = 4,
    current = -1,
    topic = "t",
    partition = 0,
  ) {
    const request = {
      replicaId: -1,
      topics: [
        { topic, partitions: [{ partition, currentLeaderEpoch: current, leaderEpoch: epoch }] },
      ],
    };
    const [answer] =
      ask<OffsetForLeaderEpochResponse>(node, "OffsetForLeaderEpoch", version, request).topics[0]
        ?.partitions ?? [];
    return [answer?.errorCode, answer?.leaderEpoch, answer?.endOffset];
  }

  for (const version of versionsOf("OffsetForLeaderEpoch")) {
    test(`an epoch ends where the next one starts; the open one at the log end (v${version})`, () => {
      let node = withTopics();
      produce(node, "t", 0, 3);
      node = node.powerCut();
      produce(node, "t", 0, 2);
      node = node.powerCut().powerCut();
      expect(epochEnd(node, 1, version)).toEqual([0, 1, 3] as never);
      expect(epochEnd(node, 2, version)).toEqual([0, 2, 5] as never);
      expect(epochEnd(node, 3, version)).toEqual([0, 2, 5] as never);
      expect(epochEnd(node, 4, version)).toEqual([0, 4, 5] as never);
      expect(epochEnd(node, 9, version)).toEqual([0, -1, -1] as never);
    });
  }

  test("an older and a newer leader than ours, and a partition that is none", () => {
    const node = withTopics().powerCut();
    expect(epochEnd(node, 1, 4, 1)).toEqual([ErrorCode.FENCED_LEADER_EPOCH, -1, -1] as never);
    expect(epochEnd(node, 1, 4, 3)).toEqual([ErrorCode.UNKNOWN_LEADER_EPOCH, -1, -1] as never);
    expect(epochEnd(node, 1, 4, 2)).toEqual([0, 1, 0] as never);
    expect(epochEnd(node, 1, 4, -1, "t", 3)).toEqual([
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      -1,
      -1,
    ] as never);
    expect(epochEnd(node, 1, 4, -1, "none")).toEqual([
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      -1,
      -1,
    ] as never);
  });

  function deleteRecords(
    node: OneNode,
    topic: string,
    offsets: Record<number, number>,
    version = 2,
  ): unknown[] {
    const partitions = Object.entries(offsets).map(([index, offset]) => ({
      partitionIndex: Number(index),
      offset,
    }));
    const request = { topics: [{ name: topic, partitions }], timeoutMs: 1000 };
    const answers =
      ask<DeleteRecordsResponse>(node, "DeleteRecords", version, request).topics[0]?.partitions ??
      [];
    return answers.map((each) => [each.errorCode, each.lowWatermark]);
  }

  for (const version of versionsOf("DeleteRecords")) {
    test(`the log start rises to the offset, or to the high watermark by -1 (v${version})`, () => {
      const node = withTopics();
      for (const index of [0, 1]) produce(node, "t", index, 5);
      expect(deleteRecords(node, "t", { 0: 3, 1: -1, 2: -1 }, version)).toEqual([
        [0, 3],
        [0, 5],
        [0, 0],
      ]);
      expect(deleteRecords(node, "t", { 0: 2 }, version)).toEqual([[0, 3]]);
      const again = node.powerCut();
      expect(deleteRecords(again, "t", { 0: 0, 1: 0 }, version)).toEqual([
        [0, 3],
        [0, 5],
      ]);
    });
  }

  test("offsets out of range, partitions and topics that are none or delete nothing", () => {
    const node = withTopics();
    create(node, [{ name: "keys", configs: [{ name: "cleanup.policy", value: "compact" }] }]);
    produce(node, "t", 0, 5);
    const { OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION, POLICY_VIOLATION } = ErrorCode;
    expect(deleteRecords(node, "t", { 0: 6 })).toEqual([[OFFSET_OUT_OF_RANGE, -1]]);
    expect(deleteRecords(node, "t", { 0: -2 })).toEqual([[OFFSET_OUT_OF_RANGE, -1]]);
    expect(deleteRecords(node, "t", { 3: 0 })).toEqual([[UNKNOWN_TOPIC_OR_PARTITION, -1]]);
    expect(deleteRecords(node, "none", { 0: 0 })).toEqual([[UNKNOWN_TOPIC_OR_PARTITION, -1]]);
    expect(deleteRecords(node, "keys", { 0: 0 })).toEqual([[POLICY_VIOLATION, -1]]);
  });
});
