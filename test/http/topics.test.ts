// Topics, cluster and health over HTTP.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { curl, get, type HttpServer, send, slugOf, startHttp } from "./http.ts";
import { kcat } from "../harness/kcat.ts";

let node: HttpServer;
let base: string;

beforeAll(async () => {
  node = await startHttp();
  base = node.base();
});

afterAll(() => node.server.dispose());

test("http: a topic is created, described, changed and deleted", async () => {
  const asked = { name: "orders", partitions: 3, config: { "retention.ms": 100_000 } };
  const dry = await send(`${base}/v1/topics?dryRun=true`, "POST", asked);
  expect([dry.status, dry.body.partitions]).toEqual([200, 3]);
  expect((await get(`${base}/v1/topics/orders`)).status).toBe(404);
  const created = await send(`${base}/v1/topics`, "POST", asked);
  expect([created.status, created.headers.get("location")]).toEqual([201, "/v1/topics/orders"]);
  const again = await send(`${base}/v1/topics`, "POST", asked);
  expect([again.status, slugOf(again), again.body.kafkaCode]).toEqual([409, "topic-exists", 36]);
  const change = { config: { "retention.ms": null, "max.message.bytes": 5000 } };
  const changed = await send(`${base}/v1/topics/orders`, "PATCH", change);
  expect(changed.body.config).toEqual({ "max.message.bytes": "5000" });
  const setting = `${base}/v1/topics/orders/config/cleanup.policy`;
  const set = await send(setting, "PUT", { value: "compact" });
  expect([set.status, set.body.value, set.body.source]).toEqual([200, "compact", "topic"]);
  expect((await get(setting)).body.value).toBe("compact");
  const wrong = await send(setting, "PUT", { value: "burn" });
  expect([wrong.status, slugOf(wrong)]).toEqual([422, "invalid-config"]);
  const more = await send(`${base}/v1/topics/orders/partitions`, "POST", { count: 5 });
  expect(more.body.items).toHaveLength(5);
  const fewer = await send(`${base}/v1/topics/orders/partitions`, "POST", { count: 2 });
  expect([fewer.status, slugOf(fewer)]).toEqual([422, "invalid-partitions"]);
  // What HTTP made, a Kafka client sees.
  const seen = (await kcat(node.server.address, ["-L", "-t", "orders"])).toString();
  expect(seen).toContain('topic "orders" with 5 partitions');
  const gone = await send(`${base}/v1/topics/orders`, "DELETE");
  expect(gone.status).toBe(204);
  expect((await get(`${base}/v1/topics/orders`)).status).toBe(404);
});

test("http: records before an offset are deleted, and the offsets that stay are told", async () => {
  await send(`${base}/v1/topics`, "POST", { name: "trim" });
  const url = `${base}/v1/topics/trim/records`;
  await send(url, "POST", { records: [{ value: 1 }, { value: 2 }, { value: 3 }] });
  const done = await send(`${url}?partition=0&before=2`, "DELETE");
  expect([done.status, done.body]).toEqual([200, { partition: 0, startOffset: 2 }]);
  expect((await get(url)).body.records.map((each: { value: number }) => each.value)).toEqual([3]);
  const beyond = await send(`${url}?partition=0&before=9`, "DELETE");
  expect([beyond.status, slugOf(beyond)]).toEqual([416, "offset-out-of-range"]);
  expect((await send(url, "DELETE")).status).toBe(422);
});

test("http: lists come in pages, and the cursor leads through all of them", async () => {
  for (const name of ["page-a", "page-b", "page-c"])
    await send(`${base}/v1/topics`, "POST", { name });
  const names: string[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page = await get(`${base}/v1/topics?limit=2&prefix=page-&cursor=${cursor}`);
    names.push(...page.body.items.map((topic: { name: string }) => topic.name));
    cursor = page.body.nextCursor;
  }
  expect(names).toEqual(["page-a", "page-b", "page-c"]);
});

test("http: the cluster and its nodes are described (HTTP/1.1 and HTTP/2)", async () => {
  const cluster = await get(`${base}/v1/cluster`);
  expect(cluster.body.nodes).toBe(1);
  expect((await get(`${base}/v1/nodes/1`)).body.port).toBe(node.server.port);
  expect((await get(`${base}/v1/nodes/7`)).status).toBe(404);
  const [text = "", status, version] = await curl([
    "--http2-prior-knowledge",
    `${base}/v1/cluster`,
  ]);
  expect([status, version]).toEqual(["200", "2"]);
  expect(JSON.parse(text).clusterId).toBe(cluster.body.clusterId);
});

test("http: health, readiness and metrics answer on the same port", async () => {
  expect((await get(`${base}/healthz`)).body).toEqual({ status: "alive" });
  expect((await get(`${base}/readyz`)).body).toEqual({ status: "ready" });
  const metrics = await get(`${base}/metrics`);
  expect(metrics.headers.get("content-type")).toContain("version=0.0.4");
  expect(metrics.body).toContain("pyralog_appended_batches_total");
});
