import { expect, test } from "bun:test";
import fc from "fast-check";
import { crc32c } from "./crc32c.ts";

/** The definition, a bit at a time. */
function bitwise(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

test("wire: CRC-32C of the vectors in RFC 3720 appendix B.4", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(ascending)).toBe(0x46dd794e);
  expect(crc32c(ascending.toReversed())).toBe(0x113fdb5c);
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(0))).toBe(0);
});

test("wire: CRC-32C equals its definition (any bytes, any range, in one piece or two)", () => {
  const property = fc.property(
    fc.uint8Array({ maxLength: 100 }),
    fc.nat(100),
    fc.nat(100),
    (bytes, a, b) => {
      const start = Math.min(a, bytes.length);
      const middle = Math.min(start + b, bytes.length);
      expect(crc32c(bytes, start)).toBe(bitwise(bytes.subarray(start)));
      const head = crc32c(bytes, start, middle);
      expect(crc32c(bytes, middle, bytes.length, head)).toBe(bitwise(bytes.subarray(start)));
    },
  );
  fc.assert(property, { seed: 3, numRuns: 500 });
});
