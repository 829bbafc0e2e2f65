import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fact, factStride } from "../src/core/base/facts.ts";
import { checkBatch } from "../src/wire/batch.ts";
import { crc32c as productCrc32c } from "../src/wire/crc32c.ts";
import { readBatch, type StoredRecord } from "../src/wire/records.ts";
import { batchesIn, BodyReader, BodyWriter, crc32c, singleRecordBatch } from "./kafka_client.ts";

describe("kafka client", () => {
  test("kafka client: CRC-32C of the check string, and as the product computes it", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(crc32c(bytes)).toBe(productCrc32c(bytes));
      }),
    );
  });

  test("kafka client: what it writes it reads", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.string({ maxLength: 2000 }), (number, text) => {
        const body = new BodyWriter().int64(number).string(text).string(null).int8(-1).done();
        const reader = new BodyReader(body);
        expect(reader.int64()).toBe(number);
        expect(reader.string()).toBe(text);
        expect(reader.string()).toBeNull();
        expect(reader.int8()).toBe(-1);
      }),
    );
  });

  test("kafka client: its batch is flawless for the product's check and holds the value", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 9000 }), (value) => {
        const batch = singleRecordBatch(value, 1_700_000_000_000);
        const facts = new Float64Array(factStride);
        checkBatch(batch, 0, batch.length, facts, 0);
        expect(facts[Fact.flaws]).toBe(0);
        expect(readBatch(batch)).toEqual([
          {
            offset: 0,
            timestamp: 1_700_000_000_000,
            key: null,
            value: expect.anything(),
            headers: [],
          },
        ]);
        const [record] = readBatch(batch) as readonly StoredRecord[]; // proof: the line above
        expect(Buffer.compare(record?.value ?? new Uint8Array(1), value)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test("kafka client: whole batches count, one that is cut off does not", () => {
    const batch = singleRecordBatch(new Uint8Array(10), 0);
    const second = Buffer.from(batch);
    second.writeBigInt64BE(1n, 0);
    const records = Buffer.concat([batch, second]);
    expect(batchesIn(records, 0)).toEqual({ batches: 2, nextOffset: 2 });
    expect(batchesIn(records.subarray(0, -1), 0)).toEqual({ batches: 1, nextOffset: 1 });
    expect(batchesIn(Buffer.alloc(0), 5)).toEqual({ batches: 0, nextOffset: 5 });
  });
});
