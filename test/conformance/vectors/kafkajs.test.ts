// kafkajs as an oracle for the old versions: requests as a client of 2018 to 2023 writes them, by
// its own request modules.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { buildBatch } from "../../../src/wire/records.ts";
import { noTopicId } from "../../../src/core/base/ids.ts";
import {
  expectRead,
  type Forms,
  type Limits,
  type Members,
  pairs,
  samples,
  toTheirs,
} from "./oracle.ts";

interface TheirRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  encode(): Promise<{ readonly buffer: Buffer }>;
}

const require = createRequire(import.meta.url);
const requests = join(dirname(require.resolve("kafkajs")), "src/protocol/requests");

function moduleOf(name: string, version: number): ((data: unknown) => TheirRequest) | null {
  const folder = (name[0] ?? "").toLowerCase() + name.slice(1);
  const path = join(requests, folder, `v${version}`, "request.js");
  return existsSync(path) ? (require(path) as (data: unknown) => TheirRequest) : null;
}

const forms: Forms = {
  int64: (value) => String(value),
  uuid: (bytes) => bytes,
  nullIsEmpty: false,
  names: {
    "AlterConfigsRequest.resources.resourceType": "type",
    "AlterConfigsRequest.resources.resourceName": "name",
    "AlterConfigsRequest.resources.configs": "configEntries",
    "CreatePartitionsRequest.topics": "topicPartitions",
    "CreatePartitionsRequest.topics.name": "topic",
    "CreatePartitionsRequest.timeoutMs": "timeout",
    "CreateTopicsRequest.topics.name": "topic",
    "CreateTopicsRequest.topics.assignments": "replicaAssignment",
    "CreateTopicsRequest.topics.assignments.partitionIndex": "partition",
    "CreateTopicsRequest.topics.assignments.brokerIds": "replicas",
    "CreateTopicsRequest.topics.configs": "configEntries",
    "CreateTopicsRequest.timeoutMs": "timeout",
    "DeleteRecordsRequest.topics.name": "topic",
    "DeleteRecordsRequest.topics.partitions.partitionIndex": "partition",
    "DeleteRecordsRequest.timeoutMs": "timeout",
    "DeleteTopicsRequest.topicNames": "topics",
    "DeleteTopicsRequest.timeoutMs": "timeout",
    "DescribeConfigsRequest.resources.resourceType": "type",
    "DescribeConfigsRequest.resources.resourceName": "name",
    "DescribeConfigsRequest.resources.configurationKeys": "configNames",
    "DescribeGroupsRequest.groups": "groupIds",
    "FetchRequest.maxWaitMs": "maxWaitTime",
    "FetchRequest.topics.partitions.partitionMaxBytes": "maxBytes",
    "FetchRequest.forgottenTopicsData": "forgottenTopics",
    "FindCoordinatorRequest.key": "coordinatorKey",
    "FindCoordinatorRequest.keyType": "coordinatorType",
    "HeartbeatRequest.generationId": "groupGenerationId",
    "InitProducerIdRequest.transactionTimeoutMs": "transactionTimeout",
    "JoinGroupRequest.sessionTimeoutMs": "sessionTimeout",
    "JoinGroupRequest.rebalanceTimeoutMs": "rebalanceTimeout",
    "JoinGroupRequest.protocols": "groupProtocols",
    "ListOffsetsRequest.topics.name": "topic",
    "ListOffsetsRequest.topics.partitions.partitionIndex": "partition",
    "OffsetCommitRequest.generationIdOrMemberEpoch": "groupGenerationId",
    "OffsetCommitRequest.retentionTimeMs": "retentionTime",
    "OffsetCommitRequest.topics.name": "topic",
    "OffsetCommitRequest.topics.partitions.partitionIndex": "partition",
    "OffsetCommitRequest.topics.partitions.committedOffset": "offset",
    "OffsetCommitRequest.topics.partitions.committedMetadata": "metadata",
    "OffsetFetchRequest.topics.name": "topic",
    "OffsetFetchRequest.topics.partitionIndexes": "partitions",
    "ProduceRequest.timeoutMs": "timeout",
    "SyncGroupRequest.assignments": "groupAssignment",
    "SyncGroupRequest.assignments.assignment": "memberAssignment",
  },
};

const timestamp = 1_700_000_000_000;
const batch = buildBatch([{ key: Uint8Array.of(1), value: Uint8Array.of(2), timestamp }], {
  leaderEpoch: 0,
  producerId: -1,
  producerEpoch: 0,
  baseSequence: 0,
});
const messages = [{ key: Buffer.of(1), value: Buffer.of(2), timestamp, headers: {} }];

const limits: Limits = {
  tags: false,
  nulls: false,
  fixed: {
    "CreatePartitionsRequest.topics.assignments.brokerIds": [1],
    "JoinGroupRequest.groupInstanceId": null,
    "ProduceRequest.transactionalId": null,
    "ProduceRequest.topics": [
      { name: "t", topicId: noTopicId, partitions: [{ index: 3, records: batch }] },
    ],
  },
};

/** Where it wants a request in another shape than Kafka's. */
const shapes: Readonly<Record<string, (data: Members, version: number) => unknown>> = {
  CreatePartitions: (data) => ({
    ...data,
    topicPartitions: (data["topicPartitions"] as readonly Members[]).map((topic) => ({
      ...topic,
      assignments: (topic["assignments"] as readonly Members[]).map((one) => one["brokerIds"]),
    })),
  }),
  DeleteGroups: (data) => data["groupsNames"],
  FindCoordinator: (data) => ({ ...data, groupId: data["coordinatorKey"] }),
  Metadata: (data) => ({
    ...data,
    topics: (data["topics"] as readonly Members[]).map((topic) => topic["name"]),
  }),
  OffsetFetch: (data) => ({
    ...data,
    topics: (data["topics"] as readonly Members[]).map((topic) => ({
      ...topic,
      partitions: (topic["partitions"] as readonly number[]).map((partition) => ({ partition })),
    })),
  }),
  Produce: (data) => ({
    ...data,
    topicData: [{ topic: "t", partitions: [{ partition: 3, messages }] }],
  }),
};

/** Arrays that it writes as null when they are empty. */
const nullWhenEmpty = new Set([
  "CreatePartitionsRequest.topics.assignments",
  "DescribeConfigsRequest.resources.configurationKeys",
  "MetadataRequest.topics",
  "OffsetFetchRequest.topics",
]);

function asRead(value: unknown, version: number, path: string): unknown {
  if (Array.isArray(value)) {
    const since = path === "OffsetFetchRequest.topics" ? 3 : 1;
    const nulls = nullWhenEmpty.has(path) && (version >= since || path.startsWith("Create"));
    if (value.length === 0 && nulls) return null;
    return value.map((one: unknown) => asRead(one, version, path));
  }
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  const members = Object.entries(value).map(([name, inner]): readonly [string, unknown] => [
    name,
    asRead(inner, version, `${path}.${name}`),
  ]);
  return Object.fromEntries(members);
}

describe("wire: kafkajs", () => {
  for (const [api, version] of pairs) {
    const make = moduleOf(api.name, version);
    if (make === null) continue;
    const { request } = api;
    test(`wire: what kafkajs writes reads as meant (${request.name} v${version})`, async () => {
      for (const value of samples(request, version, limits, 20)) {
        const data = toTheirs(request.root.spec, value, version, request.name, forms) as Members; // proof: a struct
        const their = make(shapes[api.name]?.(data, version) ?? data);
        expect([their.apiKey, their.apiVersion]).toEqual([api.key, version]);
        const expected = asRead(value, version, request.name) as Members; // proof: as above
        expectRead(request, version, (await their.encode()).buffer, expected);
      }
    });
  }
});

test("wire: kafkajs covers what it is here for", () => {
  const covered = pairs.filter(([api, version]) => moduleOf(api.name, version) !== null);
  expect(covered.length).toBeGreaterThan(50);
});
