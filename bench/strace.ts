// System calls of a running process and its threads, counted by strace.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Child, removeScratchDir, scratchDir, waitUntil } from "./child.ts";
import { needTool } from "./tools.ts";

/** Counts by the name of the call. */
export type Calls = ReadonlyMap<string, number>;

const attachDeadlineMs = 20_000;

/** Calls of `pid` while `work` runs. */
export async function traceCalls<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ readonly calls: Calls; readonly result: T }> {
  const strace = needTool("strace", "strace");
  const folder = scratchDir("strace");
  const table = join(folder, "calls");
  const command = [strace, "-c", "-f", "-o", table, "-p", String(pid)];
  const tracer = new Child({ command, logPath: join(folder, "strace.log") });
  try {
    await waitUntil("strace attaches", tracer, attachDeadlineMs, () =>
      /attached/.test(tracer.log()) ? true : undefined,
    );
    const result = await work();
    tracer.kill("SIGINT");
    await tracer.exited;
    return { calls: callsIn(readFileSync(table, "utf8")), result };
  } finally {
    await tracer.stop();
    removeScratchDir(folder);
  }
}

/** Rows of `strace -c`: % time, seconds, usecs/call, calls, errors where there were any, name. */
export function callsIn(table: string): Calls {
  const calls = new Map<string, number>();
  for (const line of table.split("\n")) {
    const [, , , count, ...rest] = line.trim().split(/\s+/);
    const name = rest.at(-1);
    if (name === undefined || name === "total" || !/^\d+$/.test(count ?? "")) continue;
    calls.set(name, Number(count));
  }
  return calls;
}

const receiving = ["recvfrom", "recvmsg", "read", "readv"];
const sending = ["sendto", "sendmsg", "write", "writev"];
const writing = ["pwrite64", "pwritev", "pwritev2"];
const syncing = ["fdatasync", "fsync", "sync_file_range"];

export interface CallGroups {
  readonly receive: number;
  readonly send: number;
  readonly write: number;
  readonly sync: number;
  readonly other: number;
}

/**
 * What moves data: receive and send on sockets, write and sync on files. `read` and `write` also count
 * here, although a thread that wakes another uses them on an eventfd: a cost of the batch like any.
 */
export function groupsOf(calls: Calls): CallGroups {
  const sum = (names: readonly string[]) =>
    names.reduce((total, name) => total + (calls.get(name) ?? 0), 0);
  const all = [...calls.values()].reduce((total, count) => total + count, 0);
  const groups = {
    receive: sum(receiving),
    send: sum(sending),
    write: sum(writing),
    sync: sum(syncing),
  };
  return { ...groups, other: all - groups.receive - groups.send - groups.write - groups.sync };
}
