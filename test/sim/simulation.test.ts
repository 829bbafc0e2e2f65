// Simulations of one node: seeds that are the same in every run, and a few that nobody has tried.

import { expect, test } from "bun:test";
import { simulate } from "./run.ts";

const knownSeeds = 25;
const newSeeds = 25;
const testMsMax = 120_000;

test(
  `sim: nothing that was promised is taken back (seeds 1 to ${knownSeeds})`,
  () => {
    for (let seed = 1; seed <= knownSeeds; seed += 1)
      expect(simulate(seed).records).toBeGreaterThan(0);
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

test("sim: a seed gives the same run twice", () => {
  expect(simulate(7)).toEqual(simulate(7));
});
