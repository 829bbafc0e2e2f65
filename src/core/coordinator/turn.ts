// One turn of a shard: what a plan decides goes here. Whoever carries the turn out appends and
// applies the records, and settles the waiters once everything that their answers rest on is
// committed.

import type { GroupRecord } from "./records.ts";

/** Something that waits for an answer and learns whether the answer holds. */
export interface Settled {
  /**
   * 0: what the answer rests on is committed, the answer may leave. Kafka's code: it is not, and the
   * answer is void.
   */
  settle(code: number): void;
}

/** One request that is answered once, in the turn that brings it or in a later one. */
export class Waiter<R> implements Settled {
  #answer: R | null = null;
  readonly #done: (code: number, answer: R | null) => void;

  /** `done` gets code 0 and the answer, or Kafka's code and null. */
  constructor(done: (code: number, answer: R | null) => void) {
    this.#done = done;
  }

  answer(answer: R): void {
    this.#answer = answer;
  }

  settle(code: number): void {
    this.#done(code, code === 0 ? this.#answer : null);
  }
}

/** Something that operators want to read in the log. */
export interface Note {
  readonly event:
    | "group-rebalance"
    | "group-generation"
    | "group-empty"
    | "member-expelled"
    | "member-left"
    | "group-loaded";
  readonly group: string;
  readonly generation: number;
  readonly members: number;
  readonly reason: string;
}

export class Turn {
  /** Monotonic ms: every timeout. */
  readonly now: number;
  /** Unix ms: timestamps in records, and the retention of offsets. */
  readonly wall: number;
  readonly records: GroupRecord[] = [];
  readonly replies: Settled[] = [];
  readonly notes: Note[] = [];

  constructor(now: number, wall: number) {
    this.now = now;
    this.wall = wall;
  }

  reply<R>(waiter: Waiter<R>, answer: R): void {
    waiter.answer(answer);
    this.replies.push(waiter);
  }
}
