// The measure of the simulator and of the explorer: bugs that a few seeds find, each planted in a copy
// of the sources. `bun test/sim/raft/run.ts --bug all` hunts the rest as well.

import { afterAll, expect, test } from "bun:test";
import { removeScratchDir, scratchDir } from "../../../bench/child.ts";
import { bugs, copySources, hunt, huntByExplorer } from "./bugs.ts";

const testMsMax = 120_000;
/** More seeds than this take too long for every change. */
const seedsMax = 20;

const folder = scratchDir("raft-planted");
copySources(folder);
afterAll(() => removeScratchDir(folder));

const quick = bugs.filter(({ seeds }) => seeds <= seedsMax);

test("sim: the quick half of the planted Raft bugs is large enough", () => {
  expect(bugs.length).toBeGreaterThanOrEqual(30);
  expect(quick.length).toBeGreaterThanOrEqual(15);
});

for (const bug of quick) {
  test(
    `sim: finds a Raft with ${bug.name} (${bug.seeds} seeds)`,
    async () => {
      const said = await hunt(bug, folder, bug.seeds);
      expect(said).toMatch(bug.found);
      expect(said).toMatch(/bun test\/sim\/raft\/run.ts --seed \d+ --seeds 1/);
    },
    testMsMax,
  );
}

const bounds = ["--proposals", "0", "--repeats", "0", "--states", "100000"];
const explored = [
  ["votes_twice", [...bounds, "--timeouts", "2", "--crashes", "0"], /grant/],
  ["own_disk_not_counted", [...bounds, "--timeouts", "1", "--crashes", "1"], /durable on 1/],
] as const;

for (const [name, within, found] of explored) {
  test(
    `sim: the explorer finds a Raft with ${name}, and shows a shortest run`,
    async () => {
      const bug = bugs.find((each) => each.name === name);
      if (bug === undefined) throw new Error("the bug is in the list");
      const said = await huntByExplorer(bug, folder, within);
      expect(said).toMatch(found);
      expect(said).toMatch(/\n {2}a timeout/);
    },
    testMsMax,
  );
}
