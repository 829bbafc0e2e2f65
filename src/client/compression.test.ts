import { describe, expect, test } from "bun:test";
import { Codec } from "../core/base/facts.ts";
import { batchAttributes, batchHeaderBytes, checkBatch } from "../wire/batch.ts";
import { buildBatch } from "../wire/records.ts";
import { compressBatch, DamagedBatch, openSection } from "./compression.ts";

const value = new TextEncoder().encode("ab".repeat(500));
const batch = buildBatch([{ key: null, value, timestamp: 5 }], { producerId: 3, baseSequence: 9 });

describe("client: compression", () => {
  for (const codec of ["gzip", "zstd"] as const) {
    test(`client: a compressed batch is sound and opens to the same records (${codec})`, () => {
      const packed = compressBatch(batch, codec);
      expect(packed.length).toBeLessThan(batch.length / 2);
      const facts = new Float64Array(16);
      checkBatch(packed, 0, packed.length, facts, 0);
      expect(facts[0]).toBe(0);
      const view = new DataView(packed.buffer);
      expect(batchAttributes(view, 0)).toBe(Codec[codec]);
      const opened = openSection(packed.subarray(batchHeaderBytes), Codec[codec]);
      expect(Buffer.from(opened)).toEqual(Buffer.from(batch.subarray(batchHeaderBytes)));
    });
  }

  test("client: what would grow stays as it is", () => {
    const small = buildBatch([{ key: null, value: new Uint8Array([1]), timestamp: 5 }]);
    expect(compressBatch(small, "gzip")).toBe(small);
  });

  test("client: rubbish is refused, whatever the codec", () => {
    const rubbish = Uint8Array.from({ length: 300 }, (_, i) => (i * 7919 + 200) % 251);
    for (const codec of [1, 2, 3, 4, 5, 6, 7]) {
      for (let size = 1; size < rubbish.length; size += 13) {
        expect(() => openSection(rubbish.subarray(0, size), codec)).toThrow(DamagedBatch);
      }
    }
  });

  test("client: snappy and LZ4 copy what overlaps", () => {
    // 4 literals "abcd", then a copy of 8 from 2 back.
    const snappy = new Uint8Array([12, 3 << 2, 97, 98, 99, 100, (4 << 2) | 1, 2]);
    expect(new TextDecoder().decode(openSection(snappy, Codec.snappy))).toBe("abcdcdcdcdcd");
    const block = [0x44, 97, 98, 99, 100, 2, 0, 0x10, 101];
    const lz4 = new Uint8Array([
      ...[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82],
      ...[block.length, 0, 0, 0, ...block, 0, 0, 0, 0],
    ]);
    expect(new TextDecoder().decode(openSection(lz4, Codec.lz4))).toBe("abcdcdcdcdcde");
  });
});
