// Answers that wait for a ticket, in ticket order: a ring of typed arrays, so that a stored batch
// costs a member no object. The disk reports one number, and everything up to it leaves.

import { assert } from "../base/assert.ts";
import type { LeaderEpoch, NodeId, Offset, Slot, Ticket } from "../base/ids.ts";

const kinds = ["stored", "backfilled", "recovery-stored"] as const;

export interface Ack {
  readonly ticket: Ticket;
  readonly kind: (typeof kinds)[number];
  readonly slot: Slot;
  readonly to: NodeId;
  readonly epoch: LeaderEpoch;
  /** Of a recovery: the epoch that recovers; else 0. */
  readonly by: LeaderEpoch;
  readonly base: Offset;
}

const capacityAtStart = 4;
const numbersPerAck = 6;

export class AckQueue {
  private tickets = new Float64Array(capacityAtStart);
  private bases = new Float64Array(capacityAtStart);
  /** kind, slot, to, epoch, by. */
  private rest = new Int32Array(capacityAtStart * numbersPerAck);
  private head = 0;
  private count = 0;
  private newest = 0;

  push({ ticket, kind, slot, to, epoch, by, base }: Ack): void {
    if (this.count === this.tickets.length) this.grow();
    const at = (this.head + this.count) & (this.tickets.length - 1);
    // A resend of a copy that is still staged has an older ticket; it waits behind its neighbours.
    this.newest = Math.max(this.newest, ticket);
    this.tickets[at] = this.newest;
    this.bases[at] = base;
    this.rest.set([kinds.indexOf(kind), slot, to, epoch, by], at * numbersPerAck);
    this.count += 1;
  }

  /** Takes out everything up to `ticket`, oldest first; `each` gets a place for `at`. */
  release(ticket: number, each: (place: number) => void): void {
    while (this.count > 0 && (this.tickets[this.head] ?? 0) <= ticket) {
      const place = this.head;
      this.head = (this.head + 1) & (this.tickets.length - 1);
      this.count -= 1;
      each(place);
    }
  }

  at(place: number): Ack {
    const from = place * numbersPerAck;
    const kind = kinds[this.rest[from] ?? 0];
    assert(kind !== undefined, "only kinds are pushed");
    return {
      kind,
      ticket: (this.tickets[place] ?? 0) as Ticket, // proof: pushed as one
      slot: (this.rest[from + 1] ?? 0) as Slot, // proof: pushed as one
      to: (this.rest[from + 2] ?? 0) as NodeId, // proof: pushed as one
      epoch: (this.rest[from + 3] ?? 0) as LeaderEpoch, // proof: pushed as one
      by: (this.rest[from + 4] ?? 0) as LeaderEpoch, // proof: pushed as one
      base: (this.bases[place] ?? 0) as Offset, // proof: pushed as one
    };
  }

  private grow(): void {
    const old = this.tickets.length;
    const tickets = new Float64Array(old * 2);
    const bases = new Float64Array(old * 2);
    const rest = new Int32Array(old * 2 * numbersPerAck);
    for (let i = 0; i < this.count; i += 1) {
      const from = (this.head + i) & (old - 1);
      tickets[i] = this.tickets[from] ?? 0;
      bases[i] = this.bases[from] ?? 0;
      const row = this.rest.subarray(from * numbersPerAck, (from + 1) * numbersPerAck);
      rest.set(row, i * numbersPerAck);
    }
    this.tickets = tickets;
    this.bases = bases;
    this.rest = rest;
    this.head = 0;
  }
}
