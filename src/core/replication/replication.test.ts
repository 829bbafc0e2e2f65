import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { AssertionError } from "../base/assert.ts";
import { keyedProducerIdMin, leaderEpoch, offset, slot, ticket } from "../base/ids.ts";
import {
  batchBytesMax,
  keyedProducersPerPartitionMax,
  producerBatchesKept,
  producersPerPartitionMax,
  refusedProducersMax,
} from "../base/limits.ts";
import {
  CommitQueue,
  judgeSequence,
  Partitions,
  PartitionState,
  ProducerTable,
  type Waiting,
} from "./replication.ts";

function openAt(partitions: Partitions, at: number, logStart: number, end: number): void {
  partitions.opening(slot(at));
  partitions.recovered(slot(at), offset(logStart), offset(end), -1);
  partitions.opened(slot(at), leaderEpoch(1));
}

describe("replication: partitions", () => {
  test("offsets are dense and the high watermark follows commits, never past the end", () => {
    const partitions = new Partitions();
    openAt(partitions, 3, 5, 10);
    expect(partitions.highWatermarkOf(slot(3))).toBe(offset(10));
    expect(partitions.assign(slot(3), 4, 7)).toBe(offset(10));
    expect(partitions.assign(slot(3), 1, 6)).toBe(offset(14));
    expect(partitions.committed(slot(3), 14)).toBe(true);
    expect(partitions.committed(slot(3), 12)).toBe(false);
    expect(partitions.highWatermarkOf(slot(3))).toBe(offset(14));
    expect(partitions.maxTimestampOf(slot(3))).toBe(7);
    expect(() => partitions.committed(slot(3), 16)).toThrow(AssertionError);
  });

  test("nothing is handed out before the epoch is open", () => {
    const partitions = new Partitions();
    partitions.opening(slot(0));
    expect(() => partitions.assign(slot(0), 1, 0)).toThrow(AssertionError);
    partitions.recovered(slot(0), offset(0), offset(3), -1);
    expect(() => partitions.assign(slot(0), 1, 0)).toThrow(AssertionError);
    partitions.opened(slot(0), leaderEpoch(2));
    expect(partitions.assign(slot(0), 1, 0)).toBe(offset(3));
  });

  test("a failed open may be tried again, a removed partition stays removed", () => {
    const partitions = new Partitions();
    partitions.opening(slot(1));
    partitions.openFailed(slot(1));
    expect(partitions.nextClosed(1, 2)).toBe(1);
    partitions.removed(slot(1));
    expect(partitions.stateOf(slot(1))).toBe(PartitionState.removed);
    expect(partitions.nextClosed(1, 2)).toBe(-1);
  });

  test("a trim raises the log start once and never lowers it", () => {
    const partitions = new Partitions();
    openAt(partitions, 0, 0, 9);
    expect(partitions.trimmed(slot(0), offset(4))).toBe(true);
    expect(partitions.trimmed(slot(0), offset(4))).toBe(false);
    expect(partitions.trimmed(slot(0), offset(2))).toBe(false);
    expect(partitions.logStartOf(slot(0))).toBe(offset(4));
    expect(() => partitions.trimmed(slot(0), offset(10))).toThrow(AssertionError);
  });
});

describe("replication: commit queue", () => {
  test("a ticket releases everything up to it in order, however the queue has grown", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4000 }), (steps) => {
        const queue = new CommitQueue();
        const expected: number[] = [];
        const released: number[] = [];
        let next = 1;
        for (const step of steps) {
          if (step > 0) {
            queue.push(slot(step), offset(next), ticket(next), step, null);
            expected.push(next);
            next += 1;
            continue;
          }
          const upTo = Math.floor(next / 2);
          queue.release(ticket(upTo), (_slot, end) => released.push(end));
          while ((expected[0] ?? Number.POSITIVE_INFINITY) <= upTo) expected.shift();
          expect(queue.count).toBe(expected.length);
        }
        queue.release(ticket(next), (_slot, end) => released.push(end));
        expect(released).toEqual(Array.from({ length: next - 1 }, (_, i) => i + 1));
      }),
      { numRuns: 50 },
    );
  });

  test("whoever waits is told per batch with slot and end", () => {
    const queue = new CommitQueue();
    const told: number[][] = [];
    const waiting: Waiting = { committed: (at, end) => told.push([at, end]) };
    queue.push(slot(1), offset(5), ticket(10), 1, waiting);
    queue.push(slot(2), offset(6), ticket(20), 1, waiting);
    queue.release(ticket(10), (at, end, _bytes, who) => who?.committed(at, end));
    expect(told).toEqual([[1, 5]]);
    expect(() => queue.push(slot(2), offset(7), ticket(19), 1, null)).toThrow(AssertionError);
  });
});

describe("replication: idempotent producers", () => {
  test("the next sequence is appended, a gap is out of order, an older epoch is fenced", () => {
    const table = new ProducerTable();
    expect(table.judge(7, 0, 12, 3).kind).toBe("append");
    table.remember(7, 0, 12, 3, 100, 0, 0);
    expect(table.judge(7, 0, 15, 1).kind).toBe("append");
    expect(table.judge(7, 0, 16, 1).kind).toBe("out-of-order");
    expect(table.judge(7, 1, 1, 1).kind).toBe("out-of-order");
    expect(table.judge(7, 1, 0, 1).kind).toBe("append");
    table.remember(7, 1, 0, 1, 103, 0, 0);
    expect(table.judge(7, 0, 15, 1).kind).toBe("fenced");
  });

  test(`a retry of any of the last ${producerBatchesKept} batches gets its first offset (C1, C2)`, () => {
    const table = new ProducerTable();
    for (let i = 0; i < 8; i += 1) table.remember(9, 2, i * 10, 10, 1000 + i * 10, i, i);
    for (let i = 8 - producerBatchesKept; i < 8; i += 1) {
      const verdict = table.judge(9, 2, i * 10, 10);
      expect(verdict).toEqual({
        kind: "duplicate",
        baseOffset: 1000 + i * 10,
        lastOffset: 1009 + i * 10,
        timestamp: i,
      });
    }
    expect(table.judge(9, 2, 20, 10).kind).toBe("out-of-order");
    expect(table.judge(9, 2, 70, 9).kind).toBe("out-of-order");
  });

  test("sequences wrap from 2^31 - 1 to 0", () => {
    expect(judgeSequence(2147483647, 0)).toBe(true);
    expect(judgeSequence(2147483647, 1)).toBe(false);
    const table = new ProducerTable();
    table.remember(1, 0, 2147483646, 4, 0, 0, 0);
    expect(table.judge(1, 0, 2, 1).kind).toBe("append");
    expect(table.judge(1, 0, 2147483646, 4).kind).toBe("duplicate");
  });

  test("a full table gives the row of the longest idle producer away", () => {
    const table = new ProducerTable();
    for (let id = 0; id < producersPerPartitionMax; id += 1) table.remember(id, 0, 0, 1, id, 0, id);
    for (let id = 0; id < 5; id += 1) table.remember(id, 0, 1, 1, id, 0, 20_000);
    table.remember(producersPerPartitionMax, 0, 0, 1, 0, 0, producersPerPartitionMax);
    expect(table.count).toBe(producersPerPartitionMax);
    expect(table.judge(5, 0, 77, 1).kind).toBe("append");
    expect(table.judge(6, 0, 77, 1).kind).toBe("out-of-order");
  });

  test("ids made of keys take rows of their own: neither kind pushes the other out", () => {
    const table = new ProducerTable();
    const keyed = (n: number): number => keyedProducerIdMin + n;
    for (let id = 0; id < producersPerPartitionMax; id += 1) table.remember(id, 0, 0, 1, id, 0, id);
    for (let n = 0; n <= keyedProducersPerPartitionMax; n += 1)
      table.remember(keyed(n), 0, 7, 1, n, 0, n);
    expect(table.count).toBe(producersPerPartitionMax + keyedProducersPerPartitionMax);
    expect(table.judge(0, 0, 77, 1).kind).toBe("out-of-order");
    expect(table.judge(keyed(0), 0, 77, 1).kind).toBe("append");
    expect(table.judge(keyed(1), 0, 7, 1).kind).toBe("duplicate");
    table.remember(producersPerPartitionMax, 0, 0, 1, 0, 0, 9);
    expect(table.judge(keyed(1), 0, 7, 1).kind).toBe("duplicate");
    expect(table.judge(0, 0, 77, 1).kind).toBe("append");
    const again = ProducerTable.of(table.state(), 100_000);
    expect(again?.count).toBe(table.count);
    expect(again?.judge(keyed(1), 0, 7, 1).kind).toBe("duplicate");
  });

  test("producers that were idle too long are forgotten", () => {
    const table = new ProducerTable();
    table.remember(1, 0, 0, 1, 0, 0, 100);
    table.remember(2, 0, 0, 1, 1, 0, 200);
    table.expire(150);
    expect(table.count).toBe(1);
    table.remember(3, 0, 0, 1, 2, 0, 300);
    expect(table.judge(2, 0, 1, 1).kind).toBe("append");
    expect(table.judge(3, 0, 0, 1).kind).toBe("duplicate");
  });

  test("nothing of an unknown producer overtakes its batch that was refused", () => {
    const table = new ProducerTable();
    table.refuse(7, 3, 0, 100);
    expect(table.judge(7, 3, 1, 1).kind).toBe("behind-refused");
    table.refuse(7, 3, 0, 110);
    expect(table.judge(8, 3, 1, 1).kind).toBe("append");
    expect(table.judge(7, 3, 0, 1).kind).toBe("append");
    expect(table.state()).toEqual(new ProducerTable().state());
    table.remember(7, 3, 0, 1, 0, 0, 120);
    expect(table.judge(7, 3, 1, 1).kind).toBe("append");
    // A known producer is held to its sequence, whatever is refused.
    table.refuse(7, 3, 1, 130);
    expect(table.judge(7, 3, 2, 1).kind).toBe("out-of-order");
    expect(table.judge(7, 3, 1, 1).kind).toBe("append");
  });

  test("a refused batch is forgotten with its epoch, and when it was refused too long ago", () => {
    const table = new ProducerTable();
    table.refuse(7, 0, 0, 100);
    expect(table.judge(7, 1, 5, 1).kind).toBe("append");
    table.refuse(7, 1, 5, 100);
    expect(table.judge(7, 0, 1, 1).kind).toBe("append");
    expect(table.judge(7, 1, 6, 1).kind).toBe("behind-refused");
    table.expire(100);
    expect(table.isEmpty).toBe(false);
    table.expire(101);
    expect(table.isEmpty).toBe(true);
    expect(table.judge(7, 1, 6, 1).kind).toBe("append");
  });

  test(`of more than ${refusedProducersMax} refused batches the oldest is forgotten`, () => {
    const table = new ProducerTable();
    for (let id = 0; id < refusedProducersMax; id += 1) table.refuse(id, 0, 0, id);
    table.refuse(0, 0, 0, refusedProducersMax);
    table.refuse(refusedProducersMax, 0, 0, refusedProducersMax);
    const kinds = [0, 1, 2, refusedProducersMax].map((id) => table.judge(id, 0, 1, 1).kind);
    expect(kinds).toEqual(["behind-refused", "append", "behind-refused", "behind-refused"]);
  });

  test("a table is the same after it was written and read (random producers)", () => {
    const batch = fc.record({
      id: fc.integer({ min: 0, max: 6 }),
      epoch: fc.integer({ min: 0, max: 2 }),
      first: fc.constantFrom(0, 5, 2147483647),
      count: fc.integer({ min: 1, max: 9 }),
      timestamp: fc.constantFrom(-1, 0, 1_700_000_000_000),
    });
    const run = (batches: readonly (typeof batch extends fc.Arbitrary<infer B> ? B : never)[]) => {
      const table = new ProducerTable();
      let end = 0;
      for (const [wall, { id, epoch, first, count, timestamp }] of batches.entries()) {
        table.remember(id, epoch, first, count, end, timestamp, wall);
        end += count;
      }
      const state = table.state();
      const again = ProducerTable.of(state, end);
      expect(again?.state()).toEqual(state);
      expect(state.byteLength).toBeLessThanOrEqual(table.stateBytesMax);
      for (const { id, epoch, first, count } of batches)
        expect(again?.judge(id, epoch, first, count)).toEqual(table.judge(id, epoch, first, count));
      again?.expire(batches.length - 3);
      table.expire(batches.length - 3);
      expect(again?.state()).toEqual(table.state());
    };
    fc.assert(fc.property(fc.array(batch, { maxLength: 60 }), run));
  });

  test("what is no state, or not all of one, is no table", () => {
    const table = new ProducerTable();
    for (let i = 0; i < 20; i += 1) table.remember(i % 3, 0, i, 1, i, 5, 9);
    const state = table.state();
    const end = 20;
    expect(ProducerTable.of(state, end)).not.toBeNull();
    for (let size = 0; size < state.byteLength; size += 1)
      expect(ProducerTable.of(state.subarray(0, size), end)).toBeNull();
    expect(ProducerTable.of(new Uint8Array([...state, 0]), end)).toBeNull();
    const changed = (at: number, value: number): Uint8Array => {
      const other = state.slice();
      other[at] = value;
      return other;
    };
    for (const [at, value] of [
      [0, 2], // version
      [4, 2], // producers
      [7, 255],
      [15, 255], // last seen is no number
      [26, 0], // batches kept
      [26, 6],
      [47, 255], // first sequence below 0
      [48, 0], // records
    ] as const)
      expect(ProducerTable.of(changed(at, value), end)).toBeNull();
    // Batches at or above the offset that the state is of.
    expect(ProducerTable.of(state, end - 1)).toBeNull();
    // The same producer twice.
    const one = new ProducerTable();
    one.remember(1, 0, 0, 1, 0, 5, 9);
    const twice = new Uint8Array([...one.state(), ...one.state().subarray(8)]);
    twice[4] = 2;
    expect(ProducerTable.of(twice, end)).toBeNull();
  });

  test("a full table fits in a frame, and is taken whole", () => {
    const table = new ProducerTable();
    for (let i = 0; i < producersPerPartitionMax * producerBatchesKept; i += 1)
      table.remember(i % producersPerPartitionMax, 0, i, 1, i, 5, 9);
    const state = table.state();
    expect(state.byteLength).toBe(table.stateBytesMax);
    expect(state.byteLength).toBeLessThan(batchBytesMax);
    expect(ProducerTable.of(state, 100_000)?.count).toBe(producersPerPartitionMax);
  });
});
