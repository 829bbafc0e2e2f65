// Produce over HTTP, read by a Kafka client.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildBatch } from "../../src/wire/records.ts";
import { partitionOfKey } from "../../src/wire/murmur2.ts";
import { kcat } from "../harness/kcat.ts";
import {
  curl,
  get,
  type HttpServer,
  jsonType,
  linesType,
  send,
  slugOf,
  startHttp,
} from "./http.ts";

let node: HttpServer;
let base: string;

beforeAll(async () => {
  node = await startHttp();
  base = node.base();
});

afterAll(() => node.server.dispose());

async function topic(name: string, config: object = {}, partitions = 1): Promise<string> {
  await send(`${base}/v1/topics`, "POST", { name, partitions, config });
  return `${base}/v1/topics/${name}/records`;
}

/** Values of a topic, each on a line. */
async function values(name: string, format = "%s\n"): Promise<string> {
  const args = ["-C", "-t", name, "-e", "-q", "-f", format];
  return (await kcat(node.server.address, args)).toString();
}

test("http: a JSON value is stored byte for byte, a string as its characters", async () => {
  const url = await topic("exact");
  const exact = '{"id":12345678901234567890,"x":1.0}';
  for (const text of [
    `{"value":${exact}}`,
    `{ "value" : ${exact} , "key": [1.50] }`,
    '{"value":"a\\u00e9\\n\\"","key":"k"}',
    '{"v\\u0061lue":  1e2}',
    '{"value":1,"value":2.0}',
  ])
    expect((await send(url, "POST", text)).status).toBe(200);
  expect(await values("exact", "%k|%s;")).toBe(`|${exact};[1.50]|${exact};k|aé\n";|1e2;|2.0;`);
  const page = await get(`${url}?limit=1`);
  expect(page.body.records[0].offset).toBe(0);
  expect(await (await fetch(`${url}?limit=1`)).text()).toContain(exact);
});

test("http: key, headers, partition and time arrive as Kafka has them", async () => {
  const url = await topic("parts", {}, 4);
  const sent = await send(url, "POST", {
    records: [
      { key: "foobar", value: "by-key" },
      {
        partition: 3,
        value: null,
        key: "gone",
        timestamp: "2026-01-02T03:04:05.678Z",
        headers: [
          { key: "a", value: "b" },
          { key: "a", value: null },
        ],
      },
      { valueBase64: "AP8=", partition: 2 },
    ],
  });
  const placed = partitionOfKey(Buffer.from("foobar"), 4);
  expect(sent.body.offsets[0].partition).toBe(placed);
  expect(sent.body.offsets[1]).toEqual({
    partition: 3,
    offset: placed === 3 ? 1 : 0,
    timestamp: "2026-01-02T03:04:05.678Z",
  });
  const shown = await values("parts", "%p %k %S %T %h\n");
  expect(shown).toContain("3 gone -1 1767323045678 a=b,a=NULL");
  expect(shown).toContain("2  2 ");
});

test("http: bytes of a body are one value, with key and headers beside it (HTTP/2)", async () => {
  const url = await topic("bytes");
  const [, status, version] = await curl(
    [
      ...["--http2-prior-knowledge", "--data-binary", "@-"],
      ...["-H", "content-type: application/octet-stream", "-H", "x-record-header-trace: 7"],
      `${url}?key=k%201`,
    ],
    '{"not":looked at',
  );
  expect([status, version]).toEqual(["200", "2"]);
  expect(await values("bytes", "%k %s %h")).toBe('k 1 {"not":looked at trace=7');
});

test("http: a record batch is stored as it is, and judged like one of a Kafka client", async () => {
  const url = await topic("batch");
  const media = { "content-type": "application/vnd.pyralog.batch" };
  const batch = buildBatch([
    { key: null, value: Buffer.from("one"), timestamp: 1_700_000_000_000 },
    { key: null, value: Buffer.from("two"), timestamp: 1_700_000_000_001 },
  ]);
  const sent = await send(`${url}?partition=0`, "POST", batch, media);
  expect(sent.body.offsets).toEqual([{ partition: 0, offset: 0, timestamp: null }]);
  const broken = batch.slice();
  broken[70] = (broken[70] ?? 0) ^ 1;
  const refused = await send(`${url}?partition=0`, "POST", broken, media);
  expect([refused.status, slugOf(refused)]).toEqual([422, "corrupt-batch"]);
  const lost = await send(url, "POST", batch, media);
  expect([lost.status, slugOf(lost)]).toEqual([422, "validation"]);
  expect(await values("batch")).toBe("one\ntwo\n");
});

test("http: of records for several partitions each has its own outcome (207)", async () => {
  const url = await topic("mixed", { "max.message.bytes": 300 }, 2);
  const mixed = await send(url, "POST", {
    records: [
      { value: "small", partition: 0 },
      { value: "x".repeat(400), partition: 1 },
    ],
  });
  expect(mixed.status).toBe(207);
  expect(mixed.body.offsets[0].offset).toBe(0);
  expect(mixed.body.offsets[1].problem.status).toBe(413);
});

test("http: acks=none answers before anything is stored (202)", async () => {
  const url = await topic("hurry");
  const sent = await send(`${url}?acks=none`, "POST", { value: 1 });
  expect([sent.status, sent.body.offsets]).toEqual([202, []]);
  // Whatever is acknowledged behind it, is stored behind it.
  const next = await send(url, "POST", { value: 2 });
  expect(next.body.offsets[0].offset).toBe(1);
});

test("http: lines are answered one by one while the request is open (each after the answer before)", async () => {
  const url = new URL(await topic("dialogue"));
  const count = 50;
  const said: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let sent = 0;
  const socket = await Bun.connect({
    hostname: url.hostname,
    port: Number(url.port),
    socket: {
      data(socket, chunk) {
        const text = chunk.toString();
        said.push(text);
        if (text.includes('"done"')) return resolve();
        if (!text.includes('"line":')) return;
        sent += 1;
        if (sent < count) line(socket, sent);
        else socket.write("0\r\n\r\n");
      },
      close: () => reject(new Error(`closed after ${sent} lines`)),
    },
  });
  const line = (to: { write(text: string): number }, n: number): void => {
    const text = `{"value":${n}}\n`;
    to.write(`${text.length.toString(16)}\r\n${text}\r\n`);
  };
  socket.write(
    `POST ${url.pathname} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n` +
      "accept: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n",
  );
  line(socket, 0);
  await promise;
  socket.end();
  expect(said.join("")).toContain(`{"done":true,"lines":${count},"failed":0}`);
  const numbers = Array.from({ length: count }, (_, i) => `${i}\n`).join("");
  expect(await values("dialogue")).toBe(numbers);
});

test("http: a bad line is told, the lines around it are stored, blank ones count", async () => {
  const url = await topic("lines", {}, 3);
  const text = '{"value":1,"key":"a"}\n\n{"value":}\n{"value":2,"partition":9}\n{"value":3}';
  const answered = await send(url, "POST", text, linesType);
  const lines = answered.body
    .trim()
    .split("\n")
    .map((line: string) => JSON.parse(line));
  expect(lines.map((each: { line: number }) => each.line)).toEqual([1, 3, 4, 5, undefined]);
  expect(lines[1].problem.status).toBe(400);
  expect(lines[2].problem.status).toBe(404);
  expect(lines[4]).toEqual({ done: true, lines: 4, failed: 2 });
  const summary = await send(url, "POST", text, { "content-type": "application/x-ndjson" });
  expect([summary.status, summary.body.failed, summary.body.problems[0].line]).toEqual([207, 2, 3]);
});

test("http: lines longer than a chunk and than the limit, in pieces of every size", async () => {
  const url = await topic("long", { "max.message.bytes": 2_000_000 });
  const long = `{"value":"${"y".repeat(600_000)}"}`;
  const tooLong = `{"value":"${"z".repeat(1_100_000)}"}`;
  const answered = await send(url, "POST", `${long}\n${tooLong}\n{"value":1}\n`, linesType);
  const lines = answered.body
    .trim()
    .split("\n")
    .map((line: string) => JSON.parse(line));
  expect(lines[0].offset).toBe(0);
  expect(lines[1].problem.status).toBe(413);
  expect(lines[2]).toEqual({ line: 3, partition: 0, offset: 1 });
});

test("http: a hundred thousand lines are answered in order and stored once (HTTP/1.1 and HTTP/2)", async () => {
  const url = await topic("many", {}, 6);
  const count = 100_000;
  const lines = Array.from({ length: count }, (_, i) => `{"value":${i},"key":"${i % 1000}"}\n`);
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    const head = Object.entries(linesType).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
    const [text = ""] = await curl(
      [version, "-X", "POST", "-T", "-", ...head, url],
      lines.join(""),
    );
    const answers = text.trimEnd().split("\n");
    expect(answers).toHaveLength(count + 1);
    expect(answers.every((line, i) => i === count || line.startsWith(`{"line":${i + 1},`))).toBe(
      true,
    );
    expect(answers[count]).toBe(`{"done":true,"lines":${count},"failed":0}`);
  }
  const stored = (await values("many")).trimEnd().split("\n");
  expect(stored).toHaveLength(2 * count);
  expect(new Set(stored).size).toBe(count);
});

test("http: a stop answers what it took, and what was answered is there after the next start", async () => {
  const url = await topic("stopping");
  const answers = Array.from({ length: 50 }, (_, i) =>
    send(url, "POST", { value: i }, jsonType).catch(() => null),
  );
  const first = await Promise.race(answers);
  expect(first?.status).toBe(200);
  await node.server.stop();
  const done = await Promise.all(answers);
  await node.server.start();
  base = node.base();
  const stored = (await values("stopping")).trimEnd().split("\n");
  const acknowledged = done.flatMap((told, i) => (told?.status === 200 ? [String(i)] : []));
  expect(acknowledged.filter((value) => !stored.includes(value))).toEqual([]);
});
