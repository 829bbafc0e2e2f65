// Simulations of one node: seeds that are the same in every run, and a few that nobody has tried.

import { expect, test } from "bun:test";
import { simulate } from "./run.ts";

const knownSeeds = 25;
const newSeeds = 25;
const testMsMax = 120_000;

test(
  `sim: nothing that was promised is taken back (seeds 1 to ${knownSeeds})`,
  () => {
    const runs = Array.from({ length: knownSeeds }, (_, i) => simulate(1 + i));
    for (const { records } of runs) expect(records).toBeGreaterThan(0);
    // Clients do run into the end of the ring, and not in every run.
    const crowded = runs.filter(({ refusals }) => refusals > 0).length;
    expect(crowded).toBeGreaterThan(knownSeeds / 5);
    expect(crowded).toBeLessThan(knownSeeds);
  },
  testMsMax,
);

test(
  `sim: nothing that was promised is taken back (${newSeeds} new seeds; a failure names its own)`,
  () => {
    const [first = 0] = crypto.getRandomValues(new Uint32Array(1));
    for (let seed = first; seed < first + newSeeds; seed += 1)
      expect(simulate(seed).records).toBeGreaterThan(0);
  },
  testMsMax,
);

test("sim: a seed gives the same run twice, step by step, and another one does not", () => {
  expect(simulate(7)).toEqual(simulate(7));
  expect(simulate(8).fingerprint).not.toBe(simulate(7).fingerprint);
});
