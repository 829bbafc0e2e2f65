import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { cases } from "./cases.ts";

function bench(...args: readonly string[]) {
  const done = Bun.spawnSync([process.execPath, join(import.meta.dir, "main.ts"), ...args]);
  return { code: done.exitCode, out: done.stdout.toString(), words: done.stderr.toString() };
}

describe("bench", () => {
  test.each([
    [[], "no case is named"],
    [["nothing"], "there is no case nothing"],
    [["latency", "--vs", "floor"], "floor is nothing to hold latency against"],
    [["--quick"], "no case is named"],
    [["latency", "--shape", "S1"], "S1 is no shape of latency, which has S6"],
    [["produce", "--shape", "S3"], "--vs none"],
    [["startup", "--vs", "fdatasync"], "fdatasync is nothing to hold startup against"],
  ])("bench: %p is refused with the usage, exit code 2 and an empty stdout", (args, words) => {
    const result = bench(...args);
    expect(result).toMatchObject({ code: 2, out: "" });
    expect(result.words).toContain(words);
    expect(result.words).toContain("bun run bench CASE [options]");
  });

  test("bench: --help names every case on stdout, exit code 0", () => {
    const result = bench("--help");
    expect(result.code).toBe(0);
    for (const name of [...Object.keys(cases), "page"])
      expect(result.out).toContain(`\n  ${name} `);
  });
});
