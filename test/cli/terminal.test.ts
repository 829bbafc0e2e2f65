// The two commands that are there to be looked at, in a real terminal: `pyralog tail` with its status
// line, `pyralog bench` with its bar and its picture of latencies.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { cli } from "../harness/cli.ts";
import { nodeCommand } from "../harness/node.ts";
import { Screen } from "../harness/screen.ts";
import { Server } from "../harness/server.ts";

const folder = scratchDir("terminal");
let server: Server;

beforeAll(async () => {
  server = await Server.start();
});

afterAll(async () => {
  await server.dispose();
  removeScratchDir(folder);
});

function open(name: string, args: readonly string[]): Screen {
  const quoted = [...nodeCommand(), ...args, "-b", server.address].map((each) => `'${each}'`);
  // The screen stays when the command has ended.
  const command = ["sh", "-c", `trap : INT; ${quoted.join(" ")}; echo "ended with $?"; sleep 600`];
  return Screen.open({ folder: join(folder, name), command, columns: 110 });
}

test("cli: tail follows with a status line under the records, which goes when it ends", async () => {
  await cli(["topic", "create", "orders", "-p", "3", "-b", server.address]);
  const send = (key: string, value: string) =>
    cli(["produce", "orders", "-k", key, value, "-b", server.address]);
  await send("c-42", '{"id":1,"item":"tea"}');
  const screen = open("tail", ["tail", "orders"]);
  try {
    await screen.shows(/\d\d:\d\d:\d\d\.\d{3} {2}[0-2]@0 {2}c-42 {2}\{"id":1,"item":"tea"\}/);
    await screen.shows(/▏ 1 records · \d+ B · \d+\/s · lag 0 · orders 3 partitions/);
    await send("c-43", '{"id":2,"item":"milk"}');
    const text = await screen.shows("▏ 2 records");
    const lines = text.split("\n").filter((line) => line !== "");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toContain("milk");
    screen.key("C-c");
    const ended = await screen.shows("ended with 0");
    expect(ended).not.toContain("▏");
  } finally {
    screen.close();
  }
});

test("cli: bench draws a bar while it runs and latencies when it is done", async () => {
  const screen = open("bench", ["bench", "--size", "1KiB", "-d", "3s", "--rate", "1000"]);
  try {
    await screen.shows(
      /\[█*░+\] +[\d.]+ s +[\d,]+ rec\/s +[\d.]+ [KM]iB\/s +p50 [\d.]+ +p99 [\d.]+ +p99.9 [\d.]+ ms/,
    );
    const text = await screen.shows("ended with 0");
    expect(text).not.toContain("░");
    expect(text).toMatch(/rate +[\d,]+ rec\/s · [\d.]+ [KM]iB\/s/);
    expect(text).toMatch(/latency +p50 [\d.]+ · p90/);
    expect(text).toMatch(/[\d.]+ – +[\d.]+ ms +█+ +[\d.]+ %/);
  } finally {
    screen.close();
  }
});

test("cli: a deletion asks at a terminal, and a no changes nothing", async () => {
  await cli(["topic", "create", "kept", "-b", server.address]);
  const screen = open("confirm", ["topic", "delete", "kept"]);
  try {
    await screen.shows("Delete kept with all records? [y/N]");
    screen.type("n");
    screen.key("Enter");
    await screen.shows("ended with 1");
    expect((await cli(["topic", "describe", "kept", "-b", server.address])).code).toBe(0);
  } finally {
    screen.close();
  }
  const second = open("confirmed", ["topic", "delete", "kept"]);
  try {
    await second.shows("[y/N]");
    second.type("y");
    second.key("Enter");
    await second.shows("ended with 0");
    expect((await cli(["topic", "describe", "kept", "-b", server.address])).code).toBe(3);
  } finally {
    second.close();
  }
});
