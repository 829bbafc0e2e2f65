// A short, repeatable run of the request fuzzer; `bun test/fuzz/requests.ts` runs it for longer.

import { expect, test } from "bun:test";
import { Finding, Judge } from "./judge.ts";
import { Life, type Step } from "./life.ts";
import { Vocabulary } from "./vocabulary.ts";
import { fuzzOnly, fuzzRequests } from "./requests.ts";
import { shrink } from "./shrink.ts";

const seed = 0x72657173;
const quiet = {
  ...{ connection: 0, window: 0, tickMs: 0, patient: false, hangUp: false },
  chunks: [],
} satisfies Step;

test("fuzz: damaged requests of every key and version end in answers or closed connections (20000 steps)", () => {
  const report = fuzzRequests(seed, 20_000);
  expect(report).toMatchObject({ requests: 20_000 });
  if ("words" in report) throw new Error(report.words);
  expect(report.answers).toBeGreaterThan(8000);
  expect(report.answers - report.errors).toBeGreaterThan(2000);
  expect(report.closed).toBeGreaterThan(4000);
}, 240_000);

test("fuzz: a seed repeats a run of requests, and an index its life", () => {
  const steady = { ...fuzzRequests(3, 600), slow: 0 };
  expect({ ...fuzzRequests(3, 600), slow: 0 }).toEqual(steady);
  expect(fuzzOnly(3, 599)).toBeNull();
}, 60_000);

/** What killed a node once, as bytes of one connection. */
const killers: Readonly<Record<string, string>> = {
  "ApiVersions in a negative version": "0000000a0012ffffffffffff0000",
};

for (const [name, hex] of Object.entries(killers)) {
  test(`fuzz: a node survives what killed it once (${name})`, () => {
    const life = new Life();
    const chunk = new Uint8Array(Buffer.from(hex, "hex"));
    life.apply({ ...quiet, chunks: [chunk], patient: true });
    expect(life.answers + life.closed).toBeGreaterThan(1);
  });
}

/** ApiVersions v0 with correlation id 7, and an answer of no keys with an error code. */
const asked = Uint8Array.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255]);
const answer = (id: number, code: number): Uint8Array =>
  Uint8Array.from([0, 0, 0, 10, 0, 0, 0, id, code >> 8, code & 0xff, 0, 0, 0, 0]);

test("fuzz: what a client may not get is a finding", () => {
  const judge = (): Judge => new Judge(new Vocabulary());
  const right = judge();
  right.sent(asked);
  expect(right.quiet).toBe(false);
  right.got(answer(7, 35));
  expect(right.quiet).toBe(true);
  expect(() => judge().got(answer(7, 0))).toThrow("nobody asked");
  for (const wrong of [answer(8, 0), answer(7, -1), answer(7, 5000), answer(7, 0).slice(0, 12)]) {
    const found = judge();
    found.sent(asked);
    new DataView(wrong.buffer).setInt32(0, wrong.length - 4);
    expect(() => found.got(wrong)).toThrow(Finding);
  }
  const cut = judge();
  cut.sent(asked);
  expect(() => cut.closed(false)).toThrow("all in order");
});

test("fuzz: the least steps are found", () => {
  const step = (bytes: number[]): Step => ({
    ...quiet,
    chunks: [Uint8Array.from([0, 0, 0, bytes.length, ...bytes])],
  });
  const steps = Array.from({ length: 9 }, (_, i) => step([i, 7, 7, i === 5 ? 99 : 1, 7]));
  const harmOf = (candidate: readonly Step[]): string | null =>
    candidate.some(({ chunks }) => chunks.some((chunk) => chunk.includes(99))) ? "bang" : null;
  const least = shrink(steps, "bang", harmOf);
  expect(least.map(({ chunks }) => [...(chunks[0] ?? [])])).toEqual([[0, 0, 0, 1, 99]]);
});
