// Deadlines on a hashed wheel: adding and cancelling are O(1), and a tick touches only what is due.

import { assert } from "./assert.ts";

/** Anything with a deadline. `cancelled` is set by its owner instead of a removal. */
export interface Timed {
  cancelled: boolean;
}

/** Width of one bucket in ms: the period of a tick. */
const bucketMs = 10;

export class Deadlines<T extends Timed> {
  readonly #buckets = new Map<number, T[]>();
  #bucket = 0;

  /** `deadline` in the milliseconds of `advance`; one in the past is due at the next advance. */
  add(deadline: number, timed: T): void {
    assert(Number.isFinite(deadline), "a deadline is finite");
    const bucket = Math.max(Math.ceil(deadline / bucketMs), this.#bucket + 1);
    const list = this.#buckets.get(bucket);
    if (list === undefined) this.#buckets.set(bucket, [timed]);
    else list.push(timed);
  }

  /** Calls `due` for everything whose deadline has passed and that is not cancelled. */
  advance(now: number, due: (timed: T) => void): void {
    const target = Math.floor(now / bucketMs);
    if (target - this.#bucket > this.#buckets.size) {
      // A long jump (the first tick, a stalled process): visit the buckets, not the milliseconds.
      const late = [...this.#buckets.keys()].filter((bucket) => bucket <= target);
      late.sort((a, b) => a - b);
      this.#bucket = target;
      for (const bucket of late) this.#fire(bucket, due);
      return;
    }
    while (this.#bucket < target) {
      this.#bucket += 1;
      this.#fire(this.#bucket, due);
    }
  }

  #fire(bucket: number, due: (timed: T) => void): void {
    const list = this.#buckets.get(bucket);
    if (list === undefined) return;
    this.#buckets.delete(bucket);
    for (const timed of list) if (!timed.cancelled) due(timed);
  }
}
