// `bun run bench page`: docs/performance.md, written anew from the kept result lines, so that no figure
// of it can be anything but a measurement with its machine, commit and command.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { evidenceOf, type Goal, goals, pairsMin, verdictOf } from "./goals.ts";
import {
  lineShape,
  newestOf,
  numberAt,
  objectAt,
  readResults,
  type ResultLine,
  resultsDir,
  samplesAt,
  textAt,
} from "./results.ts";
import { median, rounded } from "./stats.ts";
import { root } from "./tools.ts";
import { UsageError } from "./usage_error.ts";

const introduction = `# Performance

Written by \`bun run bench page\` from the lines in \`bench/results\`; a figure is changed by measuring again.

Method: all sides run on one machine, in turn within each round (A B, B A, ...), after a wait for a quiet moment; nothing is left out. A ratio is the median over the pairs of a round, with its 95 % bootstrap interval. Load programs are native and the same for every server. \`fsync\` acknowledges after the bytes are on stable storage, \`os\` from the page cache; Kafka and NATS are set to the same. Client and servers share the cores, so rates are of this machine alone; ratios and CPU seconds travel better. Whether the disk of a virtual machine keeps what it says it has synced, no bench can tell.`;

function figure(value: number): string {
  const short = rounded(value);
  return Math.abs(short) >= 10_000 ? short.toLocaleString("en-US") : String(short);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => ":--")), ...rows.map(line)].join("\n");
}

/** Machines and versions, each once, with the commits that were measured on them. */
function machines(lines: readonly ResultLine[]): string {
  const commits = new Map<string, Set<string>>();
  for (const line of lines) {
    const names = ["cpu", "cpus", "memory_gb", "kernel", "fs", "bun", "zig"];
    const row = names.map((name) => textAt(line, name)).join(" | ");
    const known = commits.get(row) ?? new Set<string>();
    commits.set(row, known.add(textAt(line, "commit")));
  }
  const head = ["CPU", "cores", "memory, GB", "kernel", "file system", "Bun", "Zig", "commits"];
  return table(
    head,
    [...commits].map(([row, known]) => [row, [...known].join(", ")]),
  );
}

function goalRow(goal: Goal, lines: readonly ResultLine[]): readonly string[] {
  const bound = `${goal.bound} ${goal.limit.toLocaleString("en-US")}`;
  const found = evidenceOf(goal, lines);
  if (found === undefined) return [goal.name, goal.what, bound, "", "not measured"];
  const { value } = found;
  const middle = figure(value.median);
  const spread = value.low === value.high ? "" : ` (${figure(value.low)} to ${figure(value.high)})`;
  return [goal.name, goal.what, bound, `${middle}${spread}`, verdictOf(goal, value)];
}

/** In words: what the load was. */
export function shapeWords(line: ResultLine): string {
  const shape = lineShape(line);
  const parts = [textAt(line, "case"), textAt(shape, "name")];
  if (shape["size"] !== undefined) parts.push(`${textAt(shape, "size")} B`);
  const partitions = textAt(shape, "partitions");
  if (partitions !== "") parts.push(`${partitions} partition${partitions === "1" ? "" : "s"}`);
  if (shape["gib"] !== undefined) parts.push(`${textAt(shape, "gib")} GiB`);
  if (shape["idempotent"] === true) parts.push("idempotent");
  return [...parts, textAt(shape, "durability")].filter((part) => part !== "").join(", ");
}

export interface Comparison {
  readonly words: string;
  readonly side: string;
  readonly figureName: string;
  readonly of: string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** Of the pairs in which both runs were quiet; NaN without one. */
  readonly quiet: number;
  readonly quietPairs: number;
  readonly pairs: number;
}

/** Every ratio of a line to the sides in `group`: controls or peers. */
export function comparisons(line: ResultLine, group: "control" | "peer"): readonly Comparison[] {
  return Object.keys(objectAt(line, group)).flatMap((side) =>
    Object.keys(objectAt(line, "ratio", side)).map((figureName) => {
      const part = (name: string) => numberAt(line, "ratio", side, figureName, name) ?? Number.NaN;
      return {
        words: shapeWords(line),
        side,
        figureName,
        of: textAt(line, "ratio", side, figureName, "of"),
        ...{ median: part("median"), low: part("low"), high: part("high") },
        quiet: part("quiet"),
        quietPairs: numberAt(line, "quiet_pairs") ?? 0,
        pairs: numberAt(line, "pairs") ?? 0,
      };
    }),
  );
}

function comparisonTable(all: readonly Comparison[], none: string): string {
  if (all.length === 0) return none;
  const rows = all.map((each) => [
    ...[each.words, each.side, each.figureName, each.of, figure(each.median)],
    `${figure(each.low)} to ${figure(each.high)}`,
    Number.isNaN(each.quiet) ? "" : figure(each.quiet),
    `${each.quietPairs} of ${each.pairs}`,
  ]);
  const head = ["load", "beside", "figure", "ratio", "median", "95 % interval"];
  return table([...head, "of quiet pairs", "quiet"], rows);
}

function ourFigures(line: ResultLine): string {
  const names = Object.keys(objectAt(line, "ours"));
  return names
    .map((name) => [name, samplesAt(line, "ours", name)] as const)
    .filter(([, samples]) => samples.length > 0)
    .map(([name, samples]) => `${name} ${figure(median(samples))}`)
    .join(", ");
}

function runTable(lines: readonly ResultLine[]): string {
  const rows = lines.map((line) => [
    ...[textAt(line, "at").slice(0, 10), textAt(line, "commit"), shapeWords(line)],
    ...[ourFigures(line), `\`${textAt(line, "command")}\``],
  ]);
  return table(["date", "commit", "load", "ours, medians", "command"], rows);
}

/** The whole page; `lines` are oldest first. */
export function pageOf(lines: readonly ResultLine[]): string {
  const newest = newestOf(lines);
  const beside = newest.flatMap((line) => comparisons(line, "peer"));
  const won = beside.filter(({ low, pairs }) => low > 1 && pairs >= pairsMin);
  const lost = beside.filter(({ high, pairs }) => high < 1 && pairs >= pairsMin);
  const even = beside.filter((each) => !won.includes(each) && !lost.includes(each));
  const limits = newest.flatMap((line) => comparisons(line, "control"));
  const goalRows = goals.map((goal) => goalRow(goal, newest));
  const goalWords = `Met or missed only where the whole interval is, of at least ${pairsMin} pairs; else open.`;
  return [
    introduction,
    `## Machine\n\n${machines(newest)}`,
    `## Goals\n\n${goalWords}\n\n${table(["", "figure", "goal", "measured", ""], goalRows)}`,
    `## What we win\n\nRatios to other servers are turned so that above 1 is better for us.\n\n${comparisonTable(won, "Nothing yet.")}`,
    `## Where we lose\n\n${comparisonTable(lost, "Nothing that was measured.")}`,
    `## Where no difference is shown\n\n${comparisonTable(even, "Nothing.")}`,
    `## Beside what is possible\n\nOurs ÷ the null broker, the bare system calls, or ourselves without the cost in question. Of a rate more is better, of a cost less.\n\n${comparisonTable(limits, "Nothing yet.")}`,
    `## Every measurement\n\n${runTable(newest)}`,
    "",
  ].join("\n\n");
}

/** Returns what it did, in words. */
export function writePage(): string {
  const lines = readResults(resultsDir);
  if (lines.length === 0) throw new UsageError(`there are no results in ${resultsDir} yet`);
  const path = join(root, "docs/performance.md");
  writeFileSync(path, `${pageOf(lines).trimEnd()}\n`);
  return `written: ${path} from ${lines.length} lines`;
}
