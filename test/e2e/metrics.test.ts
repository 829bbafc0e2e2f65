// What a running node tells of itself, beside the load that it counts.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { kcat } from "../harness/kcat.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";

let server: Server;
let base: string;

beforeAll(async () => {
  server = await Server.start({ node: { "observability.metrics_port": "0" } });
  base = /Metrics\s+(http:\S+)\/metrics/.exec(server.logTail())?.[1] ?? "";
});

afterAll(() => server.dispose());

/** Values by name with labels, as Prometheus reads them. */
async function scrape(): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${base}/metrics`);
  expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  const lines = (await response.text()).split("\n").filter((line) => /^[a-z]/.test(line));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

test("e2e: counters move with what they count, and the node is not stopped for it", async () => {
  const before = await scrape();
  await kcat(server.address, ["-P", "-t", "counted"], "one\ntwo\n");
  expect((await kcat(server.address, ["-C", "-t", "counted", "-e", "-q"])).toString()).toBe(
    "one\ntwo\n",
  );
  const after = await scrape();
  for (const name of [
    "pyralog_requests_total",
    "pyralog_received_bytes_total",
    "pyralog_appended_batches_total",
    "pyralog_commit_groups_total",
    "pyralog_syncs_total",
    "pyralog_tail_cache_hits_total",
    'pyralog_loop_ticks_total{thread="data"}',
    'pyralog_loop_ticks_total{thread="control"}',
  ])
    expect([name, (after.get(name) ?? 0) > (before.get(name) ?? 0)]).toEqual([name, true]);
  expect(after.get("pyralog_disk_takes_writes")).toBe(1);
  expect(after.get("process_resident_memory_bytes")).toBeGreaterThan(1e6);
});

test("e2e: a refusal is counted under its reason", async () => {
  const [host = "", port = "0"] = server.address.split(":");
  const socket = await Bun.connect({ hostname: host, port: Number(port), socket: { data() {} } });
  socket.write(new Uint8Array([0xff, 0xff, 0xff, 0xff]));
  const counted = 'pyralog_refusals_total{reason="request length below 1"}';
  await until("the refusal is counted", async () => (await scrape()).get(counted) === 1);
  socket.end();
});

test("e2e: a node that takes requests is alive and ready", async () => {
  expect(await (await fetch(`${base}/healthz`)).json()).toEqual({ status: "alive" });
  const ready = await fetch(`${base}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([200, { status: "ready" }]);
});
