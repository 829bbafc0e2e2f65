// The Raft alone: seeds that are the same in every run, and a few that nobody has tried.

import { expect, test } from "bun:test";
import { simulateRaft } from "./run.ts";

const knownSeeds = 100;
const newSeeds = 50;
const testMsMax = 120_000;

test(
  `sim: a Raft group contradicts nothing and comes to rest (seeds 1 to ${knownSeeds})`,
  () => {
    const runs = Array.from({ length: knownSeeds }, (_, i) => simulateRaft(1 + i));
    // Everything that can go wrong does, somewhere.
    for (const kind of [
      "acknowledged",
      "reads",
      "crashes",
      "repaired",
      "restored",
      "changes",
    ] as const)
      expect(runs.filter((run) => run[kind] > 0).length).toBeGreaterThan(knownSeeds / 10);
  },
  testMsMax,
);

test(
  `sim: a Raft group contradicts nothing (${newSeeds} new seeds; a failure names its own)`,
  () => {
    const [first = 0] = crypto.getRandomValues(new Uint32Array(1));
    for (let seed = first; seed < first + newSeeds; seed += 1)
      expect(simulateRaft(seed).steps).toBeGreaterThan(0);
  },
  testMsMax,
);

test("sim: a seed of the Raft gives the same run twice, and another one does not", () => {
  expect(simulateRaft(7)).toEqual(simulateRaft(7));
  expect(simulateRaft(8).fingerprint).not.toBe(simulateRaft(7).fingerprint);
});
