// Batches that are staged and not yet committed, in ticket order: a ring of typed arrays, so that a
// staged batch costs no object. The disk reports one number, and everything up to it leaves.

import { assert } from "../base/assert.ts";
import type { Offset, Slot, Ticket } from "../base/ids.ts";

/** What is told when a batch is committed. One object a request, shared by its batches. */
export interface Waiting {
  /** Exactly once for each batch pushed with this object, in order. */
  committed(slot: Slot, end: Offset): void;
}

const capacityAtStart = 1024;

export class CommitQueue {
  #slots = new Int32Array(capacityAtStart);
  #ends = new Float64Array(capacityAtStart);
  #tickets = new Float64Array(capacityAtStart);
  #bytes = new Float64Array(capacityAtStart);
  #waiting: (Waiting | null)[] = new Array<Waiting | null>(capacityAtStart).fill(null);
  #mask = capacityAtStart - 1;
  #head = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(slot: Slot, end: Offset, ticket: Ticket, bytes: number, waiting: Waiting | null): void {
    if (this.#count > this.#mask) this.#grow();
    const at = (this.#head + this.#count) & this.#mask;
    if (this.#count > 0) {
      const before = this.#tickets[(at - 1) & this.#mask] ?? 0;
      assert(ticket >= before, "tickets never fall");
    }
    this.#slots[at] = slot;
    this.#ends[at] = end;
    this.#tickets[at] = ticket;
    this.#bytes[at] = bytes;
    this.#waiting[at] = waiting;
    this.#count += 1;
  }

  /** Takes out everything up to `ticket`, oldest first. */
  release(
    ticket: Ticket,
    each: (slot: Slot, end: Offset, bytes: number, waiting: Waiting | null) => void,
  ): void {
    while (this.#count > 0 && (this.#tickets[this.#head] ?? 0) <= ticket) {
      const at = this.#head;
      const waiting = this.#waiting[at] ?? null;
      this.#waiting[at] = null;
      this.#head = (at + 1) & this.#mask;
      this.#count -= 1;
      each(
        (this.#slots[at] ?? 0) as Slot, // proof: pushed as a slot
        (this.#ends[at] ?? 0) as Offset, // proof: pushed as an offset
        this.#bytes[at] ?? 0,
        waiting,
      );
    }
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2;
    const slots = new Int32Array(capacity);
    const ends = new Float64Array(capacity);
    const tickets = new Float64Array(capacity);
    const bytes = new Float64Array(capacity);
    const waiting = new Array<Waiting | null>(capacity).fill(null);
    for (let i = 0; i < this.#count; i += 1) {
      const at = (this.#head + i) & this.#mask;
      slots[i] = this.#slots[at] ?? 0;
      ends[i] = this.#ends[at] ?? 0;
      tickets[i] = this.#tickets[at] ?? 0;
      bytes[i] = this.#bytes[at] ?? 0;
      waiting[i] = this.#waiting[at] ?? null;
    }
    this.#slots = slots;
    this.#ends = ends;
    this.#tickets = tickets;
    this.#bytes = bytes;
    this.#waiting = waiting;
    this.#mask = capacity - 1;
    this.#head = 0;
  }
}
