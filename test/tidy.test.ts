// House laws, over the whole tree. Each message names the fix. The laws stand in tidy/, and
// tidy/laws.test.ts breaks every one of them to see that it would be found.

import { expect, test } from "bun:test";
import { apis } from "../src/wire/apis.ts";
import { entries, ranges } from "../src/core/broker/apis.ts";
import {
  configurationDocument,
  configurationPath,
  supportTable,
  tableIn,
} from "../release/documents.ts";
import { documentLaws } from "./tidy/documents.ts";
import { roomLaws, rooms } from "./tidy/rooms.ts";
import { codeLawsOf, nameLawsOf, wordLawsOf } from "./tidy/text.ts";
import { files, typescript } from "./tidy/tree.ts";

const sources = typescript("src", "proto");
const everything = typescript("src", "proto", "test", "bench", "release");

test("tidy: the room table is in dependency order", () => {
  const order = Object.keys(rooms);
  for (const [room, uses] of Object.entries(rooms)) {
    for (const used of uses) expect(order.indexOf(used)).toBeLessThan(order.indexOf(room));
  }
});

test("tidy: imports follow the rooms and pure rooms are pure", () => {
  expect(sources.length).toBeGreaterThan(0);
  expect(sources.flatMap((path) => roomLaws(path, files.read(path)))).toEqual([]);
});

test("tidy: casts are proved, assertions are literal, no test is skipped, files say what they are for", () => {
  expect(everything.flatMap((path) => codeLawsOf(path, files.read(path)))).toEqual([]);
});

test("tidy: Zig files say what they are for", () => {
  const zig = files.list.filter((path) => path.startsWith("zig/") && path.endsWith(".zig"));
  expect(zig.filter((path) => !files.read(path).startsWith("//!"))).toEqual([]);
});

test("tidy: no unfinished work, no path of one machine, no talk of how the work is organised", () => {
  const texts = files.list.filter((path) =>
    /\.(tsx?|zig|zon|md|json|toml|java|c|h|sh)$/.test(path),
  );
  const scripts = files.list.filter(
    (path) => path.startsWith(".ci/") || path.startsWith(".githooks/"),
  );
  expect([...texts, ...scripts].flatMap((path) => wordLawsOf(path, files.read(path)))).toEqual([]);
});

test("tidy: file names are snake_case and say something", () => {
  expect(files.list.flatMap((path) => nameLawsOf(path))).toEqual([]);
});

test("tidy: Markdown has one title and live links, an ADR its parts", () => {
  const documents = files.list.filter((path) => path.endsWith(".md"));
  expect(documents.flatMap((path) => documentLaws(path, files))).toEqual([]);
});

test("tidy: every Kafka table has an API file, a place in the registry and a range", () => {
  const tables = files.list.filter((path) => /^proto\/kafka\/[0-9]/.test(path));
  const without = tables.filter(
    (path) => !files.paths.has(path.replace("proto/kafka/", "src/core/broker/")),
  );
  expect(without).toEqual([]);
  const registered = entries.map(({ name }): string => name).sort();
  expect(registered).toEqual(Object.keys(apis).sort());
  expect(registered).toHaveLength(tables.length);
  const advertised = ranges.map(({ apiKey }) => apiKey).sort((a, b) => a - b);
  const keys = Object.values(apis).map(({ key }) => key);
  expect(advertised).toEqual(keys.sort((a, b) => a - b));
  const numbers = tables.map((path) => Number(path.slice("proto/kafka/".length).split("_")[0]));
  expect(numbers).toEqual(advertised);
});

test("tidy: what documents say about the code is fresh (bun run docs)", () => {
  expect(tableIn(files.read("README.md"))).toBe(supportTable());
  expect(files.read(configurationPath)).toBe(configurationDocument());
});

test("tidy: the pinned versions are the same wherever they stand", () => {
  const { bun } = JSON.parse(files.read("package.json")).engines;
  const zig = /zigVersion = "([^"]+)"/.exec(files.read("release/toolchain.ts"))?.[1] ?? "none";
  expect(files.read("package.json")).toContain(`"packageManager": "bun@${bun}"`);
  expect(files.read("package.json")).toContain(`"bun": "${bun}"`);
  expect(files.read(".ci/run")).toContain(`bun=${bun}\n`);
  expect(files.read("README.md")).toContain(`npx -y bun@${bun} start`);
  expect(files.read("build.zig")).toContain(`"${zig}"`);
  expect(files.read("release/zig.txt")).toContain(`ziglang==${zig} `);
});

test("tidy: packages are pinned exactly", () => {
  const { dependencies, devDependencies } = JSON.parse(files.read("package.json"));
  const versions = Object.values<string>({ ...dependencies, ...devDependencies });
  expect(versions.filter((version) => !/^[0-9]+\.[0-9]+\.[0-9]+$/.test(version))).toEqual([]);
});

test("tidy: the lint stops what it has to stop", () => {
  const { rules } = JSON.parse(files.read(".oxlintrc.json"));
  for (const rule of ["no-explicit-any", "no-non-null-assertion", "no-floating-promises"]) {
    expect(rules[`typescript/${rule}`]).toBe("error");
  }
});

test("tidy: no file is too large for git", () => {
  const bytesMax = 262_144;
  expect(files.list.filter((path) => files.bytes(path) > bytesMax)).toEqual([]);
});

test("tidy: long files are reported, never refused", () => {
  const guidance = 600;
  const lines = everything
    .map((path) => ({ path, count: files.read(path).split("\n").length }))
    .filter(({ count }) => count > guidance)
    .sort((a, b) => b.count - a.count);
  for (const { path, count } of lines) console.error(`guidance: ${path} has ${count} lines`);
  expect(everything.length).toBeGreaterThan(lines.length);
});
