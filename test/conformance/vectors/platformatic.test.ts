// @platformatic/kafka as an oracle: its modules, one per API and version, write requests that we
// read and parse responses that we write. It was written from the protocol guide and knows nothing
// of us.

import { describe, expect, test } from "bun:test";
import * as platformatic from "@platformatic/kafka";
import { noTopicId } from "../../../src/core/base/ids.ts";
import { buildBatch } from "../../../src/wire/records.ts";
import {
  encoded,
  expectRead,
  expectSame,
  type Forms,
  type Limits,
  type Members,
  pairs,
  samples,
  toTheirs,
} from "./oracle.ts";

interface TheirModule {
  readonly api: { readonly key: number; readonly version: number };
  readonly createRequest: (...args: readonly unknown[]) => { readonly buffer: Buffer };
  readonly parseResponse: (
    correlationId: number,
    apiKey: number,
    apiVersion: number,
    reader: platformatic.Reader,
  ) => Members;
}

const byPair = new Map<string, TheirModule>();
for (const [name, module] of Object.entries(platformatic)) {
  if (!/V\d+$/.test(name) || name.startsWith("listClientMetrics")) continue;
  const { api, createRequest, parseResponse } = module as unknown as TheirModule; // proof: its naming
  byPair.set(`${api.key} ${api.version}`, { api, createRequest, parseResponse });
}

const forms: Forms = {
  int64: (value) => BigInt(value),
  uuid: (bytes) =>
    bytes.toString("hex").replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5"),
  nullIsEmpty: false,
  names: {
    "DescribeLogDirsRequest.topics.topic": "name",
    "FetchRequest.topics.topic": "topicId",
    "FetchResponse.responses.topic": "topicId",
    "OffsetForLeaderEpochRequest.topics.topic": "name",
    "OffsetForLeaderEpochRequest.topics.partitions.partition": "partitionIndex",
  },
};

/** Members of a request in the order of its arguments. */
const args: Readonly<Record<string, readonly string[]>> = {
  AlterConfigs: ["resources", "validateOnly"],
  ApiVersions: ["clientSoftwareName", "clientSoftwareVersion"],
  CreatePartitions: ["topics", "timeoutMs", "validateOnly"],
  CreateTopics: ["topics", "timeoutMs", "validateOnly"],
  DeleteGroups: ["groupsNames"],
  DeleteRecords: ["topics", "timeoutMs"],
  DeleteTopics: ["topics", "timeoutMs"],
  DescribeCluster: ["includeClusterAuthorizedOperations", "endpointType"],
  DescribeConfigs: ["resources", "includeSynonyms", "includeDocumentation"],
  DescribeGroups: ["groups", "includeAuthorizedOperations"],
  DescribeLogDirs: ["topics"],
  DescribeTopicPartitions: ["topics", "responsePartitionLimit", "cursor"],
  Fetch: [
    "maxWaitMs",
    "minBytes",
    "maxBytes",
    "isolationLevel",
    "sessionId",
    "sessionEpoch",
    "topics",
    "forgottenTopicsData",
    "rackId",
  ],
  FindCoordinator: ["keyType", "coordinatorKeys"],
  Heartbeat: ["groupId", "generationId", "memberId", "groupInstanceId"],
  IncrementalAlterConfigs: ["resources", "validateOnly"],
  InitProducerId: ["transactionalId", "transactionTimeoutMs", "producerId", "producerEpoch"],
  JoinGroup: [
    "groupId",
    "sessionTimeoutMs",
    "rebalanceTimeoutMs",
    "memberId",
    "groupInstanceId",
    "protocolType",
    "protocols",
    "reason",
  ],
  LeaveGroup: ["groupId", "members"],
  ListConfigResources: ["resourceTypes"],
  ListGroups: ["statesFilter", "typesFilter"],
  ListOffsets: ["replicaId", "isolationLevel", "topics"],
  Metadata: [
    "topics",
    "allowAutoTopicCreation",
    "includeTopicAuthorizedOperations",
    "includeClusterAuthorizedOperations",
  ],
  OffsetCommit: ["groupId", "generationIdOrMemberEpoch", "memberId", "groupInstanceId", "topics"],
  OffsetDelete: ["groupId", "topics"],
  OffsetFetch: ["groups", "requireStable"],
  OffsetForLeaderEpoch: ["replicaId", "topics"],
  Produce: ["acks", "timeoutMs", "topicData", "options"],
  SyncGroup: [
    "groupId",
    "generationId",
    "memberId",
    "groupInstanceId",
    "protocolType",
    "protocolName",
    "assignments",
  ],
};

/** Its record batch says epoch 0 and sequence 0 where there is no producer. */
const batch = buildBatch([{ key: Uint8Array.of(1), value: null, timestamp: 1_700_000_000_000 }], {
  leaderEpoch: 0,
  producerEpoch: 0,
  baseSequence: 0,
});
const message = { key: Buffer.of(1), value: null, timestamp: 1_700_000_000_000n };

function requestLimits(name: string, version: number): Limits {
  // Metadata knows ids as names of topics from v12 on only.
  const nameless = name === "Metadata" && version < 12;
  return {
    tags: false,
    nulls: !nameless,
    fixed: {
      "FetchRequest.replicaId": -1,
      "FetchRequest.topics.partitions.logStartOffset": -1,
      "ListGroupsRequest.typesFilter": ["classic"],
      "OffsetCommitRequest.retentionTimeMs": -1,
      "ProduceRequest.transactionalId": null,
      // It groups its messages by topic and partition.
      "ProduceRequest.topics": [
        { name: "t", topicId: noTopicId, partitions: [{ index: 3, records: batch }] },
      ],
      ...(nameless ? { "MetadataRequest.topics.topicId": noTopicId } : {}),
    },
  };
}
const responses: Limits = {
  tags: true,
  nulls: true,
  // It throws on them.
  fixed: { "ProduceResponse.topics.partitions.recordErrors.message": null },
};
const unread = new Set<string>([]);

/** A member that is known to be a list of structs. */
function list(read: Members, name: string): readonly Members[] {
  return read[name] as readonly Members[]; // proof: the table
}

/** Where it wants a request in another shape than Kafka's. */
const requestShapes: Readonly<Record<string, (data: Members, version: number) => Members>> = {
  DeleteTopics: (data, version) =>
    version < 6 ? { ...data, topics: list(data, "topicNames").map((name) => ({ name })) } : data,
  FindCoordinator: (data, version) =>
    version < 4 ? { ...data, coordinatorKeys: [data["key"]] } : data,
  LeaveGroup: (data, version) => (version < 3 ? { ...data, members: [data] } : data),
  OffsetFetch: (data, version) => (version < 8 ? { ...data, groups: [data] } : data),
  Produce: (data) => ({
    ...data,
    topicData: [{ ...message, topic: "t", partition: 3 }],
    options: {},
  }),
};

/** Where it gives a response in another shape than Kafka's. */
const responseShapes: Readonly<Record<string, (read: Members, version: number) => Members>> = {
  FindCoordinator: (read, version) =>
    version < 4 ? { ...read, ...list(read, "coordinators")[0] } : read,
};

describe("wire: @platformatic/kafka", () => {
  for (const [api, version] of pairs) {
    const their = byPair.get(`${api.key} ${version}`);
    if (their === undefined) continue;
    const { request, response } = api;

    test(`wire: what platformatic writes reads as meant (${request.name} v${version})`, () => {
      for (const value of samples(request, version, requestLimits(api.name, version), 20)) {
        const data = toTheirs(request.root.spec, value, version, request.name, forms) as Members; // proof: a struct
        const shaped = requestShapes[api.name]?.(data, version) ?? data;
        const bytes = their.createRequest(
          ...(args[api.name] ?? []).map((name) => shaped[name]),
        ).buffer;
        expectRead(
          request,
          version,
          bytes,
          value,
          request.name === "FetchRequest" && version === 17,
        );
      }
    });

    test(`wire: platformatic reads what we write (${response.name} v${version})`, () => {
      for (const value of samples(response, version, responses, 20)) {
        const bytes = encoded(response, version, value);
        const reader = platformatic.Reader.from(bytes);
        const read = their.parseResponse(1, api.key, version, reader);
        expect(reader.position).toBe(bytes.length);
        const shaped = responseShapes[api.name]?.(read, version) ?? read;
        expectSame(response.root.spec, shaped, value, version, response.name, forms, unread);
      }
    });
  }
});

test("wire: platformatic covers what it is here for", () => {
  const covered = pairs.filter(([api, version]) => byPair.has(`${api.key} ${version}`));
  expect(covered.length).toBeGreaterThan(120);
});
