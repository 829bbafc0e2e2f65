// Export and import: 100,000 records go to a file and back, and nothing of them is lost but their
// offsets.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { Client } from "../../src/client/client.ts";
import { cli } from "../harness/cli.ts";
import { Server } from "../harness/server.ts";

const folder = scratchDir("cli-transfer");
const count = 100_000;
const partitions = 4;
let server: Server;

beforeAll(async () => {
  server = await Server.start();
});

afterAll(async () => {
  await server.dispose();
  removeScratchDir(folder);
});

/** Text, tombstones, keys or none, bytes that are no text, headers, an awkward time now and then. */
function recordOf(i: number): Parameters<ReturnType<Client["producer"]>["enqueue"]>[0] {
  return {
    topic: "from",
    key: i % 3 === 0 ? null : `key-${i % 1000}`,
    value:
      i % 101 === 0
        ? null
        : i % 103 === 0
          ? new Uint8Array([0xff, i & 0xff, 0x00])
          : `{"n":${i},"text":"ü\\n\\u0000 ${"x".repeat(i % 50)}","big":12345678901234567890}`,
    ...(i % 7 === 0
      ? {
          headers: [
            ["trace", `${i}`],
            ["raw", new Uint8Array([0x80, i & 0xff])],
            ["none", null],
          ] as const,
        }
      : {}),
    timestamp: i % 1009 === 0 ? 0 : 1_700_000_000_000 + i,
  };
}

/** Every line without its topic and offset, by partition, in order. */
function contents(path: string): string[][] {
  const found: string[][] = Array.from({ length: partitions }, () => []);
  for (const line of readFileSync(path, "utf8").trimEnd().split("\n")) {
    const { topic: _, offset, ...rest } = JSON.parse(line);
    const lines = found[rest.partition];
    expect(offset).toBe(lines?.length ?? -1);
    lines?.push(JSON.stringify(rest));
  }
  return found;
}

async function good(args: readonly string[]): Promise<string> {
  const run = await cli([...args, "-b", server.address]);
  expect({ code: run.code, out: run.out }).toEqual({ code: 0, out: run.out });
  return run.err;
}

test("cli: 100,000 records are exported, imported, and the same", async () => {
  await using client = new Client({ bootstrap: [server.address] });
  for (const name of ["from", "to"]) await client.admin.createTopic({ name, partitions });
  const producer = client.producer({ compression: "gzip" });
  for (let i = 0; i < count; i += 1) {
    producer.enqueue(recordOf(i), (error) => {
      if (error !== null) throw error;
    });
    await producer.room();
  }
  await producer.flush();

  const [first, second] = [join(folder, "from.ndjson"), join(folder, "to.ndjson")];
  expect(await good(["export", "from", "--file", first])).toContain("100,000 records of from");
  const imported = await good(["import", "to", first, "--keep-partitions", "-z", "zstd"]);
  expect(imported).toContain("100,000 records to to");
  await good(["export", "to", "--file", second]);
  const before = contents(first);
  expect(before.reduce((sum, { length }) => sum + length, 0)).toBe(count);
  expect(contents(second)).toEqual(before);
}, 120_000);

test("cli: without --keep-partitions the keys decide, and standard input and output will do", async () => {
  for (const name of ["keys", "moved"]) {
    await good(["topic", "create", name, "-p", name === "keys" ? "4" : "7"]);
  }
  const lines = Array.from({ length: 500 }, (_, i) => `key-${i % 20}:value-${i}`);
  await cli(["produce", "keys", "-K", ":", "-q", "-b", server.address], {
    input: lines.join("\n"),
  });
  const exported = await cli(["export", "keys", "-b", server.address]);
  expect(exported.code).toBe(0);
  expect(exported.out.trimEnd().split("\n")).toHaveLength(500);
  const back = await cli(["import", "moved", "-b", server.address], { input: exported.out });
  expect(back.code).toBe(0);
  const read = await cli(["consume", "moved", "--format", "%k:%s\\n", "-b", server.address]);
  expect(read.out.trimEnd().split("\n").toSorted()).toEqual(lines.toSorted());
  const places = await cli(["consume", "moved", "--format", "%k %p\\n", "-b", server.address]);
  const pairs = new Set(places.out.trimEnd().split("\n"));
  expect(pairs.size).toBe(20);
});
