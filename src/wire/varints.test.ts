import { expect, test } from "bun:test";
import fc from "fast-check";
import { Varints } from "./varints.ts";

function zigzag(value: bigint): number[] {
  const out: number[] = [];
  let rest = value < 0n ? -value * 2n - 1n : value * 2n;
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
  return out;
}

function over(bytes: readonly number[]): Varints {
  const varints = new Varints();
  varints.reset(Uint8Array.from(bytes));
  return varints;
}

test("wire: a varint of 32 bits reads as written", () => {
  const property = fc.property(fc.integer(), (value) => {
    const bytes = zigzag(BigInt(value));
    const varints = over([...bytes, 0x55]);
    expect(varints.int32(bytes.length)).toBe(value);
    expect([varints.failed, varints.position]).toEqual([false, bytes.length]);
    expect([over(bytes).int32(bytes.length - 1)]).toEqual([0]);
  });
  fc.assert(property, { seed: 1, examples: [[0], [-1], [63], [64], [2147483647], [-2147483648]] });
});

test("wire: a varint of 64 bits reads as written, in two halves", () => {
  const edges = [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n, -(2n ** 32n), 2n ** 31n];
  const property = fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (value) => {
    const bytes = zigzag(value);
    const varints = over(bytes);
    varints.int64(bytes.length);
    expect(varints.failed).toBe(false);
    expect(varints.position).toBe(bytes.length);
    expect(BigInt(varints.high) * 2n ** 32n + BigInt(varints.low)).toBe(value);
    for (let end = 0; end < bytes.length; end += 1) {
      const cut = over(bytes);
      cut.int64(end);
      expect(cut.failed).toBe(true);
    }
  });
  fc.assert(property, { seed: 2, examples: edges.map((edge) => [edge]) });
});

test("wire: a varint beyond its width is refused, a padded one is taken", () => {
  const cases: readonly (readonly [readonly number[], boolean])[] = [
    [[0xfe, 0xff, 0xff, 0xff, 0x0f], true],
    [[0xfe, 0xff, 0xff, 0xff, 0x1f], false],
    [[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], false],
    [[0x80, 0x00], true],
    [[0x80], false],
    [[], false],
  ];
  for (const [bytes, taken] of cases) {
    const varints = over(bytes);
    varints.int32(bytes.length);
    expect(varints.failed).toBe(!taken);
  }
  const nine = Array<number>(9).fill(0xff);
  for (const [last, taken] of [
    [1, true],
    [2, false],
    [0x81, false],
  ] as const) {
    const varints = over([...nine, last, 0]);
    varints.int64(11);
    expect(varints.failed).toBe(!taken);
  }
});
