// The bench's own native programs: load generators and physical limits, written in Zig. They are
// built on first use; the cache key is the content of the sources, so a change is never missed.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findZig } from "../../release/toolchain.ts";
import { cacheDir, cached, run } from "../tools.ts";

const folder = import.meta.dir;

/** All sources together: the programs share files. */
function sourceHash(): string {
  const names = readdirSync(folder).filter((name) => name.endsWith(".zig"));
  const texts = names.sort().map((name) => readFileSync(join(folder, name), "utf8"));
  return Bun.hash(texts.join("")).toString(16);
}

/** Path of the program whose root is `<name>.zig` here. */
export async function nativeProgram(name: string): Promise<string> {
  const key = `native/${sourceHash()}/${name}`;
  const target = join(cacheDir, key);
  if (existsSync(target)) return target;
  const zig = await findZig();
  console.error(`building bench/native/${name}.zig ...`);
  return cached(key, (scratch) => {
    const program = join(scratch, "program");
    const flags = ["-O", "fast", "-fllvm", "-lc", `-femit-bin=${program}`];
    run([zig, "build-exe", ...flags, join(folder, `${name}.zig`)], scratch);
    return program;
  });
}
