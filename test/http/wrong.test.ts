// Wrong uses of the HTTP API: each is answered with what is wrong and what to do next.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { curl, get, type HttpServer, jsonType, send, slugOf, startHttp } from "./http.ts";

let node: HttpServer;
let base: string;
let records: string;

beforeAll(async () => {
  node = await startHttp();
  base = node.base();
  await send(`${base}/v1/topics`, "POST", { name: "t", partitions: 2 });
  records = `${base}/v1/topics/t/records`;
});

afterAll(() => node.server.dispose());

test("http: an unknown topic is 404, and nothing creates it by mistake", async () => {
  const url = `${base}/v1/topics/nowhere/records`;
  for (const answer of [await send(url, "POST", { value: 1 }), await get(url)])
    expect([answer.status, slugOf(answer), answer.body.kafkaCode]).toEqual([
      ...[404, "unknown-topic", 3],
    ]);
  expect((await get(`${base}/v1/topics/nowhere`)).status).toBe(404);
});

test("http: a wrong partition is 404 and says which there are", async () => {
  const answer = await send(records, "POST", { value: 1, partition: 2 });
  expect([answer.status, slugOf(answer)]).toEqual([404, "unknown-partition"]);
  expect(answer.body.detail).toContain("0 to 1");
});

test("http: a record above max.message.bytes is 413, and so is a body above the limit (HTTP/1.1 and HTTP/2)", async () => {
  await send(`${base}/v1/topics`, "POST", { name: "small", config: { "max.message.bytes": 500 } });
  const large = { value: "x".repeat(600) };
  const record = await send(`${base}/v1/topics/small/records`, "POST", large);
  expect([record.status, slugOf(record)]).toEqual([413, "record-too-large"]);
  const body = JSON.stringify({ value: "x".repeat(1_100_000) });
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    const length = ["-H", "content-type: application/json", "--data-binary", "@-"];
    const chunked = ["-H", "content-type: application/json", "-X", "POST", "-T", "-"];
    for (const how of [length, chunked]) {
      const [text = "", status] = await curl([version, ...how, records], body);
      expect([version, status, JSON.parse(text).bytesMax]).toEqual([version, "413", 1_048_576]);
    }
  }
});

test("http: malformed JSON is 400", async () => {
  for (const text of ["{", '{"value":01}', "", '{"value":"\xff"}'.slice(0, -2), "nul"]) {
    const answer = await send(records, "POST", text);
    expect([text, answer.status, slugOf(answer)]).toEqual([text, 400, "malformed-json"]);
  }
  const bytes = Uint8Array.from([...Buffer.from('{"value":"'), 0xff, ...Buffer.from('"}')]);
  const answer = await send(records, "POST", bytes);
  expect([answer.status, slugOf(answer)]).toEqual([400, "malformed-json"]);
});

test("http: deep JSON is 422 before it is parsed (33 and 200,000 levels, 32 pass)", async () => {
  const nested = (depth: number) => `{"value":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
  for (const depth of [33, 200_000]) {
    const answer = await send(records, "POST", nested(depth));
    expect([depth, answer.status, slugOf(answer)]).toEqual([depth, 422, "validation"]);
  }
  expect((await send(records, "POST", nested(32))).status).toBe(200);
  const many = `{"records":[{"value":${"[".repeat(31)}${"]".repeat(31)}}]}`;
  expect((await send(records, "POST", many)).status).toBe(422);
});

test("http: a wrong or missing media type is 415 with the one that fits (curl -d)", async () => {
  for (const headers of [{ "content-type": "image/png" }, { "content-type": "" }]) {
    const answer = await send(records, "POST", '{"value":1}', headers);
    expect([answer.status, slugOf(answer)]).toEqual([415, "unsupported-media-type"]);
    expect(answer.headers.get("accept-post")).toContain("application/x-ndjson");
  }
  const [text = "", status] = await curl(["-d", '{"value":1}', records]);
  expect(status).toBe("415");
  expect(JSON.parse(text).detail).toContain("curl -H 'content-type: application/json'");
});

test("http: a wrong method is 405 with those that the path takes, another path 404", async () => {
  const method = await send(`${base}/v1/topics`, "PUT", {});
  expect([method.status, slugOf(method)]).toEqual([405, "method-not-allowed"]);
  expect(method.headers.get("allow")).toBe("GET, POST");
  const path = await get(`${base}/v2/topics`);
  expect([path.status, slugOf(path)]).toEqual([404, "not-found"]);
});

test("http: an unknown member or parameter is 422 with the one that was meant", async () => {
  const member = await send(records, "POST", { value: 1, partitoin: 0 });
  expect([member.status, slugOf(member)]).toEqual([422, "validation"]);
  expect(member.body.detail).toContain('Did you mean "partition"?');
  const parameter = await get(`${records}?form=earliest`);
  expect(parameter.status).toBe(422);
  expect(parameter.body.detail).toContain('Did you mean "from"?');
  const proto = await send(records, "POST", '{"value":1,"__proto__":{"partition":0}}');
  expect(proto.status).toBe(422);
});

test("http: values that are no values are 422 (partition, time, surrogate, nothing, both)", async () => {
  for (const text of [
    '{"value":1,"partition":-1}',
    '{"value":1,"partition":1.5}',
    '{"value":1,"timestamp":"yesterday"}',
    '{"value":1,"timestamp":5}',
    '{"value":"\\ud800"}',
    "{}",
    "[]",
    "7",
    '{"value":1,"valueBase64":"AA=="}',
    '{"records":[]}',
    '{"records":{}}',
  ]) {
    const answer = await send(records, "POST", text);
    expect([text, answer.status, slugOf(answer)]).toEqual([text, 422, "validation"]);
  }
});

test("http: what no client may write is refused (internal topic, key of a compacted topic)", async () => {
  const config = { "cleanup.policy": "compact" };
  await send(`${base}/v1/topics`, "POST", { name: "compacted", config });
  const keyless = await send(`${base}/v1/topics/compacted/records`, "POST", { value: 1 });
  expect([keyless.status, slugOf(keyless)]).toEqual([422, "invalid-record"]);
  const name = await send(`${base}/v1/topics`, "POST", { name: "a/b" });
  expect([name.status, slugOf(name)]).toEqual([422, "invalid-topic-name"]);
});

test("http: a representation that there is not is 406", async () => {
  const answer = await get(records, { accept: "image/png" });
  expect([answer.status, slugOf(answer)]).toEqual([406, "not-acceptable"]);
});

test("http: more records than one body may have are 413, and none of them is stored", async () => {
  const before = await get(`${base}/v1/topics/t/partitions`);
  const body = `{"records":[${Array.from({ length: 10_001 }, () => '{"value":1}').join(",")}]}`;
  const answer = await send(records, "POST", body, jsonType);
  expect([answer.status, slugOf(answer)]).toEqual([413, "body-too-large"]);
  expect((await get(`${base}/v1/topics/t/partitions`)).body).toEqual(before.body);
});
