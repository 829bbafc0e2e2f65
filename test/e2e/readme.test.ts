// The commands of the README, as they stand there, but for the address: its node would listen on
// Kafka's port, this one takes a free one.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { needTool, root } from "../../bench/tools.ts";
import { Server } from "../harness/server.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");
const block = /```console\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
const commands = block
  .split("\n")
  .flatMap((line) => (line.startsWith("$ ") ? [line.slice(2)] : []));
const [start = "", produce = "", consume = "", group = "", build = ""] = commands;
const records = 1000;
const testMsMax = 120_000;
let server: Server;

beforeAll(async () => {
  needTool("kcat", "kcat");
  server = await Server.start();
}, testMsMax);

afterAll(async () => {
  await server?.stop();
  await server?.dispose();
}, testMsMax);

/** Runs a command of the README in a shell until it ends, or has printed so many lines. */
async function shell(command: string, linesMax = Number.POSITIVE_INFINITY): Promise<string[]> {
  const address = command.replaceAll("localhost:9092", server.address);
  expect(address).not.toBe(command);
  // Into a pipe kcat holds lines back; on a terminal it does not.
  const here = address.replace("kcat ", "kcat -u ");
  const child = Bun.spawn(["sh", "-c", here], {
    stdout: "pipe",
    stderr: "inherit",
    detached: true,
  });
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.split("\n").length > linesMax) break;
  }
  if (linesMax !== Number.POSITIVE_INFINITY) process.kill(-child.pid, "SIGTERM");
  const exitCode = await child.exited;
  if (linesMax === Number.POSITIVE_INFINITY) expect(exitCode).toBe(0);
  return text.split("\n").slice(0, -1);
}

const numbers = Array.from({ length: records }, (_, i) => String(i + 1));

test("e2e: the README has five commands", () => {
  expect(commands).toHaveLength(5);
  expect(start).toBe("npx -y bun@1.4.5 start");
  expect(build).toBe("npx -y bun@1.4.5 run build");
  expect(existsSync(join(root, "release/start.ts"))).toBe(true);
});

test(
  "e2e: the README's records go in and come out, alone and in a group",
  async () => {
    expect(await shell(produce)).toEqual([]);
    expect(await shell(consume)).toEqual(numbers);
    expect(await shell(group, records)).toEqual(numbers);
  },
  testMsMax,
);
