// The host around a node whose step fails: the process must not go on after half a step.

import { expect, test } from "bun:test";
import { join } from "node:path";

const script = `
  import { Host } from ${JSON.stringify(join(import.meta.dir, "host.ts"))};
  const settings = { nodeId: 1, clusterId: "c", version: "v", starts: 1, segmentBytes: 1, durability: "fsync",
    replicationFactor: 1, writeQuorum: 1, kafka: new Map(), seed: [1, 2, 3, 4] };
  const host = new Host(settings, {}, {}, { debug() {}, info() {}, warn() {}, error() {} });
  try {
    host.input({ kind: "read-done", request: 77, parts: [] });
  } catch {}
  console.log("went on");
`;

test("server: a bug in a step ends the process with code 127, whoever called it", () => {
  const child = Bun.spawnSync([process.execPath, "-e", script]);
  expect(child.exitCode).toBe(127);
  expect(child.stdout.toString()).toBe("");
  expect(child.stderr.toString()).toContain("a read is answered once");
});
