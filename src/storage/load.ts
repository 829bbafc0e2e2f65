// Finds the storage library: named by the environment, embedded in the executable, through a memory
// file where the temporary directory cannot be used, or copied into the data directory.

import { dlopen, type FFIFunction } from "bun:ffi";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import embedded from "#native" with { type: "file" };

export type Resolved =
  | { readonly kind: "found"; readonly path: string }
  | { readonly kind: "failed"; readonly tried: readonly string[] };

const probe = { pyralog_abi_hash: { args: [], returns: "u32" } } as const satisfies Record<string, FFIFunction>;

/**
 * A path that both the main thread and Workers open: the same path is the same instance, with one
 * state. Each step says why it failed.
 */
export function resolveLibrary(dataDir: string): Resolved {
  const tried: string[] = [];
  const named = process.env["PYRALOG_NATIVE_LIB"];
  if (named !== undefined && named !== "") {
    if (opens(named, tried)) return { kind: "found", path: named };
    return { kind: "failed", tried };
  }
  if (opens(embedded, tried)) return { kind: "found", path: embedded };
  for (const fallback of [memoryFile, copyInDataDir]) {
    const path = fallback(dataDir, tried);
    if (path !== null && opens(path, tried)) return { kind: "found", path };
  }
  return { kind: "failed", tried };
}

function opens(path: string, tried: string[]): boolean {
  try {
    dlopen(path, probe);
    return true;
  } catch (error) {
    tried.push(`${path}: ${wordsOf(error)}`);
    return false;
  }
}

/** Linux: works with a read-only root and no usable temporary directory. Never closed: see above. */
function memoryFile(_dataDir: string, tried: string[]): string | null {
  if (process.platform !== "linux") return null;
  for (const libc of ["libc.so.6", `libc.musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`]) {
    try {
      const { symbols } = dlopen(libc, { memfd_create: { args: ["cstring", "u32"], returns: "i32" } });
      const fd = symbols.memfd_create(Buffer.from("libpyralog\0"), 0);
      if (fd < 0) throw new Error("memfd_create failed");
      const path = `/proc/self/fd/${fd}`;
      writeFileSync(path, readFileSync(embedded));
      return path;
    } catch (error) {
      tried.push(`memory file through ${libc}: ${wordsOf(error)}`);
    }
  }
  return null;
}

function copyInDataDir(dataDir: string, tried: string[]): string | null {
  try {
    const bytes = readFileSync(embedded);
    const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
    const folder = join(dataDir, ".native");
    const path = join(folder, `libpyralog-${hash}${process.platform === "darwin" ? ".dylib" : ".so"}`);
    if (existsSync(path)) return path;
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${path}.new`, bytes, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return path;
  } catch (error) {
    tried.push(`copy in ${dataDir}: ${wordsOf(error)}`);
    return null;
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
