// Runs suites one after another and prints a line for each. Two cores are shared by the suite and
// what it starts, so no second suite runs beside it.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Counts, readCounts, sum } from "./counts.ts";
import { buildLibrary } from "./library.ts";
import { heartbeat, root, run, say, SetupError, seconds } from "./progress.ts";
import { commandsOf, runnable, type Suite } from "./suites.ts";
import type { Toolchain } from "./toolchain.ts";

const linesShown = 150;

/** Without the wrapper script of its package, which needs Node. */
function tsgolint(): string {
  const platform = `${process.platform}-${process.arch}`;
  return join(root, "node_modules", "@oxlint-tsgolint", platform, "tsgolint");
}

function line(mark: string, suite: Suite, counts: Counts, startMs: number): string {
  const failed = counts.failed === 0 ? "" : `${counts.failed} failed`;
  const passed = `${counts.passed} passed`;
  const note = counts.note === null ? "" : `  (${counts.note})`;
  return (
    `${mark.padEnd(5)} ${suite.name.padEnd(11)} ${passed.padStart(12)} ${failed.padStart(10)} ` +
    `${seconds(startMs).padStart(9)}${note}`
  );
}

async function runSuite(suite: Suite, tools: Toolchain): Promise<Counts> {
  const startMs = performance.now();
  let passes = 0;
  const stop = heartbeat(() => `${suite.name}${passes === 0 ? "" : `, ${passes} passed so far`}`);
  const logs: string[] = [];
  const counts: Counts[] = [];
  for (const command of commandsOf(suite, tools)) {
    const result = await run(command, {
      env: { OXLINT_TSGOLINT_PATH: tsgolint(), PYRALOG_ZIG: tools.zig },
      limitMs: suite.limitMinutes * 60_000,
      onText: (text) => {
        passes += text.split("(pass)").length - 1;
      },
    });
    logs.push(`$ ${command.join(" ")}\n${result.text.trimEnd()}\n`);
    counts.push(readCounts(suite.reader, result));
  }
  stop();
  const total = sum(counts);
  const log = join(root, ".cache", "test", `${suite.name}.log`);
  await Bun.write(log, logs.join("\n"));
  if (total.failed > 0) {
    const failing = logs.filter((_, index) => (counts[index]?.failed ?? 0) > 0).join("\n");
    const lines = failing.split("\n").filter((each) => !/^\(pass\)|^\s*$/.test(each));
    if (lines.length > linesShown) say(`(the last ${linesShown} of ${lines.length} lines)`);
    say(lines.slice(-linesShown).join("\n"));
    say(`(all of it: ${log.slice(root.length + 1)})`);
  }
  say(line(total.failed > 0 ? "FAIL" : "ok", suite, total, startMs));
  return total;
}

/** Whether a suite can run; a library that does not compile fails the suites that load it. */
async function ready(suite: Suite, tools: Toolchain): Promise<boolean> {
  if (!suite.native) return true;
  try {
    await buildLibrary(tools.zig);
    return true;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`error: ${error.message}`);
    return false;
  }
}

function callsZigBuild({ program, args }: Suite): boolean {
  return program === "zig" && args[0] === "build";
}

/**
 * Zig compiles its own build runner when it runs for the first time: minutes of one core. That goes
 * on behind the suites that come before. What goes wrong shows in the suite that needs it.
 */
async function warmZigBuild(chosen: readonly Suite[], tools: Toolchain): Promise<void> {
  if (!chosen.some(callsZigBuild)) return;
  await run([tools.zig, "build", "--list-steps"]);
}

/** Runs them all, whatever fails, and returns what they count together. */
export async function runSuites(chosen: readonly Suite[], tools: Toolchain): Promise<Counts> {
  mkdirSync(join(root, ".cache", "test"), { recursive: true });
  const warm = warmZigBuild(chosen, tools);
  const counts: Counts[] = [];
  for (const suite of chosen) {
    const startMs = performance.now();
    if (!(await ready(suite, tools))) {
      const unbuilt = { passed: 0, failed: 1, note: "the storage library does not build" };
      say(line("FAIL", suite, unbuilt, startMs));
      counts.push(unbuilt);
      continue;
    }
    if (callsZigBuild(suite)) {
      const stop = heartbeat(() => "zig's own build runner");
      await warm;
      stop();
    }
    counts.push(await runSuite(suite, tools));
  }
  await warm;
  return sum(counts);
}

/** The suites that `--only` names, in the order of the table; an unknown name is returned as text. */
export function chosen(names: readonly string[]): readonly Suite[] | string {
  const all = runnable();
  const unknown = names.find((name) => all.every((suite) => suite.name !== name));
  if (unknown !== undefined) {
    return `there is no suite "${unknown}"; there are: ${all.map(({ name }) => name).join(" ")}`;
  }
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}
