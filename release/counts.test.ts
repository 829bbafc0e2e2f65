// Reading counts: what the real programs print, and every bad end that must not count as a pass.

import { expect, test } from "bun:test";
import { readCounts, sum } from "./counts.ts";
import type { RunResult } from "./progress.ts";

function ended(text: string, exitCode: number | null = 0, signal: string | null = null): RunResult {
  return { exitCode, signal, text, timedOut: false };
}

const bunPassed =
  "(pass) a\n\n 12 pass\n 0 fail\n 30 expect() calls\nRan 12 tests across 2 files.\n";

test("release: the counts of bun test are its closing lines", () => {
  expect(readCounts("bun", ended(bunPassed))).toEqual({ passed: 12, failed: 0, note: null });
  const failed = " 1 pass\n 2 fail\n 1 error\n";
  expect(readCounts("bun", ended(failed, 1))).toEqual({ passed: 1, failed: 2, note: null });
});

test("release: what a test prints is not taken for the count", () => {
  const text = ` 99 pass\n 98 fail\n${bunPassed}`;
  expect(readCounts("bun", ended(text))).toEqual({ passed: 12, failed: 0, note: null });
});

test("release: bun test without a count is a failure (crash, exit inside a test, no tests)", () => {
  const crash = readCounts("bun", ended("a.test.ts:\n", null, "SIGSEGV"));
  expect(crash).toEqual({ passed: 0, failed: 1, note: "was ended by SIGSEGV without a count" });
  expect(readCounts("bun", ended("a.test.ts:\n")).failed).toBe(1);
  expect(readCounts("bun", ended("had no matches\n", 1)).failed).toBe(1);
});

test("release: bun test that passes and ends badly is a failure", () => {
  const counts = readCounts("bun", ended(bunPassed, 1));
  expect(counts).toEqual({
    passed: 12,
    failed: 1,
    note: "ended with code 1 though no test failed",
  });
  const late = readCounts("bun", { ...ended(bunPassed, null, "SIGKILL"), timedOut: true });
  expect(late.failed).toBe(1);
  expect(late.note).toContain("longer than its limit");
});

test("release: the counts of zig build test come from its summary, skipped ones apart", () => {
  const passed = "Build Summary: 3/3 steps succeeded; 2/3 tests passed (1 skipped)\ntest success\n";
  expect(readCounts("zig", ended(passed))).toEqual({ passed: 2, failed: 0, note: null });
  const failed =
    "Build Summary: 1/3 steps succeeded (1 failed); 2/4 tests passed (1 skipped, 1 failed)\n";
  expect(readCounts("zig", ended(failed, 1))).toEqual({ passed: 2, failed: 1, note: null });
});

test("release: a leak, a compile error and a cached run of zig are failures", () => {
  const leak = "Build Summary: 1/3 steps succeeded (1 failed); 4/4 tests passed\n";
  expect(readCounts("zig", ended(leak, 1)).failed).toBe(1);
  expect(readCounts("zig", ended("Build Summary: 0/3 steps succeeded\n", 1)).failed).toBe(1);
  expect(readCounts("zig", ended("")).failed).toBe(1);
});

test("release: a check counts by its exit code", () => {
  expect(readCounts("check", ended(""))).toEqual({ passed: 1, failed: 0, note: null });
  expect(readCounts("check", ended("", 2))).toEqual({
    passed: 0,
    failed: 1,
    note: "ended with code 2",
  });
});

test("release: suites add up, and so do their notes", () => {
  const one = { passed: 2, failed: 0, note: null };
  const two = { passed: 3, failed: 1, note: "crashed" };
  expect(sum([one, two])).toEqual({ passed: 5, failed: 1, note: "crashed" });
  expect(sum([])).toEqual({ passed: 0, failed: 0, note: null });
});
