// Topics and their partitions are created and deleted, on disks in memory, power cuts included.

import { describe, expect, test } from "bun:test";
import type { CreatePartitionsResponse } from "../../proto/kafka/37_create_partitions.ts";
import type { DeleteTopicsResponse } from "../../proto/kafka/20_delete_topics.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import { ConfigSource, topicConfigs } from "../../src/core/cluster/cluster.ts";
import { OneNode } from "../sim/one_node.ts";
import {
  ask,
  versionsOf,
  create,
  withTopics,
  idOf,
  produce,
  metadata,
  named,
  withId,
  unknownId,
} from "./admin_asks.ts";

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
