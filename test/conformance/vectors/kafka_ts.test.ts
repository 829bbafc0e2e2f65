// kafka-ts as an oracle: its encoders write requests that we read, its decoders read responses that
// we write, in every version that it has. It was written from the protocol guide and knows nothing
// of us.

import { describe, expect, test } from "bun:test";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  ConsumerProtocolAssignment,
  ConsumerProtocolSubscription,
} from "../../../proto/records/consumer_protocol.ts";
import { partitionIndex } from "../../../src/core/base/ids.ts";
import { encodeVersioned } from "../../../src/wire/codec.ts";
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

interface Encoder {
  value(): Buffer;
}
interface Decoder {
  getOffset(): number;
}
interface TheirApi {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly requestHeaderVersion: number;
  readonly responseHeaderVersion: number;
  readonly fallback?: TheirApi;
  readonly request: (encoder: Encoder, data: unknown) => Encoder;
  readonly response: (decoder: Decoder) => unknown;
}

const require = createRequire(import.meta.url);
const dist = dirname(require.resolve("kafka-ts"));
const { API } = require(join(dist, "api/index.js")) as { API: Record<string, TheirApi> };
const utils = {
  ...(require(join(dist, "utils/encoder.js")) as { Encoder: new () => Encoder }),
  ...(require(join(dist, "utils/decoder.js")) as { Decoder: new (bytes: Buffer) => Decoder }),
};

const byPair = new Map<string, TheirApi>();
for (const newest of Object.values(API)) {
  for (let api: TheirApi | undefined = newest; api !== undefined; api = api.fallback) {
    byPair.set(`${api.apiKey} ${api.apiVersion}`, api);
  }
}

const forms: Forms = {
  int64: (value) => BigInt(value),
  uuid: (bytes) => bytes.toString("hex"),
  nullIsEmpty: true,
  names: {
    "ApiVersionsResponse.apiKeys": "versions",
    "CreateTopicsResponse.topics.topicId": "_topicId",
    "CreateTopicsResponse.topics.numPartitions": "_numPartitions",
    "CreateTopicsResponse.topics.replicationFactor": "_replicationFactor",
    "DeleteTopicsResponse.responses.topicId": "_topicId",
    "FetchRequest.topics.topic": "topicName",
    "FetchRequest.forgottenTopicsData.topic": "topicName",
    "FetchResponse.responses.topic": "topicName",
    "FindCoordinatorRequest.coordinatorKeys": "keys",
    "MetadataRequest.allowAutoTopicCreation": "allowTopicAutoCreation",
    "MetadataRequest.topics.topicId": "id",
    "OffsetFetchResponse.topics.partitions.metadata": "committedMetadata",
    "OffsetFetchResponse.groups.topics.partitions.metadata": "committedMetadata",
    "ProduceResponse.topics.partitions.logAppendTimeMs": "logAppendTime",
  },
};

/** It encodes and decodes these itself, from objects: the bytes of one that both sides know. */
const assignment = encodeVersioned(ConsumerProtocolAssignment, 0, {
  assignedPartitions: [{ topic: "t", partitions: [0, 7].map(partitionIndex) }],
  userData: new Uint8Array(0),
});
const subscription = encodeVersioned(ConsumerProtocolSubscription, 0, {
  topics: ["t"],
  userData: new Uint8Array(0),
  ownedPartitions: [],
  generationId: -1,
  rackId: null,
});
const requests: Limits = {
  tags: false,
  nulls: true,
  fixed: {
    "FetchRequest.replicaId": -1,
    "JoinGroupRequest.protocols.metadata": subscription,
    "OffsetCommitRequest.retentionTimeMs": -1,
    "SyncGroupRequest.assignments.assignment": assignment,
  },
};
const responses: Limits = {
  tags: true,
  nulls: true,
  fixed: { "SyncGroupResponse.assignment": assignment },
};
const unread = new Set(["OffsetFetchResponse.errorCode"]);

/** The record batch of oracle.ts in its words: it builds the bytes, CRC included, by itself. */
const batch = {
  baseOffset: 0n,
  partitionLeaderEpoch: -1,
  attributes: 0,
  lastOffsetDelta: 0,
  baseTimestamp: 1_700_000_000_000n,
  maxTimestamp: 1_700_000_000_000n,
  producerId: -1n,
  producerEpoch: -1,
  baseSequence: -1,
  records: [
    {
      attributes: 0,
      timestampDelta: 0n,
      offsetDelta: 0,
      key: "\u0001",
      value: "\u0002\u0003",
      headers: [],
    },
  ],
};

/** A member that is known to be a list of structs. */
function list(data: Members, name: string): readonly Members[] {
  return data[name] as readonly Members[]; // proof: the table
}

/** Where it wants a request in another shape than Kafka's. */
const requestShapes: Readonly<Record<string, (data: Members, version: number) => unknown>> = {
  DeleteTopics: (data, version) =>
    version < 6 ? { ...data, topics: list(data, "topicNames").map((name) => ({ name })) } : data,
  FindCoordinator: (data, version) => (version < 4 ? { ...data, keys: [data["key"]] } : data),
  JoinGroup: (data) => ({
    ...data,
    protocols: list(data, "protocols").map((protocol) => ({
      ...protocol,
      metadata: { version: 0, topics: ["t"] },
    })),
  }),
  LeaveGroup: (data, version) => (version < 3 ? { ...data, members: [data] } : data),
  OffsetFetch: (data, version) => (version < 8 ? { ...data, groups: [data] } : data),
  Produce: (data) => ({
    ...data,
    topicData: list(data, "topicData").map((topic) => ({
      ...topic,
      partitionData: list(topic, "partitionData").map((one) => ({ ...one, ...batch })),
    })),
  }),
  SyncGroup: (data) => ({
    ...data,
    assignments: list(data, "assignments").map((one) => ({ ...one, assignment: { t: [0, 7] } })),
  }),
};

/** Where it gives a response in another shape than Kafka's. */
const responseShapes: Readonly<Record<string, (read: Members, version: number) => Members>> = {
  FindCoordinator: (read, version) =>
    version < 4 ? { ...read, ...list(read, "coordinators")[0] } : read,
  OffsetFetch: (read, version) => (version < 8 ? { ...read, ...list(read, "groups")[0] } : read),
  SyncGroup: (read) => {
    expect<unknown>(read["assignment"]).toEqual({ t: [0, 7] });
    return { ...read, assignment };
  },
};

describe("wire: kafka-ts", () => {
  for (const [api, version] of pairs) {
    const their = byPair.get(`${api.key} ${version}`);
    if (their === undefined) continue;
    const { request, response } = api;

    test(`wire: kafka-ts has the same headers (${api.name} v${version})`, () => {
      const flexible = version >= api.flexible;
      expect(their.requestHeaderVersion).toBe(flexible ? 2 : 1);
      expect(their.responseHeaderVersion).toBe(flexible && api.key !== 18 ? 1 : 0);
    });

    test(`wire: what kafka-ts writes reads as meant (${request.name} v${version})`, () => {
      for (const value of samples(request, version, requests, 20)) {
        const data = toTheirs(request.root.spec, value, version, request.name, forms);
        const shaped = requestShapes[api.name]?.(data as Members, version) ?? data; // proof: a struct
        const bytes = their.request(new utils.Encoder(), shaped).value();
        expectRead(request, version, bytes, value);
      }
    });

    test(`wire: kafka-ts reads what we write (${response.name} v${version})`, async () => {
      for (const value of samples(response, version, responses, 20)) {
        const bytes = encoded(response, version, value);
        const decoder = new utils.Decoder(bytes);
        const read = (await their.response(decoder)) as Members; // proof: responses are structs
        const shaped = responseShapes[api.name]?.(read, version) ?? read;
        expect(decoder.getOffset()).toBe(bytes.length);
        expectSame(response.root.spec, shaped, value, version, response.name, forms, unread);
      }
    });
  }
});

test("wire: kafka-ts covers what it is here for", () => {
  const covered = pairs.filter(([api, version]) => byPair.has(`${api.key} ${version}`));
  expect(covered.length).toBeGreaterThan(150);
});
