// The benches as CI runs them: they work and print one line. How fast is never a test.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
/** The first run builds librdkafka's load program. */
const limitMs = 900_000;

function quickBench(...args: readonly string[]): Record<string, unknown> {
  const command = [process.execPath, join(root, "bench/main.ts"), ...args, "--quick"];
  const done = Bun.spawnSync(command, { cwd: root, stdout: "pipe", stderr: "pipe" });
  const lines = done.stdout.toString().trimEnd().split("\n");
  if (done.exitCode !== 0 || lines.length !== 1) throw new Error(done.stderr.toString());
  return JSON.parse(lines[0] ?? "") as Record<string, unknown>; // proof: a result line is an object
}

const twoFigures = [expect.any(Number), expect.any(Number)];

describe("bench", () => {
  test(
    "bench: produce delivers every record to our node and to the null broker",
    () => {
      const line = quickBench("produce", "--count", "50000");
      expect(line).toMatchObject({
        case: "produce",
        shape: { name: "B1", count: 50_000, durability: "fsync" },
        ours: { name: "pyralog", records_per_s: twoFigures, cpu_s_per_gb: twoFigures },
        control: { null: { records_per_s: twoFigures } },
        ratio: { null: { records_per_s: { of: "ours/null", median: expect.any(Number) } } },
        pairs: 2,
        quick: true,
      });
    },
    limitMs,
  );

  test(
    "bench: fetch reads every record back",
    () => {
      const line = quickBench("fetch", "--count", "50000", "--vs", "null,floor");
      expect(line).toMatchObject({
        ours: { name: "pyralog", records_per_s: twoFigures },
        control: { null: { records_per_s: twoFigures }, floor: { cpu_s_per_gb: twoFigures } },
      });
    },
    limitMs,
  );

  test(
    "bench: latency counts every request but those of the warm-up",
    () => {
      const line = quickBench("latency", "--count", "500", "--vs", "null,fdatasync");
      expect(line).toMatchObject({
        ours: { name: "pyralog", p50_us: twoFigures, p99_us: twoFigures },
        control: { null: { p99_us: twoFigures }, fdatasync: { p99_us: twoFigures } },
        merged: { pyralog: { count: 1000 }, null: { count: 1000 } },
      });
    },
    limitMs,
  );

  test(
    "bench: startup sees an acknowledged record on an empty and on an existing directory",
    () => {
      const line = quickBench("startup");
      expect(line).toMatchObject({
        ours: { name: "pyralog", empty_ms: twoFigures, existing_ms: twoFigures },
      });
    },
    limitMs,
  );
});
