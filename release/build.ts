// `bun run build`: dist/pyralog, one executable for this machine with the storage library inside.

import { mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { checked, root, say, seconds } from "./progress.ts";
import { entry, setUp } from "./toolchain.ts";

/** Every file that a Worker starts is an entry point of its own. */
const entries = ["src/main.ts", "src/server/control.ts"];

/**
 * Without the two flags the executable would run code from a bunfig.toml or .env of the directory it
 * is started in. The names of folders are defined away, because packages bake them in and builds in
 * two folders would differ. `--splitting` keeps the server out of `pyralog version`. The pieces lie
 * in the folder of the Worker's file, because the server names that file relative to itself.
 */
const flags = [
  ...["--compile", "--minify", "--bytecode", "--format=esm", "--splitting"],
  ...["--no-compile-autoload-bunfig", "--no-compile-autoload-dotenv"],
  ...["--define", '__dirname=""', "--define", '__filename=""'],
  ...["--root=./src", "--chunk-naming=server/[name]-[hash].[ext]"],
];

await entry(async () => {
  const { bun } = await setUp();
  const startMs = performance.now();
  const dist = join(root, "dist");
  // The base name is baked in, so it is the final one from the start.
  const scratch = join(dist, `.build-${process.pid}`);
  const fresh = join(scratch, "pyralog");
  const output = join(dist, "pyralog");
  mkdirSync(scratch, { recursive: true });
  try {
    const command = [bun, "build", ...flags, ...entries, "--outfile", fresh];
    await checked(command, "building the executable");
    renameSync(fresh, output);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const megabytes = (statSync(output).size / 1e6).toFixed(1);
  say(`dist/pyralog: ${megabytes} MB in ${seconds(startMs)}`);
  return 0;
});
