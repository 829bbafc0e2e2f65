// Searches the Zig parsers for bugs, with a bound, and fails when it finds one: `zig build --fuzz`
// itself ends with code 0 then, and says "1/1 tests passed".
//
//   bun test/fuzz/zig.ts [--count 1M]
//
// Three witnesses must all be clean: the exit code, the words of the run, and the folder in which the
// fuzzer leaves the input that ended it. Prints one line of JSON; code 1 = something was found.

import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../bench/tools.ts";
import { findZig } from "../../release/toolchain.ts";

const crashPath = join(root, ".zig-cache", "f", "crash");

export interface ZigRun {
  readonly exitCode: number;
  readonly said: string;
  readonly crashed: boolean;
}

/** What speaks against a run; empty = nothing was found, and something was looked at. */
export function complaints({ exitCode, said, crashed }: ZigRun): readonly string[] {
  const found: string[] = [];
  if (exitCode !== 0) found.push(`exit code ${exitCode}`);
  if (crashed) found.push(`an input in ${crashPath}`);
  if (!said.includes("FUZZING REPORT")) found.push("no report: nothing was searched");
  if (/\b(panic|error:|failed|crashed)\b/.test(said)) found.push("words of a failure");
  return found;
}

async function search(count: string): Promise<ZigRun> {
  const zig = await findZig();
  rmSync(crashPath, { force: true, recursive: true });
  const child = Bun.spawn([zig, "build", "fuzz", `--fuzz=${count}`], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()];
  const said = (await Promise.all(texts)).join("\n");
  return { exitCode: await child.exited, said, crashed: existsSync(crashPath) };
}

if (import.meta.main) {
  const at = process.argv.indexOf("--count");
  const count = at < 0 ? "1M" : (process.argv[at + 1] ?? "1M");
  const started = performance.now();
  const run = await search(count);
  const found = complaints(run);
  if (found.length > 0) console.log(run.said.slice(-8000));
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(JSON.stringify({ fuzz: "zig", count, found, seconds }));
  process.exit(found.length === 0 ? 0 : 1);
}
