import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { findZig } from "../../release/toolchain.ts";
import { root } from "../tools.ts";

describe("native programs", () => {
  test.each([["open_loop.zig"], ["measure.zig"]])(
    "native programs: the tests of %s pass",
    async (name) => {
      const zig = await findZig();
      const source = join(import.meta.dir, name);
      const cache = ["--cache-dir", join(root, ".zig-cache")];
      const done = Bun.spawnSync([zig, "test", "-lc", "-fllvm", ...cache, source]);
      const words = done.stderr.toString();
      expect(words).toMatch(/All [1-9]\d* tests passed/);
      expect(done.exitCode).toBe(0);
    },
  );
});
