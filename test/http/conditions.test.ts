// Idempotency-Key and Pyralog-Expected-Offset: decided in the core, so that kills, races and Kafka
// producers beside it change nothing.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { kcat } from "../harness/kcat.ts";
import {
  type HttpServer,
  jsonType,
  linesType,
  send,
  slugOf,
  startHttp,
  type Told,
} from "./http.ts";

let node: HttpServer;
let base: string;

beforeAll(async () => {
  node = await startHttp();
  base = node.base();
});

afterAll(() => node.server.dispose());

async function topic(name: string, partitions = 1): Promise<void> {
  await send(`${base}/v1/topics`, "POST", { name, partitions });
}

function produce(
  name: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Told | null> {
  const url = `${base}/v1/topics/${name}/records`;
  return send(url, "POST", body, { ...jsonType, ...headers }).catch(() => null);
}

async function values(name: string): Promise<readonly string[]> {
  const text = (await kcat(node.server.address, ["-C", "-t", name, "-e", "-q"])).toString();
  return text === "" ? [] : text.trimEnd().split("\n");
}

test("http: a thousand keys sent twice, some at once, with kill -9 between, are stored once", async () => {
  await topic("once", 3);
  const count = 1000;
  const one = (n: number) => produce("once", { value: n }, { "idempotency-key": `key-${n}` });
  const first: (Told | null)[] = [];
  for (let n = 0; n < count; n += 50) {
    const round = Array.from({ length: 50 }, (_, i) => one(n + i));
    // The killed round is sent again below, whatever became of it.
    if (n === 500) {
      await Promise.race(round);
      await node.server.kill9();
      await node.server.start();
      base = node.base();
    }
    first.push(...(await Promise.all(round)));
  }
  const again: (Told | null)[] = [];
  for (let n = 0; n < count; n += 50) {
    const twice = Array.from({ length: 50 }, (_, i) => [one(n + i), one(n + i)]).flat();
    const both = await Promise.all(twice);
    for (let i = 0; i < both.length; i += 2) {
      expect(both[i]?.body.offsets).toEqual(both[i + 1]?.body.offsets);
      again.push(both[i] ?? null);
    }
  }
  for (const [n, told] of again.entries()) {
    expect(told?.status).toBe(200);
    // What was answered before the kill is answered again, word for word.
    if (first[n]?.status === 200) expect(told?.body).toEqual(first[n]?.body);
  }
  const stored = await values("once");
  expect(stored).toHaveLength(count);
  expect(new Set(stored).size).toBe(count);
});

test("http: a key with another payload is 422, with another key the payload is another request", async () => {
  await topic("reused");
  const key = { "idempotency-key": "k" };
  expect((await produce("reused", { value: 1 }, key))?.status).toBe(200);
  const other = await produce("reused", { value: 2 }, key);
  expect([other?.status, other && slugOf(other)]).toEqual([422, "idempotency-reused"]);
  await produce("reused", { value: 1 }, { "idempotency-key": "l" });
  expect(await values("reused")).toEqual(["1", "1"]);
});

test("http: many records under one key are stored once in every partition", async () => {
  await topic("group", 4);
  const records = Array.from({ length: 100 }, (_, i) => ({ value: i, key: `k${i}` }));
  const key = { "idempotency-key": "all" };
  const first = await produce("group", { records }, key);
  const again = await produce("group", { records }, key);
  expect(again?.body).toEqual(first?.body);
  expect(await values("group")).toHaveLength(100);
});

test("http: of a hundred writers with one expected offset one wins", async () => {
  await topic("race");
  for (const offset of [0, 1, 2]) {
    const writers = Array.from({ length: 100 }, (_, i) =>
      produce("race", { value: i }, { "pyralog-expected-offset": `${offset}` }),
    );
    const told = await Promise.all(writers);
    expect(told.filter((each) => each?.status === 200)).toHaveLength(1);
    const lost = told.filter((each) => each?.status === 409);
    expect(lost).toHaveLength(99);
    expect(lost[0] && slugOf(lost[0])).toBe("offset-mismatch");
  }
  expect(await values("race")).toHaveLength(3);
});

test("http: conditions that cannot be kept are refused (lines, several partitions, no offset, empty key)", async () => {
  await topic("unfit", 2);
  const records = [
    { value: 1, partition: 0 },
    { value: 2, partition: 1 },
  ];
  for (const [body, headers] of [
    ['{"value":1}\n', { ...linesType, "idempotency-key": "k" }],
    [{ records }, { "pyralog-expected-offset": "0" }],
    [{ value: 1 }, { "pyralog-expected-offset": "last" }],
    [{ value: 1 }, { "idempotency-key": "" }],
  ] as const) {
    const told = await produce("unfit", body, { ...headers });
    expect([told?.status, told && slugOf(told)]).toEqual([422, "validation"]);
  }
  expect(await values("unfit")).toEqual([]);
});
