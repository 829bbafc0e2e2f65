// Wrong uses: each ends with its documented exit code, a cause and a next step on standard error,
// and nothing on standard output.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { cli } from "../harness/cli.ts";
import { Server } from "../harness/server.ts";

const folder = scratchDir("cli-wrong");
let server: Server;

beforeAll(async () => {
  server = await Server.start();
  await cli(["topic", "create", "orders", "-p", "2", "-b", server.address]);
  await cli(["topic", "create", "small", "-c", "max.message.bytes=1000", "-b", server.address]);
  await Bun.write(join(folder, "bad.toml"), '[server]\nbind_addr = "127.0.0.1:0\n');
  await Bun.write(join(folder, "unknown.toml"), "[server]\nnode_id = 1\nbind_adr = 2\n");
  await Bun.write(join(folder, "open.toml"), '[server]\nbind_addr = "0.0.0.0:0"\n');
  await Bun.write(join(folder, "lines.ndjson"), '{"value":"one"}\n{"value":\n');
  await Bun.write(join(folder, "member.ndjson"), '{"valeu":"one"}\n');
});

afterAll(async () => {
  await server.dispose();
  removeScratchDir(folder);
});

interface Wrong {
  readonly what: string;
  readonly args: () => readonly string[];
  readonly code: number;
  readonly words: readonly (string | RegExp)[];
  readonly input?: string;
}

const here = (): readonly string[] => ["-b", server.address];
const file = (name: string): string => join(folder, name);

const wrongs: readonly Wrong[] = [
  {
    what: "TOML that does not parse",
    args: () => ["--config", file("bad.toml")],
    code: 2,
    words: [/bad\.toml:2:\d+:/],
  },
  {
    what: "an unknown key, in a check",
    args: () => ["config", "check", file("unknown.toml")],
    code: 2,
    words: [/unknown\.toml:3:1:/, 'did you mean "server.bind_addr"?'],
  },
  {
    what: "a configuration that is not there",
    args: () => ["config", "check", file("none.toml")],
    code: 2,
    words: ["there is no such file"],
  },
  {
    what: "a port that is taken",
    args: () => [
      ...["serve", "--set", `server.bind_addr=${server.address}`],
      ...["--set", `server.data_dir=${file("data")}`],
    ],
    code: 14,
    words: [/port|address/i],
  },
  {
    what: "a data directory that is in use",
    args: () => [
      ...["--set", "server.bind_addr=127.0.0.1:0"],
      ...["--set", `server.data_dir=${server.dataDir}`],
    ],
    code: 10,
    words: ["is in use by process"],
  },
  {
    what: "an address beyond loopback without TLS",
    args: () => ["serve", "--config", file("open.toml")],
    code: 2,
    words: ["lets everybody on the network in", "insecure_listeners"],
  },
  {
    what: "a topic that is not there",
    args: () => ["produce", "order", "x", ...here()],
    code: 3,
    words: ['unknown topic "order". Did you mean "orders"?', "pyralog topic create order"],
  },
  {
    what: "a topic that is not there, to read",
    args: () => ["consume", "order", ...here()],
    code: 3,
    words: ['Did you mean "orders"?'],
  },
  {
    what: "a partition that is not there",
    args: () => ["produce", "orders", "-p", "7", "x", ...here()],
    code: 3,
    words: ["has partitions 0 to 1, not 7", "pyralog topic describe orders"],
  },
  {
    what: "a record that is too large",
    args: () => ["produce", "small", "y".repeat(3000), ...here()],
    code: 4,
    words: ["MESSAGE_TOO_LARGE", "max.message.bytes"],
  },
  {
    what: "a topic that is there",
    args: () => ["topic", "create", "orders", ...here()],
    code: 4,
    words: ["TOPIC_ALREADY_EXISTS", "pyralog topic describe"],
  },
  {
    what: "a name that no topic may have",
    args: () => ["topic", "create", "a/b", ...here()],
    code: 4,
    words: ["INVALID_TOPIC_EXCEPTION", "at most 249"],
  },
  {
    what: "a setting that there is not",
    args: () => ["topic", "config", "orders", "--set", "retention=1", ...here()],
    code: 4,
    words: ["INVALID_CONFIG", "pyralog topic config"],
  },
  {
    what: "no node",
    args: () => ["topic", "list", "-b", "127.0.0.1:1"],
    code: 5,
    words: ["127.0.0.1:1: nobody listens there", "pyralog doctor"],
  },
  {
    what: "TLS to a node without it",
    args: () => ["topic", "list", "--tls", ...here()],
    code: 5,
    words: ["pyralog doctor"],
  },
  {
    what: "a file of certificates that is not there",
    args: () => ["topic", "list", "--tls-ca", file("none.pem"), ...here()],
    code: 1,
    words: ["no such file", "none.pem"],
  },
  {
    what: "an address that is none",
    args: () => ["topic", "list", "-b", "a b"],
    code: 2,
    words: ["host:port"],
  },
  {
    what: "an unknown command",
    args: () => ["topci", "list"],
    code: 2,
    words: ['no command "topci"; did you mean "topic"?'],
  },
  {
    what: "an unknown argument",
    args: () => ["topic", "list", "--intern", ...here()],
    code: 2,
    words: ['unknown argument "--intern"', "--internal", "pyralog topic list --help"],
  },
  {
    what: "a missing argument",
    args: () => ["produce"],
    code: 2,
    words: ["topic", "pyralog produce --help"],
  },
  {
    what: "a deletion that nobody can confirm",
    args: () => ["topic", "delete", "orders", ...here()],
    code: 2,
    words: ["Nobody is there to confirm it", "--yes"],
  },
  {
    what: "fewer partitions than there are",
    args: () => ["topic", "add-partitions", "orders", "1", ...here()],
    code: 2,
    words: ["has 2 partitions; 1 are not more", "pyralog topic add-partitions orders 3"],
  },
  {
    what: "a line of an import that is no JSON",
    args: () => ["import", "orders", file("lines.ndjson"), ...here()],
    code: 1,
    words: [/lines\.ndjson:2: no JSON/],
  },
  {
    what: "an unknown member of an imported line",
    args: () => ["import", "orders", file("member.ndjson"), ...here()],
    code: 1,
    words: [/member\.ndjson:1: unknown member "valeu"/],
  },
  {
    what: "a file that is not there",
    args: () => ["import", "orders", file("none.ndjson"), ...here()],
    code: 3,
    words: ["there is no file"],
  },
  {
    what: "a line without the delimiter",
    args: () => ["produce", "orders", "-K", ":", ...here()],
    input: "a:b\nc\n",
    code: 1,
    words: ['line 2 has no ":"'],
  },
  {
    what: "an output format that there is not",
    args: () => ["topic", "list", "-o", "xml", ...here()],
    code: 2,
    words: ["table, wide, json, yaml"],
  },
  {
    what: "a place to begin that nobody understands",
    args: () => ["consume", "orders", "--from", "yesterdy", ...here()],
    code: 2,
    words: ["--from", "earliest"],
  },
  {
    what: "a shell without completion",
    args: () => ["completion", "csh"],
    code: 2,
    words: ["bash, zsh, fish"],
  },
];

for (const { what, args, code, words, input } of wrongs) {
  test(`cli: a wrong use is told with its cause and the next step (${what})`, async () => {
    const run = await cli(args(), input === undefined ? {} : { input });
    for (const each of words) {
      if (typeof each === "string") expect(run.err).toContain(each);
      else expect(run.err).toMatch(each);
    }
    expect(run.code).toBe(code);
    expect(run.err).not.toContain("    at ");
    const partial = what === "a line without the delimiter";
    expect(run.out).toMatch(partial ? /^(orders\/.*\n)?$/ : /^$/);
  });
}
