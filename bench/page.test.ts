import { describe, expect, test } from "bun:test";
import { evidenceOf, type Goal, goals, verdictOf } from "./goals.ts";
import { comparisons, pageOf, shapeWords } from "./page.ts";
import { newestOf, parseLines, type ResultLine } from "./results.ts";

function line(
  at: string,
  median: number,
  more: Readonly<Record<string, unknown>> = {},
): ResultLine {
  return {
    ...{ case: "produce", at, commit: `c${at}`, bun: "1", zig: "2", kernel: "3", cpu: "4" },
    shape: { name: "B1", size: 100, partitions: 1, durability: "fsync" },
    ours: { name: "pyralog", records_per_s: [1, 3, 2] },
    control: { null: {} },
    peer: { kafka: {} },
    ratio: {
      null: { records_per_s: { of: "ours/null", median, low: median - 0.01, high: median + 0.01 } },
      kafka: {
        records_per_s: { of: "ours/kafka", median: 1.5, low: 1.2, high: 2 },
        cpu_s_per_gb: { of: "kafka/ours", median: 0.8, low: 0.7, high: 0.9 },
      },
    },
    ...{ pairs: 9, quiet_pairs: 7, command: `bun run bench produce ${at}` },
    ...more,
  };
}

const first: Goal = goals[0] ?? fail();
function fail(): never {
  throw new Error("there are no goals");
}

describe("results", () => {
  test("results: of one measurement the newest line counts, others stay", () => {
    const other = line("3", 0.5, { case: "fetch" });
    const lines = [line("1", 0.8), line("2", 0.95), other];
    expect(newestOf(lines).map((each) => each["at"])).toEqual(["2", "3"]);
  });

  test("results: empty lines and what is no object are left out", () => {
    expect(parseLines('{"a":1}\n\n[1]\n7\n{"b":2}\n')).toEqual([{ a: 1 }, { b: 2 }]);
  });
});

describe("goals", () => {
  test("goals: the newest line that fits shows a goal, with its interval", () => {
    const value = evidenceOf(first, [line("1", 0.8), line("2", 0.95)])?.value;
    expect(value).toEqual({ median: 0.95, low: 0.94, high: 0.96, pairs: 9 });
    const otherShape = line("3", 1, { shape: { name: "B1", size: 1024, durability: "fsync" } });
    expect(evidenceOf(first, [otherShape])).toBeUndefined();
  });

  test("goals: met and missed need the whole interval, between them it is open", () => {
    const verdict = (low: number, high: number) => verdictOf(first, { median: 1, low, high });
    expect([verdict(0.9, 1), verdict(0.5, 0.89), verdict(0.8, 1)]).toEqual([
      "met",
      "missed",
      "open",
    ]);
    const most: Goal = { ...first, bound: "at most", limit: 2 };
    expect(verdictOf(most, { median: 1, low: 1, high: 2 })).toBe("met");
    expect(verdictOf(most, { median: 2, low: 1, high: 3 })).toBe("open");
    expect(verdictOf(most, { median: 3, low: 2.5, high: 4 })).toBe("missed");
  });
});

describe("page", () => {
  test("page: wins, losses and limits stand apart, with commit and command", () => {
    const page = pageOf([line("1", 0.8), line("2", 0.95)]);
    const part = (title: string) => page.split(`## ${title}`)[1]?.split("\n## ")[0] ?? "";
    expect(part("What we win")).toContain(
      "| kafka | records_per_s | ours/kafka | 1.5 | 1.2 to 2 |",
    );
    expect(part("Where we lose")).toContain("| kafka | cpu_s_per_gb | kafka/ours | 0.8 |");
    expect(part("Beside what is possible")).toContain("| null | records_per_s |");
    expect(part("Goals")).toContain("| P1 |");
    expect(part("Goals")).toContain("| 0.95 (0.94 to 0.96) | met |");
    expect(part("Every measurement")).toContain("`bun run bench produce 2`");
    expect(page).not.toContain("bun run bench produce 1");
  });

  test("page: few pairs claim nothing, whatever they show", () => {
    const page = pageOf([line("1", 0.95, { pairs: 8 })]);
    expect(page.split("## What we win")[1]).toContain("Nothing yet.");
    expect(page).toContain("| 0.95 (0.94 to 0.96) | open |");
  });

  test("page: a line without sides, or of another kind, breaks nothing", () => {
    const soak: ResultLine = { case: "soak", at: "1", rounds: 3 };
    expect(comparisons(soak, "peer")).toEqual([]);
    expect(shapeWords(soak)).toBe("soak");
    expect(pageOf([soak])).toContain("Nothing that was measured.");
  });
});
