import { expect, test } from "bun:test";
import { httpBodiesBytesMax, jsonDepthMax } from "../../core/base/limits.ts";
import { BodyMemory, parseJson, withBody } from "./body.ts";
import { Problem } from "./problems.ts";

function post(body: ReadableStream | string, headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/", { method: "POST", body, headers });
}

async function slugOf(run: Promise<unknown>): Promise<string> {
  return run.then(
    () => "no problem",
    (error) => (error instanceof Problem ? error.slug : String(error)),
  );
}

test("server: a body that drips is given up, and its memory is free again", async () => {
  const memory = new BodyMemory();
  const silent = post(new ReadableStream({ start: (to) => to.enqueue(new Uint8Array(10)) }));
  const reading = withBody(memory, silent, httpBodiesBytesMax, () => {}, 20);
  expect(await slugOf(withBody(memory, post("more"), 100, () => {}))).toBe("busy");
  expect(await slugOf(reading)).toBe("slow-body");
  expect(await slugOf(withBody(memory, post("more"), 100, () => {}))).toBe("no problem");
});

test("server: a body is read up to its limit, whether its length is told or not", async () => {
  const memory = new BodyMemory();
  for (const [length, slug] of [
    [100, "no problem"],
    [101, "body-too-large"],
    [100_000, "body-too-large"],
  ] as const) {
    const text = "x".repeat(length);
    const told = post(text, { "content-length": String(length) });
    const untold = post(new Blob([text]).stream());
    for (const request of [told, untold])
      expect([length, await slugOf(withBody(memory, request, 100, () => {}))]).toEqual([
        length,
        slug,
      ]);
  }
});

test("server: the depth of a JSON text is judged before it is parsed, brackets in strings aside", () => {
  const nested = (depth: number) => Buffer.from("[".repeat(depth) + "]".repeat(depth));
  expect(parseJson(nested(jsonDepthMax))).toBeArray();
  expect(() => parseJson(nested(jsonDepthMax + 1))).toThrow(Problem);
  expect(parseJson(Buffer.from(`["${"[".repeat(1000)}\\"["]`))).toBeArray();
});
