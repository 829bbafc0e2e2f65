import { expect, test } from "bun:test";
import fc from "fast-check";
import { JsonScan, known } from "./json_text.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function membersOf(text: string): Record<string, unknown> {
  const bytes = encoder.encode(text);
  const found = new Map<string, unknown>();
  new JsonScan(known(["value"])).reset(bytes).members((name, start, end) => {
    found.set(name, JSON.parse(decoder.decode(bytes.subarray(start, end))));
  });
  return Object.fromEntries(found);
}

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test("server: the slices of an object's members are its members (any JSON, any spacing)", () => {
  const object = fc.dictionary(
    fc.string().filter((name) => name !== "__proto__"),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(object, fc.constantFrom("", " ", "\n\t"), (value, space) => {
      const text = JSON.stringify(value, null, space);
      expect(membersOf(text)).toEqual(JSON.parse(text));
    }),
  );
});

test("server: the nesting of a text is that of its value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const scan = new JsonScan().reset(encoder.encode(JSON.stringify(value)));
      expect(scan.nesting()).toBe(depthOf(JSON.parse(JSON.stringify(value))));
    }),
  );
});

test("server: elements of a list are found in order", () => {
  const bytes = encoder.encode(' [ 1 , "a,]" , {"b":[2]} ,[] ] ');
  const found: string[] = [];
  const isList = new JsonScan().reset(bytes).elements((start, end) => {
    found.push(decoder.decode(bytes.subarray(start, end)));
  });
  expect([isList, found]).toEqual([true, ["1", '"a,]"', '{"b":[2]}', "[]"]]);
});

test("server: any bytes end a scan (no loop, no error)", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      new JsonScan().reset(bytes).members(() => {});
      new JsonScan().reset(bytes).elements(() => {});
      new JsonScan().reset(bytes).nesting();
    }),
    { numRuns: 1000 },
  );
});
