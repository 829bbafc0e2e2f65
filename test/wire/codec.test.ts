// The compiled codec against the reference interpreter, over every message and every version: same
// bytes, same values, same judgement of bytes that no encoder made.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Reader } from "../../src/wire/reader.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/codec.ts";
import { interpretDecode, interpretEncode } from "../../src/wire/interpreter.ts";
import { isRefused } from "../../src/wire/refusal.ts";
import { Writer } from "../../src/wire/writer.ts";
import { allVersions, valuesOf } from "./arbitrary.ts";
import { mutate } from "./mutate.ts";

const seed = 20;
const runs = 40;

function encoded(...of: Parameters<typeof encodeMessage>): Uint8Array {
  const [message, version, writer, value] = of;
  writer.reset();
  encodeMessage(message, version, writer, value);
  return writer.written().slice();
}

describe("wire: every message in every version", () => {
  const writer = new Writer(16);
  for (const [message, version] of allVersions) {
    test(`wire: compiled and interpreted codec agree (${message.name} v${version})`, () => {
      const values = valuesOf(message.root.spec, version);
      const property = fc.property(values, (value) => {
        const bytes = encoded(message, version, writer, value);
        expect(bytes).toEqual(interpretEncode(message, version, value));
        const decoded = decodeMessage(message, version, bytes);
        expect(decoded).toEqual(value);
        expect(interpretDecode(message, version, bytes)).toEqual(value);
        expect(Object.keys(decoded)).toEqual(Object.keys(message.root.spec.fields ?? {}));
      });
      fc.assert(property, { seed, numRuns: runs });
    });
  }
});

describe("wire: bytes that no encoder made", () => {
  const writer = new Writer();
  for (const [message, version] of allVersions) {
    test(`wire: both codecs refuse or accept alike (${message.name} v${version})`, () => {
      const values = valuesOf(message.root.spec, version);
      const damage = fc.array(fc.nat(0xffffff), { minLength: 2, maxLength: 8 });
      const property = fc.property(values, damage, (value, dice) => {
        const bytes = mutate(encoded(message, version, writer, value), dice);
        const decoded = decodeMessage(message, version, bytes);
        let reference: unknown = null;
        try {
          reference = interpretDecode(message, version, bytes);
        } catch {
          expect(isRefused(decoded)).toBe(true);
          return;
        }
        expect(decoded).toEqual(reference as typeof decoded); // proof: compared, not used
      });
      fc.assert(property, { seed, numRuns: runs * 2 });
    });

    test(`wire: every truncation is refused (${message.name} v${version})`, () => {
      const [value] = fc.sample(valuesOf(message.root.spec, version), { seed, numRuns: 1 });
      if (value === undefined) throw new Error("fast-check gives a sample");
      const bytes = encoded(message, version, writer, value);
      for (let end = 0; end < bytes.length; end += 1) {
        expect(isRefused(decodeMessage(message, version, bytes, 0, end))).toBe(true);
      }
    });
  }
});

test("wire: a reader keeps its view while the buffer stays the same", () => {
  const reader = new Reader();
  const bytes = new Uint8Array(8);
  reader.reset(bytes);
  const { view } = reader;
  reader.reset(bytes);
  expect(reader.view).toBe(view);
  reader.reset(bytes.subarray(4));
  expect(reader.view.byteOffset).toBe(4);
});
