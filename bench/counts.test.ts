import { describe, expect, test } from "bun:test";
import { callFigures } from "./cases/syscalls.ts";
import { type Counts, deviations } from "./counts.ts";
import { callsIn, groupsOf } from "./strace.ts";

const table = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.11    0.000110           5        20         3 futex
 20.00    0.000036           3        10           pwrite64
  9.00    0.000016           1        10           fdatasync
  5.00    0.000009           1         8           recvfrom
  4.89    0.000008           1        12           sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.000179           2        60         3 total
`;

describe("strace", () => {
  test("strace: the table gives a count for each call, with and without errors, but no total", () => {
    const calls = callsIn(table);
    expect(Object.fromEntries(calls)).toEqual({
      ...{ futex: 20, pwrite64: 10, fdatasync: 10, recvfrom: 8, sendto: 12 },
    });
    expect(groupsOf(calls)).toEqual({ receive: 8, send: 12, write: 10, sync: 10, other: 20 });
  });

  test("strace: figures are per batch, storage also per group", () => {
    expect(callFigures(callsIn(table), 20, 10)).toMatchObject({
      ...{
        data_calls_per_batch: 2,
        storage_per_batch: 1,
        storage_per_group: 2,
        other_per_batch: 1,
      },
    });
  });
});

describe("counts", () => {
  const counts = (append: number, write: number): Counts => ({
    instructions: { append },
    calls: { write },
  });

  test("counts: one percent of instructions either way and five of calls upwards are no change", () => {
    const committed = counts(1000, 2);
    for (const found of [counts(1009, 2.05), counts(991, 1)]) {
      expect(deviations(committed, found)).toEqual([]);
    }
    expect(deviations(committed, counts(1011, 2))).toEqual([
      "instructions of append: 1000 -> 1011 (1.1 %)",
    ]);
    expect(deviations(committed, counts(989, 2))).toHaveLength(1);
    expect(deviations(committed, counts(1000, 2.11))).toHaveLength(1);
  });

  test("counts: a figure that only one side has, or that was zero, is a change", () => {
    const found: Counts = { instructions: { scan: 1 }, calls: { write: 1 } };
    expect(deviations(counts(1, 0), found)).toHaveLength(3);
  });
});
