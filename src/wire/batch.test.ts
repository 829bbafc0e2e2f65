import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { Attribute, Codec, Fact, factStride, Flaw } from "../core/base/facts.ts";
import {
  batchAttributes,
  batchBaseOffset,
  batchBaseSequence,
  batchBytes,
  batchHeaderBytes,
  batchLastOffsetDelta,
  batchLeaderEpoch,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
  batchRecordsCount,
  beginsAsCodec,
  checkBatch,
  stampAppendTime,
  stampBatch,
  stampCrc,
} from "./batch.ts";
import { buildBatch, findRecord, type NewRecord, readBatch, type StoredRecord } from "./records.ts";
import { isRefused } from "./refusal.ts";

const now = 1_700_000_000_000;
const utf8 = new TextEncoder();

function factsOf(bytes: Uint8Array, start = 0, end = bytes.length): Float64Array {
  const facts = new Float64Array(factStride);
  checkBatch(bytes, start, end, facts, 0);
  return facts;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** `count` small records, a millisecond apart. */
function batchOf(count: number, keyless = -1): Uint8Array {
  const records = Array.from({ length: count }, (_, i) => ({
    key: i === keyless ? null : utf8.encode(`k${i}`),
    value: utf8.encode(`value ${i}`),
    timestamp: now + i,
  }));
  return buildBatch(records);
}

/** A batch around a body that the test wrote by hand. */
function around(body: readonly number[], count: number, attributes = 0): Uint8Array {
  const bytes = new Uint8Array(batchHeaderBytes + body.length);
  bytes.set(batchOf(1).subarray(0, batchHeaderBytes));
  bytes.set(body, batchHeaderBytes);
  const view = viewOf(bytes);
  view.setInt32(8, bytes.length - 12);
  view.setUint16(21, attributes);
  view.setInt32(23, count - 1);
  view.setInt32(57, count);
  stampCrc(bytes, view, 0);
  return bytes;
}

function flawsOf(bytes: Uint8Array): number {
  return factsOf(bytes)[Fact.flaws] ?? -1;
}

describe("wire: the batch check", () => {
  test("wire: a good batch has no flaw and tells its header (3 records, producer, codec bits 0)", () => {
    const records = [5, 9, -3].map((delta, i) => ({
      key: i === 1 ? null : utf8.encode("key"),
      value: null,
      timestamp: now + delta,
      headers: [{ key: "h", value: null }],
    }));
    const bytes = buildBatch(records, {
      baseOffset: 77,
      leaderEpoch: 9,
      producerId: 2 ** 40,
      producerEpoch: 4,
      baseSequence: 1000,
      attributes: Attribute.transactional,
    });
    const expected = new Float64Array(factStride);
    expected[Fact.bytes] = bytes.length;
    expected[Fact.attributes] = Attribute.transactional;
    expected[Fact.lastOffsetDelta] = 2;
    expected[Fact.baseTimestamp] = now + 5;
    expected[Fact.maxTimestamp] = now + 9;
    expected[Fact.producerId] = 2 ** 40;
    expected[Fact.producerEpoch] = 4;
    expected[Fact.baseSequence] = 1000;
    expected[Fact.recordsCount] = 3;
    expected[Fact.lowestTimestamp] = now - 3;
    expected[Fact.highestTimestamp] = now + 9;
    expected[Fact.firstWithoutKey] = 1;
    expected[Fact.partitionLeaderEpoch] = 9;
    expected[Fact.baseOffset] = 77;
    expected[Fact.firstBadRecord] = -1;
    expect(factsOf(bytes)).toEqual(expected);
  });

  test("wire: the check stays within its range and its facts", () => {
    const bytes = batchOf(2);
    const framed = new Uint8Array(bytes.length + 20).fill(0xee);
    framed.set(bytes, 10);
    const facts = new Float64Array(factStride * 3).fill(7);
    checkBatch(framed, 10, 10 + bytes.length, facts, factStride);
    expect(facts[factStride]).toBe(0);
    expect([...facts.subarray(factStride, factStride * 2)]).toEqual([...factsOf(bytes)]);
    expect([facts[factStride - 1], facts[factStride * 2]]).toEqual([7, 7]);
  });

  test("wire: every cut is a size flaw, every byte behind is a second batch", () => {
    const bytes = batchOf(2);
    for (let end = 0; end < bytes.length; end += 1) {
      const facts = factsOf(bytes, 0, end);
      expect(facts[Fact.flaws]).toBe(Flaw.size);
      expect([facts[Fact.firstWithoutKey], facts[Fact.firstBadRecord]]).toEqual([-1, -1]);
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(flawsOf(longer)).toBe(Flaw.severalBatches);
    expect(factsOf(longer)[Fact.bytes]).toBe(bytes.length);
    for (const length of [-2147483648, -1, 0, 48, 2147483647]) {
      viewOf(bytes).setInt32(8, length);
      expect(flawsOf(bytes)).toBe(Flaw.size);
    }
  });

  test("wire: a flipped bit is found wherever the CRC covers it, and nowhere else", () => {
    const bytes = batchOf(2);
    for (let at = 0; at < bytes.length; at += 1) {
      bytes[at] = (bytes[at] ?? 0) ^ 4;
      const flaws = flawsOf(bytes) & ~Flaw.unsafeInt64;
      if (at >= 17) expect(flaws).toBe(Flaw.crc);
      else if (at === 16) expect(flaws).toBe(Flaw.magic);
      else expect(flaws & Flaw.crc).toBe(0);
      bytes[at] = (bytes[at] ?? 0) ^ 4;
    }
    expect(flawsOf(bytes)).toBe(0);
  });

  test("wire: the header of a batch with a wrong CRC is still told", () => {
    const bytes = batchOf(2);
    bytes[bytes.length - 1] = 0x7f;
    const facts = factsOf(bytes);
    expect(facts[Fact.flaws]).toBe(Flaw.crc);
    expect([facts[Fact.bytes], facts[Fact.recordsCount]]).toEqual([bytes.length, 2]);
  });

  test("wire: an int64 beyond 2^53 is told, the largest safe one passes (each field, each sign)", () => {
    for (const at of [0, 27, 35, 43]) {
      for (const [value, flaw] of [
        [2n ** 53n, Flaw.unsafeInt64],
        [-(2n ** 53n), Flaw.unsafeInt64],
        [2n ** 63n - 1n, Flaw.unsafeInt64],
        [2n ** 53n - 1n, 0],
        [1n - 2n ** 53n, 0],
      ] as const) {
        const bytes = batchOf(1);
        viewOf(bytes).setBigInt64(at, value);
        stampCrc(bytes, viewOf(bytes), 0);
        expect(flawsOf(bytes)).toBe(flaw);
      }
    }
  });

  test("wire: of a record's time the sum is judged, not the parts", () => {
    const far = batchOf(1);
    const wide = [0x7e, 0, ...zigzag(2n ** 53n - BigInt(now)), 0, 1, 1, 0];
    wide[0] = (wide.length - 1) * 2;
    expect(flawsOf(around(wide, 1))).toBe(Flaw.unsafeInt64);
    const edge = [0x7e, 0, ...zigzag(2n ** 53n - BigInt(now) - 1n), 0, 1, 1, 0];
    edge[0] = (edge.length - 1) * 2;
    expect(flawsOf(around(edge, 1))).toBe(0);
    expect(factsOf(around(edge, 1))[Fact.highestTimestamp]).toBe(Number.MAX_SAFE_INTEGER);
    // The base is far below zero and the delta beyond 2^53: their sum is fine.
    const back = [0x7e, 0, ...zigzag(2n ** 53n + 100n), 0, 1, 1, 0];
    back[0] = (back.length - 1) * 2;
    const bytes = around(back, 1);
    viewOf(bytes).setBigInt64(27, -(2n ** 52n));
    stampCrc(bytes, viewOf(bytes), 0);
    expect(flawsOf(bytes)).toBe(0);
    expect(factsOf(bytes)[Fact.highestTimestamp]).toBe(2 ** 52 + 100);
    expect(flawsOf(far)).toBe(0);
  });

  // length, attributes, timestamp delta, offset delta, key length, value length, header count
  const good = [0x0c, 0, 0, 0, 1, 1, 0];
  const cases: readonly (readonly [string, readonly number[], number, number, number])[] = [
    ["one good record", good, 1, 0, -1],
    ["fewer records than counted", good, 2, Flaw.records, 1],
    ["more records than counted", [...good, ...good], 1, Flaw.records, -1],
    ["no records, none counted", [], 0, 0, -1],
    ["no records, one counted", [], 1, Flaw.records, 0],
    ["a negative count", good, -1, Flaw.records, -1],
    ["offset delta 1 first", [0x0c, 0, 0, 2, 1, 1, 0], 1, Flaw.records, 0],
    ["the same delta twice", [...good, ...good], 2, Flaw.records, 1],
    ["consecutive deltas", [...good, 0x0c, 0, 0, 2, 1, 1, 0], 2, 0, -1],
    ["length 0", [0x00], 1, Flaw.records, 0],
    ["length -1", [0x01], 1, Flaw.records, 0],
    ["length past the batch", [0x0e, 0, 0, 0, 1, 1, 0], 1, Flaw.records, 0],
    ["length short of the record", [0x0a, 0, 0, 0, 1, 1, 0], 1, Flaw.records, 0],
    ["bytes left in the record", [0x0e, 0, 0, 0, 1, 1, 0, 0], 1, Flaw.records, 0],
    ["key length -2", [0x0c, 0, 0, 0, 3, 1, 0], 1, Flaw.records, 0],
    ["key past the record", [0x0c, 0, 0, 0, 8, 1, 0], 1, Flaw.records, 0],
    ["value length -2", [0x0c, 0, 0, 0, 1, 3, 0], 1, Flaw.records, 0],
    ["header count -1", [0x0c, 0, 0, 0, 1, 1, 1], 1, Flaw.records, 0],
    ["header count past the record", [0x0c, 0, 0, 0, 1, 1, 2], 1, Flaw.records, 0],
    ["header without key", [0x10, 0, 0, 0, 1, 1, 2, 1, 1], 1, Flaw.records, 0],
    ["header with empty key", [0x10, 0, 0, 0, 1, 1, 2, 0, 1], 1, 0, -1],
    ["record attributes", [0x0c, 1, 0, 0, 1, 1, 0], 1, Flaw.recordAttributes, 0],
    ["attributes, then malformed", [0x0c, 1, 0, 0, 1, 1, 0, 0], 2, 16 + 64, 1],
  ];
  for (const [name, body, count, flaws, bad] of cases) {
    test(`wire: the walk judges records (${name})`, () => {
      const facts = factsOf(around(body, count));
      expect(facts[Fact.flaws]).toBe(flaws);
      expect(facts[Fact.firstBadRecord]).toBe(bad);
    });
  }

  test("wire: records of a compressed batch are not looked at (codecs 1 to 7)", () => {
    for (let codec = 1; codec <= 7; codec += 1) {
      const facts = factsOf(around([0xff, 0xff, 0xff], 5, codec));
      expect(facts[Fact.flaws]).toBe(0);
      expect(facts[Fact.lowestTimestamp]).toBe(facts[Fact.baseTimestamp] ?? -2);
      expect(facts[Fact.highestTimestamp]).toBe(facts[Fact.maxTimestamp] ?? -2);
      expect(facts[Fact.firstWithoutKey]).toBe(-1);
    }
  });

  test("wire: any bytes are judged and none throws (20000 batches, resealed after damage)", () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { maxLength: 6 }),
      fc.boolean(),
      (count, damage, sealed) => {
        const bytes = batchOf(count, count - 2);
        for (const [at, byte] of damage) bytes[at % bytes.length] = byte;
        const view = viewOf(bytes);
        if (sealed && batchBytes(view, 0) <= bytes.length && batchBytes(view, 0) >= 61) {
          stampCrc(bytes, view, 0);
        }
        const facts = factsOf(bytes);
        expect(facts.every((fact) => Number.isFinite(fact))).toBe(true);
        const records = readBatch(bytes);
        if (facts[Fact.flaws] === 0)
          expect(isRefused(records)).toBe(batchAttributes(view, 0) % 8 > 0);
      },
    );
    fc.assert(property, { seed: 5, numRuns: 20_000 });
  });
});

function zigzag(value: bigint): number[] {
  const out: number[] = [];
  let rest = value < 0n ? -value * 2n - 1n : value * 2n;
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
  return out;
}

const content = fc.option(fc.uint8Array({ maxLength: 80 }), { nil: null });
const record: fc.Arbitrary<Required<NewRecord>> = fc.record({
  key: content,
  value: content,
  headers: fc.array(fc.record({ key: fc.string({ maxLength: 5 }), value: content }), {
    maxLength: 3,
  }),
  timestamp: fc.oneof(
    fc.nat(10_000).map((ms) => now + ms),
    fc.maxSafeNat(),
    fc.constant(-1),
  ),
});

describe("wire: batches of our own", () => {
  test("wire: what is built passes the check and reads back", () => {
    const records = fc.array(record, { minLength: 1, maxLength: 20 });
    const property = fc.property(records, fc.nat(2 ** 31), (built, baseOffset) => {
      const bytes = buildBatch(built, { baseOffset });
      expect(factsOf(bytes)[Fact.flaws]).toBe(0);
      const expected: StoredRecord[] = built.map((one, i) => ({ ...one, offset: baseOffset + i }));
      expect(readBatch(bytes)).toEqual(expected);
    });
    fc.assert(property, { seed: 6, numRuns: 300 });
  });

  test("wire: stamping offset and epoch leaves the CRC right", () => {
    const bytes = batchOf(3);
    const view = viewOf(bytes);
    stampBatch(view, 0, 2 ** 52 + 1, 12);
    expect(flawsOf(bytes)).toBe(0);
    expect([batchBaseOffset(view, 0), batchLeaderEpoch(view, 0)]).toEqual([2 ** 52 + 1, 12]);
  });

  test("wire: an append time replaces the time of every record", () => {
    const bytes = batchOf(2);
    const view = viewOf(bytes);
    stampAppendTime(bytes, view, 0, now + 50_000);
    expect(flawsOf(bytes)).toBe(0);
    expect(batchMaxTimestamp(view, 0)).toBe(now + 50_000);
    const records = readBatch(bytes);
    if (isRefused(records)) throw new Error(records.refusal);
    expect(records.map((one) => one.timestamp)).toEqual([now + 50_000, now + 50_000]);
  });

  test("wire: the accessors read what the builder wrote, at any position", () => {
    const batch = buildBatch([{ key: null, value: null, timestamp: now }], {
      producerId: 5,
      producerEpoch: 6,
      baseSequence: 7,
    });
    const bytes = new Uint8Array(batch.length + 3);
    bytes.set(batch, 3);
    const view = viewOf(bytes);
    expect([
      batchBytes(view, 3),
      batchProducerId(view, 3),
      batchProducerEpoch(view, 3),
      batchBaseSequence(view, 3),
      batchLastOffsetDelta(view, 3),
      batchRecordsCount(view, 3),
      batchAttributes(view, 3),
    ]).toEqual([batch.length, 5, 6, 7, 0, 1, 0]);
    view.setBigInt64(3 + 43, 2n ** 60n);
    expect(batchProducerId(view, 3)).toBeNaN();
  });

  test("wire: a compressed, cut or old batch does not read", () => {
    const bytes = batchOf(2);
    for (let end = 0; end < bytes.length; end += 1) {
      expect(isRefused(readBatch(bytes, 0, end))).toBe(true);
    }
    bytes[22] = 4;
    expect(isRefused(readBatch(bytes))).toBe(true);
    bytes[22] = 0;
    bytes[16] = 1;
    expect(isRefused(readBatch(bytes))).toBe(true);
  });
});

describe("wire: the first bytes of a compressed batch", () => {
  const plain = [...utf8.encode("records, or something like it, in the clear")];
  const xerial = [0x82, ...utf8.encode("SNAPPY"), 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
  const begins = (body: readonly number[], codec: number) => {
    const bytes = around(body, 1, codec);
    return beginsAsCodec(Buffer.concat([Buffer.alloc(3), bytes, bytes]), 3, 3 + bytes.length);
  };

  test("wire: what a codec makes is known as its own", () => {
    const made: Readonly<Record<keyof typeof Codec, readonly (readonly number[])[]>> = {
      none: [plain, []],
      gzip: [[...gzipSync(new Uint8Array(plain))], [...gzipSync(new Uint8Array(0))]],
      snappy: [[3, 2 << 2, 7, 8, 9], [0x80, 0x08, 0, 7, ...new Array(100).fill(0xfe)], xerial],
      lz4: [[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0, 0, 0, 0]],
      zstd: [[...zstdCompressSync(new Uint8Array(plain))]],
    };
    for (const [name, codec] of Object.entries(Codec))
      for (const [of, bodies] of Object.entries(made))
        for (const body of bodies)
          expect([name, of, begins(body, codec)]).toEqual([
            name,
            of,
            name === "none" || name === of,
          ]);
  });

  test("wire: what is cut off, empty or unknown is not", () => {
    for (let codec = 1; codec <= 7; codec += 1)
      for (const body of [[], [0x1f], [0x28, 0xb5], [0x04, 0x22, 0x4d, 0x18], plain])
        expect([codec, body, begins(body, codec)]).toEqual([codec, body, false]);
    // A length of nothing, of more than snappy can pack, without an end; a copy in front.
    for (const body of [[0, 0], [0xff, 0x7f, 0, 7], new Array(9).fill(0x80), [3, 1, 7, 8]])
      expect(begins(body, Codec.snappy)).toBe(false);
  });
});

describe("wire: the record of a time in a batch", () => {
  const timed = fc.record({
    key: content,
    value: content,
    timestamp: fc.nat(9).map((t) => now + t),
  });

  test("wire: what is found is what a look at every record finds", () => {
    const property = fc.property(
      fc.array(timed, { minLength: 1, maxLength: 12 }),
      fc.nat(10),
      fc.nat(14),
      fc.boolean(),
      (built, time, from, stamped) => {
        const baseOffset = 2 ** 40;
        const bytes = buildBatch(built, { baseOffset });
        if (stamped) stampAppendTime(bytes, viewOf(bytes), 0, now + 5);
        const records = readBatch(bytes);
        if (isRefused(records)) throw new Error(records.refusal);
        const there = records.filter((one) => one.offset >= baseOffset + from);
        const place = (one: StoredRecord | undefined) =>
          one === undefined ? null : { offset: one.offset, timestamp: one.timestamp };
        const value = now + time;
        expect(findRecord(bytes, "timestamp", value, baseOffset + from)).toEqual(
          place(there.find((one) => one.timestamp >= value)),
        );
        const highest = Math.max(...there.map((one) => one.timestamp));
        expect(findRecord(bytes, "max-timestamp", -1, baseOffset + from)).toEqual(
          place(there.find((one) => one.timestamp === highest)),
        );
      },
    );
    fc.assert(property, { seed: 8, numRuns: 2000 });
  });

  test("wire: records that lie outside of their batch, or are not there, are refused", () => {
    const body = (delta: number) => [7 * 2, 0, 0, ...zigzag(BigInt(delta)), 1, 1, 0, 0];
    const find = (bytes: Uint8Array) => findRecord(bytes, "max-timestamp", -1, 0);
    expect(find(around(body(0), 1))).toEqual({ offset: 0, timestamp: now });
    for (const delta of [-1, -5, 1, 60]) expect(isRefused(find(around(body(delta), 1)))).toBe(true);
    expect(isRefused(find(around(body(0), 2)))).toBe(true);
    expect(isRefused(find(around(body(0), 1, 1)))).toBe(true);
    expect(isRefused(find(around([...body(0), ...body(0)].slice(0, 12), 2)))).toBe(true);
    expect(isRefused(findRecord(around([...body(0), 9], 1), "timestamp", now + 1, 0))).toBe(true);
    const bytes = batchOf(3);
    for (let end = 0; end < bytes.length; end += 1)
      expect(isRefused(find(bytes.subarray(0, end)))).toBe(true);
  });
});
