// Every suite of `bun run test`, once, in order of cost. What a suite needs beyond Bun and Zig, its
// own recipe installs or names.

import { Glob } from "bun";
import type { Reader } from "./counts.ts";
import { root } from "./progress.ts";
import type { Toolchain } from "./toolchain.ts";

/** `script` = Bun runs a file, `tests` = `bun test` over the files that the patterns name. */
type Program = "script" | "zig" | "tests";

export interface Suite {
  readonly name: string;
  readonly what: string;
  readonly program: Program;
  readonly reader: Reader;
  /** Arguments of the program; patterns of files for `tests`. */
  readonly args: readonly string[];
  /** A process for each file: a crash of native code ends its process without a count. */
  readonly apart: boolean;
  /** Needs the storage library, which is built first where its sources have changed. */
  readonly native: boolean;
  /** Part of `bun run check`, the quick half that is run while writing. */
  readonly quick: boolean;
  /** Of one process. */
  readonly limitMinutes: number;
}

type Options = Partial<Pick<Suite, "reader" | "apart" | "native" | "quick" | "limitMinutes">>;

function suite(
  name: string,
  what: string,
  program: Program,
  args: readonly string[],
  options: Options = {},
): Suite {
  const reader = program === "tests" ? "bun" : "check";
  const defaults = { reader, apart: false, native: false, quick: false, limitMinutes: 10 } as const;
  return { name, what, program, args, ...defaults, ...options };
}

const quick: Options = { quick: true };
const native: Options = { native: true, apart: true };
const biome = ["node_modules/@biomejs/biome/bin/biome", "format", "--reporter=summary"];
const oxlint = ["node_modules/oxlint/bin/oxlint", "--type-aware", "--quiet"];
const pure = ["src/core", "src/wire", "src/cli", "src/client", "proto", "release"];
const impure = ["src/storage", "src/server"];

function below(...folders: string[]): readonly string[] {
  return folders.map((folder) => `${folder}/**/*.test.ts`);
}

export const suites: readonly Suite[] = [
  suite("format", "layout of the sources (biome)", "script", biome, quick),
  suite("lint", "lint with types (oxlint)", "script", oxlint, quick),
  suite("types", "types (tsc)", "script", ["node_modules/typescript/bin/tsc"], quick),
  suite("zig-format", "layout of Zig", "zig", ["fmt", "--check", "zig", "build.zig"], quick),
  suite(
    "laws",
    "house laws: rooms, purity, words",
    "tests",
    ["test/*.test.ts", "test/tidy/*.test.ts"],
    quick,
  ),
  suite("unit", "pure rooms and tools", "tests", below(...pure), quick),
  suite("native", "rooms around the Zig library", "tests", below(...impure), {
    ...native,
    quick: true,
  }),
  suite("wire", "codecs against their oracle", "tests", below("test/wire")),
  suite("broker", "broker and control node on disks in memory", "tests", below("test/broker")),
  suite("sim", "simulator", "tests", below("test/sim")),
  suite("order", "bugs of order, planted in the storage engine", "tests", below("test/engine"), {
    limitMinutes: 30,
  }),
  suite("fuzz", "bad bytes at every door", "tests", below("test/fuzz"), native),
  suite("bench", "arithmetic and harness of the benches", "tests", below("bench")),
  suite("zig", "storage engine", "zig", ["build", "test", "--summary", "all"], {
    reader: "zig",
    quick: true,
    limitMinutes: 20,
  }),
  suite(
    "abi",
    "generated faces of the ABI are fresh",
    "script",
    ["release/abi.ts", "--check"],
    quick,
  ),
  suite("toolchain", "flags of build.zig", "tests", below("test/toolchain")),
  suite("engine", "Zig and TypeScript against each other", "tests", below("test/zig"), native),
  suite("server", "server and store together", "tests", below("test/server"), native),
  suite("build", "dist/pyralog, which the rest runs", "script", ["release/build.ts"], {
    native: true,
  }),
  suite(
    "counts",
    "instructions and system calls against bench/counts.json",
    "script",
    ["bench/main.ts", "counts"],
    { native: true },
  ),
  suite("client", "the client library and a node", "tests", below("test/client"), native),
  suite("cli", "the command line and a node", "tests", below("test/cli"), native),
  suite("vectors", "bytes of other encoders", "tests", below("test/conformance/vectors")),
  suite("clients", "real clients", "tests", below("test/conformance/clients"), {
    ...native,
    limitMinutes: 20,
  }),
  suite("librdkafka", "librdkafka's suite", "tests", below("test/conformance/librdkafka"), {
    limitMinutes: 20,
  }),
  suite("http", "HTTP API over real sockets", "tests", below("test/http"), native),
  suite("e2e", "the executable as a user runs it", "tests", below("test/e2e"), native),
  suite("chaos", "power cuts, kills and full disks", "tests", below("test/chaos"), {
    ...native,
    limitMinutes: 15,
  }),
];

/** Timing decides no test: the limit is for one that hangs, on a machine that is busy. */
const testLimit = "--timeout=120000";

/** Test files, sorted so that a run is the same everywhere. */
export function filesOf(patterns: readonly string[]): readonly string[] {
  const found = patterns.flatMap((pattern) => [...new Glob(pattern).scanSync(root)]);
  return [...new Set(found)].sort();
}

/** Each command is a process of its own; their counts add up. */
export function commandsOf(of: Suite, tools: Toolchain): readonly (readonly string[])[] {
  switch (of.program) {
    case "script":
      return [[tools.bun, ...of.args]];
    case "zig":
      return [[tools.zig, ...of.args]];
    case "tests": {
      const files = filesOf(of.args).map((file) => `./${file}`);
      const groups = of.apart ? files.map((file) => [file]) : [files];
      return groups.map((group) => [tools.bun, "test", testLimit, ...group]);
    }
  }
}

/** A folder without any test has nothing to run. */
export function runnable(): readonly Suite[] {
  return suites.filter(({ program, args }) => program !== "tests" || filesOf(args).length > 0);
}
