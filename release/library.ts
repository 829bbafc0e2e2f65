// Builds the native library for this machine, when its sources have changed.
//
// This calls the compiler directly with the flags that build.zig gives it: `zig build` first compiles
// its own build runner, which takes minutes of CPU time on a machine that has never built anything,
// and a first start should not wait for that. test/toolchain.test.ts compares these flags with
// build.zig's own. The result is byte for byte the same.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { checked, root, say, seconds } from "./progress.ts";

export const libraryName = process.platform === "darwin" ? "libpyralog.dylib" : "libpyralog.so";

/** What build.zig passes for the `lib` step, without the caches and the path of the output. */
export function libraryFlags(): readonly string[] {
  const [arch, cpu] = process.arch === "x64" ? ["x86_64", "x86_64_v2"] : ["aarch64", "baseline"];
  const target = ["-target", `${arch}-native`, "-mcpu", cpu];
  const what = ["-Mroot=zig/abi.zig", "-lc", "--name", "pyralog", "-dynamic"];
  return ["build-lib", "-fllvm", "-fstrip", "-Osafe", ...target, ...what];
}

function sourcesHash(zig: string): string {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update([zig, ...libraryFlags()].join("\0"));
  for (const path of [...new Glob("zig/**/*.zig").scanSync(root)].sort()) {
    hash.update(`\0${path}\0`);
    hash.update(readFileSync(join(root, path)));
  }
  return hash.digest("hex");
}

/** The library is replaced by a rename: a running process keeps the file that it has loaded. */
export async function buildLibrary(zig: string): Promise<void> {
  const directory = join(root, "zig-out", "native");
  const output = join(directory, libraryName);
  const stamp = join(directory, ".built");
  const sources = sourcesHash(zig);
  const stampOf = (): string => `${sources} ${statSync(output).mtimeMs}`;
  if (existsSync(output) && existsSync(stamp)) {
    if (readFileSync(stamp, "utf8") === stampOf()) return;
  }
  const startMs = performance.now();
  say("library: building");
  mkdirSync(directory, { recursive: true });
  const fresh = `${output}.${process.pid}`;
  const caches = ["--cache-dir", join(root, ".zig-cache"), `-femit-bin=${fresh}`];
  try {
    await checked([zig, ...libraryFlags(), ...caches], "building the library");
    renameSync(fresh, output);
  } finally {
    rmSync(fresh, { force: true });
  }
  await Bun.write(stamp, stampOf());
  say(`library: ready in ${seconds(startMs)}`);
}
