// Simulations of replication: seeds that are the same in every run, and a few that nobody has tried.

import { expect, test } from "bun:test";
import { simulate } from "./run.ts";
import { strategies } from "./simulation.ts";

const knownSeeds = 6;
const newSeeds = 6;
const testMsMax = 120_000;

for (const strategy of strategies)
  test(
    `replication: nothing acknowledged is lost or changed (${strategy}, seeds 1 to ${knownSeeds})`,
    () => {
      const runs = Array.from({ length: knownSeeds }, (_, i) => simulate(1 + i, strategy));
      const sum = (of: (run: (typeof runs)[number]) => number): number =>
        runs.reduce((total, run) => total + of(run), 0);
      for (const { acked, reads } of runs) expect(acked * reads).toBeGreaterThan(0);
      // Every way happens: recoveries, bumps, crashes, and proposals that come too late.
      expect(sum(({ seals }) => seals)).toBeGreaterThan(knownSeeds);
      expect(sum(({ softBumps }) => softBumps)).toBeGreaterThan(knownSeeds);
      expect(sum(({ crashes }) => crashes)).toBeGreaterThan(knownSeeds / 2);
      expect(sum(({ stale }) => stale)).toBeGreaterThan(0);
    },
    testMsMax,
  );

test(
  `replication: nothing acknowledged is lost or changed (${newSeeds} new seeds; a failure names its own)`,
  () => {
    const [first = 0] = crypto.getRandomValues(new Uint32Array(1));
    for (let seed = first; seed < first + newSeeds; seed += 1)
      expect(simulate(seed, null).acked).toBeGreaterThan(0);
  },
  testMsMax,
);

test("replication: a seed gives the same run twice, step by step, and another one does not", () => {
  expect(simulate(7, null)).toEqual(simulate(7, null));
  expect(simulate(8, null).fingerprint).not.toBe(simulate(7, null).fingerprint);
});
