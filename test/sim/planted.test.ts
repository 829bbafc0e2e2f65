// The measure of the simulator itself: each bug is planted in a copy of the sources, and the
// simulator has to find it within a few seeds.

import { afterAll, expect, test } from "bun:test";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { root } from "../../bench/tools.ts";

interface Planted {
  readonly name: string;
  readonly file: string;
  readonly right: string;
  readonly wrong: string;
  /** A second place of the same file, where one line is not enough. */
  readonly also?: readonly [right: string, wrong: string];
  /** What the simulator says. */
  readonly found: RegExp;
}

const bugs: readonly Planted[] = [
  {
    name: "acknowledges what is written and not synced",
    file: "src/core/broker/broker.ts",
    right: "this.#synced.release(durable, this.#commit)",
    wrong: "this.#synced.release(written, this.#commit)",
    found: /was told before|is lost/,
  },
  {
    name: "forgets idempotent producers at a restart",
    file: "src/core/broker/producer_state.ts",
    right: "rememberProducers(load.table, outcome.headers, this.#broker.wall);",
    wrong: "",
    found: /comes after|never acknowledged/,
  },
  {
    name: "reads a sidecar and no header behind it",
    file: "src/core/broker/producer_state.ts",
    right: "load.next = outcome.at;",
    wrong: "load.next = load.limit;",
    found: /comes after|never acknowledged/,
  },
  {
    name: "remembers one batch of a producer where five may be in flight",
    file: "src/core/base/limits.ts",
    right: "producerBatchesKept = 5",
    wrong: "producerBatchesKept = 1",
    found: /never acknowledged/,
  },
  {
    name: "reads beyond the high watermark",
    file: "src/core/broker/fetches.ts",
    right: "limit: offset(part.highWatermark)",
    wrong: "limit: broker.partitions.endOf(part.slot as Slot)",
    found: /above the high watermark/,
  },
  {
    name: "keeps what a read brought beyond its step",
    file: "src/core/broker/fetches.ts",
    right: "for (const part of job.parts) part.records = null;",
    wrong: "",
    also: [
      "if (part.fetchOffset >= part.highWatermark) continue;",
      "if (part.fetchOffset >= part.highWatermark || part.records !== null) continue;",
    ],
    found: /is no batch|never sent/,
  },
  {
    name: "forgets which batch of an unknown producer it has refused",
    file: "src/core/replication/producers.ts",
    right: "if (row === undefined) return this.#judgeUnknown(producerId, epoch, firstSequence);",
    wrong: "if (row === undefined) return append;",
    found: /comes after|never acknowledged/,
  },
  {
    name: "tells a fetch session of records only when the high watermark moves",
    file: "src/core/broker/fetches.ts",
    right: "(part.records !== null && part.records.byteLength > 0) ||",
    wrong: "",
    found: /is not told of all records/,
  },
  {
    name: "believes a disk that lost a trim",
    file: "src/core/broker/broker.ts",
    right: "Math.max(found.logStart, this.image.logStartOf(slot))",
    wrong: "found.logStart",
    found: /was acknowledged/,
  },
];

const seeds = 30;
const testMsMax = 120_000;
const copy = scratchDir("planted");
for (const part of ["src", "proto", "test/sim", "package.json", "tsconfig.json"])
  cpSync(join(root, part), join(copy, part), { recursive: true });
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
afterAll(() => removeScratchDir(copy));

for (const { name, file, right, wrong, also, found } of bugs) {
  test(
    `sim: finds a node that ${name}`,
    async () => {
      const source = readFileSync(join(root, file), "utf8");
      const [second, instead] = also ?? ["", ""];
      for (const line of [right, second]) expect(source).toContain(line);
      writeFileSync(join(copy, file), source.replace(right, wrong).replace(second, instead));
      try {
        const command = [process.execPath, "test/sim/run.ts", "--seeds", String(seeds)];
        const run = Bun.spawn(command, { cwd: copy, stdout: "ignore", stderr: "pipe" });
        const said = await new Response(run.stderr).text();
        expect(await run.exited).toBe(1);
        expect(said).toMatch(found);
        expect(said).toMatch(/bun test\/sim\/run.ts --from \d+ --seeds 1/);
      } finally {
        writeFileSync(join(copy, file), source);
      }
    },
    testMsMax,
  );
}
