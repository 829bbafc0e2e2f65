// The result line: one JSON object per run of a case, on stdout and at the end of
// bench/results/<case>.jsonl. Figures without the machine, the commit and the command are not kept.

import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describeMachine, type Machine } from "./machine.ts";
import type { Options } from "./options.ts";
import type { Description } from "./peers/peer.ts";
import { controlNames, type SideName } from "./peers/peers.ts";
import { resultsDir } from "./results.ts";
import { columns, type Direction, type Ratio, ratio, type Run } from "./rounds.ts";
import { rounded } from "./stats.ts";

export type Shape = Readonly<Record<string, string | number | boolean>>;

/** One side of a comparison with all its runs. */
export interface SideReport {
  readonly name: SideName;
  readonly description: Pick<Description, "version" | "config">;
  readonly runs: readonly Run[];
}

export interface Report {
  readonly options: Options;
  readonly folder: string;
  readonly shape: Shape;
  readonly ours: SideReport;
  readonly others: readonly SideReport[];
  /** The figures that are compared, and which way is better. */
  readonly compared: Readonly<Record<string, Direction>>;
  /** Further fields of this case, e.g. percentiles over all runs together. */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly command: string;
}

export function sideReport(
  {
    name,
    peer,
  }: {
    readonly name: SideName;
    readonly peer: Pick<Description, "version" | "config">;
  },
  runs: ReadonlyMap<string, readonly Run[]>,
): SideReport {
  const { version, config } = peer;
  return { name, description: { version, config }, runs: runs.get(name) ?? [] };
}

function sideFields(side: SideReport): Record<string, unknown> {
  return { ...side.description, ...columns(side.runs) };
}

function ratiosTo(report: Report, other: SideReport): Record<string, Ratio> {
  const isControl = controlNames.includes(other.name);
  const entries = Object.entries(report.compared).map(([figure, direction]) => {
    const { ours } = report;
    return [
      figure,
      ratio(other.name, direction, isControl, figure, ours.runs, other.runs),
    ] as const;
  });
  return Object.fromEntries(entries);
}

/** The line as an object; field names are part of what readers of the results rely on. */
export function resultLine(report: Report, machine: Machine): Record<string, unknown> {
  const { options, ours, others } = report;
  const controls = others.filter((side) => controlNames.includes(side.name));
  const rivals = others.filter((side) => !controlNames.includes(side.name));
  const all = [ours, ...others].flatMap((side) => side.runs);
  const quietPairs = ours.runs.filter(
    (run, round) => run.quiet && others.every((side) => side.runs[round]?.quiet),
  );
  return {
    case: options.caseName,
    ...machine,
    shape: { ...report.shape, durability: options.durability, rf: 1, w: 1, io: "buffered" },
    ours: { name: ours.name, ...sideFields(ours) },
    control: Object.fromEntries(controls.map((side) => [side.name, sideFields(side)])),
    peer: Object.fromEntries(rivals.map((side) => [side.name, sideFields(side)])),
    ratio: Object.fromEntries(others.map((side) => [side.name, ratiosTo(report, side)])),
    pairs: ours.runs.length,
    quiet_pairs: quietPairs.length,
    psi: all.map((run) => rounded(run.pressure)),
    foreign: all.map((run) => rounded(run.foreign)),
    steal: all.map((run) => rounded(run.steal)),
    ...report.extra,
    ...(options.quick ? { quick: true } : {}),
    command: report.command,
  };
}

/** A quick run proves that the bench works, and a foreign subject says nothing about us: not kept. */
export function publish(report: Report): void {
  const { caseName, quick, subject } = report.options;
  const line = JSON.stringify(resultLine(report, describeMachine(report.folder)));
  if (!quick && subject === "pyralog") keep(caseName, line);
  console.log(line);
}

/** Appends to the results of a case, which are committed: they are the source of published figures. */
export function keep(caseName: string, line: string): void {
  mkdirSync(resultsDir, { recursive: true });
  appendFileSync(join(resultsDir, `${caseName}.jsonl`), `${line}\n`);
}
