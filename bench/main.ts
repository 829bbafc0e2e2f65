// `bun run bench CASE [options]`: one case, one JSON line on stdout, progress on stderr. A full
// run of our node is also kept in bench/results/<case>.jsonl.

import { benchFetch } from "./cases/fetch.ts";
import { benchLatency } from "./cases/latency.ts";
import { benchProduce } from "./cases/produce.ts";
import { benchStartup } from "./cases/startup.ts";
import { exitOnSignals } from "./child.ts";
import { type Options, parseOptions, usage, UsageError } from "./options.ts";

const cases: Readonly<Record<string, (options: Options, command: string) => Promise<void>>> = {
  produce: benchProduce,
  fetch: benchFetch,
  latency: benchLatency,
  startup: benchStartup,
};

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args);
    const bench = cases[options.caseName];
    if (bench === undefined) throw new UsageError(`there is no case ${options.caseName}`);
    await bench(options, ["bun run bench", ...args].join(" "));
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    return 2;
  }
}

exitOnSignals();
process.exit(await main(process.argv.slice(2)));
