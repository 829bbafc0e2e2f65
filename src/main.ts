// Composition root: hands the command line what the server knows, each behind an `import()`, so that
// a command loads nothing that it does not need.

import { version } from "../package.json" with { type: "json" };
import { run } from "./cli/cli.ts";

process.exitCode = await run(process.argv.slice(2), {
  version,
  serve: async (options) => {
    const { serve } = await import("./server/server.ts");
    // Explicit: the stopped control Worker may not be terminated, and would keep the loop alive.
    process.exit(await serve({ ...options, version }));
  },
  configuration: () => import("./server/config_report.ts"),
});
