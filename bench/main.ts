// `bun run bench CASE [options]`: one JSON line for each shape on stdout, progress on stderr. A full
// run of our node is also kept in bench/results/<case>.jsonl; `page` turns what is kept into a page.

import { type Case, cases } from "./cases.ts";
import { exitOnSignals } from "./child.ts";
import { benchCounts } from "./counts.ts";
import { type Options, optionsUsage, parseOptions } from "./options.ts";
import { writePage } from "./page.ts";
import { UsageError } from "./usage_error.ts";

function usage(): string {
  const rows = Object.entries(cases).map(([name, { what }]) => `  ${name.padEnd(12)} ${what}`);
  const tools = [
    "  counts       instructions and system calls per batch against counts.json [--update]",
    "  page         writes docs/performance.md from bench/results/*.jsonl",
  ];
  return ["bun run bench CASE [options]", ...rows, ...tools, "", optionsUsage, ""].join("\n");
}

/** Refuses what says nothing about this case. */
function check(options: Options, known: Case): void {
  const { caseName } = options;
  const sides = [...options.peers, ...options.limits];
  const foreign = sides.find((name) => !known.sides.includes(name));
  if (foreign !== undefined)
    throw new UsageError(`${foreign} is nothing to hold ${caseName} against`);
  const shape = options.shapes.find((name) => !known.shapes.includes(name));
  if (shape === undefined) return;
  throw new UsageError(`${shape} is no shape of ${caseName}, which has ${known.shapes.join(", ")}`);
}

async function main(args: readonly string[]): Promise<number> {
  const [caseName = "", ...rest] = args;
  if (args.includes("--help")) {
    process.stdout.write(usage());
    return 0;
  }
  try {
    if (caseName === "" || caseName.startsWith("-")) throw new UsageError("no case is named");
    if (caseName === "counts") return await benchCounts(rest.includes("--update"));
    if (caseName === "page") {
      console.error(writePage());
      return 0;
    }
    const known = cases[caseName];
    if (known === undefined) throw new UsageError(`there is no case ${caseName}`);
    const options = parseOptions(caseName, rest, known);
    check(options, known);
    const command = ["bun run bench", ...args].join(" ");
    for (const shape of options.shapes) await known.run({ ...options, shape }, command);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage()}`);
    return 2;
  }
}

exitOnSignals();
process.exit(await main(process.argv.slice(2)));
