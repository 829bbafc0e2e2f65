// What a simulated node may never take back: the judge of a simulation. Clients tell it what they
// sent, what was acknowledged to them and what they read; it throws at the first contradiction.

import type { StoredRecord } from "../../src/wire/records.ts";

/** Contradiction between what was promised and what is seen. */
export class Violation extends Error {
  override readonly name = "Violation";
}

const decoder = new TextDecoder();

interface Commit {
  /** Newest offset whose commit was acknowledged; -1 = none. */
  acknowledged: number;
  /** Sent and not known to have failed since then: any of them may have come last. */
  readonly pending: Set<number>;
}

class PartitionTruth {
  /** What lies at an offset, once somebody was told. */
  readonly fixed = new Map<number, string>();
  readonly sent = new Set<string>();
  /** Highest high watermark that somebody was told. */
  highWatermark = 0;
  /** The log start that was acknowledged, and the highest that was asked for. */
  logStart = 0;
  logStartAsked = 0;
}

export class Truth {
  readonly #partitions: readonly PartitionTruth[];
  readonly #commits = new Map<string, Commit>();

  constructor(partitions: number) {
    this.#partitions = Array.from({ length: partitions }, () => new PartitionTruth());
  }

  #of(partition: number): PartitionTruth {
    const found = this.#partitions[partition];
    if (found === undefined) throw new Violation(`partition ${partition} does not exist`);
    return found;
  }

  highWatermark(partition: number): number {
    return this.#of(partition).highWatermark;
  }
  logStart(partition: number): number {
    return this.#of(partition).logStart;
  }

  sent(partition: number, values: readonly string[]): void {
    for (const value of values) this.#of(partition).sent.add(value);
  }

  acknowledged(partition: number, base: number, values: readonly string[]): void {
    values.forEach((value, i) => this.#fix(partition, base + i, value, "acknowledged"));
    this.#told(partition, base + values.length);
  }

  /** Records as they were read, in order, at or behind `from`. */
  read(partition: number, from: number, records: readonly StoredRecord[]): void {
    let next = from;
    for (const record of records) {
      const value = decoder.decode(record.value ?? new Uint8Array(0));
      if (record.offset >= from && record.offset !== next)
        throw new Violation(
          `partition ${partition}: read offset ${record.offset} where ${next} comes next`,
        );
      if (record.offset >= from) next = record.offset + 1;
      this.#fix(partition, record.offset, value, "read");
    }
  }

  #fix(partition: number, at: number, value: string, how: string): void {
    const truth = this.#of(partition);
    if (!truth.sent.has(value))
      throw new Violation(`partition ${partition}, offset ${at}: ${how} "${value}", never sent`);
    const known = truth.fixed.get(at);
    if (known !== undefined && known !== value)
      throw new Violation(
        `partition ${partition}, offset ${at}: ${how} "${value}" where "${known}" was told before`,
      );
    truth.fixed.set(at, value);
  }

  #told(partition: number, highWatermark: number): void {
    const truth = this.#of(partition);
    truth.highWatermark = Math.max(truth.highWatermark, highWatermark);
  }

  /** `asked` = the highest high watermark that had been told when the request was sent. */
  watermarks(partition: number, asked: number, highWatermark: number, logStart: number): void {
    const truth = this.#of(partition);
    if (highWatermark < asked)
      throw new Violation(
        `partition ${partition}: high watermark ${highWatermark}, ${asked} was told before`,
      );
    if (logStart > truth.logStartAsked)
      throw new Violation(
        `partition ${partition}: log start ${logStart}, nobody asked for more than ${truth.logStartAsked}`,
      );
    this.#told(partition, highWatermark);
  }

  /** Somebody asked that it be deleted. */
  mayBeGone(partition: number, at: number): boolean {
    return at < this.#of(partition).logStartAsked;
  }

  deleting(partition: number, before: number): void {
    const truth = this.#of(partition);
    truth.logStartAsked = Math.max(truth.logStartAsked, before);
  }

  deleted(partition: number, logStart: number): void {
    const truth = this.#of(partition);
    truth.logStart = Math.max(truth.logStart, logStart);
  }

  committing(group: string, partition: number, at: number): void {
    this.#commit(group, partition).pending.add(at);
  }

  committed(group: string, partition: number, at: number): void {
    const commit = this.#commit(group, partition);
    commit.acknowledged = at;
    commit.pending.clear();
  }

  fetchedCommit(group: string, partition: number, at: number): void {
    const commit = this.#commit(group, partition);
    if (at === commit.acknowledged || commit.pending.has(at)) return;
    throw new Violation(
      `group ${group}, partition ${partition}: committed offset ${at}, expected ${commit.acknowledged}` +
        (commit.pending.size > 0 ? ` or one of ${[...commit.pending].join(", ")}` : ""),
    );
  }

  #commit(group: string, partition: number): Commit {
    const key = `${group}/${partition}`;
    let commit = this.#commits.get(key);
    if (commit === undefined) {
      commit = { acknowledged: -1, pending: new Set() };
      this.#commits.set(key, commit);
    }
    return commit;
  }

  /**
   * The whole log of a partition at the end: everything that was told lies in it, and what an
   * idempotent producer sent lies there once and in the order in which it was sent.
   */
  whole(partition: number, logStart: number, end: number, records: readonly StoredRecord[]): void {
    const truth = this.#of(partition);
    this.read(partition, logStart, records);
    if (logStart < truth.logStart)
      throw new Violation(
        `partition ${partition}: log start ${logStart}, but ${truth.logStart} was acknowledged`,
      );
    const last = records.at(-1)?.offset ?? logStart - 1;
    if (last + 1 !== end)
      throw new Violation(`partition ${partition}: the log ends at ${last + 1}, said to be ${end}`);
    for (const at of truth.fixed.keys())
      if (at >= end) throw new Violation(`partition ${partition}: offset ${at} is lost`);
    const newest = new Map<string, number>();
    for (const record of records) {
      const value = decoder.decode(record.value ?? new Uint8Array(0));
      const [producer = "", number = ""] = value.split("-");
      if (!producer.startsWith("once")) continue;
      const before = newest.get(producer) ?? -1;
      if (Number(number) <= before)
        throw new Violation(
          `partition ${partition}, offset ${record.offset}: "${value}" comes after "${producer}-${before}"`,
        );
      newest.set(producer, Number(number));
    }
  }
}
