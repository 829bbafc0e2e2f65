// Every suite of `bun run test`, once, in order of cost. What a suite needs beyond Bun and Zig, its
// own recipe installs or names.

import { join } from "node:path";
import { Glob } from "bun";
import type { Reader } from "./counts.ts";
import { root } from "./progress.ts";
import type { Toolchain } from "./toolchain.ts";

export interface Suite {
  readonly name: string;
  readonly what: string;
  readonly reader: Reader;
  /** Part of `bun run check`, the quick half that is run while writing. */
  readonly quick: boolean;
  readonly limitMinutes: number;
  /** Each command is a process of its own; their counts add up. */
  readonly commands: (tools: Toolchain) => readonly (readonly string[])[];
}

interface Limits {
  readonly quick?: boolean;
  readonly limitMinutes?: number;
}

function bin(name: string, script: string): string {
  return join(root, "node_modules", name, script);
}

function check(
  name: string,
  what: string,
  command: (tools: Toolchain) => readonly string[],
): Suite {
  const commands = (tools: Toolchain): readonly (readonly string[])[] => [command(tools)];
  return { name, what, reader: "check", quick: true, limitMinutes: 5, commands };
}

/** Test files, sorted so that a run is the same everywhere. */
export function filesOf(patterns: readonly string[]): readonly string[] {
  const found = patterns.flatMap((pattern) => [...new Glob(pattern).scanSync(root)]);
  return [...new Set(found)].sort();
}

function bunTest(tools: Toolchain, files: readonly string[]): readonly string[] {
  return [tools.bun, "test", ...files.map((file) => `./${file}`)];
}

export interface TestSuite extends Suite {
  readonly patterns: readonly string[];
}

function tests(
  name: string,
  what: string,
  patterns: readonly string[],
  limits: Limits = {},
): TestSuite {
  const { quick = false, limitMinutes = 10 } = limits;
  const commands = (tools: Toolchain): readonly (readonly string[])[] => [
    bunTest(tools, filesOf(patterns)),
  ];
  return { name, what, reader: "bun", quick, limitMinutes, commands, patterns };
}

/** A crash of native code ends its process without a count: each file gets a process of its own. */
function apart(suite: TestSuite): TestSuite {
  const commands = (tools: Toolchain): readonly (readonly string[])[] =>
    filesOf(suite.patterns).map((file) => bunTest(tools, [file]));
  return { ...suite, commands };
}

const quick: Limits = { quick: true };
const pureRooms = ["src/core", "src/wire", "src/cli", "proto", "release"].map(
  (room) => `${room}/**/*.test.ts`,
);

export const suites: readonly (Suite | TestSuite)[] = [
  check("format", "layout of the sources (biome)", ({ bun }) => [
    bun,
    bin("@biomejs/biome", "bin/biome"),
    "format",
    "--reporter=summary",
  ]),
  check("lint", "lint with types (oxlint)", ({ bun }) => [
    bun,
    bin("oxlint", "bin/oxlint"),
    "--type-aware",
    "--quiet",
  ]),
  check("types", "types (tsc)", ({ bun }) => [bun, bin("typescript", "bin/tsc")]),
  check("zig-format", "layout of the Zig sources", ({ zig }) => [
    zig,
    "fmt",
    "--check",
    "zig",
    "build.zig",
  ]),
  tests("laws", "house laws: rooms, purity, words", ["test/*.test.ts"], quick),
  tests("unit", "pure rooms and tools", pureRooms, quick),
  apart(
    tests(
      "native",
      "rooms around the Zig library",
      ["src/storage/**/*.test.ts", "src/server/**/*.test.ts"],
      quick,
    ),
  ),
  {
    name: "zig",
    what: "storage engine (zig build test)",
    reader: "zig",
    quick: true,
    limitMinutes: 15,
    commands: ({ zig }) => [[zig, "build", "test", "--summary", "all"]],
  },
  {
    ...check("abi", "generated faces of the ABI are fresh", ({ bun }) => [
      bun,
      "release/abi.ts",
      "--check",
    ]),
    limitMinutes: 10,
  },
  tests(
    "toolchain",
    "the library is built with the flags of build.zig",
    ["test/toolchain/*.test.ts"],
    { limitMinutes: 10 },
  ),
  tests("bench", "arithmetic and harness of the benches", ["bench/**/*.test.ts"]),
  tests("wire", "codecs against the interpreter (property)", ["test/wire/**/*.test.ts"]),
  tests("broker", "broker and control node on disks in memory", ["test/broker/**/*.test.ts"]),
  tests("sim", "simulator", ["test/sim/**/*.test.ts"]),
  apart(tests("server", "server and store together", ["test/server/**/*.test.ts"])),
  apart(tests("fuzz", "bad bytes at every door", ["test/fuzz/**/*.test.ts"])),
  {
    ...check("build", "dist/pyralog, which the rest runs", ({ bun }) => [bun, "release/build.ts"]),
    quick: false,
  },
  tests("vectors", "bytes of independent encoders", ["test/conformance/vectors/*.test.ts"]),
  apart(
    tests("clients", "real clients, each alone", ["test/conformance/clients/*.test.ts"], {
      limitMinutes: 15,
    }),
  ),
  tests(
    "librdkafka",
    "librdkafka's own suite, class A",
    ["test/conformance/librdkafka/*.test.ts"],
    { limitMinutes: 20 },
  ),
  apart(tests("e2e", "the executable as a user runs it", ["test/e2e/**/*.test.ts"])),
  apart(tests("chaos", "power cuts and kills", ["test/chaos/**/*.test.ts"], { limitMinutes: 15 })),
];

/** Suites of folders that hold no test (yet) have nothing to run. */
export function runnable(): readonly Suite[] {
  return suites.filter((suite) => !("patterns" in suite) || filesOf(suite.patterns).length > 0);
}
