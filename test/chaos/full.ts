// `bun test/chaos/full.ts --rounds N [--seed S]`: a disk that fills up under load and is freed again.
// Needs root. One line of JSON on stdout; exit code 1 when a promise was broken.

import { parseArgs } from "node:util";
import { exitOnSignals } from "../../bench/child.ts";
import { full } from "./disasters.ts";
import { isClean } from "./rounds.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});

exitOnSignals();
const summary = await full(Number(values.rounds), Number(values.seed));
console.log(JSON.stringify(summary));
process.exit(isClean(summary) ? 0 : 1);
