// How many tests of a suite passed and failed, read from what its program printed. A program that
// ends badly without having counted counts as one failure.

import type { RunResult } from "./progress.ts";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  /** What the counts do not say; null when there is nothing. */
  readonly note: string | null;
}

/** `check` = one check by its exit code, `bun` = bun test, `zig` = zig build test --summary all. */
export type Reader = "check" | "bun" | "zig";

/** How the program ended, when it did not end by itself with 0; null when it did. */
function badEnd(result: RunResult): string | null {
  if (result.timedOut) return "ran longer than its limit and was stopped";
  if (result.signal !== null) return `was ended by ${result.signal}`;
  return result.exitCode === 0 ? null : `ended with code ${result.exitCode}`;
}

function readCheck(result: RunResult): Counts {
  const end = badEnd(result);
  return end === null ? { passed: 1, failed: 0, note: null } : { passed: 0, failed: 1, note: end };
}

/** The last number before `word` that stands alone on a line: ` 12 pass`. */
function lastCount(text: string, word: string): number | null {
  const matches = [...text.matchAll(new RegExp(`^\\s*(\\d+) ${word}\\s*$`, "gm"))];
  const last = matches.at(-1)?.[1];
  return last === undefined ? null : Number(last);
}

function readBun(result: RunResult): Counts {
  const passed = lastCount(result.text, "pass");
  // An error outside of any test is printed as an error and counted as a failure already.
  const failed = lastCount(result.text, "fail");
  const end = badEnd(result);
  if (passed === null || failed === null) {
    return {
      passed: passed ?? 0,
      failed: 1,
      note: `${end ?? "ended with code 0"} without a count`,
    };
  }
  if (end === null || failed > 0) return { passed, failed, note: result.timedOut ? end : null };
  return { passed, failed: 1, note: `${end} though no test failed` };
}

function readZig(result: RunResult): Counts {
  let passed = 0;
  let failed = 0;
  for (const line of result.text.matchAll(/Build Summary:.*?(\d+)\/(\d+) tests passed(.*)$/gm)) {
    passed += Number(line[1]);
    const skipped = Number(/(\d+) skipped/.exec(line[3] ?? "")?.[1] ?? 0);
    failed += Number(line[2]) - Number(line[1]) - skipped;
  }
  const end = badEnd(result);
  if (passed + failed === 0) {
    return { passed, failed: 1, note: `${end ?? "ended with code 0"} without a count` };
  }
  // A leak or a crash fails the step without failing a test.
  if (end !== null && failed === 0)
    return { passed, failed: 1, note: `${end} though no test failed` };
  return { passed, failed, note: result.timedOut ? end : null };
}

export function readCounts(reader: Reader, result: RunResult): Counts {
  switch (reader) {
    case "check":
      return readCheck(result);
    case "bun":
      return readBun(result);
    case "zig":
      return readZig(result);
  }
}

export function sum(all: readonly Counts[]): Counts {
  const notes = all.flatMap(({ note }) => (note === null ? [] : [note]));
  return {
    passed: all.reduce((total, { passed }) => total + passed, 0),
    failed: all.reduce((total, { failed }) => total + failed, 0),
    note: notes.length === 0 ? null : notes.join("; "),
  };
}
