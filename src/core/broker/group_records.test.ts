import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type LeaderEpoch,
  type None,
  none,
  noTopicId,
  type Offset,
  offset,
  partitionIndex,
  topicId,
} from "../base/ids.ts";
import type { GroupRecord } from "../coordinator/coordinator.ts";
import type { StoredRecord } from "../../wire/records.ts";
import { isRefused } from "../../wire/refusal.ts";
import { decodeGroupRecord, encodeGroupRecord, subscribedTopics } from "./group_records.ts";

function hex(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString("hex");
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function stored(key: string | null, value: string | null): StoredRecord {
  return {
    key: key === null ? null : bytesOf(key),
    value: value === null ? null : bytesOf(value),
    timestamp: 0,
    offset: 0,
    headers: [],
  };
}

// Made by GroupCoordinatorRecordSerde and MessageUtil of Kafka 4.4.0.
const offsetKey = "000100076772c3bcc39f6500066f726465727300000007";
const groupKey = "000200076772c3bcc39f65";
const vectors = {
  offsetWithTopicId:
    "00040000011f71fb04cb00000005056e6f74650000018bcfe56800010010000102030405060708090a0b0c0d0e0f",
  offset: "00040000011f71fb04cbffffffff010000018bcfe5680000",
  offsetThatExpires: "00010000011f71fb04cb00046e6f74650000018bcfe568000000018bcfe6b980",
  offsetV3: "00030000000000000009000000020001780000000000000005",
  offsetV2: "000200000000000000090001780000000000000005",
  offsetV0: "000000000000000000090001780000000000000005",
  group:
    "00030008636f6e73756d657200000003000572616e676500036d2d310000018bcfe568010000000200036d2d31000169000163000a2f3132372e302e302e310000ea6000002710000000020102000000010300036d2d32ffff000163000a2f3132372e302e302e310000ea60000027100000000000000000",
  groupV4:
    "000409636f6e73756d6572000000030672616e6765046d2d310000018bcfe5680103046d2d31026902630b2f3132372e302e302e310000ea6000002710030102020300046d2d320002630b2f3132372e302e302e310000ea600000271001010000",
  groupV0:
    "00000008636f6e73756d657200000003000572616e676500036d2d310000000200036d2d31000163000a2f3132372e302e302e3100002710000000020102000000010300036d2d32000163000a2f3132372e302e302e31000027100000000000000000",
  emptyGroup: "0003000000000000ffffffffffffffffffffffff00000000",
  subscription: "000300000002000161000162ffffffff000000010001610000000100000001ffffffffffff",
} as const;

const place = { group: "grüße", topic: "orders", partition: partitionIndex(7) } as const;
const committed = {
  offset: offset(1_234_567_890_123),
  leaderEpoch: none,
  metadata: "note",
  commitTimestamp: 1_700_000_000_000,
  expireTimestamp: -1,
  topicId: noTopicId,
} as const;
const member = {
  clientId: "c",
  clientHost: "/127.0.0.1",
  rebalanceTimeoutMs: 60_000,
  sessionTimeoutMs: 10_000,
} as const;
const metadata = {
  protocolType: "consumer",
  generation: 3,
  protocol: "range",
  leader: "m-1",
  stateTimestamp: 1_700_000_000_001,
  members: [
    {
      ...member,
      memberId: "m-1",
      instanceId: "i",
      subscription: bytesOf("0102"),
      assignment: bytesOf("03"),
    },
    {
      ...member,
      memberId: "m-2",
      instanceId: null,
      subscription: bytesOf(""),
      assignment: bytesOf(""),
    },
  ],
} as const;

test("broker: group records are Kafka 4.4's, byte for byte, and read back", () => {
  const epoch = 5 as LeaderEpoch; // proof: a small integer
  const id = topicId("AAECAwQFBgcICQoLDA0ODw");
  const table: [string, GroupRecord, string, string | null][] = [
    [
      "offset with topic id",
      { kind: "offset-commit", ...place, value: { ...committed, leaderEpoch: epoch, topicId: id } },
      offsetKey,
      vectors.offsetWithTopicId,
    ],
    [
      "offset",
      { kind: "offset-commit", ...place, value: { ...committed, metadata: "" } },
      offsetKey,
      vectors.offset,
    ],
    [
      "offset that expires",
      {
        kind: "offset-commit",
        ...place,
        value: { ...committed, expireTimestamp: 1_700_000_086_400 },
      },
      offsetKey,
      vectors.offsetThatExpires,
    ],
    ["offset tombstone", { kind: "offset-tombstone", ...place }, offsetKey, null],
    [
      "group",
      { kind: "group-metadata", group: place.group, value: metadata },
      groupKey,
      vectors.group,
    ],
    [
      "empty group",
      {
        kind: "group-metadata",
        group: place.group,
        value: {
          protocolType: null,
          generation: 0,
          protocol: null,
          leader: null,
          stateTimestamp: -1,
          members: [],
        },
      },
      groupKey,
      vectors.emptyGroup,
    ],
    ["group tombstone", { kind: "group-tombstone", group: place.group }, groupKey, null],
  ];
  for (const [name, record, key, value] of table) {
    const encoded = encodeGroupRecord(record, 42);
    expect([name, hex(encoded.key), hex(encoded.value), encoded.timestamp]).toEqual([
      name,
      key,
      value,
      42,
    ]);
    expect([name, decodeGroupRecord(stored(key, value))]).toEqual([name, record]);
  }
});

test("broker: records of all versions that Kafka has written are read", () => {
  const small = {
    offset: offset(9),
    leaderEpoch: none,
    metadata: "x",
    commitTimestamp: 5,
    expireTimestamp: -1,
    topicId: noTopicId,
  };
  const read = (value: string, key: string = offsetKey) => decodeGroupRecord(stored(key, value));
  for (const value of [vectors.offsetV0, vectors.offsetV2])
    expect(read(value)).toEqual({ kind: "offset-commit", ...place, value: small });
  expect(read(vectors.offsetV3)).toMatchObject({ value: { offset: 9, leaderEpoch: 2 } });
  // Key version 0 is older than Kafka 0.8.2.
  expect(read(vectors.offsetV0, `0000${offsetKey.slice(4)}`)).toEqual({
    kind: "offset-commit",
    ...place,
    value: small,
  });
  expect(read(vectors.groupV4, groupKey)).toEqual({
    kind: "group-metadata",
    group: place.group,
    value: metadata,
  });
  const old = {
    ...metadata,
    stateTimestamp: -1,
    members: metadata.members.map((each) => ({
      ...each,
      instanceId: null,
      rebalanceTimeoutMs: 10_000,
    })),
  };
  expect(read(vectors.groupV0, groupKey)).toEqual({
    kind: "group-metadata",
    group: place.group,
    value: old,
  });
});

test("broker: what is kept of a group record does not lie in the bytes that were read", () => {
  const bytes = bytesOf(vectors.group);
  const record = decodeGroupRecord({ ...stored(groupKey, null), value: bytes });
  bytes.fill(0xff);
  expect(record).toEqual({ kind: "group-metadata", group: place.group, value: metadata });
});

test("broker: records of other kinds are passed over", () => {
  expect(decodeGroupRecord(stored(null, vectors.offset))).toBeNull();
  expect(decodeGroupRecord(stored("0003000167", "0000"))).toBeNull();
});

test("broker: a malformed group record and one of a version to come are refused", () => {
  const table: [string, string, string][] = [
    ["no version", "00", vectors.offset],
    ["a key cut short", offsetKey.slice(0, -2), vectors.offset],
    ["a value cut short", offsetKey, vectors.offset.slice(0, -6)],
    ["a value version to come", offsetKey, `0005${vectors.offset.slice(4)}`],
    ["a group cut short", groupKey, vectors.group.slice(0, -4)],
    ["a group version to come", groupKey, `0005${vectors.group.slice(4)}`],
  ];
  for (const [name, key, value] of table)
    expect([name, isRefused(decodeGroupRecord(stored(key, value)))]).toEqual([name, true]);
});

test("broker: topics of a subscription are read from any version, garbage is none", () => {
  expect(subscribedTopics(bytesOf(vectors.subscription))).toEqual(["a", "b"]);
  expect(subscribedTopics(bytesOf(`0063${vectors.subscription.slice(4)}`))).toEqual(["a", "b"]);
  expect(subscribedTopics(bytesOf("000000000000ffffffff"))).toEqual([]);
  for (const garbage of [
    "",
    "00",
    "0000",
    "ffff00000000ffffffff",
    "00007fffffff",
    "0000000000010005",
  ]) {
    expect([garbage, subscribedTopics(bytesOf(garbage))]).toEqual([garbage, null]);
  }
});

test("broker: any group record comes back from its bytes (random records)", () => {
  const int64 = fc.maxSafeNat();
  const bytes = fc.uint8Array({ maxLength: 40 });
  const text = fc.string({ unit: "grapheme", maxLength: 30 });
  const name = fc.record({ group: text, topic: text, partition: fc.nat().map(partitionIndex) });
  const value = fc.record({
    offset: int64.map((each): Offset | None => offset(each)),
    leaderEpoch: fc
      .integer({ min: -1, max: 2 ** 31 - 1 })
      .map((each) => each as LeaderEpoch | None), // proof: its range
    metadata: text,
    commitTimestamp: int64,
    expireTimestamp: fc.constant(-1),
    topicId: fc.constantFrom(noTopicId, topicId("AAECAwQFBgcICQoLDA0ODw")),
  });
  const joined = fc.record({
    memberId: text,
    instanceId: fc.option(text),
    clientId: text,
    clientHost: text,
    rebalanceTimeoutMs: fc.nat(),
    sessionTimeoutMs: fc.nat(),
    subscription: bytes,
    assignment: bytes,
  });
  const group = fc.record({
    protocolType: fc.option(fc.string({ minLength: 1 })),
    generation: fc.nat(),
    protocol: fc.option(text),
    leader: fc.option(text),
    stateTimestamp: fc.oneof(fc.constant(-1), int64),
    members: fc.array(joined, { maxLength: 5 }),
  });
  const record: fc.Arbitrary<GroupRecord> = fc.oneof(
    fc
      .tuple(name, value)
      .map(([at, each]): GroupRecord => ({ kind: "offset-commit", ...at, value: each })),
    name.map((at): GroupRecord => ({ kind: "offset-tombstone", ...at })),
    fc
      .tuple(text, group)
      .map(([id, each]): GroupRecord => ({ kind: "group-metadata", group: id, value: each })),
    text.map((id): GroupRecord => ({ kind: "group-tombstone", group: id })),
  );
  fc.assert(
    fc.property(record, (each) => {
      const { key, value: body } = encodeGroupRecord(each, 1);
      expect(decodeGroupRecord({ key, value: body, timestamp: 1, offset: 0, headers: [] })).toEqual(
        each,
      );
    }),
    { numRuns: 500 },
  );
});

test("broker: no bytes make a group record throw (random bytes)", () => {
  const near = fc
    .tuple(
      fc.constantFrom(offsetKey, groupKey, vectors.group, vectors.groupV4, vectors.offset),
      fc.nat(200),
      fc.nat(255),
    )
    .map(([text, at, byte]) => {
      const bytes = bytesOf(text);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
  const any = fc.oneof(fc.uint8Array({ maxLength: 60 }), near);
  fc.assert(
    fc.property(any, any, (key, value) => {
      decodeGroupRecord({ key, value, timestamp: 0, offset: 0, headers: [] });
      subscribedTopics(value);
    }),
    { numRuns: 2_000 },
  );
});
