// Fuzzes a whole node by the requests of clients: plausible ones of every advertised key and version,
// damaged in many ways, through the shipping path from frame cutter to broker.
//
//   bun test/fuzz/requests.ts [--count 100000] [--seed N] [--only INDEX]
//
// What must hold for any bytes (see life.ts and judge.ts):
//   the node lives, and answers in order with what decodes and no unknown error, or closes;
//   it closes only where bytes do not decode or a Produce of acks=0 fails;
//   it reserves at most four times the bytes that came, and makes no more elements than bytes;
//   no step takes over 100 ms of CPU, judged again alone before it counts.
//
// Prints one line of JSON. A finding ends with code 1, prints what reproduces it and the least steps
// that still do; `--only` with its seed and index runs it again. A node lives for `lifeSteps` steps,
// so that what requests make does not grow without end, and a finding depends on no step before its
// life.

import { Died } from "./door.ts";
import { draw, pairs } from "./draw.ts";
import { Finding } from "./judge.ts";
import { Life, type Step } from "./life.ts";
import { shrink } from "./shrink.ts";

export const lifeSteps = 2000;
const hangMs = 100;
const hangWords = `a step takes over ${hangMs} ms`;
/** How often a slow step is run again; each must be slow. */
const hangTries = 3;

export interface RequestsReport {
  readonly seed: number;
  readonly requests: number;
  readonly pairs: number;
  readonly answers: number;
  readonly errors: number;
  readonly closed: number;
  /** Steps over the limit on the wall clock that were not when they ran again. */
  readonly slow: number;
}

export interface Found {
  readonly seed: number;
  readonly index: number;
  readonly words: string;
  readonly steps: readonly Step[];
}

/** First line of what went wrong; null = nothing did. Anything but a finding is a bug as well. */
export function wordsOf(error: unknown): string {
  if (error instanceof Finding) return error.message;
  if (error instanceof Died) return `the node died: ${error.message}`;
  return error instanceof Error ? `thrown: ${error.stack ?? error.message}` : String(error);
}

/** Whether the last of the steps is slow in every one of a few lives. */
function hangs(steps: readonly Step[]): boolean {
  for (let tries = 0; tries < hangTries; tries += 1) {
    const life = new Life();
    for (const step of steps.slice(0, -1)) life.apply(step);
    life.countCpu = true;
    for (const step of steps.slice(-1)) life.apply(step);
    if (life.spentCpuMs <= hangMs) return false;
  }
  return true;
}

/** Steps `first` to `end` of a seed, in one life. */
function live(seed: number, first: number, end: number, sum: Sum): Found | null {
  const life = new Life();
  const steps: Step[] = [];
  let index = first;
  try {
    for (; index < end; index += 1) {
      const step = draw(seed, index, life.vocabulary);
      steps.push(step);
      const before = life.spentMs;
      life.apply(step);
      if (life.spentMs - before <= hangMs) continue;
      if (hangs(steps)) throw new Finding(hangWords);
      sum.slow += 1;
    }
  } catch (error) {
    return { seed, index, words: wordsOf(error), steps };
  }
  sum.answers += life.answers;
  sum.errors += life.errors;
  sum.closed += life.closed;
  return null;
}

interface Sum {
  answers: number;
  errors: number;
  closed: number;
  slow: number;
}

/** Runs `count` steps or until the first finding. */
export function fuzzRequests(seed: number, count: number): RequestsReport | Found {
  const sum: Sum = { answers: 0, errors: 0, closed: 0, slow: 0 };
  for (let first = 0; first < count; first += lifeSteps) {
    const found = live(seed, first, Math.min(count, first + lifeSteps), sum);
    if (found !== null) return found;
  }
  return { seed, requests: count, pairs: pairs.length, ...sum };
}

/** Runs the life of one step up to and with it. */
export function fuzzOnly(seed: number, index: number): Found | null {
  const first = index - (index % lifeSteps);
  return live(seed, first, index + 1, { answers: 0, errors: 0, closed: 0, slow: 0 });
}

/** What steps do to a node of their own; null = no harm. */
function harmOf(steps: readonly Step[]): string | null {
  try {
    const life = new Life();
    for (const step of steps) life.apply(step);
  } catch (error) {
    return wordsOf(error);
  }
  return null;
}

function slowness(steps: readonly Step[]): string | null {
  return hangs(steps) ? hangWords : null;
}

function show(found: Found): void {
  console.log(JSON.stringify({ fuzz: "requests", seed: found.seed, found: found.index }));
  console.log(
    `${found.words}\n\nagain: bun test/fuzz/requests.ts --seed ${found.seed} --only ${found.index}`,
  );
  const harm = found.words === hangWords ? slowness : harmOf;
  const least = shrink(found.steps, found.words, harm);
  console.log(`${least.length} of ${found.steps.length} steps are enough:`);
  for (const { connection, chunks, ...rest } of least) {
    const hex = chunks.map((chunk) => Buffer.from(chunk).toString("hex")).join(" | ");
    console.log(`  connection ${connection} ${JSON.stringify(rest)}\n    ${hex}`);
  }
}

function main(args: readonly string[]): number {
  const value = (name: string): number | null => {
    const at = args.indexOf(name);
    return at < 0 ? null : Number(args[at + 1]);
  };
  const seed = value("--seed") ?? Math.floor(Math.random() * 2 ** 31);
  const only = value("--only");
  const started = performance.now();
  const report =
    only === null ? fuzzRequests(seed, value("--count") ?? 100_000) : fuzzOnly(seed, only);
  if (report === null) {
    console.log(JSON.stringify({ fuzz: "requests", seed, only, found: null }));
    return 0;
  }
  if ("words" in report) {
    show(report);
    return 1;
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(
    JSON.stringify({
      fuzz: "requests",
      ...report,
      seconds: Math.round(seconds),
      per_second: Math.round(report.requests / seconds),
      rss_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
    }),
  );
  return 0;
}

if (import.meta.main) process.exit(main(process.argv.slice(2)));
