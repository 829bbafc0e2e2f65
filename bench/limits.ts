// Physical limits as sides of a comparison: what the machine itself allows, measured by a native
// program in the same rounds as the servers.

import { scratchDir } from "./child.ts";
import { type Latency, latencyFigures } from "./load/open_loop.ts";
import { nativeProgram } from "./native/native.ts";
import { type Options, UsageError } from "./options.ts";
import type { LimitName } from "./peers/peers.ts";
import type { SideReport } from "./report.ts";
import type { Run, Side } from "./rounds.ts";

const frameBytes = 1024 * 1024;

const meanings: Readonly<Record<LimitName, string>> = {
  floor: "the bytes alone: receive + CRC-32C + write to the page cache, or send from memory",
  fdatasync: "one 4 KiB pwrite per tick of the same schedule, one fdatasync for all that are due",
};

interface Streamed {
  readonly bytes: number;
  readonly seconds: number;
  readonly cpu_s: number;
}

async function runFloor(args: readonly (string | number)[]): Promise<string> {
  const program = await nativeProgram("floor");
  const child = Bun.spawn([program, ...args.map(String)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [text, words, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`floor ended with ${code}: ${words}`);
  return text;
}

/** `receive` is the floor of produce, `send` the floor of fetch. Counts payload bytes only. */
export function floorSide(mode: "receive" | "send", count: number, sizeBytes: number): Side {
  const folder = scratchDir("floor");
  return {
    name: "floor",
    async prepare() {
      await Bun.spawn(["sync"]).exited;
    },
    async measure() {
      const where = mode === "receive" ? [folder] : [];
      const text = await runFloor([mode, ...where, count * sizeBytes, frameBytes]);
      const result = JSON.parse(text) as Streamed; // proof: floor.zig prints these fields
      return {
        records_per_s: result.bytes / sizeBytes / result.seconds,
        mb_per_s: result.bytes / 1e6 / result.seconds,
        cpu_s_per_gb: (result.cpu_s * 1e9) / result.bytes,
      };
    },
  };
}

export function fdatasyncSide(rate: number, count: number, warmupCount: number): Side {
  const folder = scratchDir("sync");
  return {
    name: "fdatasync",
    prepare: () => Promise.resolve(),
    async measure() {
      const text = await runFloor(["sync", folder, rate, count, warmupCount]);
      return latencyFigures(JSON.parse(text) as Latency); // proof: floor.zig prints its percentiles
    },
  };
}

/** Refuses a limit that says nothing about this case. */
export function checkLimits(options: Options, known: readonly LimitName[]): void {
  const foreign = options.limits.find((name) => !known.includes(name));
  if (foreign === undefined) return;
  throw new UsageError(`${foreign} is no limit of ${options.caseName}`);
}

export function limitReports(
  options: Options,
  runs: ReadonlyMap<string, readonly Run[]>,
): readonly SideReport[] {
  return options.limits.map((name) => ({
    name,
    description: { version: "native", config: meanings[name] },
    runs: runs.get(name) ?? [],
  }));
}
