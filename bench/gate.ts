// Is the machine quiet enough to measure, and did it stay so? Wall clock on a shared machine says
// little: the same binary with the same input varied 2.2 times. So every run waits for a quiet moment
// before it starts, and is judged afterwards by how much CPU others took while it ran.

import { cpuPressureMicros, machineTimes, treeCpuSeconds } from "./proc.ts";

/** Share of the time in which some task waits for a CPU; above it a run does not start. */
export const pressureShareMax = 0.08;
/** CPUs taken by others during a run; above it the run counts as contended. */
export const foreignShareMax = 0.12;
const sampleMs = 800;

export interface Gate {
  /** The pressure that was seen last, 0..1. */
  readonly pressure: number;
  readonly quiet: boolean;
}

/** Samples until one is quiet, at most `triesMax` times, then lets the run start all the same. */
export async function waitForQuiet(
  triesMax: number,
  sample: () => Promise<number> = samplePressure,
): Promise<Gate> {
  let pressure = 1;
  for (let tries = 0; tries < triesMax; tries += 1) {
    pressure = await sample();
    if (pressure < pressureShareMax) return { pressure, quiet: true };
  }
  return { pressure, quiet: false };
}

async function samplePressure(): Promise<number> {
  const startMs = performance.now();
  const startMicros = cpuPressureMicros();
  await Bun.sleep(sampleMs);
  return (cpuPressureMicros() - startMicros) / 1000 / (performance.now() - startMs);
}

/** CPU seconds at one moment. `own` is this process, its servers and its load generators. */
export interface Moment {
  readonly wallSeconds: number;
  readonly busySeconds: number;
  readonly stealSeconds: number;
  readonly ownSeconds: number;
}

export function moment(): Moment {
  return {
    ...machineTimes(),
    wallSeconds: performance.now() / 1000,
    ownSeconds: treeCpuSeconds(process.pid),
  };
}

export interface Watch {
  /** CPUs that others kept busy, 0 = none, 1 = one whole CPU. */
  readonly foreign: number;
  /** CPUs that the host took away. */
  readonly steal: number;
}

export function watch(start: Moment, end: Moment): Watch {
  const elapsed = end.wallSeconds - start.wallSeconds;
  const busy = end.busySeconds - start.busySeconds;
  const own = end.ownSeconds - start.ownSeconds;
  // Both sides count in ticks of 10 ms, so a short quiet run may come out below zero.
  const foreign = Math.max(0, busy - own) / elapsed;
  return { foreign, steal: (end.stealSeconds - start.stealSeconds) / elapsed };
}
