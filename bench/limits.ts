// Physical limits as sides of a comparison: what the machine itself allows, measured by a native
// program in the same rounds as the servers.

import { output, scratchDir } from "./child.ts";
import { type Latency, latencyFigures } from "./load/open_loop.ts";
import { nativeProgram } from "./native/native.ts";
import type { Options } from "./options.ts";
import type { LimitName } from "./peers/peers.ts";
import type { SideReport } from "./report.ts";
import type { Run, Side } from "./rounds.ts";
import { needTool } from "./tools.ts";

const frameBytes = 1024 * 1024;

const meanings: Readonly<Record<LimitName, string>> = {
  floor: "the bytes alone: receive + CRC-32C + write to the page cache, or send from memory",
  fdatasync: "one 4 KiB pwrite per tick of the same schedule, one fdatasync for all that are due",
  fio: "buffered writes of 1 MiB over a file that was written before, fdatasync after each",
};

interface Streamed {
  readonly bytes: number;
  readonly seconds: number;
  readonly cpu_s: number;
}

async function runFloor(args: readonly (string | number)[]): Promise<string> {
  return output([await nativeProgram("floor"), ...args.map(String)]);
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

export function fdatasyncSide(
  rate: number,
  count: number,
  warmupCount: number,
  kept: Latency[],
): Side {
  const folder = scratchDir("sync");
  return {
    name: "fdatasync",
    prepare: () => Promise.resolve(),
    async measure(round) {
      const text = await runFloor(["sync", folder, rate, count, warmupCount]);
      const result = JSON.parse(text) as Latency; // proof: floor.zig prints its percentiles
      if (round >= 0) kept.push(result);
      return latencyFigures(result);
    },
  };
}

const fioSeconds = 4;
/** Of a log that recycles its segments: large enough for the cache of a disk not to matter. */
const fioFileMib = 256;

interface FioJob {
  /** Percent of the time of the job. */
  readonly usr_cpu: number;
  readonly sys_cpu: number;
  readonly job_runtime: number;
  readonly write: { readonly io_bytes: number; readonly runtime: number };
}

/** What the disk takes when every group of a mebibyte is synced. */
export function fioSide(sizeBytes: number): Side {
  const folder = scratchDir("fio");
  const fio = needTool("fio", "fio");
  const command = [
    ...[fio, "--name=group", `--directory=${folder}`, "--rw=write", "--bs=1M"],
    ...[`--size=${fioFileMib}M`, "--overwrite=1", "--ioengine=psync", "--fdatasync=1"],
    ...["--time_based", `--runtime=${fioSeconds}`, "--output-format=json"],
  ];
  return {
    name: "fio",
    async prepare() {
      await Bun.spawn(["sync"]).exited;
    },
    async measure() {
      const text = await output(command);
      // proof: the schema of fio's JSON output; the first job is the only one
      const { jobs } = JSON.parse(text.slice(text.indexOf("{"))) as { jobs: readonly FioJob[] };
      const [job] = jobs;
      if (job === undefined) throw new Error(`fio reports no job:\n${text}`);
      const seconds = job.write.runtime / 1000;
      const cpuSeconds = ((job.usr_cpu + job.sys_cpu) / 100) * (job.job_runtime / 1000);
      return {
        records_per_s: job.write.io_bytes / sizeBytes / seconds,
        mb_per_s: job.write.io_bytes / 1e6 / seconds,
        cpu_s_per_gb: (cpuSeconds * 1e9) / job.write.io_bytes,
      };
    },
  };
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
