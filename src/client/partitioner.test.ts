import { expect, test } from "bun:test";
import { StickyPartitioner } from "./partitioner.ts";

test("client: records without a key stay on a partition until its batch is full", () => {
  const sticky = new StickyPartitioner();
  const all = [0, 1, 2];
  const first = sticky.pick(all);
  for (let i = 0; i < 20; i += 1) expect(sticky.pick(all)).toBe(first);
  sticky.turn((first + 1) % 3, all);
  expect(sticky.pick(all)).toBe(first);
  sticky.turn(first, all);
  const second = sticky.pick(all);
  expect(second).not.toBe(first);
  expect(sticky.pick([first])).toBe(first);
});
