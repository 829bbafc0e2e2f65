// The log in memory: everything behind `base`, and the configurations that it holds.
//
// Invariants: entries are contiguous from base + 1 on; known terms never fall; the first
// configuration of the list stands at or below `base`; base <= snapshot.index <= last.

import { assert } from "../base/assert.ts";
import {
  type Configuration,
  type Entry,
  type Index,
  type SnapshotMark,
  type Stored,
  type Term,
  unknownTerm,
} from "./contract.ts";
import { membersOf } from "./quorum.ts";

/** What an entry costs beside its payload. */
const entryOverheadBytes = 64;
const memberBytes = 22;

export function entryBytes(entry: Entry): number {
  switch (entry.kind) {
    case "command":
      return entryOverheadBytes + entry.payload.byteLength;
    case "configuration":
      return entryOverheadBytes + memberBytes * membersOf(entry.configuration).length;
    case "no-op":
    case "damaged":
      return entryOverheadBytes;
  }
}

export interface ConfigurationAt {
  readonly index: Index;
  readonly configuration: Configuration;
}

export class Log {
  /** The last index that is not in memory any more, and its term. */
  base: Index;
  baseTerm: Term;
  entries: Entry[] = [];
  /** The newest durable one. */
  snapshot: SnapshotMark;
  /** Oldest first. */
  configurations: ConfigurationAt[];
  /** Indexes of damaged entries, rising. */
  damaged: Index[] = [];

  constructor(snapshot: SnapshotMark) {
    this.base = snapshot.index;
    this.baseTerm = snapshot.term;
    this.snapshot = snapshot;
    this.configurations = [snapshot];
  }

  get last(): Index {
    return this.base + this.entries.length;
  }
  get lastTerm(): Term {
    return this.entries[this.entries.length - 1]?.term ?? this.baseTerm;
  }
  get configuration(): Configuration {
    const newest = this.configurations[this.configurations.length - 1];
    assert(newest !== undefined, "a log has a configuration");
    return newest.configuration;
  }
  /** Where the newest configuration stands. */
  get configurationIndex(): Index {
    return this.configurations[this.configurations.length - 1]?.index ?? 0;
  }
  /** Everything up to here is whole. */
  get whole(): Index {
    const first = this.damaged[0];
    return first === undefined ? this.last : first - 1;
  }

  configurationAt(index: Index): Configuration {
    let found = this.configurations[0];
    for (const each of this.configurations) if (each.index <= index) found = each;
    assert(found !== undefined, "a log has a configuration");
    return found.configuration;
  }

  at(index: Index): Entry | undefined {
    return this.entries[index - this.base - 1];
  }

  /** Undefined: not in memory. `unknownTerm`: damaged together with its head. */
  termAt(index: Index): Term | undefined {
    return index === this.base ? this.baseTerm : this.at(index)?.term;
  }

  append(entry: Entry): void {
    assert(entry.index === this.last + 1, "entries are contiguous");
    assert(entry.term >= this.lastTerm || entry.term === unknownTerm, "terms do not fall");
    this.entries.push(entry);
    if (entry.kind === "configuration") this.configurations.push(entry);
    if (entry.kind === "damaged") this.damaged.push(entry.index);
  }

  /** Drops everything from `index` on, and takes configurations back. */
  cutFrom(index: Index): void {
    assert(index > this.base, "what is compacted is not cut");
    assert(index > this.snapshot.index, "what a snapshot holds is not cut");
    this.entries.length = index - this.base - 1;
    this.configurations = this.configurations.filter((each) => each.index < index);
    this.damaged = this.damaged.filter((each) => each < index);
  }

  /** Puts the whole entry where a damaged one is. */
  repair(entry: Entry): void {
    assert(entry.kind !== "damaged", "a repair is whole");
    assert(this.at(entry.index)?.kind === "damaged", "only damage is repaired");
    this.entries[entry.index - this.base - 1] = entry;
    this.damaged = this.damaged.filter((each) => each !== entry.index);
    if (entry.kind !== "configuration") return;
    this.configurations.push(entry);
    this.configurations.sort((a, b) => a.index - b.index);
  }

  /**
   * The entry before this one was replaced without knowing that it was the same, so this one may
   * not belong behind it: it has to come again from a leader.
   */
  doubt(index: Index): void {
    const entry = this.at(index);
    if (entry === undefined || entry.kind === "damaged") return;
    this.entries[index - this.base - 1] = { kind: "damaged", index, term: entry.term };
    this.configurations = this.configurations.filter((each) => each.index !== index);
    this.damaged = [...this.damaged, index].sort((a, b) => a - b);
  }

  /** Forgets entries up to `index`, which the snapshot covers. */
  compact(index: Index): void {
    if (index <= this.base) return;
    assert(index <= this.snapshot.index, "only what a snapshot holds is forgotten");
    const term = this.termAt(index);
    assert(term !== undefined, "what is compacted is in memory");
    const configuration = this.configurationAt(index);
    this.configurations = this.configurations.filter((each) => each.index > index);
    this.configurations.unshift({ index, configuration });
    this.entries = this.entries.slice(index - this.base);
    this.damaged = this.damaged.filter((each) => each > index);
    this.base = index;
    this.baseTerm = term;
  }

  /** Nothing is left but the snapshot. */
  reset(snapshot: SnapshotMark): void {
    this.base = snapshot.index;
    this.baseTerm = snapshot.term;
    this.snapshot = snapshot;
    this.entries = [];
    this.damaged = [];
    this.configurations = [snapshot];
  }

  /**
   * Whole entries from `from` on, about `bytesMax` of them, and two whatever their size: the second
   * proves the first where a copy has lost the first one's term.
   */
  slice(from: Index, bytesMax: number): readonly Entry[] {
    const slice: Entry[] = [];
    let bytes = 0;
    for (let index = from; ; index += 1) {
      const entry = this.at(index);
      if (entry === undefined || entry.kind === "damaged") return slice;
      bytes += entryBytes(entry);
      if (slice.length > 1 && bytes > bytesMax) return slice;
      slice.push(entry);
    }
  }

  /**
   * The highest index at or below `index` whose term is at most `term`: above it, a log that has
   * `term` at `index` cannot agree with this one.
   */
  agreement(index: Index, term: Term): { readonly index: Index; readonly term: Term } {
    let at = Math.min(index, this.last);
    while (at > this.base) {
      const here = this.termAt(at) ?? 0;
      if (here !== unknownTerm && here <= term) return { index: at, term: here };
      at -= 1;
    }
    return { index: this.base, term: this.baseTerm };
  }
}

/**
 * The log that a start finds. A snapshot that was installed while the log was not reset yet wins,
 * unless the log holds the very entry that it ends with.
 */
export function logFrom(stored: Stored): Log {
  const { snapshot, entries, reset } = stored;
  const log = new Log(snapshot);
  const first = entries[0]?.index ?? 0;
  const begins = reset?.index ?? 0;
  const atMark =
    begins === snapshot.index
      ? (reset?.term ?? 0)
      : entries.find((entry) => entry.index === snapshot.index)?.term;
  const follows =
    atMark === snapshot.term || atMark === unknownTerm || first === snapshot.index + 1;
  if (!follows) return log;
  for (const entry of entries) if (entry.index > snapshot.index) log.append(entry);
  if (atMark === unknownTerm) log.doubt(snapshot.index + 1);
  return log;
}
