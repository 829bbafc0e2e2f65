// librdkafka's suite, class A (produce, fetch, topic administration) in its quick form, and the
// rules of the lists that steer it.

import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { cacheDir } from "../../../bench/tools.ts";
import { testsKafka } from "../../harness/server.ts";
import {
  loadAllowList,
  loadEntries,
  readReport,
  removedFromAllowList,
  runEntries,
  type Outcome,
} from "./suite.ts";

const suiteMsMax = 1_200_000;
const allowed = loadAllowList();
const entries = loadEntries();
const due = entries.filter(
  (entry) => entry.class === "A" && entry.quick && (testsKafka || allowed.has(entry.name)),
);
let outcomes: readonly Outcome[] = [];

beforeAll(async () => {
  if (due.length === 0) return;
  outcomes = await runEntries(due, { quick: true, logFolder: join(cacheDir, "logs") });
}, suiteMsMax);

for (const entry of due) {
  test(`librdkafka: ${entry.name}`, () => {
    expect(outcomes.find((outcome) => outcome.entry === entry)?.state).toBe("PASSED");
  });
}

test("librdkafka: the allow-list names entries of the table and only grows", () => {
  const names = new Set(entries.map((entry) => entry.name));
  expect([...allowed].filter((name) => !names.has(name))).toEqual([]);
  expect(removedFromAllowList()).toEqual([]);
});

test("librdkafka: only the state in the report counts", () => {
  const [first, second, third, fourth] = entries;
  if (!first || !second || !third || !fourth) throw new Error("the table has fewer than 4 entries");
  const line = (name: string, state: string): string =>
    `"${name}": {"name": "${name}", "state": "${state}", "duration": 1.500, "report": [ ] }`;
  const report = [
    line(first.name, "PASSED"),
    line(second.name, "FAILED"),
    line(third.name, "SKIPPED"),
  ].join(", ");
  const states = readReport(report, [first, second, third, fourth]).map(({ state }) => state);
  expect(states).toEqual(["PASSED", "FAILED", "SKIPPED", "MISSING"]);
});

test("librdkafka: comments in the allow-list are no entries", () => {
  expect([...loadAllowList("# all\n0001_a # first\n\n0002_b\n")]).toEqual(["0001_a", "0002_b"]);
});
