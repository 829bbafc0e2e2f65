// The table of suites covers the tree: no test file is forgotten, none runs twice.

import { expect, test } from "bun:test";
import { filesOf, runnable, suites } from "./suites.ts";

const roots = "{src,proto,test,bench,release}";

test("release: every test file belongs to exactly one suite", () => {
  const claims = new Map<string, string[]>();
  for (const suite of suites) {
    if (!("patterns" in suite)) continue;
    for (const file of filesOf(suite.patterns)) {
      claims.set(file, [...(claims.get(file) ?? []), suite.name]);
    }
  }
  const wrong = filesOf([`${roots}/**/*.test.ts`]).filter((file) => claims.get(file)?.length !== 1);
  expect(
    wrong.map((file) => `${file}: in ${claims.get(file)?.join(" and ") ?? "no suite"}`),
  ).toEqual([]);
});

test("release: suites have names of their own and something to run", () => {
  const names = suites.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const suite of runnable()) {
    expect(suite.commands({ bun: "bun", zig: "zig" }).length).toBeGreaterThan(0);
  }
  expect(names.slice(0, 3)).toEqual(["format", "lint", "types"]);
});
