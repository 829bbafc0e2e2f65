import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { leaderEpoch, nodeId, offset, partitionIndex, ticket, topicId } from "../core/base/ids.ts";
import {
  type MetadataKind,
  type MetadataRecord,
  metadataTables,
} from "../../proto/records/metadata.ts";
import { stampCrc } from "./batch.ts";
import { encodeMetadata, readMetadata } from "./metadata_records.ts";
import { buildBatch } from "./records.ts";

const id = topicId("AAAAAAAAAAAAAAAAAAAABA");
const registration = {
  node: nodeId(3),
  host: "h",
  port: 9092,
  rack: null,
  diskId: "d",
  starts: 7,
  ticket: ticket(2 ** 40),
};

/** One of each kind, with every optional part once there and once not. */
const samples: readonly MetadataRecord[] = [
  { kind: "cluster", clusterId: "AAAAAAAAAAAAAAAAAAAAAQ" },
  { kind: "feature-level", level: 1 },
  { kind: "register", ...registration },
  {
    kind: "topic",
    topicId: id,
    name: "t",
    partitions: 3,
    replicationFactor: 1,
    leaders: [nodeId(3)],
    configs: [{ name: "a", value: "1" }],
  },
  { kind: "partitions", topicId: id, count: 9, leaders: [nodeId(1), nodeId(2)] },
  { kind: "delete-topic", topicId: id },
  {
    kind: "configs",
    resource: 2,
    name: "t",
    changes: [
      { name: "a", value: null },
      { name: "b", value: "" },
    ],
  },
  { kind: "producer-ids", first: 2 ** 50, count: 1000 },
  {
    kind: "seals",
    topics: [
      {
        topicId: id,
        partitions: [{ partition: partitionIndex(1), epoch: leaderEpoch(5), end: offset(2 ** 45) }],
      },
    ],
  },
  {
    kind: "trims",
    topics: [{ topicId: id, partitions: [{ partition: partitionIndex(1), offset: offset(4) }] }],
  },
  { kind: "snapshot", index: 99 },
  { kind: "node", ...registration, rack: "r", incarnation: 12 },
  {
    kind: "partition-states",
    topicId: id,
    first: partitionIndex(0),
    partitions: [
      {
        leader: nodeId(3),
        epoch: leaderEpoch(4),
        since: leaderEpoch(4),
        logStart: offset(1),
        target: leaderEpoch(2),
        targetStart: offset(8),
        sealed: [{ epoch: leaderEpoch(1), start: offset(0) }],
      },
    ],
  },
  { kind: "snapshot-end", records: 5 },
];

function read(batches: Uint8Array): {
  records: [number, MetadataRecord][];
  refusal: string | null;
} {
  const records: [number, MetadataRecord][] = [];
  const refusal = readMetadata(batches, (record, index) => records.push([index, record]));
  return { records, refusal: refusal?.refusal ?? null };
}

function joined(...batches: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(batches));
}

describe("wire: metadata records", () => {
  test("there is a sample of every kind", () => {
    const kinds = new Set<MetadataKind>(samples.map((record) => record.kind));
    expect([...kinds].sort()).toEqual((Object.keys(metadataTables) as MetadataKind[]).sort()); // proof: keys of the table
  });

  test("every kind comes back as it went, at the index of its place", () => {
    const first = encodeMetadata(samples.slice(0, 5), 1, 1000);
    const second = encodeMetadata(samples.slice(5), 6, 2000);
    const { records, refusal } = read(joined(first, second));
    expect(refusal).toBeNull();
    expect(records).toEqual(samples.map((record, i) => [i + 1, record]));
  });

  test("nothing is no record", () => {
    expect(read(new Uint8Array(0))).toEqual({ records: [], refusal: null });
  });

  test("records before the damage are handed out, none behind it", () => {
    const good = encodeMetadata(samples.slice(0, 2), 1, 0);
    const bad = encodeMetadata(samples.slice(2, 3), 3, 0);
    bad[bad.length - 1] = (bad.at(-1) ?? 0) ^ 1;
    expect(read(joined(good, bad, good))).toMatchObject({
      records: [
        [1, {}],
        [2, {}],
      ],
      refusal: "truncated",
    });
  });

  test("a batch that is cut anywhere is refused", () => {
    const batch = encodeMetadata(samples, 1, 0);
    for (let length = 1; length < batch.length; length += 1) {
      expect(read(batch.slice(0, length))).toEqual({ records: [], refusal: "truncated" });
    }
  });

  const foreign: readonly (readonly [string, number[], string])[] = [
    ["another frame version", [2, 1, 0, 1, 0], "version"],
    ["an unknown type", [1, 99, 0], "version"],
    ["a newer version of a known type", [1, 2, 1, 0, 0, 0], "version"],
    ["no body", [1, 2], "truncated"],
    ["nothing", [], "version"],
    ["a long varint", [1, 0x80, 0x80, 0x80, 0x80, 0x80, 1], "varint"],
  ];
  for (const [what, value, refusal] of foreign) {
    test(`a value that this reader does not know is refused (${what})`, () => {
      const batch = buildBatch([{ key: null, value: new Uint8Array(value), timestamp: 0 }]);
      expect(read(batch)).toEqual({ records: [], refusal });
    });
  }

  test("a record without a value is refused", () => {
    expect(read(buildBatch([{ key: null, value: null, timestamp: 0 }])).refusal).toBe("null");
  });

  test("no bytes make it do anything but read or refuse (any flip, CRC made right)", () => {
    const whole = encodeMetadata(samples, 1, 0);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (flips) => {
          const batch = new Uint8Array(whole);
          for (const [at, value] of flips) if (at >= 21) batch[at] = value;
          stampCrc(batch, new DataView(batch.buffer), 0);
          const { records, refusal } = read(batch);
          expect(refusal === null ? records.length : -1).toBeLessThanOrEqual(samples.length);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
