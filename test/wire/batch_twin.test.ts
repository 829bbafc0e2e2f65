// The batch check exists twice: in Zig for the node, in TypeScript for everything that runs without
// the library. Both must give the same sixteen numbers for any bytes.

import { expect, test } from "bun:test";
import fc from "fast-check";
import embedded from "#native" with { type: "file" };
import { Attribute, Fact, Flaw, factStride } from "../../src/core/base/facts.ts";
import { library } from "../../src/storage/library.ts";
import { batchBytes, batchHeaderBytes, checkBatch, stampCrc } from "../../src/wire/batch.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { buildBatch } from "../../src/wire/records.ts";
import { mutate } from "./mutate.ts";

const lib = library(embedded);

function native(bytes: Uint8Array, start: number, end: number): Float64Array {
  const facts = new Float64Array(factStride);
  const range = Uint32Array.of(start, end - start);
  expect(lib.pyralog_batches_check(bytes, bytes, range, range, facts, facts)).toBe(0);
  return facts;
}

function plain(bytes: Uint8Array, start: number, end: number): Float64Array {
  const facts = new Float64Array(factStride);
  checkBatch(bytes, start, end, facts, 0);
  return facts;
}

const content = fc.option(fc.uint8Array({ maxLength: 70 }), { nil: null });
const records = fc.array(
  fc.record({
    key: content,
    value: content,
    headers: fc.array(fc.record({ key: fc.string({ maxLength: 3 }), value: content }), {
      maxLength: 2,
    }),
    timestamp: fc.oneof(
      fc.nat(100_000).map((ms) => 1_700_000_000_000 + ms),
      fc.maxSafeNat(),
    ),
  }),
  { minLength: 1, maxLength: 5 },
);
const options = fc.record({
  baseOffset: fc.maxSafeNat(),
  leaderEpoch: fc.integer(),
  producerId: fc.maxSafeInteger(),
  producerEpoch: fc.integer({ min: -0x8000, max: 0x7fff }),
  baseSequence: fc.integer(),
  attributes: fc.nat(0x1ff).map((bits) => bits << 3),
});

test("wire: both batch checks give the same facts (good batches)", () => {
  const property = fc.property(records, options, (built, of) => {
    const bytes = buildBatch(built, of);
    const facts = plain(bytes, 0, bytes.length);
    expect(facts).toEqual(native(bytes, 0, bytes.length));
    expect((facts[Fact.flaws] ?? -1) & ~Flaw.unsafeInt64).toBe(0);
  });
  fc.assert(property, { seed: 61, numRuns: 500 });
});

test("wire: both batch checks give the same facts (damaged batches, resealed or not)", () => {
  const seen = new Set<number>();
  const damage = fc.array(fc.nat(0xffffff), { maxLength: 8 });
  const property = fc.property(records, damage, fc.nat(3), (built, dice, reseal) => {
    const damaged = mutate(buildBatch(built), dice);
    const bytes = new Uint8Array(damaged.length + 5);
    bytes.set(damaged, 3);
    const end = 3 + damaged.length;
    const view = new DataView(bytes.buffer);
    if (reseal > 0 && damaged.length >= batchHeaderBytes) {
      bytes[3 + 16] = 2;
      if (reseal > 1) view.setInt32(3 + 8, damaged.length - 12);
      if (reseal > 2) view.setUint16(3 + 21, view.getUint16(3 + 21) & ~Attribute.codecMask);
      const size = batchBytes(view, 3);
      if (size >= batchHeaderBytes && size <= damaged.length) stampCrc(bytes, view, 3);
    }
    const facts = plain(bytes, 3, end);
    expect(facts).toEqual(native(bytes, 3, end));
    seen.add(facts[Fact.flaws] ?? -1);
  });
  fc.assert(property, { seed: 62, numRuns: 8000 });
  for (const flaw of Object.values(Flaw)) {
    expect([flaw, [...seen].some((flaws) => (flaws & flaw) !== 0)]).toEqual([flaw, true]);
  }
}, 60_000);

test("wire: both checksums are the same (any bytes, in one piece or two)", () => {
  const property = fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(3000), (bytes, cut) => {
    const at = Math.min(cut, bytes.length);
    const head = bytes.slice(0, at);
    const tail = bytes.slice(at);
    const seed = lib.pyralog_crc32c(0, head, head);
    expect(crc32c(bytes, 0, at)).toBe(seed >>> 0);
    expect(crc32c(bytes)).toBe(lib.pyralog_crc32c(seed, tail, tail) >>> 0);
  });
  fc.assert(property, { seed: 63, numRuns: 300 });
});
