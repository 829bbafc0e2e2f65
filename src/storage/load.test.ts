// Every way to the storage library, with the real library and the real linker; only the refusals of
// the linker are made up.

import { afterAll, expect, test } from "bun:test";
import { dlopen } from "bun:ffi";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import embedded from "#native" with { type: "file" };
import { abiHash, symbols } from "./abi.gen.ts";
import { resolveLibrary, type Ways } from "./load.ts";

const folder = mkdtempSync(join(tmpdir(), "pyralog-load-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function hashOf(path: string): number {
  return dlopen(path, { pyralog_abi_hash: symbols.pyralog_abi_hash }).symbols.pyralog_abi_hash();
}

/** The linker, except that it refuses the paths that `refuse` names. */
function ways(refuse: (path: string) => boolean, named?: string): Ways {
  return {
    named,
    embedded,
    open: (path) => {
      if (refuse(path)) throw new Error("failed to map segment");
      hashOf(path);
    },
  };
}

function found(given: Ways): string {
  const resolved = resolveLibrary(folder, given);
  if (resolved.kind === "found") return resolved.path;
  throw new Error(resolved.tried.join("\n"));
}

test("storage: the embedded library is loaded from where Bun puts it", () => {
  const path = found(ways(() => false));
  expect(path).toBe(embedded);
  expect(hashOf(path)).toBe(abiHash);
});

test("storage: without a usable temporary directory the library is loaded from memory", () => {
  const path = found(ways((each) => each === embedded));
  expect(path).toStartWith("/proc/self/fd/");
  expect(readFileSync(path).equals(readFileSync(embedded))).toBe(true);
  expect(hashOf(path)).toBe(abiHash);
});

test("storage: without memory either the library is loaded from the data directory", () => {
  const path = found(ways((each) => !each.startsWith(folder)));
  expect(path).toStartWith(join(folder, ".native"));
  expect(hashOf(path)).toBe(abiHash);
  expect(found(ways((each) => !each.startsWith(folder)))).toBe(path);
  expect(readdirSync(join(folder, ".native"))).toHaveLength(1);
});

test("storage: when no way works each is named with its reason", () => {
  const resolved = resolveLibrary(
    "/proc/none",
    ways(() => true),
  );
  if (resolved.kind === "found") throw new Error("a library was found");
  expect(resolved.tried).toHaveLength(3);
  expect(resolved.tried[0]).toBe("the temporary directory: failed to map segment");
  expect(resolved.tried[1]).toBe("anonymous memory: failed to map segment");
  expect(resolved.tried[2]).toStartWith("/proc/none/.native: ENOENT");
});

test("storage: a named library is taken, and a bad one is not replaced by another", () => {
  const copy = join(folder, "named.so");
  writeFileSync(copy, readFileSync(embedded));
  expect(found(ways(() => false, copy))).toBe(copy);
  const resolved = resolveLibrary(
    folder,
    ways(() => false, join(folder, "absent.so")),
  );
  if (resolved.kind === "found") throw new Error("a library was found");
  expect(resolved.tried).toHaveLength(1);
  expect(resolved.tried[0]).toStartWith("PYRALOG_NATIVE_LIB: ");
});
