import { describe, expect, test } from "bun:test";
import { join } from "node:path";

function bench(...args: readonly string[]) {
  const done = Bun.spawnSync([process.execPath, join(import.meta.dir, "main.ts"), ...args]);
  return { code: done.exitCode, out: done.stdout.toString(), words: done.stderr.toString() };
}

describe("bench", () => {
  test.each([
    [[], "no case is named"],
    [["nothing"], "there is no case nothing"],
    [["latency", "--vs", "floor"], "floor is no limit of latency"],
    [["startup", "--vs", "fdatasync"], "fdatasync is no limit of startup"],
  ])("bench: %p is refused with the usage, exit code 2 and an empty stdout", (args, words) => {
    const result = bench(...args);
    expect(result).toMatchObject({ code: 2, out: "" });
    expect(result.words).toContain(words);
    expect(result.words).toContain("bun run bench CASE [options]");
  });
});
