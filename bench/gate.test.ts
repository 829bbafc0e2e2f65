import { describe, expect, test } from "bun:test";
import { waitForQuiet, watch } from "./gate.ts";
import {
  descriptorCount,
  parseMachineTimes,
  parsePressureTotal,
  treeCpuSeconds,
  treeOf,
  treeRssBytes,
} from "./proc.ts";

function samples(...values: readonly number[]): () => Promise<number> {
  let next = 0;
  return () => {
    next += 1;
    return Promise.resolve(values[next - 1] ?? Number.NaN);
  };
}

describe("gate", () => {
  test("gate: a run starts at the first sample below 8 %", async () => {
    expect(await waitForQuiet(5, samples(0.5, 0.09, 0.05))).toEqual({
      pressure: 0.05,
      quiet: true,
    });
  });

  test("gate: after the last try a run starts all the same and is marked", async () => {
    expect(await waitForQuiet(3, samples(0.5, 0.4, 0.3, 0))).toEqual({
      pressure: 0.3,
      quiet: false,
    });
  });

  test("gate: the foreign share is busy time that is not ours, over the time passed", () => {
    const start = { wallSeconds: 10, busySeconds: 100, stealSeconds: 1, ownSeconds: 50 };
    const end = { wallSeconds: 12, busySeconds: 103, stealSeconds: 1.5, ownSeconds: 52 };
    expect(watch(start, end)).toEqual({ foreign: 0.5, steal: 0.25 });
  });

  test("gate: the rounding of clock ticks never makes a negative share", () => {
    const start = { wallSeconds: 0, busySeconds: 0, stealSeconds: 0, ownSeconds: 0 };
    const end = { wallSeconds: 1, busySeconds: 0.99, stealSeconds: 0, ownSeconds: 1 };
    expect(watch(start, end).foreign).toBe(0);
  });
});

describe("proc", () => {
  test("proc: busy time is all but idle and waiting for a disk; guest time counts once", () => {
    const text = "cpu  100 20 30 4000 500 6 7 80 90 10\ncpu0 1 2 3 4\n";
    expect(parseMachineTimes(text)).toEqual({ busySeconds: 1.63, stealSeconds: 0.8 });
  });

  test("proc: pressure is the total of `some`", () => {
    const text =
      "some avg10=1.16 avg60=0.72 avg300=0.45 total=4672173\n" +
      "full avg10=0.00 avg60=0.00 avg300=0.00 total=17\n";
    expect(parsePressureTotal(text)).toBe(4_672_173);
    expect(() => parsePressureTotal("")).toThrow("total");
  });

  test("proc: the CPU time of a tree holds children that live and children that ended", async () => {
    const spin = (seconds: number) =>
      `let end = ${seconds} * 1e6; while (process.cpuUsage().user < end);`;
    const before = treeCpuSeconds(process.pid);
    const child = Bun.spawn([process.execPath, "-e", spin(0.2)]);
    expect(treeOf(process.pid)).toContain(child.pid);
    expect(treeRssBytes(child.pid)).toBeGreaterThan(0);
    expect(descriptorCount(child.pid)).toBeGreaterThan(0);
    await child.exited;
    expect(treeCpuSeconds(process.pid) - before).toBeGreaterThanOrEqual(0.19);
    expect(treeOf(process.pid)).not.toContain(child.pid);
  });

  test("proc: a process that has gone costs nothing and holds nothing", async () => {
    const child = Bun.spawn(["true"]);
    await child.exited;
    expect(treeCpuSeconds(child.pid)).toBe(0);
    expect(treeRssBytes(child.pid)).toBe(0);
    expect(descriptorCount(child.pid)).toBe(0);
  });
});
