// The measure of the engine's own simulation: each bug of order is planted in a copy of its sources,
// and the model over the seeded disk has to find it within a few seeds.

import { afterAll, expect, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { root } from "../../bench/tools.ts";
import { findZig } from "../../release/toolchain.ts";

interface Planted {
  readonly name: string;
  readonly file: string;
  readonly right: string;
  readonly wrong: string;
}

const bugs: readonly Planted[] = [
  {
    name: "calls a group durable before its sync",
    file: "zig/writer.zig",
    right: "try store.io.sync_data(writer.file);",
    wrong:
      "store.raise_durable(writer.first_position + writer.offset);\n" +
      "            try store.io.sync_data(writer.file);",
  },
  {
    name: "leaves a segment for the next before it is synced",
    file: "zig/writer.zig",
    right: "if (store.durable.load(.seq_cst) < end) try sync(store);",
    wrong: "_ = end;",
  },
  {
    name: "closes the file of a segment while the flusher syncs it",
    file: "zig/settler.zig",
    right: "if (flushing) return false;",
    wrong: "if (flushing and store.failed()) return false;",
  },
  {
    name: "recycles a segment while a reader is in it",
    file: "zig/recycle.zig",
    right: "if (segment.pins > 1) {",
    wrong: "if (segment.pins > 1 and store.failed()) {",
  },
  {
    name: "frees the ring before the bytes are written",
    file: "zig/writer.zig",
    right: "try store.io.pwrite(writer.file, bytes, writer.offset);",
    wrong:
      "store.ring.written.store(writer.ring_cursor + writer.offset + closed.bytes, .release);\n" +
      "            try store.io.pwrite(writer.file, bytes, writer.offset);",
  },
];

const seeds = 100;
const testMsMax = 600_000;
const copy = scratchDir("planted-engine");
cpSync(join(root, "zig"), join(copy, "zig"), { recursive: true });
afterAll(() => removeScratchDir(copy));

/** The seed that fails; null when none does. */
async function firstFound(binary: string): Promise<number | null> {
  for (let seed = 0; seed < seeds; seed += 1) {
    const env = { ...process.env, PYRALOG_SEEDS: `${seed}:1` };
    const run = Bun.spawn([binary], { cwd: copy, env, stdout: "ignore", stderr: "ignore" });
    if ((await run.exited) !== 0) return seed;
  }
  return null;
}

for (const { name, file, right, wrong } of bugs) {
  test(
    `engine: finds one that ${name}`,
    async () => {
      const source = readFileSync(join(root, file), "utf8");
      expect(source.split(right)).toHaveLength(2);
      writeFileSync(join(copy, file), source.replace(right, wrong));
      const binary = join(copy, "model");
      try {
        const flags = ["-fllvm", "-lc", "-mcpu", "baseline", "--test-no-exec"];
        const caches = ["--cache-dir", join(copy, "cache"), `-femit-bin=${binary}`];
        const filter = ["--test-filter", "model: the store"];
        const command = [await findZig(), "test", "zig/tests.zig", ...flags, ...filter, ...caches];
        const build = Bun.spawn(command, { cwd: copy, stdout: "ignore", stderr: "pipe" });
        const said = await new Response(build.stderr).text();
        expect(said).not.toContain("error:");
        expect(await build.exited).toBe(0);
        const seed = await firstFound(binary);
        expect(seed).not.toBeNull();
      } finally {
        writeFileSync(join(copy, file), source);
      }
    },
    testMsMax,
  );
}
