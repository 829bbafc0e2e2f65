// Runs simulations, one per seed, and stops at the first violation with the seed that repeats it.
//
//   bun test/sim/run.ts [--from 1] [--seeds 1000]
//
// Exit code 0 = no violation, 1 = one.

import { Simulation } from "./simulation.ts";

/** Runs one seed; a failure names it. */
export function simulate(seed: number): ReturnType<Simulation["run"]> {
  try {
    return new Simulation(seed).run();
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(`seed ${seed} (bun test/sim/run.ts --from ${seed} --seeds 1): ${words}`);
  }
}

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  const value = at < 0 ? otherwise : Number(process.argv[at + 1]);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} needs a number`);
  return value;
}

if (import.meta.main) {
  const from = option("--from", 1);
  const seeds = option("--seeds", 1000);
  const total = { steps: 0, powerCuts: 0, records: 0, refusals: 0 };
  for (let seed = from; seed < from + seeds; seed += 1) {
    const { steps, powerCuts, records, refusals } = simulate(seed);
    total.steps += steps;
    total.powerCuts += powerCuts;
    total.records += records;
    total.refusals += refusals;
    if ((seed - from + 1) % 100 === 0) console.error(`${seed - from + 1} of ${seeds} seeds`);
  }
  console.log(JSON.stringify({ case: "simulation", from, seeds, ...total, violations: 0 }));
}
