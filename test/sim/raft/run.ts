// Runs simulations of the Raft alone, one per seed, and stops at the first violation.
//
//   bun test/sim/raft/run.ts [--seed 1] [--seeds 1000] [--bug NAME | --bug all] [--trace]
//                            [--knobs '{"cuts":4}']
//
// `--bug` plants one of bugs.ts, or one after the other, in a copy of the sources, and says which
// seed finds it. Exit code 0 = no violation, or every bug found; 1 = the contrary.

import { removeScratchDir, scratchDir } from "../../../bench/child.ts";
import { bugs, copySources, hunt } from "./bugs.ts";
import { type Knobs, type RaftRun, World } from "./world.ts";

/** Runs one seed; a failure names it. */
export function simulateRaft(
  seed: number,
  knobs: Partial<Knobs> = {},
  trace: ((line: string) => void) | null = null,
): RaftRun {
  const world = new World(seed, knobs);
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

function run(): void {
  const seed = option("--seed", 1);
  const seeds = option("--seeds", 1000);
  const trace = process.argv.includes("--trace") ? (line: string) => console.log(line) : null;
  const at = process.argv.indexOf("--knobs");
  const knobs: Partial<Knobs> = at < 0 ? {} : JSON.parse(process.argv[at + 1] ?? "{}");
  const total: Record<string, number> = {};
  const began = performance.now();
  for (let each = seed; each < seed + seeds; each += 1) {
    for (const [name, count] of Object.entries(simulateRaft(each, knobs, trace)))
      if (name !== "fingerprint") total[name] = (total[name] ?? 0) + count;
    if ((each - seed + 1) % 500 === 0) console.error(`${each - seed + 1} of ${seeds} seeds`);
  }
  const seconds = Math.round(performance.now() - began) / 1000;
  console.log(JSON.stringify({ case: "raft", seed, seeds, seconds, ...total, violations: 0 }));
}

/** False: a bug was not found, or was found for another reason. */
async function plant(name: string): Promise<boolean> {
  const wanted = bugs.filter((bug) => name === "all" || bug.name === name);
  if (wanted.length === 0) throw new Error(`no bug '${name}' in bugs.ts`);
  const folder = scratchDir("raft-bug");
  copySources(folder);
  let found = true;
  for (const bug of wanted) {
    const said = await hunt(bug, folder, option("--seeds", bug.seeds));
    const right = said !== null && bug.found.test(said);
    found &&= right;
    const seed = Number(/^seed ([0-9]+)/.exec(said ?? "")?.[1] ?? -1);
    const words = said?.replace(/^seed .*?\): /, "").slice(0, 110) ?? "nothing";
    console.log(
      JSON.stringify({ bug: bug.name, found: right, seed, within: bug.seeds, said: words }),
    );
  }
  removeScratchDir(folder);
  return found;
}

if (import.meta.main) {
  const at = process.argv.indexOf("--bug");
  if (at < 0) run();
  else process.exit((await plant(process.argv[at + 1] ?? "")) ? 0 : 1);
}
