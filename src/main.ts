// Composition root: the arguments decide what is loaded, so that `pyralog version` starts without
// the server.

import { parseArguments, usage, version } from "./cli/cli.ts";

const parsed = parseArguments(process.argv.slice(2));
switch (parsed.kind) {
  case "version":
    process.stdout.write(`pyralog ${version}\n`);
    break;
  case "help":
    process.stdout.write(usage);
    break;
  case "wrong":
    process.stderr.write(`pyralog: ${parsed.message}\n\n${usage}`);
    process.exitCode = 2;
    break;
  case "serve": {
    const { serve } = await import("./server/server.ts");
    // Explicit: the stopped control Worker may not be terminated, and would keep the loop alive.
    process.exit(await serve({ configFile: parsed.config, set: parsed.set, version }));
  }
}
