// The disk of one member: writes in order, durable when the simulation says so, and what a process
// that starts finds: after a kill everything, after a power cut what was durable and a prefix of the
// rest. It may harm entries; then their bytes are gone, and perhaps their heads.

import {
  type Entry,
  type Index,
  nobody,
  type SnapshotMark,
  type Stored,
  type Term,
  unknownTerm,
  type Write,
} from "../../../src/core/raft/raft.ts";
import type { Configuration } from "../../../src/core/raft/raft.ts";
import type { MemberId } from "../../../src/core/base/ids.ts";
import { Violation } from "../truth.ts";

export interface SavedSnapshot {
  readonly mark: SnapshotMark;
  readonly bytes: Uint8Array;
}

/** What writes add up to. */
export class Image {
  term: Term = 0;
  vote: MemberId | null = null;
  commit: Index = 0;
  reset: Write["reset"] = null;
  /** Index of the first entry; meaningless while there is none. */
  first: Index = 1;
  entries: Entry[] = [];

  get last(): Index {
    return this.entries.length === 0
      ? (this.reset?.index ?? 0)
      : this.first + this.entries.length - 1;
  }

  at(index: Index): Entry | undefined {
    return this.entries[index - this.first];
  }

  put(write: Write): void {
    if (write.term < this.term) throw new Violation("a durable term falls");
    if (write.term === this.term && this.vote !== null && write.vote !== this.vote)
      throw new Violation(`two votes in term ${write.term}: ${this.vote}, ${write.vote}`);
    this.term = write.term;
    this.vote = write.vote;
    this.commit = Math.max(this.commit, write.commit);
    if (write.reset !== null) {
      this.reset = write.reset;
      this.entries = [];
    }
    for (const entry of write.repaired) this.entries[entry.index - this.first] = entry;
    const [head] = write.entries;
    if (head === undefined) return;
    if (this.entries.length === 0) this.first = head.index;
    this.entries.length = Math.min(this.entries.length, head.index - this.first);
    this.entries.push(...write.entries);
  }

  trim(index: Index): void {
    if (this.entries.length === 0 || index < this.first) return;
    this.entries.splice(0, index - this.first + 1);
    this.first = index + 1;
  }

  copy(): Image {
    const copy = Object.assign(new Image(), this);
    copy.entries = [...this.entries];
    return copy;
  }
}

export class RaftDisk {
  readonly durableImage = new Image();
  #waiting: { readonly ticket: number; readonly write: Write; readonly since: number }[] = [];
  #ticket = 0;
  durable = 0;
  /** Nothing becomes durable before this time. */
  stalledUntil = 0;
  /** When the oldest write that is not durable was asked for; none: Infinity. */
  get waitsSince(): number {
    return this.#waiting[0]?.since ?? Number.POSITIVE_INFINITY;
  }
  saved: SavedSnapshot;

  constructor(founders: readonly MemberId[]) {
    const configuration: Configuration = { ...nobody, voters: founders };
    const mark = { index: 0, term: 0, configuration, bytes: 0 };
    this.saved = { mark, bytes: new Uint8Array(0) };
  }

  get tail(): number {
    return this.#ticket;
  }

  write(write: Write, since: number): number {
    this.#ticket += 1;
    this.#waiting.push({ ticket: this.#ticket, write, since });
    return this.#ticket;
  }

  /** Everything up to `ticket` is durable. */
  sync(ticket: number): void {
    while (this.#waiting.length > 0) {
      const [next] = this.#waiting;
      if (next === undefined || next.ticket > ticket) break;
      this.durableImage.put(next.write);
      this.#waiting.shift();
    }
    this.durable = Math.max(this.durable, ticket);
  }

  /** How many writes a power cut may take. */
  get unsynced(): number {
    return this.#waiting.length;
  }

  /** The machine has lost all but `kept` of the writes that were not durable. */
  cut(kept: number): void {
    for (const { write } of this.#waiting.slice(0, kept)) this.durableImage.put(write);
    this.#waiting = [];
    this.durable = this.#ticket;
  }

  trim(index: Index): void {
    this.durableImage.trim(index);
  }

  harm(index: Index, head: boolean): void {
    const image = this.durableImage;
    const entry = image.at(index);
    if (entry === undefined) return;
    // The terms around may leave only one.
    const before = image.at(index - 1)?.term;
    const known = head || (before !== undefined && before === image.at(index + 1)?.term);
    const term = known ? entry.term : unknownTerm;
    image.entries[index - image.first] = { kind: "damaged", index, term };
  }

  stored(): Stored {
    const { term, vote, commit, reset, entries } = this.durableImage.copy();
    return { term, vote, commit, reset, entries, snapshot: this.saved.mark };
  }
}
