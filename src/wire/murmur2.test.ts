import { expect, test } from "bun:test";
import { murmur2, partitionOfKey } from "./murmur2.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** org.apache.kafka.common.utils.UtilsTest.testMurmur2. */
const vectors: readonly (readonly [string, number])[] = [
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107],
];

for (const [text, hash] of vectors) {
  test(`wire: murmur2 as Kafka computes it (${text})`, () => {
    expect(murmur2(bytes(text))).toBe(hash);
    // The sign is masked away, not negated.
    expect(partitionOfKey(bytes(text), 6)).toBe((hash & 0x7fffffff) % 6);
  });
}

test("wire: murmur2 sees bytes above 127 as unsigned (Bun's own as the oracle)", () => {
  for (let length = 0; length < 40; length += 1) {
    const key = Uint8Array.from({ length }, (_, i) => (i * 37 + length * 101) & 0xff);
    expect(murmur2(key) >>> 0).toBe(Bun.hash.murmur32v2(key, 0x9747b28c) >>> 0);
  }
});
