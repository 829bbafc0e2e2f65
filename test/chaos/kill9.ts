// `bun test/chaos/kill9.ts --rounds N [--seed S]`: kill -9 under load. One line of JSON on stdout;
// exit code 1 when a promise was broken.

import { parseArgs } from "node:util";
import { exitOnSignals } from "../../bench/child.ts";
import { kills } from "./disasters.ts";
import { isClean } from "./rounds.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "50" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});

exitOnSignals();
const summary = await kills(Number(values.rounds), Number(values.seed));
console.log(JSON.stringify(summary));
process.exit(isClean(summary) ? 0 : 1);
