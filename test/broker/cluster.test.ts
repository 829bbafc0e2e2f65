// The cluster, pages of topic partitions, and directories, on disks in memory.

import { describe, expect, test } from "bun:test";
import type { DescribeClusterResponse } from "../../proto/kafka/60_describe_cluster.ts";
import type { DescribeLogDirsResponse } from "../../proto/kafka/35_describe_log_dirs.ts";
import type { DescribeTopicPartitionsResponse } from "../../proto/kafka/75_describe_topic_partitions.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import type { OneNode } from "../sim/one_node.ts";
import { ask, versionsOf, create, withTopics, produce } from "./admin_asks.ts";

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
    test(`one directory with the live bytes of every partition (v${version})`, () => {
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
      const partitions = [{ partitionIndex: 1, offset: -1 }];
      ask(node, "DeleteRecords", 2, { topics: [{ name: "t", partitions }], timeoutMs: 1000 });
      expect(of([{ topic: "t", partitions: [1] }])).toMatchObject([
        { topics: [{ partitions: [{ partitionSize: 0 }] }] },
      ]);
    });
  }
});
