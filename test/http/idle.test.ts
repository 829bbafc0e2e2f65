// Clients that keep something open and say nothing.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { get, type HttpServer, send, startHttp } from "./http.ts";

let node: HttpServer;
let base: string;

beforeAll(async () => {
  node = await startHttp({ kafka: { "connections.max.idle.ms": 1000 } });
  base = node.base();
  await send(`${base}/v1/topics`, "POST", { name: "t" });
});

afterAll(() => node.server.dispose());

test("http: a stream of lines whose client is silent is given up, what it sent is stored", async () => {
  const { hostname, port } = new URL(base);
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  let said = "";
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data(_socket, chunk) {
        said += chunk.toString();
      },
      close: () => resolve(),
    },
  });
  socket.write(
    "POST /v1/topics/t/records HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n" +
      'accept: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\nc\r\n{"value":1}\n\r\n',
  );
  await ended;
  expect(said).toContain('{"line":1,"partition":0,"offset":0}');
  expect((await get(`${base}/v1/topics/t/records`)).body.records).toHaveLength(1);
  const metrics = (await get(`${base}/metrics`)).body;
  expect(metrics).toContain('pyralog_refusals_total{reason="http stream idle"} 1');
});

test("http: a consumer of events may be silent for as long as it likes", async () => {
  const response = await fetch(`${base}/v1/topics/t/records`, {
    headers: { accept: "text/event-stream" },
  });
  const reader = response.body?.getReader();
  await reader?.read();
  const { hostname, port } = new URL(base);
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  // Another client that is given up shows that the time has passed.
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: { data: () => {}, close: () => resolve() },
  });
  socket.write(
    "POST /v1/topics/t/records HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n" +
      "accept: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n",
  );
  await ended;
  await send(`${base}/v1/topics/t/records`, "POST", { value: "still there" });
  const next = await reader?.read();
  expect(Buffer.from(next?.value ?? []).toString()).toContain("still there");
  await reader?.cancel();
});
