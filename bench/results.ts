// The kept result lines, read back. They were written by many versions of the bench, so nothing is
// taken for granted but that a line is a JSON object.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./tools.ts";

export type ResultLine = Readonly<Record<string, unknown>>;

export const resultsDir = join(root, "bench/results");

function isObject(value: unknown): value is ResultLine {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** All lines of all cases, oldest first. */
export function readResults(folder: string): readonly ResultLine[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
  const lines = names
    .sort()
    .flatMap((name) => parseLines(readFileSync(join(folder, name), "utf8")));
  return lines.sort((left, right) => textAt(left, "at").localeCompare(textAt(right, "at")));
}

export function parseLines(text: string): ResultLine[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line))
    .filter(isObject);
}

export function at(line: ResultLine, ...path: readonly string[]): unknown {
  let found: unknown = line;
  for (const name of path) found = isObject(found) ? found[name] : undefined;
  return found;
}

export function numberAt(line: ResultLine, ...path: readonly string[]): number | undefined {
  const found = at(line, ...path);
  return typeof found === "number" ? found : undefined;
}

/** Empty where there is none. */
export function textAt(line: ResultLine, ...path: readonly string[]): string {
  const found = at(line, ...path);
  return typeof found === "string" || typeof found === "number" ? String(found) : "";
}

export function objectAt(line: ResultLine, ...path: readonly string[]): ResultLine {
  const found = at(line, ...path);
  return isObject(found) ? found : {};
}

/** The runs of one figure, in the order of the rounds. */
export function samplesAt(line: ResultLine, ...path: readonly string[]): readonly number[] {
  const found = at(line, ...path);
  return Array.isArray(found) ? found.filter((each) => typeof each === "number") : [];
}

export function lineShape(line: ResultLine): ResultLine {
  return objectAt(line, "shape");
}

/**
 * The newest line of each measurement: of the same case and shape against the same sides. What a line
 * was superseded by is further down the file.
 */
export function newestOf(lines: readonly ResultLine[]): readonly ResultLine[] {
  const newest = new Map<string, ResultLine>();
  for (const line of lines) {
    const sides = [
      ...Object.keys(objectAt(line, "control")),
      ...Object.keys(objectAt(line, "peer")),
    ];
    const identity = JSON.stringify([textAt(line, "case"), lineShape(line), sides]);
    newest.delete(identity);
    newest.set(identity, line);
  }
  return [...newest.values()];
}
