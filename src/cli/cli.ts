// The command line of the executable: from arguments to an exit code. The version needs nothing else
// of this room, so that it is printed at once.

import type { Ports } from "./program.ts";

export type { ConfigurationDoor, Origin } from "./config.ts";
export type { Ports } from "./program.ts";

const versionWords = new Set(["version", "--version", "-v"]);

/** Runs a command to its end; returns the exit code. */
export async function run(argv: readonly string[], ports: Ports): Promise<number> {
  if (versionWords.has(argv[0] ?? "")) {
    // Not process.stdout, whose first use takes longer than all the rest.
    console.log(`pyralog ${ports.version}`);
    return 0;
  }
  const { parse } = await import("./parse.ts");
  return parse(argv, ports);
}
