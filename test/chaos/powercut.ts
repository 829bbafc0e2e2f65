// `bun run powercut --rounds N --fs ext4|xfs [--seed S]`: power cuts under load. Needs root. One
// line of JSON on stdout; exit code 1 when a promise was broken.

import { parseArgs } from "node:util";
import { exitOnSignals } from "../../bench/child.ts";
import { powercut } from "./disasters.ts";
import { isClean } from "./rounds.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "40" },
    fs: { type: "string", default: "ext4" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});
if (values.fs !== "ext4" && values.fs !== "xfs") {
  console.error(`--fs is ext4 or xfs, not ${values.fs}`);
  process.exit(2);
}

exitOnSignals();
const summary = await powercut(values.fs, Number(values.rounds), Number(values.seed));
console.log(JSON.stringify(summary));
process.exit(isClean(summary) ? 0 : 1);
