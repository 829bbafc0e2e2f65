// Deadlines that move often, on top of the wheel of deadlines: a heartbeat moves the deadline of its
// member by writing one number, and the wheel learns of it when it comes by.
//
// The wheel looks at an alarm at least every `horizonMs`, so an alarm that is off (its member has
// left) is garbage for no longer than that, however far away its deadline was.

import { Deadlines, type Timed } from "../base/deadlines.ts";

const horizonMs = 10_000;

export class Alarm<O> implements Timed {
  /** Part of the wheel's contract; an alarm that is off has no due time instead. */
  readonly cancelled = false;
  readonly owner: O;
  /** When it rings; Infinity = off. */
  due = Number.POSITIVE_INFINITY;
  /** When the wheel looks at it next; Infinity = the wheel does not have it. */
  queued = Number.POSITIVE_INFINITY;

  constructor(owner: O) {
    this.owner = owner;
  }
}

export class Alarms<O> {
  readonly #wheel = new Deadlines<Alarm<O>>();

  set(alarm: Alarm<O>, now: number, due: number): void {
    alarm.due = due;
    if (due < alarm.queued) this.#queue(alarm, now);
  }

  off(alarm: Alarm<O>): void {
    alarm.due = Number.POSITIVE_INFINITY;
  }

  /** Calls `ring` once for every alarm that is due; it is off by then and may be set again. */
  advance(now: number, ring: (owner: O) => void): void {
    this.#wheel.advance(now, (alarm) => {
      // An alarm that was moved forward lies twice in the wheel: the later look is void.
      if (now < alarm.queued) return;
      alarm.queued = Number.POSITIVE_INFINITY;
      if (alarm.due > now) {
        if (alarm.due !== Number.POSITIVE_INFINITY) this.#queue(alarm, now);
        return;
      }
      alarm.due = Number.POSITIVE_INFINITY;
      ring(alarm.owner);
    });
  }

  #queue(alarm: Alarm<O>, now: number): void {
    alarm.queued = Math.min(alarm.due, now + horizonMs);
    this.#wheel.add(alarm.queued, alarm);
  }
}
