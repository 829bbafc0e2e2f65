// Simulates replication, one run per seed, and stops at the first violation with the seed that repeats
// it.
//
//   bun test/sim/replication/run.ts [--seeds 1000] [--seed 1] [--strategy per_record_hybrid]
//                                   [--knob crash=30]... [--trace] [--bug NAME]
//
// `--bug` plants one of planted.ts in a copy of the sources and runs that until it is found.
//
// Exit code 0 = no violation, 1 = one.

import { parseArgs } from "node:util";
import { type Outcome, Simulation, strategies } from "./simulation.ts";
import type { CopysetStrategy } from "../../../src/core/base/copyset.ts";

/** Runs one seed; a failure names it. */
export function simulate(
  seed: number,
  strategy: CopysetStrategy | null,
  knobs: Readonly<Record<string, number>> = {},
  trace = false,
): Outcome {
  try {
    const simulation = new Simulation({ seed, strategy, knobs });
    if (trace) simulation.log = (text) => console.error(text);
    return simulation.run();
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const turned = Object.entries(knobs).map(([name, value]) => ` --knob ${name}=${value}`);
    const option = (strategy === null ? "" : ` --strategy ${strategy}`) + turned.join("");
    const command = `bun test/sim/replication/run.ts --seed ${seed} --seeds 1${option}`;
    throw new Error(`seed ${seed} (${command}): ${words}`);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string" },
      seed: { type: "string", default: "1" },
      strategy: { type: "string" },
      knob: { type: "string", multiple: true, default: [] },
      bug: { type: "string" },
      trace: { type: "boolean", default: false },
    },
  });
  if (values.bug !== undefined) {
    const { runBugs } = await import("./planted.ts");
    return runBugs(values.bug, values.seeds);
  }
  const strategy = strategies.find((one) => one === values.strategy) ?? null;
  if (values.strategy !== undefined && strategy === null)
    throw new Error(`strategy ${values.strategy}: one of ${strategies.join(", ")}`);
  const knobs = Object.fromEntries(
    values.knob.map((knob): [string, number] => {
      const [name = "", value = ""] = knob.split("=");
      return [name, Number(value)];
    }),
  );
  const [from, seeds] = [Number(values.seed), Number(values.seeds ?? 1000)];
  const began = process.cpuUsage();
  const sum = new Map<string, number>();
  for (let seed = from; seed < from + seeds; seed += 1) {
    for (const [name, value] of Object.entries(simulate(seed, strategy, knobs, values.trace)))
      if (typeof value === "number" && name !== "fingerprint")
        sum.set(name, (sum.get(name) ?? 0) + value);
  }
  const used = process.cpuUsage(began);
  const seconds = (used.user + used.system) / 1e6;
  const timesReal = Math.round((sum.get("virtualMs") ?? 0) / 1000 / seconds);
  const named = { case: "replication-simulation", strategy: strategy ?? "all", from, seeds };
  const figures = { ...Object.fromEntries(sum), cpuSeconds: Math.round(seconds), timesReal };
  console.log(JSON.stringify({ ...named, ...figures, violations: 0 }));
}

if (import.meta.main) await main();
