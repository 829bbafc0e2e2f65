// The doors of the codec, case by case: what a version lacks, what is refused, what asserts.

import { describe, expect, test } from "bun:test";
import { AssertionError } from "../core/base/assert.ts";
import { none, noTopicId } from "../core/base/ids.ts";
import { requestElementsMax, stringBytesMax, taggedFieldsMax } from "../core/base/limits.ts";
import { array, int32, int8, message, string, versionMax } from "../../proto/schema.ts";
import { OffsetCommitValue } from "../../proto/records/consumer_offsets.ts";
import {
  ConsumerProtocolAssignment,
  ConsumerProtocolSubscription,
} from "../../proto/records/consumer_protocol.ts";
import { apis } from "./apis.ts";
import {
  codecText,
  decodeMessage,
  decodeRequest,
  decodeResponse,
  decodeVersioned,
  encodeMessage,
  encodeRequest,
  encodeResponse,
  encodeVersioned,
  versionOf,
} from "./codec.ts";
import { type DecodeFault, isRefused, refusalOf } from "./refusal.ts";
import { readString, readUuid, writeUuid } from "./text.ts";
import { Writer } from "./writer.ts";

/** What decoding `bytes` as `Names` is refused for; null = it is not. */
const Names = message("Names", {
  versions: [0, 2],
  flexible: 1,
  fields: { names: array(string).nullable(2), late: int32.since(2).tag(3).default(5) },
});
const Small = message("Small", {
  versions: [0, 0],
  flexible: versionMax,
  fields: { numbers: array(int8) },
});

function refusal(version: number, ...bytes: number[]): DecodeFault | null {
  const decoded = decodeMessage(Names, version, Uint8Array.from(bytes));
  return isRefused(decoded) ? decoded.refusal : null;
}

describe("wire: what is refused", () => {
  const cases: readonly (readonly [string, number, readonly number[], DecodeFault | null])[] = [
    ["no bytes", 1, [], "truncated"],
    ["empty array", 1, [1, 0], null],
    ["null array", 1, [0, 0], "null"],
    ["null array where allowed", 2, [0, 0], null],
    ["null array, fixed", 0, [0xff, 0xff, 0xff, 0xff], "null"],
    ["count beyond the bytes", 1, [5, 1, 1, 0], "count"],
    ["count of 2^32 - 1", 1, [0xff, 0xff, 0xff, 0xff, 0x0f, 0], "count"],
    ["count of 2^31 - 1, fixed", 0, [0x7f, 0xff, 0xff, 0xff], "count"],
    ["null string", 1, [2, 0, 0], "null"],
    ["null string, fixed", 0, [0, 0, 0, 1, 0xff, 0xff], "null"],
    ["string beyond the bytes", 1, [2, 9, 0x61, 0], "truncated"],
    ["string that is no UTF-8", 1, [2, 3, 0xc3, 0x28, 0], "string"],
    ["string with a lone surrogate", 1, [2, 4, 0xed, 0xa0, 0x80, 0], "string"],
    ["varint of six bytes", 1, [0x80, 0x80, 0x80, 0x80, 0x80, 0x01], "varint"],
    ["varint beyond 32 bits", 1, [0xff, 0xff, 0xff, 0xff, 0x1f], "varint"],
    ["varint longer than its value needs", 1, [0x81, 0x00, 0], "varint"],
    ["varint that ends early", 1, [0x81], "truncated"],
    ["no tagged section", 1, [1], "truncated"],
    ["unknown tag", 1, [1, 1, 9, 2, 1, 1], null],
    ["unknown tag beyond the bytes", 1, [1, 1, 9, 3, 1, 1], "truncated"],
    ["tags out of order", 1, [1, 2, 9, 0, 8, 0], "tags"],
    ["tag twice", 2, [1, 2, 3, 4, 0, 0, 0, 1, 3, 4, 0, 0, 0, 1], "tags"],
    ["known tag, too short", 2, [1, 1, 3, 3, 0, 0, 0, 1], "tags"],
    ["known tag, too long", 2, [1, 1, 3, 5, 0, 0, 0, 1, 0], "tags"],
    ["known tag, right", 2, [1, 1, 3, 4, 0, 0, 0, 1], null],
    ["known tag below its version", 1, [1, 1, 3, 1, 0], null],
  ];
  for (const [name, version, bytes, expected] of cases) {
    test(`wire: decoding judges bytes (${name}, v${version})`, () => {
      expect(refusal(version, ...bytes)).toBe(expected);
    });
  }

  test("wire: tagged fields end at their limit", () => {
    const tags = (count: number) => Array.from({ length: count }, (_, tag) => [tag + 4, 0]).flat();
    expect(refusal(1, 1, taggedFieldsMax, ...tags(taggedFieldsMax))).toBe(null);
    expect(refusal(1, 1, taggedFieldsMax + 1, ...tags(taggedFieldsMax + 1))).toBe("tags");
    expect(refusal(2, 1, taggedFieldsMax, ...tags(taggedFieldsMax))).toBe(null);
    expect(refusal(2, 1, taggedFieldsMax + 1, ...tags(taggedFieldsMax + 1))).toBe("tags");
  });

  test("wire: a string ends at Kafka's limit", () => {
    const named = (length: number) => {
      const writer = new Writer();
      const at = writer.uvarint(writer.uvarint(0, 2), length + 1);
      writer.reserve(at, length + 1);
      writer.position = at + length + 1;
      return decodeMessage(Names, 1, writer.written());
    };
    expect(isRefused(named(stringBytesMax))).toBe(false);
    expect(named(stringBytesMax + 1)).toMatchObject({ refusal: "string" });
  });

  test("wire: a request has an end of array elements, a message of ours has none", () => {
    const bytes = new Uint8Array(requestElementsMax + 100);
    const view = new DataView(bytes.buffer);
    const numbers = { ...apis.ListConfigResources, request: Small };
    for (const count of [requestElementsMax, requestElementsMax + 1]) {
      view.setInt32(0, count);
      const decoded = decodeRequest(numbers, 0, bytes, 0, count + 4);
      expect(isRefused(decoded)).toBe(count > requestElementsMax);
      expect(isRefused(decodeMessage(Small, 0, bytes, 0, count + 4))).toBe(false);
    }
  });

  test("wire: bytes behind a message are not looked at, as in Kafka", () => {
    expect(refusal(1, 1, 0, 0xff, 0xff)).toBe(null);
  });

  test("wire: an exception that is no refusal goes on", () => {
    expect(() => refusalOf(new TypeError("a bug"))).toThrow(TypeError);
  });
});

describe("wire: int64 at the doors", () => {
  function fetchFrom(offset: bigint, highWatermark: bigint | null): Uint8Array {
    const writer = new Writer();
    encodeRequest(apis.Fetch, 18, writer, {
      ...fetchRequest,
      topics: [
        { topic: "", topicId: noTopicId, partitions: [{ ...fetchPartition, highWatermark: none }] },
      ],
    });
    const bytes = writer.written().slice();
    const view = new DataView(bytes.buffer);
    const at = bytes.findIndex((_, i) => i + 8 <= bytes.length && view.getBigInt64(i) === 123n);
    view.setBigInt64(at, offset);
    const tag = bytes.lastIndexOf(8);
    if (highWatermark !== null) view.setBigInt64(tag + 1, highWatermark);
    return bytes;
  }
  const fetchPartition = {
    partition: 3 as never, // proof: a test may name a partition by a plain number
    currentLeaderEpoch: none,
    fetchOffset: 123 as never, // proof: as above
    lastFetchedEpoch: none,
    logStartOffset: none,
    partitionMaxBytes: 7,
    replicaDirectoryId: noTopicId,
    highWatermark: null,
  };
  const fetchRequest = {
    clusterId: null,
    replicaId: none,
    replicaState: { replicaId: none, replicaEpoch: -1 },
    maxWaitMs: 1,
    minBytes: 1,
    maxBytes: 1,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [],
    forgottenTopicsData: [],
    rackId: "",
  };
  function partitionOf(bytes: Uint8Array): unknown {
    const decoded = decodeRequest(apis.Fetch, 18, bytes, 0, bytes.length);
    return isRefused(decoded) ? decoded.refusal : decoded.topics[0]?.partitions[0];
  }

  test("wire: an offset that is only compared saturates (2^53, 2^63-1, -2^63)", () => {
    const max = Number.MAX_SAFE_INTEGER;
    expect(partitionOf(fetchFrom(2n ** 53n, null))).toMatchObject({ fetchOffset: max });
    expect(partitionOf(fetchFrom(2n ** 63n - 1n, null))).toMatchObject({ fetchOffset: max });
    expect(partitionOf(fetchFrom(-(2n ** 63n), null))).toMatchObject({ fetchOffset: -max });
    expect(partitionOf(fetchFrom(2n ** 53n - 1n, null))).toMatchObject({ fetchOffset: max });
  });

  test("wire: 2^63-1 in a replica's high watermark reads as null, its neighbours are refused", () => {
    expect(partitionOf(fetchFrom(123n, 2n ** 63n - 1n))).toMatchObject({ highWatermark: null });
    expect(partitionOf(fetchFrom(123n, 2n ** 63n - 2n))).toBe("unsafe-int64");
    expect(partitionOf(fetchFrom(123n, 2n ** 53n))).toBe("unsafe-int64");
    expect(partitionOf(fetchFrom(123n, 77n))).toMatchObject({ highWatermark: 77 });
  });

  test("wire: every other unsafe int64 is refused (OffsetCommit)", () => {
    const writer = new Writer();
    encodeRequest(apis.OffsetCommit, 2, writer, {
      groupId: "g",
      generationIdOrMemberEpoch: -1,
      memberId: "",
      groupInstanceId: null,
      retentionTimeMs: 2 ** 53 - 1,
      topics: [],
    });
    const bytes = writer.written();
    expect(isRefused(decodeRequest(apis.OffsetCommit, 2, bytes, 0, bytes.length))).toBe(false);
    new DataView(bytes.buffer).setBigInt64(bytes.length - 12, 2n ** 53n);
    const decoded = decodeRequest(apis.OffsetCommit, 2, bytes, 0, bytes.length);
    expect(decoded).toMatchObject({ kind: "refused", refusal: "unsafe-int64" });
  });
});

describe("wire: what a version lacks", () => {
  test("wire: a member that the version lacks has its declared default (Fetch v4)", () => {
    const bytes = Uint8Array.from([0xff, 0xff, 0xff, 0xff, ...new Array<number>(17).fill(0)]);
    expect(decodeRequest(apis.Fetch, 4, bytes, 0, bytes.length)).toEqual({
      clusterId: null,
      replicaId: none,
      replicaState: { replicaId: none, replicaEpoch: -1 },
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 0,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [],
      forgottenTopicsData: [],
      rackId: "",
    });
  });

  test("wire: an ignorable value is dropped, any other fails an assertion that names it", () => {
    const writer = new Writer();
    const request = {
      groupId: "g",
      generationId: 1,
      memberId: "m",
      groupInstanceId: null,
    };
    encodeRequest(apis.Heartbeat, 0, writer, request);
    const named = { ...request, groupInstanceId: "static" };
    expect(() => encodeRequest(apis.Heartbeat, 2, writer, named)).toThrow(
      new AssertionError("HeartbeatRequest.v2.groupInstanceId is not in this version"),
    );
    encodeRequest(apis.Heartbeat, 3, writer, named);
    writer.reset();
    encodeResponse(apis.Heartbeat, 0, writer, { throttleTimeMs: 99, errorCode: 7 });
    expect([...writer.written()]).toEqual([0, 7]);
  });

  test("wire: null where the version has none fails an assertion (JoinGroup protocol below v7)", () => {
    const response = {
      throttleTimeMs: 0,
      errorCode: 0,
      generationId: 1,
      protocolType: null,
      protocolName: null,
      leader: "",
      skipAssignment: false,
      memberId: "",
      members: [],
    };
    const writer = new Writer();
    encodeResponse(apis.JoinGroup, 7, writer, response);
    expect(() => encodeResponse(apis.JoinGroup, 6, writer, response)).toThrow(AssertionError);
  });

  test("wire: a number that its field cannot hold fails an assertion", () => {
    const writer = new Writer();
    for (const errorCode of [32768, -32769, 1.5, Number.NaN]) {
      const response = { throttleTimeMs: 0, errorCode };
      expect(() => encodeResponse(apis.Heartbeat, 1, writer, response)).toThrow(AssertionError);
    }
    const throttled = { throttleTimeMs: 2 ** 31, errorCode: 0 };
    expect(() => encodeResponse(apis.Heartbeat, 1, writer, throttled)).toThrow(AssertionError);
    const missing = { errorCode: 0 } as never; // proof: a test may leave a member out
    expect(() => encodeResponse(apis.Heartbeat, 1, writer, missing)).toThrow(AssertionError);
  });

  test("wire: a default in a tagged field is not written, another is (ApiVersions v3)", () => {
    const response = {
      errorCode: 0,
      apiKeys: [],
      throttleTimeMs: 0,
      supportedFeatures: [],
      finalizedFeaturesEpoch: -1,
      finalizedFeatures: [],
      zkMigrationReady: false,
    };
    const writer = new Writer();
    encodeResponse(apis.ApiVersions, 3, writer, { ...response, finalizedFeaturesEpoch: 0 });
    const tail = [1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    expect([...writer.written()]).toEqual([0, 0, 1, 0, 0, 0, 0, ...tail]);
  });

  test("wire: a tagged field longer than 127 bytes is written and read (lengths around the edges)", () => {
    const Tagged = message("Tagged", {
      versions: [0, 0],
      flexible: 0,
      fields: { text: string.tag(0), after: int32.tag(1) },
    });
    for (const length of [1, 124, 125, 126, 127, 128, 200, 16_380, 16_390, 32_767]) {
      const value = { text: "x".repeat(length), after: 3 };
      const writer = new Writer(8);
      encodeMessage(Tagged, 0, writer, value);
      expect(decodeMessage(Tagged, 0, writer.written())).toEqual(value);
    }
  });
});

describe("wire: records with a version in front", () => {
  const value = {
    offset: 5 as never, // proof: a test may name an offset by a plain number
    leaderEpoch: none,
    metadata: "m",
    commitTimestamp: 1,
    expireTimestamp: -1,
    topicId: noTopicId,
  };

  test("wire: the version is in front and chooses the layout", () => {
    for (const version of [0, 1, 2, 3, 4]) {
      const bytes = encodeVersioned(OffsetCommitValue, version, value);
      expect(versionOf(bytes)).toBe(version);
      expect(decodeVersioned(OffsetCommitValue, bytes)).toEqual(value);
    }
  });

  test("wire: a version that the table lacks is refused, no bytes too", () => {
    for (const bytes of [[0, 5], [0xff, 0xff], [0], []]) {
      const decoded = decodeVersioned(OffsetCommitValue, Uint8Array.from(bytes));
      expect(decoded).toMatchObject({ kind: "refused", refusal: "version" });
    }
  });

  test("wire: a newer subscription is read as the newest known one, its rest ignored", () => {
    const assigned = {
      assignedPartitions: [{ topic: "t", partitions: [0 as never, 7 as never] }], // proof: plain numbers in a test
      userData: null,
    };
    const bytes = [...encodeVersioned(ConsumerProtocolAssignment, 3, assigned), 1, 2, 3];
    bytes[1] = 9;
    expect(decodeVersioned(ConsumerProtocolAssignment, Uint8Array.from(bytes))).toEqual(assigned);
    const negative = Uint8Array.from([0xff, 0xff, ...bytes.slice(2)]);
    expect(isRefused(decodeVersioned(ConsumerProtocolSubscription, negative))).toBe(true);
  });
});

describe("wire: text", () => {
  test("wire: a string read twice is the same, whatever else shares its place in the cache", () => {
    const encoder = new TextEncoder();
    for (let round = 0; round < 2; round += 1) {
      for (let i = 0; i < 20_000; i += 1) {
        const text = `topic-${i}${"é".repeat(i % 5)}`;
        const bytes = encoder.encode(text);
        if (readString(bytes, 0, bytes.length) !== text) expect(text).toBe("the string read");
      }
    }
    expect(readString(encoder.encode("\ufeffbom"), 0, 6)).toBe("\ufeffbom");
    expect(readString(new Uint8Array(0), 0, 0)).toBe("");
  });

  test("wire: an id is its 16 bytes in base64url, both ways (20000 ids)", () => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    const back = new Uint8Array(18);
    for (let i = 0; i < 20_000; i += 1) {
      for (let at = 0; at < 16; at += 4) view.setInt32(at, Math.imul(i + at, 0x9e3779b1));
      const id = readUuid(view, 0);
      expect(id).toBe(bytes.toBase64({ alphabet: "base64url", omitPadding: true }));
      expect(readUuid(view, 0)).toBe(id);
      writeUuid(back, 1, id);
      expect(back.subarray(1, 17)).toEqual(bytes);
    }
    expect(readUuid(new DataView(new ArrayBuffer(16)), 0)).toBe(noTopicId);
    expect(() => writeUuid(back, 0, "short")).toThrow(AssertionError);
    expect(() => writeUuid(back, 0, `${"A".repeat(21)}!`)).toThrow(AssertionError);
  });
});

describe("wire: views and writers", () => {
  const response = (records: Uint8Array) => ({
    throttleTimeMs: 0,
    errorCode: 0,
    sessionId: 0,
    responses: [
      {
        topic: "t",
        topicId: noTopicId,
        partitions: [0, 1].map((index) => ({
          partitionIndex: index as never, // proof: a test may name a partition by a plain number
          errorCode: 0,
          highWatermark: none,
          lastStableOffset: none,
          logStartOffset: none,
          divergingEpoch: { epoch: none, endOffset: none },
          currentLeader: { leaderId: none, leaderEpoch: none },
          snapshotId: { endOffset: none, epoch: none },
          abortedTransactions: null,
          preferredReadReplica: none,
          records,
        })),
      },
    ],
    nodeEndpoints: [],
  });

  test("wire: records are a view of the decoded bytes", () => {
    const writer = new Writer();
    encodeResponse(apis.Fetch, 11, writer, response(Uint8Array.from([1, 2, 3])));
    const bytes = writer.written();
    const decoded = decodeResponse(apis.Fetch, 11, bytes, 0, bytes.length);
    if (isRefused(decoded)) throw new Error(decoded.refusal);
    const records = decoded.responses[0]?.partitions[1]?.records;
    expect(records?.buffer).toBe(bytes.buffer as ArrayBuffer); // proof: the writer makes no shared buffer
    expect([...(records ?? [])]).toEqual([1, 2, 3]);
  });

  test("wire: holes leave the room of records to the caller (flexible and not)", () => {
    for (const version of [11, 12]) {
      const copied = new Writer();
      encodeResponse(apis.Fetch, version, copied, response(new Uint8Array(300).fill(7)));
      const writer = new Writer(16);
      writer.holes = [];
      encodeResponse(apis.Fetch, version, writer, response(new Uint8Array(300)));
      expect(writer.holes.length).toBe(2);
      for (const hole of writer.holes) writer.bytes.fill(7, hole, hole + 300);
      expect([...writer.written()]).toEqual([...copied.written()]);
      writer.reset();
      expect<unknown>(writer.holes).toBe(null);
    }
  });

  test("wire: a message may stand anywhere in its bytes", () => {
    const writer = new Writer();
    writer.position = 5;
    encodeResponse(apis.Heartbeat, 4, writer, { throttleTimeMs: 1, errorCode: 2 });
    const bytes = new Uint8Array(writer.position + 9).fill(0xee);
    bytes.set(writer.written(), 0);
    const decoded = decodeResponse(apis.Heartbeat, 4, bytes.subarray(2), 3, writer.position - 2);
    expect(decoded).toEqual({ throttleTimeMs: 1, errorCode: 2 });
  });

  test("wire: a codec's text carries the name that a stack trace shows", () => {
    const text = codecText(apis.Produce.request, 9, "encode");
    expect(text).toEndWith("//# sourceURL=ProduceRequest.v9.encode");
  });
});
