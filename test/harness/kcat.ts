// kcat as a child process: one invocation with its input, or one that runs until it is stopped.

import { needTool } from "../../bench/tools.ts";

const kcatMsMax = 600_000;

export function kcatCommand(address: string, args: readonly string[]): string[] {
  return [needTool("kcat", "kcat"), "-b", address, ...args];
}

/** Runs kcat to its end and returns stdout. Any exit code but 0 is an error with its words. */
export async function kcat(
  address: string,
  args: readonly string[],
  input: string | Uint8Array = "",
): Promise<Buffer> {
  const child = Bun.spawn(kcatCommand(address, args), {
    stdin: typeof input === "string" ? Buffer.from(input) : input,
    stdout: "pipe",
    stderr: "pipe",
    timeout: kcatMsMax,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, exit] = await Promise.all([
    new Response(child.stdout).arrayBuffer(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (exit !== 0)
    throw new Error(`kcat ${args.join(" ")}: exit code ${exit}\n${stderr.slice(-2000)}`);
  return Buffer.from(stdout);
}
