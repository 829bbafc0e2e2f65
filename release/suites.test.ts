// The table of suites covers the tree: no test file is forgotten, none runs twice.

import { expect, test } from "bun:test";
import { commandsOf, filesOf, runnable, suites } from "./suites.ts";

const tools = { bun: "bun", zig: "zig" };

test("release: every test file belongs to exactly one suite", () => {
  const claims = new Map<string, string[]>();
  for (const suite of suites.filter(({ program }) => program === "tests")) {
    for (const file of filesOf(suite.args)) {
      claims.set(file, [...(claims.get(file) ?? []), suite.name]);
    }
  }
  const all = filesOf(["{src,proto,test,bench,release}/**/*.test.ts"]);
  const wrong = all.filter((file) => claims.get(file)?.length !== 1);
  const words = wrong.map((file) => `${file}: in ${claims.get(file)?.join(" and ") ?? "no suite"}`);
  expect(words).toEqual([]);
});

test("release: suites have names of their own and something to run", () => {
  const names = suites.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const suite of runnable()) {
    expect(commandsOf(suite, tools).flat().length).toBeGreaterThan(1);
  }
});

test("release: files of native suites run in processes of their own", () => {
  const native = suites.find(({ name }) => name === "native");
  if (native === undefined) throw new Error("there is no suite of native tests");
  const commands = commandsOf(native, tools);
  expect(commands.length).toBe(filesOf(native.args).length);
  expect(commands.every((command) => command.length === 4)).toBe(true);
});
