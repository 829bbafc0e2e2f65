// Every law against a sample that breaks it, and beside it one that does not: a law without a bad
// sample is not tested.

import { describe, expect, test } from "bun:test";
import { documentLaws, type Tree } from "./documents.ts";
import { roomLaws } from "./rooms.ts";
import { codeLawsOf, codeOf, nameLawsOf, wordLawsOf } from "./text.ts";

const node = "src/core/node/sample.ts";
const head = "// What it is for.\n";

function dotted(text: string): string {
  return text.replaceAll("·", "");
}

describe("tidy: rooms", () => {
  const bad: readonly (readonly [string, string, string])[] = [
    [
      "src/core/raft/a.ts",
      'import { x } from "../cluster/cluster.ts";',
      "raft may not import cluster",
    ],
    ["src/core/base/a.ts", 'import type { X } from "../raft/raft.ts";', "base may not import raft"],
    ["src/server/a.ts", 'import { x } from "../cli/cli.ts";', "server may not import cli"],
    [
      "src/core/broker/a.ts",
      'export { x } from "../../storage/storage.ts";',
      "may not import storage",
    ],
    [
      "src/core/broker/a.ts",
      'import { x } from "../../../proto/schema.ts";',
      "may not import proto",
    ],
    [
      "src/core/broker/a.ts",
      'import { x } from "../replication/row.ts";',
      "through its front door",
    ],
    ["src/server/a.ts", 'import "../core/node/control.ts";', "through its front door"],
    [node, 'const x = import("../../server/a.ts");', "node may not import server"],
    [node, 'import {\n  a,\n  b,\n} from "pino";', "imports package 'pino'"],
    [node, 'import { a } from "node:fs";', "imports package 'node:fs'"],
    ["src/server/a.ts", 'import { dlopen } from "bun:ffi";', "bun:ffi belongs to storage/"],
    ["src/server/a.ts", 'import { a } from "./b";', "with its extension"],
    ["src/server/a.ts", 'import { a } from "../../test/b.ts";', "which never ships"],
    ["src/utils/a.ts", "", "unknown room 'utils'"],
    [
      "proto/kafka/a.ts",
      'import { x } from "../../src/core/base/ids.ts";',
      "proto may not import base",
    ],
  ];
  for (const [path, text, words] of bad) {
    test(`tidy: ${path} may not say ${JSON.stringify(text)}`, () => {
      expect(roomLaws(path, text).join("\n")).toContain(words);
    });
  }

  const good: readonly (readonly [string, string])[] = [
    ["src/core/broker/a.ts", 'import type { X } from "../../../proto/kafka/00_produce.ts";'],
    ["src/core/broker/a.ts", 'import { X } from "../../../proto/records/offsets.ts";'],
    ["src/core/broker/a.ts", 'import { x } from "../replication/replication.ts";'],
    ["src/core/broker/a.ts", 'import { x } from "../../wire/writer.ts";'],
    ["src/core/broker/a.test.ts", 'import { test } from "bun:test";\nawait 0;'],
    ["src/core/node/data.ts", 'import { entries } from "../broker/apis.ts";'],
    ["src/storage/a.ts", 'import { dlopen } from "bun:ffi";'],
    ["src/server/a.ts", 'import pino from "pino";'],
    ["src/cli/a.ts", 'import type { Api } from "../server/http/api.ts";'],
    ["src/main.ts", 'const { serve } = await import("./server/server.ts");'],
    ["proto/kafka/a.ts", 'import type { Offset } from "../../src/core/base/ids.ts";'],
  ];
  for (const [path, text] of good) {
    test(`tidy: ${path} may say ${JSON.stringify(text)}`, () => {
      expect(roomLaws(path, text)).toEqual([]);
    });
  }
});

describe("tidy: purity", () => {
  const bad = [
    "export const now = () => Date.now();",
    "export async function f() {}",
    "export const f = () => new Promise(() => {});",
    "export const r = Math.random();",
    "setTimeout(() => {}, 1);",
    "export const t = `${performance.now()}`;",
    'export const e = process.env["X"];',
    'export const f = new Function("return 1");',
    "console.log(1);",
  ];
  for (const text of bad) {
    test(`tidy: a pure room may not say ${text}`, () => {
      expect(roomLaws(node, text).join("\n")).toContain("in a pure room");
    });
  }

  test("tidy: comments, types, strings, members and other rooms may", () => {
    const text =
      '// Date\nexport type A = Promise<Date>;\nexport const s = "process";\nx.fetch();\n';
    expect(roomLaws(node, text)).toEqual([]);
    expect(roomLaws("src/server/a.ts", "await fetch(Date.now());")).toEqual([]);
    expect(roomLaws("src/wire/a.ts", 'export const f = new Function("return 1");')).toEqual([]);
  });
});

describe("tidy: code", () => {
  const bad: readonly (readonly [string, string])[] = [
    ["const x = y as Offset;", "without '// proof:'"],
    ["const x = <T>(y: T) => y as unknown as\n  Offset;", "without '// proof:'"],
    ['const x = y as "a" | "b";', "without '// proof:'"],
    ["const x = `${y as string}`;", "without '// proof:'"],
    ["assert(x > 0, `x is ${x}`);", "a template in assert"],
    ["assert(\n  f(x),\n  `x`,\n);", "a template in assert"],
    [dotted('test.sk·ip("a", () => {});'), "a test runs always"],
    [dotted('describe.on·ly("a", () => {});'), "a test runs always"],
    [dotted('test.to·do("a");'), "a test runs always"],
    [dotted('test.sk·ipIf(root)("a", () => {});'), "a test runs always"],
    [dotted('x·it("a", () => {});'), "a test runs always"],
  ];
  for (const [text, words] of bad) {
    test(`tidy: code may not say ${JSON.stringify(text)}`, () => {
      expect(codeLawsOf("src/server/a.ts", head + text).join("\n")).toContain(words);
    });
  }

  const good = [
    "const x = y as const;",
    "const x = y as Offset; // proof: checked above",
    "// proof: checked above\nconst x = y as Offset;",
    'import { a as b } from "./b.ts";',
    'import * as all from "./b.ts";',
    "export { a as b };",
    "const x = int64.as<Offset>();",
    'const x = "y as Offset";',
    "const x = `y as Offset`;",
    "const x = /y as Offset/;",
    "const x = { y: 1 } satisfies Z;",
    'assert(x > 0, "x is positive");\nconst y = `z`;',
    'test("a.skip", () => {});',
  ];
  for (const text of good) {
    test(`tidy: code may say ${JSON.stringify(text)}`, () => {
      expect(codeLawsOf("src/server/a.ts", head + text)).toEqual([]);
    });
  }

  test("tidy: a file opens with a comment, a test file may open without", () => {
    expect(codeLawsOf("src/server/a.ts", "const x = 1;").join()).toContain("open the file");
    expect(codeLawsOf("src/server/a.test.ts", "const x = 1;")).toEqual([]);
  });

  test("tidy: files whose purpose is the cast, and tests, need no proof", () => {
    const text = `${head}const x = y as Offset;`;
    const free = ["src/core/base/ids.ts", "proto/schema.ts", "src/wire/a.ts", "src/storage/a.ts"];
    for (const path of [...free, "test/e2e/a.ts", "src/server/a.test.ts"]) {
      expect(codeLawsOf(path, text)).toEqual([]);
    }
  });
});

test("tidy: code is told from comments, strings, templates and regular expressions", () => {
  const text = [
    "a; // b",
    'c("d\\"e"); /* f',
    "g */ h;",
    "`i${j(`k${l}`, { m: 1 })}n`; o;",
    "p = q / r / s;",
    "t(/[/]u'/, v); w = 'x'; y;",
  ].join("\n");
  const code = codeOf(text);
  expect(code.split("\n")).toHaveLength(6);
  expect(code.replace(/[^a-z]/g, "")).toBe("achjlmopqrstvwy");
});

describe("tidy: words", () => {
  const bad = [
    ...[
      "// TO·DO: later",
      "// FIX·ME",
      "it is a place·holder",
      "good for n·ow",
      "not imple·mented",
    ],
    ...["see /wo·rk/main", "cd /tm·p/x", "in ../sha·red/design", "https://registry.npm·js.org/bun"],
    ...[
      "as iss·ue #12 says",
      "as iss·ue 3 says",
      "since sess·ion 4",
      "// @ts-ig·nore",
      "// oxlint-dis·able",
    ],
  ];
  for (const text of bad) {
    test(`tidy: nothing may say ${text}`, () => {
      expect(wordLawsOf("docs/a.md", dotted(text))).toHaveLength(1);
    });
  }

  test("tidy: other words may", () => {
    const text = "the method works, src/work/x, tests/root/y, an issue, a session, todos\n";
    expect(wordLawsOf("docs/a.md", text)).toEqual([]);
  });
});

test("tidy: names say something", () => {
  expect(nameLawsOf("src/server/utils.ts").join()).toContain("says nothing");
  expect(nameLawsOf("src/server/frameCutter.ts").join()).toContain("snake_case");
  expect(nameLawsOf("src/core/broker/00_produce.ts")).toEqual([]);
  expect(nameLawsOf("src/storage/abi.gen.ts")).toEqual([]);
  expect(nameLawsOf("test/fuzz/frame_cutter.test.ts")).toEqual([]);
});

describe("tidy: documents", () => {
  function laws(path: string, texts: Readonly<Record<string, string>>): string {
    const tree: Tree = {
      paths: new Set(Object.keys(texts)),
      read: (each) => texts[each] ?? "",
    };
    return documentLaws(path, tree).join("\n");
  }
  const adr = "# 1. A\n\n## Status\n\n## Context\n\n## Decision\n\n## Consequences\n";

  test("tidy: a document has one title, code apart", () => {
    expect(laws("a.md", { "a.md": "# A\n\n# B\n" })).toContain("2 titles");
    expect(laws("a.md", { "a.md": "text\n" })).toContain("0 titles");
    expect(laws("a.md", { "a.md": "# A\n```sh\n# a comment\n```\n" })).toBe("");
  });

  test("tidy: links are alive, to files, folders and headings", () => {
    expect(laws("a.md", { "a.md": "# A\n[b](b.md)\n" })).toContain("dead link 'b.md'");
    expect(laws("d/a.md", { "d/a.md": "# A\n[b](../b.md)\n" })).toContain("dead link");
    expect(laws("a.md", { "a.md": "# A\n[b](#what)\n" })).toContain("names no heading");
    const texts = {
      "d/a.md": "# A\n[b](../b.md#the-end) [c](c/) [d](https://example.net) [e](#a)\n",
      "b.md": "# B\n## The end\n",
      "d/c/x.ts": "",
    };
    expect(laws("d/a.md", texts)).toBe("");
  });

  test("tidy: an ADR has its parts, its name and a link from the map", () => {
    const map = "# Map\n[1](docs/adr/0001-a.md)\n";
    const path = "docs/adr/0001-a.md";
    expect(laws(path, { [path]: adr, "ARCHITECTURE.md": map })).toBe("");
    expect(laws(path, { [path]: adr, "ARCHITECTURE.md": "# Map\n" })).toContain("link the ADR");
    const cut = adr.replace("## Decision\n", "");
    expect(laws(path, { [path]: cut, "ARCHITECTURE.md": map })).toContain("'## Decision'");
    expect(laws("docs/adr/a.md", { "docs/adr/a.md": adr })).toContain("is named");
  });
});
