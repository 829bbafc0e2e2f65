// Small requests whose answers could be large: what is named twice is told once, and what would be
// more than an answer may have is not gathered.

import { describe, expect, test } from "bun:test";
import type { DescribeConfigsResponse } from "../../proto/kafka/32_describe_configs.ts";
import type { DescribeGroupsResponse } from "../../proto/kafka/15_describe_groups.ts";
import type { DescribeLogDirsResponse } from "../../proto/kafka/35_describe_log_dirs.ts";
import type { FindCoordinatorResponse } from "../../proto/kafka/10_find_coordinator.ts";
import type { MetadataResponse } from "../../proto/kafka/03_metadata.ts";
import type { OffsetFetchResponse } from "../../proto/kafka/09_offset_fetch.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import { responseBytesMax, responseRowsMax } from "../../src/core/base/limits.ts";
import { apis } from "../../src/wire/apis.ts";
import { encodeResponseFrame } from "../../src/wire/frame.ts";
import { Writer } from "../../src/wire/writer.ts";
import { ask, commit, idOf, joined, started } from "./group_asks.ts";

const times = 1000;
const many = <T>(it: T): T[] => new Array<T>(times).fill(it);

function metadata(topics: readonly object[] | null): object {
  return {
    topics,
    allowAutoTopicCreation: false,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  };
}

describe("broker: what a request names twice is told once", () => {
  test("topics, by name, by id, by both, and those that do not exist (Metadata)", () => {
    const node = started();
    const topicId = idOf(node, "t");
    const byName = { topicId: noTopicId, name: "t" };
    const none = { topicId: noTopicId, name: "none" };
    const answer = ask<MetadataResponse>(
      node,
      "Metadata",
      12,
      metadata([...many(byName), ...many({ topicId, name: null }), ...many(none), byName]),
    );
    expect(answer.topics.map((topic) => [topic.name, topic.partitions.length])).toEqual([
      ["t", 3],
      ["none", 0],
    ]);
    expect(ask<MetadataResponse>(node, "Metadata", 4, metadata(many(byName))).topics).toHaveLength(
      1,
    );
  });

  test("partitions of topics (DescribeLogDirs)", () => {
    const node = started();
    const topics = many({ topic: "t", partitions: [0, 0, 1] });
    const [directory] = ask<DescribeLogDirsResponse>(node, "DescribeLogDirs", 4, {
      topics,
    }).results;
    const told = directory?.topics.flatMap((topic) =>
      topic.partitions.map((each) => each.partitionIndex as number),
    );
    expect(told).toEqual([0, 1]);
  });

  test("groups, and partitions of groups (OffsetFetch)", () => {
    const node = started();
    joined(node);
    expect(
      commit(node, 8, 5, { groupId: "alone", memberId: "", generationIdOrMemberEpoch: -1 }),
    ).toBe(0);
    const offsets = (of: readonly Pick<OffsetFetchResponse["topics"][number], "partitions">[]) =>
      of.flatMap((topic) => topic.partitions.map((each) => each.committedOffset as number));
    const topics = [
      { name: "t", partitionIndexes: many(0) },
      { name: "t", partitionIndexes: [0, 1] },
    ];
    const one = ask<OffsetFetchResponse>(node, "OffsetFetch", 7, {
      groupId: "alone",
      topics,
      groups: [],
      requireStable: false,
    });
    expect(offsets(one.topics)).toEqual([5, -1]);
    const group = {
      groupId: "alone",
      memberId: null,
      memberEpoch: -1,
      topics: topics.map((topic) => ({ ...topic, topicId: noTopicId })),
    };
    const all = ask<OffsetFetchResponse>(node, "OffsetFetch", 8, {
      groupId: "",
      topics: [],
      groups: [group, group, group],
      requireStable: false,
    });
    expect(all.groups.map((each) => offsets(each.topics))).toEqual([[5, -1]]);
  });

  test("groups and their coordinators (DescribeGroups, FindCoordinator)", () => {
    const node = started();
    joined(node);
    const described = ask<DescribeGroupsResponse>(node, "DescribeGroups", 5, {
      groups: [...many("g"), ...many("none")],
      includeAuthorizedOperations: false,
    });
    expect(described.groups.map((each) => each.groupId)).toEqual(["g", "none"]);
    const found = ask<FindCoordinatorResponse>(node, "FindCoordinator", 4, {
      key: "",
      keyType: 0,
      coordinatorKeys: many("g"),
    });
    expect(found.coordinators.map((each) => each.key)).toEqual(["g"]);
  });

  test("resources (DescribeConfigs)", () => {
    const resource = { resourceType: 4, resourceName: "1", configurationKeys: null };
    const answer = ask<DescribeConfigsResponse>(started(), "DescribeConfigs", 4, {
      resources: [...many(resource), ...many({ ...resource, resourceName: "" })],
      includeSynonyms: true,
      includeDocumentation: true,
    });
    expect(answer.results.map((each) => each.resourceName)).toEqual(["1", ""]);
  });
});

describe("broker: limits of an answer", () => {
  test("settings beyond the limit are not gathered, and their connection is closed", () => {
    const node = started();
    const resources = Array.from({ length: responseRowsMax / 4 }, (_, i) => ({
      resourceType: 32,
      resourceName: `g${i}`,
      configurationKeys: null,
    }));
    const request = { resources, includeSynonyms: true, includeDocumentation: true };
    expect(node.ask("DescribeConfigs", 4, request, 7)).toBeUndefined();
    expect(node.closed.map((each) => each.connection)).toEqual([7]);
    const some = { ...request, resources: resources.slice(0, 1000) };
    expect(node.ask<DescribeConfigsResponse>("DescribeConfigs", 4, some)?.results).toHaveLength(
      1000,
    );
  });

  test("a cluster of 100,000 partitions fits in one Metadata", () => {
    const node = started();
    for (let i = 0; i < 10; i += 1) {
      node.ask("CreateTopics", 7, {
        topics: [
          {
            name: `wide-${i}`,
            numPartitions: 10_000,
            replicationFactor: 1,
            assignments: [],
            configs: [],
          },
        ],
        timeoutMs: 1000,
        validateOnly: false,
      });
    }
    const answer = node.ask<MetadataResponse>("Metadata", 12, metadata(null));
    if (answer === undefined) throw new Error("Metadata is answered");
    const writer = new Writer();
    expect(encodeResponseFrame(apis.Metadata, 12, 1, writer, answer, responseBytesMax)).toBe(true);
    expect(writer.position).toBeGreaterThan(100_000 * 20);
  });
});
