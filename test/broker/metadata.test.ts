// Metadata through the shipping broker and control node, on disks in memory.

import { describe, expect, test } from "bun:test";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import {
  versionsOf,
  create,
  withTopics,
  idOf,
  metadata,
  named,
  withId,
  unknownId,
} from "./admin_asks.ts";

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
