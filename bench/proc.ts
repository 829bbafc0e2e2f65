// What the kernel knows about a process and its descendants: CPU, memory, descriptors. Linux only.

import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ: the unit of every CPU time in /proc. The kernel fixes it at 100 for user space. */
const ticksPerSecond = 100;
const pageBytes = 4096;

/** `undefined` when the process has gone: a normal event, not an error. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** The process and all its living descendants. */
export function treeOf(pid: number): readonly number[] {
  const found = [pid];
  for (let index = 0; index < found.length; index += 1) {
    const parent = found[index];
    for (const thread of threadsOf(parent ?? 0)) {
      const children = readProc(`/proc/${parent}/task/${thread}/children`) ?? "";
      for (const child of children.split(" ")) if (child !== "") found.push(Number(child));
    }
  }
  return found;
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Fields of /proc/PID/stat from field 3 (state) on: the name before them may hold spaces. */
function statFields(pid: number): readonly string[] {
  const text = readProc(`/proc/${pid}/stat`);
  return text === undefined ? [] : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/**
 * User + system seconds of the tree, of all its threads, living or ended, and of descendants that
 * were already waited for. Resolution 10 ms.
 */
export function treeCpuSeconds(pid: number): number {
  let ticks = 0;
  for (const member of treeOf(pid)) {
    const fields = statFields(member);
    // utime, stime, cutime, cstime are fields 14..17 of proc_pid_stat(5).
    for (let field = 14; field <= 17; field += 1) ticks += Number(fields[field - 3] ?? 0);
  }
  return ticks / ticksPerSecond;
}

/** Resident bytes of the tree; shared pages count once per process. */
export function treeRssBytes(pid: number): number {
  let pages = 0;
  for (const member of treeOf(pid)) {
    pages += Number((readProc(`/proc/${member}/statm`) ?? "0 0").split(" ")[1] ?? 0);
  }
  return pages * pageBytes;
}

export interface TreeIo {
  /** Bytes of read(2) and its kin on files, from the page cache or the disk; sockets do not count. */
  readonly fileReadBytes: number;
  /** Bytes that came from the disk. */
  readonly diskReadBytes: number;
  /** Bytes sent to the disk: when a page becomes dirty, not when it is written back. */
  readonly diskWrittenBytes: number;
}

export function treeIo(pid: number): TreeIo {
  const sum = { fileReadBytes: 0, diskReadBytes: 0, diskWrittenBytes: 0 };
  for (const member of treeOf(pid)) {
    const io = parseIo(readProc(`/proc/${member}/io`) ?? "");
    sum.fileReadBytes += io.fileReadBytes;
    sum.diskReadBytes += io.diskReadBytes;
    sum.diskWrittenBytes += io.diskWrittenBytes;
  }
  return sum;
}

/** Lines `name: number` of /proc/PID/io. */
export function parseIo(text: string): TreeIo {
  const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(text)?.[1] ?? 0);
  return {
    fileReadBytes: field("rchar"),
    diskReadBytes: field("read_bytes"),
    diskWrittenBytes: field("write_bytes"),
  };
}

/** Open descriptors of one process. */
export function descriptorCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** Busy, idle and stolen seconds of the whole machine since it started, all CPUs added up. */
export interface MachineTimes {
  readonly busySeconds: number;
  readonly stealSeconds: number;
}

export function machineTimes(): MachineTimes {
  return parseMachineTimes(readFileSync("/proc/stat", "utf8"));
}

/** First line of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice. */
export function parseMachineTimes(text: string): MachineTimes {
  const numbers = (text.split("\n")[0] ?? "").trim().split(/\s+/).slice(1).map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = numbers;
  // guest time is already inside user time
  const busy = user + nice + system + irq + softirq;
  return { busySeconds: busy / ticksPerSecond, stealSeconds: steal / ticksPerSecond };
}

/** Microseconds for which some task waited for a CPU, since the machine started. */
export function cpuPressureMicros(): number {
  return parsePressureTotal(readFileSync("/proc/pressure/cpu", "utf8"));
}

export function parsePressureTotal(text: string): number {
  const total = /^some .*total=(\d+)/m.exec(text)?.[1];
  if (total === undefined) throw new Error("/proc/pressure/cpu has no total of `some`");
  return Number(total);
}
