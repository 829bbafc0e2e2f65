// Interleaved rounds: in each round every side runs once, in alternating order (A B, B A, A B, ...), so
// that a slow drift of the machine hits all sides alike. Nothing is discarded.

import { moment, waitForQuiet, watch, type Watch, foreignShareMax } from "./gate.ts";
import { type Interval, medianInterval, median, pairRatios, rounded } from "./stats.ts";

/** Figures of one run by the name that the result line uses, with the unit at the end. */
export type Figures = Readonly<Record<string, number>>;

export interface Run extends Watch {
  readonly figures: Figures;
  readonly pressure: number;
  readonly quiet: boolean;
}

export interface Side {
  readonly name: string;
  /** Everything that must not count: topics, warm memory, deleted files. Runs before the gate. */
  prepare(round: number): Promise<void>;
  measure(round: number): Promise<Figures>;
}

export interface RoundsOptions {
  readonly pairs: number;
  readonly gateTries: number;
}

/** Runs by side, each list in the order of the rounds. */
export async function runRounds(
  sides: readonly Side[],
  options: RoundsOptions,
): Promise<ReadonlyMap<string, readonly Run[]>> {
  const runs = new Map<string, Run[]>(sides.map((side) => [side.name, []]));
  for (let round = 0; round < options.pairs; round += 1) {
    const order = round % 2 === 0 ? sides : [...sides].reverse();
    for (const side of order) {
      await side.prepare(round);
      const gate = await waitForQuiet(options.gateTries);
      const start = moment();
      const figures = await side.measure(round);
      const taken = watch(start, moment());
      const quiet = gate.quiet && taken.foreign <= foreignShareMax;
      runs.get(side.name)?.push({ ...taken, figures, quiet, pressure: gate.pressure });
      console.error(`round ${round + 1} ${side.name.padEnd(8)} ${progress(figures, taken, quiet)}`);
    }
  }
  return runs;
}

function progress(figures: Figures, { foreign }: Watch, quiet: boolean): string {
  const parts = Object.entries(figures).map(([name, value]) => `${name} ${rounded(value)}`);
  return `${parts.join("  ")}  foreign ${rounded(foreign)}${quiet ? "" : "  contended"}`;
}

export interface Ratio extends Interval {
  /** What is divided by what. */
  readonly of: string;
  /** Median over the pairs in which both runs were quiet; null without such a pair. */
  readonly quiet: number | null;
}

/** Whether more is better (a rate) or less is (a cost). */
export type Direction = "rate" | "cost";

/**
 * A control is a limit: ours / control for every figure. A rival's ratios are turned so that above 1
 * always means that we are better: ours / rival for a rate, rival / ours for a cost.
 */
export function ratio(
  name: string,
  direction: Direction,
  isControl: boolean,
  figure: string,
  ours: readonly Run[],
  theirs: readonly Run[],
): Ratio {
  const value = (run: Run) => run.figures[figure] ?? Number.NaN;
  const turned = !isControl && direction === "cost";
  const [upper, lower] = turned ? [theirs, ours] : [ours, theirs];
  const ratios = pairRatios(upper.map(value), lower.map(value));
  const quiet = ratios.filter((_, index) => ours[index]?.quiet && theirs[index]?.quiet);
  const interval = medianInterval(ratios);
  return {
    of: turned ? `${name}/ours` : `ours/${name}`,
    median: rounded(interval.median),
    low: rounded(interval.low),
    high: rounded(interval.high),
    quiet: quiet.length === 0 ? null : rounded(median(quiet)),
  };
}

/** One list per figure: `{ records_per_s: [..], cpu_s_per_gb: [..] }`, in the order of the rounds. */
export function columns(runs: readonly Run[]): Record<string, number[]> {
  const names = Object.keys(runs[0]?.figures ?? {});
  return Object.fromEntries(
    names.map((name) => [name, runs.map((run) => rounded(run.figures[name] ?? Number.NaN))]),
  );
}
