import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Bytes } from "../client/client.ts";
import { CommandError } from "./failure.ts";
import { lineOf, linesOf, recordOf } from "./lines.ts";

const bytes = fc.option(fc.uint8Array({ maxLength: 20 }), { nil: null });
const asBytes = (value: Bytes): Uint8Array | null =>
  typeof value === "string" ? new TextEncoder().encode(value) : value && Uint8Array.from(value);

async function* chunksOf(text: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += size) yield text.subarray(at, at + size);
}

describe("cli: lines", () => {
  test("cli: a record survives its line, whatever its bytes are", () => {
    fc.assert(
      fc.property(
        bytes,
        bytes,
        fc.array(fc.tuple(fc.string(), bytes), { maxLength: 3 }),
        fc.integer({ min: -1, max: 2 ** 53 - 1 }),
        (key, value, headers, timestamp) => {
          const pairs = headers.map(([name, content]) => ({ key: name, value: content }));
          const line = lineOf("t", 3, { offset: 7, timestamp, key, value, headers: pairs });
          expect(line).not.toContain("\n");
          const back = recordOf(line, "here");
          expect(back.partition).toBe(3);
          expect(back.timestamp).toBe(timestamp);
          expect(asBytes(back.key)).toEqual(key);
          expect(asBytes(back.value)).toEqual(value);
          expect(back.headers.map(([name, content]) => [name, asBytes(content)])).toEqual(headers);
        },
      ),
    );
  });

  test("cli: lines are the same however the bytes arrive", async () => {
    const text = new TextEncoder().encode("eins\r\nzwölf\n\nlast ü");
    for (let size = 1; size <= text.length; size += 1) {
      const found = [];
      for await (const line of linesOf(chunksOf(text, size))) found.push(line);
      expect(found).toEqual(["eins", "zwölf", "last ü"]);
    }
  });

  const wrong = [
    ["[1]", "no JSON object"],
    ["{", "no JSON"],
    ['{"value":1}', '"value" is no text'],
    ['{"valueBase64":"*"}', '"valueBase64" is no base64'],
    ['{"value":"a","extra":1}', 'unknown member "extra"'],
    ['{"value":"a","partition":-7}', '"partition" is no whole number'],
    ['{"value":"a","headers":{}}', '"headers" is no list'],
    ['{"value":"a","headers":[{"value":"v"}]}', "a header has no name"],
  ] as const;
  for (const [line, words] of wrong) {
    test(`cli: a line is refused with its place (${line})`, () => {
      let error: unknown;
      try {
        recordOf(line, "file:9");
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(CommandError);
      expect(String(error)).toContain(`file:9: ${words}`);
    });
  }
});
