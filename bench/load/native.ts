// The bench's own native programs, one Zig file each: load generators and physical limits. They are
// built on first use; the cache key is the content of the source, so a change is never missed.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findZig } from "../../release/toolchain.ts";
import { cacheDir, cached, root, run } from "../tools.ts";

/** Path of the program built from `source`, a Zig file named from the top of the checkout. */
export async function nativeProgram(source: string): Promise<string> {
  const path = join(root, source);
  const hash = Bun.hash(readFileSync(path)).toString(16);
  const name = `native/${source.replaceAll("/", "-").replace(/\.zig$/, "")}-${hash}`;
  const target = join(cacheDir, name);
  if (existsSync(target)) return target;
  const zig = await findZig();
  console.error(`building ${source} ...`);
  return cached(name, (scratch) => {
    const program = join(scratch, "program");
    const flags = ["-O", "fast", "-fllvm", "-lc", `-femit-bin=${program}`];
    run([zig, "build-exe", ...flags, path], scratch);
    return program;
  });
}
