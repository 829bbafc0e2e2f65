// A short, repeatable run of the wire fuzzer; `bun test/fuzz/wire.ts` runs it for longer.

import { expect, test } from "bun:test";
import { fuzzWire } from "./wire.ts";

test("fuzz: damaged messages, headers and batches end in values or refusals (20000 rounds)", () => {
  const report = fuzzWire(0x77697265, 20_000);
  expect(report.accepted).toBeGreaterThan(2000);
  expect(report.refused).toBeGreaterThan(2000);
}, 120_000);

test("fuzz: a seed repeats a run", () => {
  expect(fuzzWire(5, 500)).toEqual(fuzzWire(5, 500));
});
