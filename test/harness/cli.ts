// The command line as a process: what it printed where, and how it ended.

import { nodeCommand } from "./node.ts";

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CliOptions {
  readonly input?: string | Blob;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const runMsMax = 300_000;

/** Environment of a command that must not see the settings of whoever runs the tests. */
export function cleanEnvironment(
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    const own = name.startsWith("PYRALOG_") || name === "NO_COLOR" || name === "CLICOLOR_FORCE";
    if (!own && value !== undefined) kept[name] = value;
  }
  return { ...kept, XDG_CONFIG_HOME: "/nonexistent", ...more };
}

export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const { input = "" } = options;
  const child = Bun.spawn([...nodeCommand(), ...args], {
    stdin: typeof input === "string" ? new Blob([input]) : input,
    stdout: "pipe",
    stderr: "pipe",
    env: cleanEnvironment(options.env),
    timeout: runMsMax,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}
