// The measure of the simulator and of the explorer: bugs planted in a copy of the sources, each found
// within its seeds. Those that need many seeds are run by the command that planted.ts names.

import { afterAll, expect, test } from "bun:test";
import { bugs, find, Garden } from "./planted.ts";

const quickSeeds = 25;
const testMsMax = 120_000;
const garden = new Garden();
afterAll(() => garden.remove());

for (const planted of bugs.filter(({ seeds }) => seeds <= quickSeeds))
  test(
    `replication: the simulator finds that ${planted.what}`,
    async () => {
      expect(await find(garden, planted, planted.seeds)).not.toBeNull();
    },
    testMsMax,
  );

for (const name of ["cut-at-high-watermark", "commit-before-repair", "seal-lists-what-is-staged"])
  test(
    `replication: the explorer finds ${name}`,
    async () => {
      const planted = bugs.find((one) => one.name === name);
      if (planted === undefined) throw new Error("the bug is planted");
      const bounds = ["--states", "1000", "--walks", "400", "--lossy", "0"];
      const [code, said] = await garden.run(planted, [
        "test/sim/replication/explorer.ts",
        ...bounds,
      ]);
      expect(said).toMatch(/was acknowledged|is sealed with/);
      expect(code).toBe(1);
    },
    testMsMax,
  );
