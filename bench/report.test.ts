import { describe, expect, test } from "bun:test";
import { parseOptions } from "./options.ts";
import { type Report, resultLine } from "./report.ts";
import { columns, ratio, type Run, runRounds, type Side } from "./rounds.ts";

function run(figures: Record<string, number>, quiet = true): Run {
  return { figures, quiet, pressure: 0.01, foreign: 0, steal: 0 };
}

describe("rounds", () => {
  test("rounds: sides take turns A B, B A, A B and each is prepared before it is measured", async () => {
    const calls: string[] = [];
    const side = (name: string): Side => ({
      name,
      async prepare(round) {
        calls.push(`prepare ${name}${round}`);
      },
      async measure(round) {
        calls.push(`measure ${name}${round}`);
        return { records_per_s: round + 1 };
      },
    });
    const runs = await runRounds([side("A"), side("B")], { pairs: 3, gateTries: 0 });
    const order = ["A0", "B0", "B1", "A1", "A2", "B2"];
    expect(calls).toEqual(order.flatMap((name) => [`prepare ${name}`, `measure ${name}`]));
    expect(columns(runs.get("A") ?? [])).toEqual({ records_per_s: [1, 2, 3] });
    // no try of the gate: nobody looked, so nobody may say that it was quiet
    expect(runs.get("B")?.map((each) => each.quiet)).toEqual([false, false, false]);
  });

  test("rounds: a control is the divisor, a rival's cost is the dividend", () => {
    const ours = [run({ rate: 2, cost: 1 }), run({ rate: 4, cost: 1 })];
    const theirs = [run({ rate: 1, cost: 4 }), run({ rate: 1, cost: 2 }, false)];
    const against = (isControl: boolean, figure: "rate" | "cost") =>
      ratio("x", figure, isControl, figure, ours, theirs);
    expect(against(true, "rate")).toMatchObject({ of: "ours/x", median: 3, quiet: 2 });
    expect(against(true, "cost")).toMatchObject({ of: "ours/x", median: 0.375, quiet: 0.25 });
    expect(against(false, "rate")).toMatchObject({ of: "ours/x", median: 3, low: 2, high: 4 });
    expect(against(false, "cost")).toMatchObject({ of: "x/ours", median: 3, quiet: 4 });
  });

  test("rounds: without a quiet pair there is no quiet median", () => {
    const noisy = [run({ rate: 1 }, false)];
    expect(ratio("x", "rate", false, "rate", noisy, [run({ rate: 1 })]).quiet).toBeNull();
  });
});

describe("report", () => {
  const machine = {
    at: "2026-01-01T00:00:00.000Z",
    commit: "abc",
    bun: "1",
    zig: "2",
    kernel: "3",
    cpu: "4",
    cpus: 2,
    memory_gb: 24,
    fs: "ext4",
  };
  const report: Report = {
    options: parseOptions("produce", ["--vs", "null,kafka", "--durability", "os"], {
      ...{ vs: "null", defaultShapes: ["B1"], pairs: 9 },
    }),
    folder: "/",
    shape: { name: "B1", size: 100 },
    ours: {
      name: "pyralog",
      description: { version: "v", config: "c" },
      runs: [run({ records_per_s: 2, cpu_s_per_gb: 1 })],
    },
    others: [
      {
        name: "null",
        description: { version: "v", config: "c" },
        runs: [run({ records_per_s: 4, cpu_s_per_gb: 0.5 })],
      },
      {
        name: "kafka",
        description: { version: "4", config: "c" },
        runs: [run({ records_per_s: 1, cpu_s_per_gb: 5 }, false)],
      },
    ],
    compared: { records_per_s: "rate", cpu_s_per_gb: "cost" },
    command: "bun run bench produce",
  };

  test("report: controls and rivals stand apart, with ratios to each", () => {
    const line = resultLine(report, machine);
    expect(line).toMatchObject({
      case: "produce",
      commit: "abc",
      shape: { name: "B1", size: 100, durability: "os", rf: 1, w: 1 },
      ours: { name: "pyralog", records_per_s: [2], cpu_s_per_gb: [1] },
      control: { null: { records_per_s: [4] } },
      peer: { kafka: { version: "4", cpu_s_per_gb: [5] } },
      ratio: {
        null: { records_per_s: { of: "ours/null", median: 0.5, quiet: 0.5 } },
        kafka: { cpu_s_per_gb: { of: "kafka/ours", median: 5, quiet: null } },
      },
      pairs: 1,
      quiet_pairs: 0,
      command: "bun run bench produce",
    });
  });

  test("report: a line is one line and survives JSON", () => {
    const text = JSON.stringify(resultLine(report, machine));
    expect(text).not.toContain("\n");
    expect(JSON.parse(text)).toEqual(resultLine(report, machine));
  });
});
