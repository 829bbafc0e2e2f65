// Consume and browse over HTTP, written by a Kafka client.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { kcat } from "../harness/kcat.ts";
import { get, type HttpServer, send, slugOf, startHttp } from "./http.ts";

let node: HttpServer;
let base: string;

beforeAll(async () => {
  node = await startHttp();
  base = node.base();
});

afterAll(() => node.server.dispose());

async function topic(name: string, partitions = 1): Promise<string> {
  await send(`${base}/v1/topics`, "POST", { name, partitions });
  return `${base}/v1/topics/${name}/records`;
}

interface Shown {
  readonly partition: number;
  readonly offset: number;
  readonly value: unknown;
}

for (const codec of ["none", "gzip", "snappy", "lz4", "zstd"]) {
  test(`http: batches of Kafka clients are read from any place in them (${codec})`, async () => {
    const url = await topic(`codec-${codec}`);
    const lines = Array.from({ length: 100 }, (_, i) => `{"n": ${i}}\n`).join("");
    const args = ["-P", "-t", `codec-${codec}`, "-z", codec, "-X", "linger.ms=200"];
    await kcat(node.server.address, args, lines);
    const read = async (from: string) => {
      const page = await get(`${url}?from=${from}&limit=3`);
      return page.body.records.map(({ offset, value }: Shown) => [offset, value]);
    };
    const rows = (...at: number[]) => at.map((n) => [n, { n }]);
    expect(await read("earliest")).toEqual(rows(0, 1, 2));
    expect(await read("offset:42")).toEqual(rows(42, 43, 44));
    expect(await read("-2")).toEqual(rows(98, 99));
    expect(await read("latest")).toEqual([]);
    expect(await read("time:2001-01-01T00:00:00Z")).toEqual(rows(0, 1, 2));
  });
}

test("http: `next` leads through a topic record by record", async () => {
  const url = await topic("pages", 3);
  const args = ["-P", "-t", "pages", "-K", ":"];
  const lines = Array.from({ length: 200 }, (_, i) => `k${i}:v${i}\n`).join("");
  await kcat(node.server.address, args, lines);
  const seen: unknown[] = [];
  let from = "earliest";
  for (;;) {
    const { body } = await get(`${url}?from=${from}&limit=7`);
    if (body.records.length === 0) break;
    seen.push(...body.records.map(({ value }: Shown) => value));
    from = body.next;
  }
  expect(seen).toHaveLength(200);
  expect(new Set(seen).size).toBe(200);
});

test("http: a long poll is answered by the next record, not by its deadline", async () => {
  const url = await topic("poll");
  const waiting = get(`${url}?from=latest&wait=60s`);
  // Beyond the wait of the poll this test would end by its own limit.
  let answered = false;
  void waiting.then(() => {
    answered = true;
  });
  while (!answered) {
    await send(url, "POST", { value: "now" });
    await Bun.sleep(20);
  }
  expect((await waiting).body.records[0].value).toBe("now");
});

test("http: an offset that is not there is 416 with the ends, or the nearest with clamp", async () => {
  const url = await topic("ends");
  await kcat(node.server.address, ["-P", "-t", "ends"], "a\nb\n");
  const beyond = await get(`${url}?from=offset:9`);
  expect([beyond.status, slugOf(beyond)]).toEqual([416, "offset-out-of-range"]);
  expect([beyond.body.start, beyond.body.end]).toEqual([0, 2]);
  expect((await get(`${url}?from=offset:9&clamp=true`)).body.next).toBe("0:2");
  const head = await fetch(url, { method: "HEAD" });
  expect(head.headers.get("pyralog-offsets")).toBe("0:0-2");
});

test("http: text, JSON and bytes are told apart, and can be asked for", async () => {
  const url = await topic("kinds");
  const records = [
    { value: '{"a":\n1}' },
    { value: "plain" },
    { valueBase64: "/wA=" },
    { value: null },
    { value: `${"[".repeat(40)}${"]".repeat(40)}` },
  ];
  await send(url, "POST", { records });
  const lines = await fetch(url, { headers: { accept: "application/x-ndjson" } });
  const shown = (await lines.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(shown.map(({ value, valueBase64 }) => value ?? valueBase64 ?? null)).toEqual([
    { a: 1 },
    "plain",
    "/wA=",
    null,
    `${"[".repeat(40)}${"]".repeat(40)}`,
  ]);
  const text = await get(`${url}?valueFormat=text&limit=1`);
  expect(text.body.records[0].value).toBe('{"a":\n1}');
  const bytes = await get(`${url}?valueFormat=base64&limit=2`);
  expect(bytes.body.records[1].valueBase64).toBe(Buffer.from("plain").toString("base64"));
  const joined = await fetch(`${url}?limit=2&delimiter=%00`, {
    headers: { accept: "application/octet-stream" },
  });
  expect(await joined.text()).toBe('{"a":\n1}\0plain\0');
});

test("http: one record has an ETag, and the client that has it is told so", async () => {
  const url = `${base}/v1/topics/single/partitions/0/records`;
  await topic("single");
  await send(`${base}/v1/topics/single/records`, "POST", { value: { a: 1 } });
  const first = await get(`${url}/0`);
  expect([first.status, first.body.value]).toEqual([200, { a: 1 }]);
  expect(first.headers.get("cache-control")).toContain("immutable");
  const again = await get(`${url}/0`, { "if-none-match": first.headers.get("etag") ?? "" });
  expect(again.status).toBe(304);
  const missing = await get(`${url}/1`);
  expect([missing.status, slugOf(missing)]).toEqual([404, "not-found"]);
});

test("http: a consumer of events that is cut fifty times loses nothing and sees nothing twice", async () => {
  const url = await topic("events", 6);
  const count = 2000;
  const producing = (async () => {
    for (let i = 0; i < count; i += 20) {
      const records = Array.from({ length: 20 }, (_, k) => ({ value: i + k, key: `k${i + k}` }));
      expect((await send(url, "POST", { records })).status).toBe(200);
    }
  })();
  const seen = new Map<unknown, number>();
  let id = "";
  let cuts = 0;
  while (cuts < 50 || seen.size < count) {
    const control = new AbortController();
    const headers = { accept: "text/event-stream", ...(id !== "" && { "last-event-id": id }) };
    const response = await fetch(`${url}?from=earliest`, { headers, signal: control.signal });
    let rest = "";
    let events = 0;
    // Cut in the middle of whatever comes, also of an event.
    const eventsMax = cuts < 50 ? 1 + ((cuts * 37) % 60) : Number.POSITIVE_INFINITY;
    const decoder = new TextDecoder();
    if (response.body === null) throw new Error("no body");
    for await (const chunk of response.body) {
      rest += decoder.decode(chunk, { stream: true });
      const parts = rest.split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        if (events >= eventsMax) break;
        events += 1;
        id = /^id: (.*)$/m.exec(part)?.[1] ?? id;
        if (!part.startsWith("event: record")) continue;
        const { value } = JSON.parse(/^data: (.*)$/m.exec(part)?.[1] ?? "{}");
        seen.set(value, (seen.get(value) ?? 0) + 1);
      }
      if (events >= eventsMax || seen.size >= count) break;
    }
    control.abort();
    cuts += 1;
  }
  await producing;
  expect(cuts).toBeGreaterThanOrEqual(50);
  expect(seen.size).toBe(count);
  expect([...seen.values()].every((times) => times === 1)).toBe(true);
});

test("http: events go on in partitions that are added, and end when the node stops", async () => {
  const url = await topic("growing");
  const response = await fetch(url, { headers: { accept: "text/event-stream" } });
  const reader = response.body?.getReader();
  let text = "";
  const until = async (wanted: string): Promise<void> => {
    while (!text.includes(wanted)) {
      const next = await reader?.read();
      if (next === undefined || next.done) throw new Error(`ended before ${wanted}: ${text}`);
      text += Buffer.from(next.value).toString();
    }
  };
  await until("event: position");
  await send(`${base}/v1/topics/growing/partitions`, "POST", { count: 2 });
  await send(url, "POST", { value: "old", partition: 0 });
  await until('"value":"old"');
  await send(url, "POST", { value: "new", partition: 1 });
  await send(url, "POST", { value: "last", partition: 0 });
  await until('"value":"new"');
  await node.server.stop();
  await reader?.read().catch(() => {});
  await node.server.start();
  base = node.base();
});
