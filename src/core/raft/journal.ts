// What is on disk, and what waits for it. Term, vote and entries that a step has changed become one
// write at its end; a message leaves when everything that it says is durable.
//
// Invariants: `stable` never exceeds what is durable; messages that are held are of the present
// term; a write that is not durable yet is in `pending`.

import { assert } from "../base/assert.ts";
import type { Ticket } from "../base/ids.ts";
import type { Entry, Index, Message, RaftEffects, Term, Write } from "./contract.ts";

interface Pending {
  readonly ticket: number;
  /** Highest index that the write made part of the log and that is still of it; 0 = none. */
  reach: Index;
  readonly since: number;
}

/** A message, and the highest index that it says is on disk here; 0 = none. */
interface Outgoing {
  readonly message: Message;
  readonly reach: Index;
}

interface Held {
  readonly message: Message;
  readonly ticket: number;
}

export class Journal {
  /** Everything in the log up to here is durable. */
  stable: Index;
  pending: Pending[] = [];
  held: Held[] = [];
  /** Of the last write that changed term or vote. */
  stateTicket = 0;
  durable = 0;
  /** What this step has changed. */
  stateChanged = false;
  /** First index that has to be written; 0 = none. */
  unwritten: Index = 0;
  reset: Write["reset"] = null;
  repaired: Entry[] = [];
  /** What is durable again when the repaired entries are. */
  repairedReach: Index = 0;
  outgoing: Outgoing[] = [];

  constructor(stable: Index) {
    this.stable = stable;
  }

  /** Entries from `index` on are new, or replace older ones. */
  changed(index: Index): void {
    if (this.unwritten === 0 || index < this.unwritten) this.unwritten = index;
    this.stable = Math.min(this.stable, index - 1);
    for (const each of this.pending) each.reach = Math.min(each.reach, index - 1);
  }

  /** A damaged entry is whole again, and not durable yet. */
  mended(entry: Entry): void {
    this.repaired.push(entry);
    for (const reach of [this.stable, ...this.pending.map((each) => each.reach)])
      this.repairedReach = Math.max(this.repairedReach, reach);
    this.stable = Math.min(this.stable, entry.index - 1);
    for (const each of this.pending) each.reach = Math.min(each.reach, entry.index - 1);
  }

  /** The log is empty behind the durable snapshot at `index`. */
  emptied(index: Index, term: Term): void {
    this.reset = { index, term };
    this.unwritten = 0;
    this.repaired = [];
    this.repairedReach = 0;
    this.stable = index;
    for (const each of this.pending) each.reach = Math.min(each.reach, index);
  }

  /** Term and vote are durable as they are. */
  get stateDurable(): boolean {
    return !this.stateChanged && this.stateTicket <= this.durable;
  }

  /** A durable snapshot holds everything up to `index`. */
  covered(index: Index): void {
    this.stable = Math.max(this.stable, index);
  }

  say(message: Message, reach: Index): void {
    this.outgoing.push({ message, reach });
  }

  /** Writes what the step has changed, then sends or holds what it has said. */
  flush(
    state: Pick<Write, "term" | "vote" | "commit">,
    entries: readonly Entry[],
    now: number,
    heldMax: number,
    effects: RaftEffects,
  ): void {
    this.#write(state, entries, now, effects);
    for (const { message, reach } of this.outgoing) {
      assert(message.term === state.term, "a message carries the term of its sender");
      const ticket = Math.max(this.stateTicket, this.#ticketOf(reach));
      if (ticket <= this.durable) effects.send(message);
      else this.held.push({ message, ticket });
    }
    this.outgoing.length = 0;
    if (this.held.length > heldMax) this.held.splice(0, this.held.length - heldMax);
  }

  #write(
    state: Pick<Write, "term" | "vote" | "commit">,
    entries: readonly Entry[],
    now: number,
    effects: RaftEffects,
  ): void {
    const { stateChanged, reset, repaired } = this;
    if (!stateChanged && reset === null && entries.length === 0 && repaired.length === 0) return;
    const { term, vote, commit } = state;
    const ticket = effects.persist({ term, vote, commit, reset, entries, repaired });
    assert(ticket > (this.pending.at(-1)?.ticket ?? this.durable), "every write has a new ticket");
    if (stateChanged) this.stateTicket = ticket;
    const reach = entries.at(-1)?.index ?? this.repairedReach;
    this.pending.push({ ticket, reach, since: now });
    this.stateChanged = false;
    this.unwritten = 0;
    this.reset = null;
    this.repaired = [];
    this.repairedReach = 0;
  }

  /** The write that has to be durable before everything up to `reach` is. */
  #ticketOf(reach: Index): number {
    if (reach <= this.stable) return 0;
    const covering = this.pending.find((each) => each.reach >= reach);
    assert(covering !== undefined, "what is said to be here was written");
    return covering.ticket;
  }

  persisted(ticket: Ticket, effects: RaftEffects): void {
    if (ticket <= this.durable) return;
    this.durable = ticket;
    let count = 0;
    for (const each of this.pending) {
      if (each.ticket > ticket) break;
      this.stable = Math.max(this.stable, each.reach);
      count += 1;
    }
    this.pending.splice(0, count);
    const waits = this.held;
    this.held = waits.filter((each) => each.ticket > ticket);
    for (const each of waits) if (each.ticket <= ticket) effects.send(each.message);
  }

  /** What was said in an older term is not said any more. */
  forget(): void {
    this.held = [];
    this.outgoing = [];
  }

  /** How long the oldest write has been waiting. */
  stalledMs(now: number): number {
    const oldest = this.pending[0];
    return oldest === undefined ? 0 : now - oldest.since;
  }
}
