// Finds a way to load the storage library that is embedded in the executable, and says by which path
// it can be loaded again. The dynamic linker tells libraries apart by inode: main and its Workers
// must load the same path, or each would have a state of its own. So the path is found once, on the
// main thread, and handed on.
//
// Bun extracts an embedded library to the temporary directory, which may be read-only, missing or
// mounted noexec. Then anonymous memory takes its place, and after that the data directory.

import { dlopen } from "bun:ffi";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import embedded from "#native" with { type: "file" };
import { symbols } from "./abi.gen.ts";

export type Resolved =
  | { readonly kind: "found"; readonly path: string }
  /** One line per way that was tried, with the reason why it failed. */
  | { readonly kind: "failed"; readonly tried: readonly string[] };

/** What a test replaces. */
export interface Ways {
  /** PYRALOG_NATIVE_LIB: for development and support. Nothing else is tried when it is set. */
  readonly named: string | undefined;
  readonly embedded: string;
  /** Loads the library, or throws the linker's words. */
  readonly open: (path: string) => void;
}

/** Only the first symbol is bound: whether the ABI fits is judged by the caller. */
function open(path: string): void {
  dlopen(path, { pyralog_abi_hash: symbols.pyralog_abi_hash });
}

const ways: Ways = { named: process.env["PYRALOG_NATIVE_LIB"], embedded, open };

/** glibc, then musl. */
const libcNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];
const closeOnExec = 1;

function memfdCreate(): number {
  const name = Buffer.from("libpyralog\0");
  const signature = { memfd_create: { args: ["buffer", "u32"], returns: "i32" } } as const;
  const failures: string[] = [];
  for (const libc of libcNames) {
    try {
      return dlopen(libc, signature).symbols.memfd_create(name, closeOnExec);
    } catch (error) {
      failures.push(wordsOf(error));
    }
  }
  throw new Error(failures.join("; "));
}

/** The descriptor stays open: the path is good for as long as the process lives. */
function intoMemory(path: string): string {
  const fd = memfdCreate();
  if (fd < 0) throw new Error("memfd_create failed");
  const bytes = readFileSync(path);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  return `/proc/self/fd/${fd}`;
}

/** Named by its content, replaced by a rename: another start never sees half of it. */
function intoDirectory(path: string, dataDir: string): string {
  const bytes = readFileSync(path);
  const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex").slice(0, 16);
  const directory = resolve(dataDir, ".native");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const target = join(directory, `${hash}${extname(path)}`);
  const fresh = `${target}.${process.pid}`;
  try {
    writeFileSync(fresh, bytes, { mode: 0o700 });
    renameSync(fresh, target);
  } finally {
    rmSync(fresh, { force: true });
  }
  return target;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function resolveLibrary(dataDir: string, from: Ways = ways): Resolved {
  const tried: string[] = [];
  const attempt = (what: string, place: () => string): Resolved | null => {
    try {
      const path = place();
      from.open(path);
      return { kind: "found", path };
    } catch (error) {
      tried.push(`${what}: ${wordsOf(error)}`);
      return null;
    }
  };
  if (from.named !== undefined && from.named !== "") {
    const path = resolve(from.named);
    return attempt("PYRALOG_NATIVE_LIB", () => path) ?? { kind: "failed", tried };
  }
  const inMemory = process.platform === "linux";
  return (
    attempt("the temporary directory", () => from.embedded) ??
    (inMemory ? attempt("anonymous memory", () => intoMemory(from.embedded)) : null) ??
    attempt(`${dataDir}/.native`, () => intoDirectory(from.embedded, dataDir)) ?? {
      kind: "failed",
      tried,
    }
  );
}
