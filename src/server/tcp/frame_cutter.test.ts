import { expect, test } from "bun:test";
import fc from "fast-check";
import { AssemblyPool, FrameCutter, type FrameSink } from "./frame_cutter.ts";

function framed(bodies: readonly Uint8Array[]): Uint8Array {
  const parts = bodies.map((body) => {
    const frame = new Uint8Array(4 + body.byteLength);
    new DataView(frame.buffer).setInt32(0, body.byteLength);
    frame.set(body, 4);
    return frame;
  });
  return Buffer.concat(parts);
}

class Collector implements FrameSink {
  readonly frames: Uint8Array[] = [];
  bad: number | null = null;
  refuseEvery = 0;
  asked = 0;
  accepts(): boolean {
    this.asked += 1;
    return this.refuseEvery === 0 || this.asked % this.refuseEvery !== 0;
  }
  frame(bytes: Uint8Array, start: number, end: number): void {
    this.frames.push(bytes.slice(start, end));
  }
  badLength(length: number): void {
    this.bad = length;
  }
}

test("server: frames come out whole and in order, wherever chunks end and however often the sink waits", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 0, max: 4 }),
      (bodies, cuts, refuseEvery) => {
        const sink = new Collector();
        sink.refuseEvery = refuseEvery === 1 ? 0 : refuseEvery;
        const cutter = new FrameCutter(sink, new AssemblyPool());
        const stream = framed(bodies);
        let at = 0;
        for (let i = 0; at < stream.byteLength; i += 1) {
          const size = cuts[i % cuts.length] ?? 1;
          cutter.push(stream.slice(at, at + size));
          at += size;
        }
        for (let i = 0; i < bodies.length * 4 && cutter.stopped; i += 1) cutter.resume();
        expect(sink.frames.map((frame) => [...frame])).toEqual(bodies.map((body) => [...body]));
        expect(cutter.partial).toBe(false);
      },
    ),
  );
});

test("server: a length below 1 or above the limit is refused, whole or in pieces", () => {
  for (const length of [0, -1, -2147483648, 101, 2147483647]) {
    const prefix = new Uint8Array(4);
    new DataView(prefix.buffer).setInt32(0, length);
    for (const pieces of [
      [prefix],
      [prefix.subarray(0, 1), prefix.subarray(1)],
      [prefix.subarray(0, 3), prefix.subarray(3)],
    ]) {
      const sink = new Collector();
      const cutter = new FrameCutter(sink, new AssemblyPool(), 100);
      for (const piece of pieces) cutter.push(piece);
      expect(sink.bad).toBe(length);
      expect(cutter.stopped).toBe(true);
      expect(sink.frames).toEqual([]);
    }
  }
});

test("server: a sender that names a large frame and sends little holds little memory", () => {
  const pool = new AssemblyPool();
  const taken: number[] = [];
  const take = pool.take.bind(pool);
  pool.take = (atLeast: number) => {
    taken.push(atLeast);
    return take(atLeast);
  };
  const cutter = new FrameCutter(new Collector(), pool, 16 * 1024 * 1024);
  const prefix = new Uint8Array(5);
  new DataView(prefix.buffer).setInt32(0, 16 * 1024 * 1024);
  cutter.push(prefix);
  expect(Math.max(...taken)).toBeLessThanOrEqual(64);
  cutter.push(new Uint8Array(1000));
  expect(Math.max(...taken)).toBeLessThanOrEqual(4 * 1005);
});

test("server: a chunk is given back when its last frame is cut, and kept while the sink waits", () => {
  const sink = new Collector();
  const cutter = new FrameCutter(sink, new AssemblyPool());
  const bodies = [1, 2, 3].map((fill) => new Uint8Array(20_000).fill(fill));
  const chunkOf = (from: number, to: number) => new Uint8Array(framed(bodies).subarray(from, to));
  const whole = chunkOf(0, 60_012);
  cutter.push(whole);
  expect(whole.byteLength).toBe(0);
  const cut = chunkOf(0, 30_000);
  cutter.push(cut);
  expect(cut.byteLength).toBe(0);
  sink.refuseEvery = 1;
  const kept = chunkOf(30_000, 60_012);
  cutter.push(kept);
  expect(cutter.stopped).toBe(true);
  expect(kept.byteLength).toBe(30_012);
  sink.refuseEvery = 0;
  cutter.resume();
  expect(kept.byteLength).toBe(0);
  expect(sink.frames).toEqual([...bodies, ...bodies]);
});
