// The OpenAPI document and the page over it.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { get, type HttpServer, startHttp } from "./http.ts";

let node: HttpServer;
let base: string;

beforeAll(async () => {
  node = await startHttp();
  base = node.base();
});

afterAll(() => node.server.dispose());

test("http: the document names every route once, with what each may answer", async () => {
  const { body } = await get(`${base}/openapi.json`);
  expect(body.openapi).toBe("3.0.3");
  const produce = body.paths["/v1/topics/{topic}/records"].post;
  expect(Object.keys(produce.requestBody.content)).toContain("application/vnd.pyralog.batch");
  expect(Object.keys(produce.responses)).toEqual(expect.arrayContaining(["200", "207", "415"]));
  const operations = Object.values<Record<string, { operationId: string }>>(body.paths).flatMap(
    (path) => Object.values(path),
  );
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(body.paths["/docs"]).toBeUndefined();
});

test("http: the document has only words of OpenAPI 3.0 (no const, no null type, no list of examples)", async () => {
  const text = JSON.stringify((await get(`${base}/openapi.json`)).body);
  expect(text).not.toContain('"const"');
  expect(text).not.toContain('"type":"null"');
  expect(text).not.toContain('"patternProperties"');
  expect(text).not.toContain('"examples"');
});

test("http: the page and all it loads come from the node itself", async () => {
  const page = await fetch(`${base}/docs`);
  const html = await page.text();
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(html).not.toMatch(/https?:/);
  const parts = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((match) => match[1] ?? "");
  expect(parts).toEqual(["/docs/ui.css", "/docs/ui.js", "/docs/start.js"]);
  for (const part of parts) {
    const response = await fetch(base + part);
    expect([part, response.status, (await response.text()).length > 100]).toEqual([
      ...[part, 200, true],
    ]);
  }
});
