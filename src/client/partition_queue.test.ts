import { describe, expect, test } from "bun:test";
import { batchBaseSequence, batchProducerId } from "../wire/batch.ts";
import {
  type Batch,
  batchesInFlightMax,
  PartitionQueue,
  recordBytes,
  sequenceAfter,
} from "./partition_queue.ts";

const limits = { batchBytes: 1_000_000, compression: "none" } as const;
const identity = { producerId: 7, producerEpoch: 0 };

/** A queue with `count` closed batches of two records each. */
function filled(count: number): PartitionQueue {
  const queue = new PartitionQueue("t", 0, identity);
  for (let i = 0; i < count; i += 1) {
    for (const name of ["a", "b"]) {
      const value = new TextEncoder().encode(`${i}${name}`);
      const record = { key: null, value, timestamp: 1 };
      queue.add(record, recordBytes(record), null, limits, i);
    }
    queue.seal("none");
  }
  return queue;
}

function take(queue: PartitionQueue, nowMs = 100): Batch {
  const batch = queue.take(nowMs);
  if (batch === null) throw new Error("nothing to take");
  return batch;
}

function stamped({ bytes }: Batch): readonly [id: number, sequence: number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [batchProducerId(view, 0), batchBaseSequence(view, 0)];
}

describe("client: a partition's queue", () => {
  test("client: batches go out in order, five at a time", () => {
    const queue = filled(8);
    const out = Array.from({ length: batchesInFlightMax }, () => take(queue));
    expect(out.map(stamped)).toEqual([0, 2, 4, 6, 8].map((each) => [7, each] as const));
    expect(queue.take(100)).toBeNull();
    const [first] = out;
    if (first !== undefined) queue.done(first);
    expect(stamped(take(queue))).toEqual([7, 10]);
  });

  test("client: after a failure nothing new goes out until every answer is in, then in order", () => {
    const queue = filled(4);
    const [a, b, c] = [take(queue), take(queue), take(queue)];
    queue.again(b, false, 0);
    expect(queue.take(100)).toBeNull();
    queue.again(c, false, 0);
    expect(queue.take(100)).toBeNull();
    queue.again(a, true, 0);
    expect(
      [take(queue), take(queue), take(queue), take(queue)].map(({ sequence }) => sequence),
    ).toEqual([0, 2, 4, 6]);
  });

  test("client: a batch that failed is not sent before its pause is over", () => {
    const queue = filled(1);
    queue.again(take(queue), false, 500);
    expect(queue.take(499)).toBeNull();
    expect(take(queue, 500).attempts).toBe(2);
  });

  test("client: sequences of a refused batch go to those behind it, not to those before", () => {
    const queue = filled(4);
    const [a, b, c] = [take(queue), take(queue), take(queue)];
    queue.again(a, true, 0);
    queue.refused(b);
    queue.again(c, false, 0);
    expect([take(queue), take(queue), take(queue)].map((each) => stamped(each)[1])).toEqual([
      0, 2, 4,
    ]);
    queue.add({ key: null, value: null, timestamp: 1 }, 24, null, limits, 0);
    queue.seal("none");
    expect(stamped(take(queue))[1]).toBe(6);
  });

  test("client: only the first of those under way can be out of order by itself", () => {
    const queue = filled(3);
    const [a, b] = [take(queue), take(queue)];
    expect(queue.isExpected(a)).toBe(true);
    expect(queue.isExpected(b)).toBe(false);
    queue.again(a, false, 0);
    expect(queue.isExpected(b)).toBe(false);
  });

  test("client: what waited too long is given up, and leaves no gap", () => {
    const queue = filled(4);
    expect(queue.expire(2).map(({ sequence }) => sequence)).toEqual([0, 2]);
    expect([take(queue), take(queue)].map((each) => stamped(each)[1])).toEqual([0, 2]);
  });

  test("client: a new producer begins at 0, and batches in doubt can be taken out before", () => {
    const queue = filled(3);
    queue.again(take(queue), true, 0);
    expect(queue.takeDoubtful().map(({ sequence }) => sequence)).toEqual([0]);
    queue.identify({ producerId: 9, producerEpoch: 1 });
    expect([take(queue), take(queue)].map(stamped)).toEqual([
      [9, 0],
      [9, 2],
    ]);
  });

  test("client: a batch that is too large comes again as two, with the same sequences", () => {
    const queue = filled(2);
    const [a, b] = [take(queue), take(queue)];
    queue.split(a, "none");
    expect(queue.take(100)).toBeNull();
    queue.again(b, false, 0);
    const out = [take(queue), take(queue), take(queue)];
    expect(out.map((each) => [stamped(each)[1], each.records.length])).toEqual([
      [0, 1],
      [1, 1],
      [2, 2],
    ]);
    expect(
      out
        .map(({ reserved }) => reserved)
        .slice(0, 2)
        .reduce((x, y) => x + y),
    ).toBe(a.reserved);
  });

  test("client: sequences wrap at 2^31", () => {
    expect(sequenceAfter(0x7fffffff, 1)).toBe(0);
    expect(sequenceAfter(0x7ffffffe, 5)).toBe(3);
  });
});
