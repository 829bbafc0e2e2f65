// How well the loop of a thread runs: how late its ticks come and what its collector costs. Each
// thread counts for itself into memory that the data thread, which tells of it, can read.
//
// Bun emits no performance entries of collections; the profiler that V8 names does report them. It
// gathers a record per collection until it is stopped, so it is read and started again every second.

import { GCProfiler } from "node:v8";

/** Index of each number. */
export const Beat = {
  ticks: 0,
  /** Sum of how late ticks came, in ms. */
  lagMs: 1,
  /** The latest tick since somebody read it, in ms. */
  lagMsMax: 2,
  collections: 3,
  collectorMs: 4,
  heapBytes: 5,
} as const;
const beatCount = 6;

const turnMs = 1000;

export function newBeats(): Float64Array {
  return new Float64Array(new SharedArrayBuffer(beatCount * Float64Array.BYTES_PER_ELEMENT));
}

export class Pulse {
  readonly #beats: Float64Array | null;
  #profiler = new GCProfiler();
  #last = -1;
  #turnAt = 0;

  /** Null: nobody will read it, and nothing is counted. */
  constructor(beats: Float64Array | null) {
    this.#beats = beats;
    if (beats !== null) this.#profiler.start();
  }

  /** A tick of the thread's loop, in exact monotonic ms; it was meant to come after `intervalMs`. */
  beat(now: number, intervalMs: number): void {
    const beats = this.#beats;
    if (beats === null) return;
    const late = this.#last < 0 ? 0 : Math.max(0, now - this.#last - intervalMs);
    this.#last = now;
    add(beats, Beat.ticks, 1);
    add(beats, Beat.lagMs, late);
    if (late > (beats[Beat.lagMsMax] ?? 0)) beats[Beat.lagMsMax] = late;
    if (now >= this.#turnAt) this.#turn(now, beats);
  }

  #turn(now: number, beats: Float64Array): void {
    this.#turnAt = now + turnMs;
    const collections = this.#profiler.stop()?.statistics ?? [];
    add(beats, Beat.collections, collections.length);
    for (const { cost } of collections) add(beats, Beat.collectorMs, cost / 1000);
    beats[Beat.heapBytes] = process.memoryUsage().heapUsed;
    this.#profiler = new GCProfiler();
    this.#profiler.start();
  }
}

function add(beats: Float64Array, at: number, value: number): void {
  beats[at] = (beats[at] ?? 0) + value;
}
