// Our LZ4 and Snappy against implementations of other people, those that @platformatic/kafka carries
// (Rust's lz4_flex and snap as WebAssembly): each side reads what the other wrote.

import { expect, test } from "bun:test";
import { compressionsAlgorithms } from "@platformatic/kafka";
import fc from "fast-check";
import embedded from "#native" with { type: "file" };
import { layouts, Status } from "../../src/storage/abi.gen.ts";
import { library } from "../../src/storage/library.ts";

const lib = library(embedded);

type Run = typeof lib.pyralog_lz4_compress;

/** Null unless the status is ok. */
function run(codec: Run, source: Uint8Array, room: number): Uint8Array | null {
  const target = new Uint8Array(new ArrayBuffer(Math.max(1, room)));
  const out = new DataView(new ArrayBuffer(layouts.ByteCount.size));
  if (codec(source, source, target, target, out) !== Status.ok) return null;
  return target.slice(0, out.getUint32(layouts.ByteCount.bytes, true));
}

const codecs = [
  {
    name: "lz4",
    theirs: compressionsAlgorithms.lz4,
    compress: lib.pyralog_lz4_compress,
    decompress: lib.pyralog_lz4_decompress,
  },
  {
    name: "snappy",
    theirs: compressionsAlgorithms.snappy,
    compress: lib.pyralog_snappy_compress,
    decompress: lib.pyralog_snappy_decompress,
  },
] as const;

/** Pieces that repeat earlier bytes, at any distance, between pieces that do not. */
const piece = fc.record({
  fresh: fc.uint8Array({ maxLength: 40 }),
  distance: fc.integer({ min: 1, max: 100_000 }),
  size: fc.oneof(fc.nat(20), fc.nat(20_000)),
});

function assemble(pieces: readonly { fresh: Uint8Array; distance: number; size: number }[]) {
  const total = pieces.reduce((sum, { fresh, size }) => sum + fresh.length + size, 0);
  const bytes = new Uint8Array(new ArrayBuffer(total));
  let at = 0;
  for (const { fresh, distance, size } of pieces) {
    bytes.set(fresh, at);
    at += fresh.length;
    const back = Math.min(distance, at);
    for (let i = 0; i < size; i += 1, at += 1) bytes[at] = back === 0 ? 0 : (bytes[at - back] ?? 0);
  }
  return bytes;
}

for (const { name, theirs, compress, decompress } of codecs) {
  const room = (size: number) => size * 2 + 64;

  test(`zig: ${name} reads what another implementation wrote, and the other way round`, () => {
    const property = fc.property(fc.array(piece, { minLength: 1, maxLength: 30 }), (pieces) => {
      const bytes = assemble(pieces);
      if (bytes.length === 0) return;
      const foreign = new Uint8Array(theirs.compressSync(Buffer.from(bytes)));
      expect(run(decompress, foreign, bytes.length)).toEqual(bytes);
      const own = run(compress, bytes, room(bytes.length));
      if (own === null) throw new Error("there is room for what compress writes");
      expect(new Uint8Array(theirs.decompressSync(Buffer.from(own)))).toEqual(bytes);
      expect(run(decompress, own, bytes.length)).toEqual(bytes);
      expect(run(decompress, own, bytes.length - 1)).toBeNull();
    });
    fc.assert(property, { seed: 71, numRuns: 400 });
  }, 60_000);
}
