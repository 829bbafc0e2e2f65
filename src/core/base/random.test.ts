import { expect, test } from "bun:test";
import { Random } from "./random.ts";

test("base: one seed gives one sequence, another concern another", () => {
  const a = new Random([1, 2, 3, 4], 1);
  const b = new Random([1, 2, 3, 4], 1);
  const c = new Random([1, 2, 3, 4], 2);
  const first = Array.from({ length: 20 }, () => a.uint32());
  expect(Array.from({ length: 20 }, () => b.uint32())).toEqual(first);
  expect(Array.from({ length: 20 }, () => c.uint32())).not.toEqual(first);
});

test("base: ids are canonical base64url of 16 bytes and do not repeat", () => {
  const random = new Random([5, 6, 7, 8], 0);
  const seen = new Set<string>();
  for (let i = 0; i < 1000; i += 1) {
    const id = random.id();
    expect(Buffer.from(id, "base64url").toString("base64url")).toBe(id);
    expect(Buffer.from(id, "base64url").byteLength).toBe(16);
    seen.add(id);
  }
  expect(seen.size).toBe(1000);
});
