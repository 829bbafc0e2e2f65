// The loaded library: one instance per process, whichever thread asks. The ABI hash is compared
// before any other call, so that a library of another build is refused and not misread.
//
// PYRALOG_TRACE_FFI=1 times every call and prints count, p50 and p99 per symbol at exit.

import { dlopen } from "bun:ffi";
import { abiHash, symbols } from "./abi.gen.ts";

export type Library = ReturnType<typeof open>;

let loaded: { readonly path: string; readonly library: Library } | null = null;

/** Loads the library at the first call; later calls may leave the path out. */
export function library(path?: string): Library {
  if (loaded !== null) return loaded.library;
  if (path === undefined) throw new Error("the storage library was not loaded yet");
  loaded = { path, library: open(path) };
  return loaded.library;
}

function open(path: string) {
  const { symbols: bound } = dlopen(path, symbols);
  const found = bound.pyralog_abi_hash();
  if (found !== abiHash) {
    throw new Error(
      `the storage library ${path} has ABI ${hex(found)}, this build needs ${hex(abiHash)}; build it again: bun run abi && bun run build`,
    );
  }
  return process.env["PYRALOG_TRACE_FFI"] === "1" ? traced(bound) : bound;
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** Samples kept per symbol; enough for a p99. */
const samplesMax = 65_536;

function traced<T extends Readonly<Record<string, (...args: never[]) => unknown>>>(bound: T): T {
  const timings = new Map<string, { count: number; readonly samples: number[] }>();
  const wrapped: Record<string, unknown> = {};
  for (const [name, call] of Object.entries(bound)) {
    const timing = { count: 0, samples: [] as number[] };
    timings.set(name, timing);
    wrapped[name] = (...args: never[]) => {
      const start = Bun.nanoseconds();
      const result = call(...args);
      timing.samples[timing.count % samplesMax] = Bun.nanoseconds() - start;
      timing.count += 1;
      return result;
    };
  }
  process.on("exit", () => {
    for (const [name, { count, samples }] of timings) {
      if (count === 0) continue;
      samples.sort((a, b) => a - b);
      const at = (share: number): number => samples[Math.floor((samples.length - 1) * share)] ?? 0;
      process.stderr.write(`ffi ${name} ${count} calls p50 ${at(0.5)} ns p99 ${at(0.99)} ns\n`);
    }
  });
  return wrapped as T; // proof: every symbol is wrapped with its own signature
}
