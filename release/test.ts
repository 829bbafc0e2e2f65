// `bun run test`: everything that a change has to pass.
//
//   --only NAME    only this suite; may be repeated
//   --list         names the suites and runs nothing
//
// The last line is `N passed, N failed` over all suites, whatever happened before it.

import { say, SetupError, seconds } from "./progress.ts";
import { chosen, runSuites } from "./runner.ts";
import { runnable } from "./suites.ts";
import { entry, findTools } from "./toolchain.ts";

function closing(passed: number, failed: number): number {
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

function onlyOf(args: readonly string[]): readonly string[] {
  const names: string[] = [];
  for (let i = 0; i < args.length; i += 2) {
    const name = args[i + 1];
    if (args[i] !== "--only" || name === undefined) {
      throw new SetupError("usage: bun run test [--list] [--only NAME]...");
    }
    names.push(...name.split(","));
  }
  return names;
}

await entry(async () => {
  const args = process.argv.slice(2);
  if (args.includes("--list")) {
    for (const suite of runnable())
      process.stdout.write(`${suite.name.padEnd(12)} ${suite.what}\n`);
    return 0;
  }
  const startMs = performance.now();
  const suites = chosen(onlyOf(args));
  if (typeof suites === "string") throw new SetupError(suites);
  try {
    const { passed, failed } = await runSuites(suites, await findTools());
    say(`all suites: ${seconds(startMs)}`);
    return closing(passed, failed);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`error: ${error.message}`);
    return closing(0, 1);
  }
});
