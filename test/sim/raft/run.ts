// Runs simulations of the Raft alone, one per seed, and stops at the first violation.
//
//   bun test/sim/raft/run.ts [--seed 1] [--seeds 1000] [--bug NAME] [--trace]
//
// `--bug` plants one of bugs.ts in a copy of the sources and runs there. Exit code 0 = no violation,
// 1 = one.

import { type RaftRun, World } from "./world.ts";

/** Runs one seed; a failure names it. */
export function simulateRaft(seed: number, trace: ((line: string) => void) | null = null): RaftRun {
  const world = new World(seed);
  world.trace = trace;
  try {
    return world.run();
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(`seed ${seed} (bun test/sim/raft/run.ts --seed ${seed} --seeds 1): ${words}`);
  }
}

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  const value = at < 0 ? otherwise : Number(process.argv[at + 1]);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} needs a number`);
  return value;
}

if (import.meta.main) {
  const seed = option("--seed", 1);
  const seeds = option("--seeds", 1000);
  const trace = process.argv.includes("--trace") ? (line: string) => console.log(line) : null;
  const total: Record<string, number> = {};
  const began = performance.now();
  for (let each = seed; each < seed + seeds; each += 1) {
    for (const [name, count] of Object.entries(simulateRaft(each, trace)))
      if (name !== "fingerprint") total[name] = (total[name] ?? 0) + count;
    if ((each - seed + 1) % 500 === 0) console.error(`${each - seed + 1} of ${seeds} seeds`);
  }
  const seconds = Math.round(performance.now() - began) / 1000;
  console.log(JSON.stringify({ case: "raft", seed, seeds, seconds, ...total, violations: 0 }));
}
