// The checker sees each kind of fault: planted in a history that is right otherwise.

import { expect, test } from "bun:test";
import type { StoredRecord } from "../harness/batch.ts";
import {
  CommitHistory,
  commitMetadata,
  noFaults,
  PartitionHistory,
  Verdict,
  type Faults,
  type Reading,
} from "./history.ts";
import { recordOf, type Source } from "./payload.ts";

const source: Source = { seed: 7, topic: "t", partition: 1 };

function stored(offset: number, sequence = offset): StoredRecord {
  const { key, value, headers, timestamp } = recordOf(source, sequence);
  return { offset, key, value, headers: headers ?? [], timestamp };
}

/** Ten acknowledged records, then a batch of three that got no answer. */
function history(): { verdict: Verdict; partition: PartitionHistory } {
  const verdict = new Verdict();
  const partition = new PartitionHistory(source, verdict);
  partition.acknowledged(partition.sending(10), 0);
  partition.sending(3);
  return { verdict, partition };
}

function reading(records: StoredRecord[], logStart = 0): Reading {
  return { logStart, highWatermark: (records.at(-1)?.offset ?? logStart - 1) + 1, records };
}

function range(start: number, end: number): StoredRecord[] {
  return Array.from({ length: end - start }, (_, index) => stored(start + index));
}

function faultsOf(found: Reading, prepare?: (partition: PartitionHistory) => void): Faults {
  const { verdict, partition } = history();
  prepare?.(partition);
  partition.check(found);
  return verdict.faults;
}

test("history: all acknowledged records and none of the unknown ones is clean", () => {
  expect(faultsOf(reading(range(0, 10)))).toEqual(noFaults());
});

test("history: records of unknown outcome may be there", () => {
  expect(faultsOf(reading(range(0, 13)))).toEqual(noFaults());
});

test("history: a lost record at the end is seen", () => {
  expect(faultsOf(reading(range(0, 9)))).toEqual({ ...noFaults(), lost: 1 });
});

test("history: a lost record in the middle is lost and a gap", () => {
  const records = [...range(0, 4), ...range(5, 10)];
  expect(faultsOf(reading(records))).toEqual({ ...noFaults(), lost: 1, gaps: 1 });
});

test("history: an offset that is skipped is a gap", () => {
  const records = [...range(0, 10), stored(11, 10)];
  expect(faultsOf(reading(records))).toEqual({ ...noFaults(), gaps: 1 });
});

test("history: a high watermark above the last record is a gap", () => {
  const found = { ...reading(range(0, 10)), highWatermark: 12 };
  expect(faultsOf(found)).toEqual({ ...noFaults(), gaps: 2 });
});

test("history: a changed byte is seen (value, key, header, timestamp)", () => {
  const right = stored(7); // the seventh has a header
  const flipped = Buffer.from(right.value ?? []);
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
  const wrongs: StoredRecord[] = [
    { ...right, value: flipped },
    { ...right, key: Buffer.from("t/1/70000") },
    { ...right, headers: [["sequence", Buffer.from("8")]] },
    { ...right, headers: [] },
    { ...right, timestamp: right.timestamp + 1 },
  ];
  for (const wrong of wrongs) {
    const records = [...range(0, 7), wrong, ...range(8, 10)];
    expect(faultsOf(reading(records))).toMatchObject({ wrong: 1, gaps: 0, lost: 0 });
  }
});

test("history: another record at an acknowledged offset is wrong", () => {
  const records = [...range(0, 9), stored(9, 10)];
  expect(faultsOf(reading(records))).toMatchObject({ wrong: 1 });
});

test("history: a record twice is a duplicate", () => {
  const records = [...range(0, 10), stored(10, 3)];
  expect(faultsOf(reading(records))).toMatchObject({ duplicated: 1, reordered: 1 });
});

test("history: records of unknown outcome in another order are reordered", () => {
  const records = [...range(0, 10), stored(10, 11), stored(11, 10)];
  expect(faultsOf(reading(records))).toEqual({ ...noFaults(), reordered: 1 });
});

test("history: a record that was refused or never sent is wrong", () => {
  const refuse = (partition: PartitionHistory): void =>
    partition.refusedForGood(partition.sending(1), "error 87");
  const refused = faultsOf(reading([...range(0, 10), stored(10, 13)]), refuse);
  expect(refused).toEqual({ ...noFaults(), wrong: 1, refused: 1 });
  const never = faultsOf(reading([...range(0, 10), stored(10, 99)]));
  expect(never).toEqual({ ...noFaults(), wrong: 1 });
});

test("history: a record that a reader was given must stay", () => {
  const { verdict, partition } = history();
  partition.check(reading(range(0, 12)));
  expect(verdict.clean).toBe(true);
  partition.check(reading(range(0, 10)));
  expect(verdict.faults).toEqual({ ...noFaults(), lost: 2 });
});

test("history: a record that was not there after a restart must not turn up later", () => {
  const { verdict, partition } = history();
  partition.check(reading(range(0, 11)));
  partition.giveUp();
  expect(partition.unknown).toBe(0);
  partition.check(reading(range(0, 11)));
  expect(verdict.clean).toBe(true);
  partition.check(reading(range(0, 12)));
  expect(verdict.faults).toEqual({ ...noFaults(), wrong: 1 });
});

test("history: a lost record is counted once", () => {
  const { verdict, partition } = history();
  partition.check(reading(range(0, 9)));
  partition.check(reading(range(0, 9)));
  expect(verdict.faults.lost).toBe(1);
});

test("history: a trim takes records away up to where it was asked for, and no further", () => {
  const trim = (partition: PartitionHistory): void => {
    partition.trimAsked = 4;
  };
  expect(faultsOf(reading(range(4, 10), 4), trim)).toEqual(noFaults());
  expect(faultsOf(reading(range(2, 10), 2), trim)).toEqual(noFaults());
  const further = faultsOf(reading(range(5, 10), 5), trim);
  expect(further).toEqual({ ...noFaults(), gaps: 1, lost: 1 });
});

test("history: a retried batch keeps the offset of its first try", () => {
  const { verdict, partition } = history();
  partition.check(reading(range(0, 13)));
  const [batch] = partition.unanswered;
  if (!batch) throw new Error("no batch without an answer");
  partition.acknowledged(batch, 10);
  expect(verdict.clean).toBe(true);
  expect(partition.unanswered).toEqual([]);
});

test("history: a retry that was appended again is a duplicate", () => {
  const { verdict, partition } = history();
  partition.check(reading(range(0, 13)));
  const [batch] = partition.unanswered;
  if (!batch) throw new Error("no batch without an answer");
  partition.acknowledged(batch, 13);
  expect(verdict.faults).toEqual({ ...noFaults(), duplicated: 3 });
});

function commits(): { verdict: Verdict; group: CommitHistory } {
  const verdict = new Verdict();
  const group = new CommitHistory("g t/1", verdict);
  for (const offset of [5, 8]) {
    group.sending(offset);
    group.acknowledged(offset);
  }
  group.sending(11);
  return { verdict, group };
}

test("history: a committed offset is the acknowledged one or a later try", () => {
  for (const offset of [8, 11]) {
    const { verdict, group } = commits();
    group.check(offset, commitMetadata(offset));
    expect(verdict.clean).toBe(true);
  }
});

test("history: a commit that is lost or went back is seen", () => {
  for (const offset of [-1, 5, 9]) {
    const { verdict, group } = commits();
    group.check(offset, commitMetadata(offset));
    expect(verdict.faults).toEqual({ ...noFaults(), committedLost: 1 });
  }
});

test("history: a try that turned out to be the truth must stay", () => {
  const { verdict, group } = commits();
  group.check(11, commitMetadata(11));
  group.check(8, commitMetadata(8));
  expect(verdict.faults).toEqual({ ...noFaults(), committedLost: 1 });
});

test("history: commit metadata that changed is wrong", () => {
  const { verdict, group } = commits();
  group.check(8, "");
  expect(verdict.faults).toEqual({ ...noFaults(), wrong: 1 });
});
