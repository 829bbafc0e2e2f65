import { expect, test } from "bun:test";
import { murmur2, partitionOfKey, StickyPartitioner } from "./partitioner.ts";

/** From Kafka's UtilsTest.testMurmur2. */
const vectors: readonly (readonly [string, number])[] = [
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
];

for (const [text, hash] of vectors) {
  test(`client: murmur2 is Kafka's ("${text}")`, () => {
    expect(murmur2(new TextEncoder().encode(text))).toBe(hash);
  });
}

test("client: murmur2 of three bytes is Kafka's (abc)", () => {
  expect(murmur2(Buffer.from("abc"))).toBe(479470107);
});

test("client: a key has one partition, never a negative one", () => {
  for (let i = 0; i < 1000; i += 1) {
    const key = Buffer.from(`key-${i}`);
    const partition = partitionOfKey(key, 7);
    expect(partition).toBe((murmur2(key) & 0x7fffffff) % 7);
    expect(partition).toBeGreaterThanOrEqual(0);
    expect(partition).toBeLessThan(7);
  }
});

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
