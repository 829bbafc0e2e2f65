// What a Raft group may never do: the judge of a simulation. It sees every step, write, message and
// answer, draws no randomness, and throws at the first contradiction.

import type { MemberId } from "../../../src/core/base/ids.ts";
import type {
  Configuration,
  Entry,
  Index,
  Message,
  Raft,
  Term,
} from "../../../src/core/raft/raft.ts";
import { Violation } from "../truth.ts";
import type { RaftDisk } from "./disk.ts";

/** Equal entries, equal text. */
export function textOf(entry: Entry): string {
  switch (entry.kind) {
    case "command":
      return `command ${new TextDecoder().decode(entry.payload)}`;
    case "configuration":
      return JSON.stringify(entry.configuration);
    case "no-op":
    case "damaged":
      return entry.kind;
  }
}

interface Known {
  readonly text: string;
  readonly prevTerm: Term;
}

interface LeaderSeen {
  readonly term: Term;
  readonly last: Index;
  readonly lastTerm: Term;
}

export interface Judged {
  readonly id: MemberId;
  readonly disk: RaftDisk;
  readonly raft: Raft | null;
}

export class RaftTruth {
  readonly #leaders = new Map<Term, MemberId>();
  readonly #seen = new Map<MemberId, LeaderSeen>();
  /** By `index:term`. */
  readonly #known = new Map<string, Known>();
  /** By index - 1; `by` = the term in which it was first applied. */
  readonly committed: { readonly term: Term; readonly by: Term; readonly text: string }[] = [];
  readonly #refused = new Set<string>();
  readonly #members: ReadonlyMap<MemberId, Judged>;

  constructor(members: ReadonlyMap<MemberId, Judged>) {
    this.#members = members;
  }

  /** The newest term that had a leader. */
  get lastLed(): Term {
    return Math.max(0, ...this.#leaders.keys());
  }

  get committedIndex(): Index {
    return this.committed.length;
  }

  /** After every step of a member; `commit` and `configuration` are those before it. */
  stepped(member: Judged, commit: Index, configuration: Configuration): void {
    const { raft, id } = member;
    if (raft === null || raft.role !== "leader") {
      this.#seen.delete(id);
      return;
    }
    if (raft.commit > commit) this.#onQuorum(member, configuration);
    this.#oneLeader(id, raft);
    this.#appendOnly(id, raft);
    this.#oneChange(raft);
  }

  /** Election safety, and leader completeness at the election. */
  #oneLeader(id: MemberId, raft: Raft): void {
    const other = this.#leaders.get(raft.term);
    if (other === id) return;
    if (other !== undefined)
      throw new Violation(`election safety: ${other} and ${id} lead in term ${raft.term}`);
    this.#leaders.set(raft.term, id);
    const { log } = raft.machine;
    // One that is elected late need not have what a later one committed.
    const index = this.committed.findLastIndex(({ by }) => by < raft.term) + 1;
    if (index <= log.base) return;
    if (log.termAt(index) !== this.committed[index - 1]?.term)
      throw new Violation(`leader completeness: ${id} leads without entry ${index}`);
  }

  #appendOnly(id: MemberId, raft: Raft): void {
    const { log } = raft.machine;
    const seen = this.#seen.get(id);
    if (seen !== undefined && seen.term === raft.term) {
      const kept = seen.last <= log.base || log.termAt(seen.last) === seen.lastTerm;
      if (log.last < seen.last || !kept)
        throw new Violation(`leader append-only: ${id} lost entry ${seen.last}`);
    }
    this.#seen.set(id, { term: raft.term, last: log.last, lastTerm: log.lastTerm });
  }

  /** Configuration safety: one change at a time, and nobody comes back. */
  #oneChange(raft: Raft): void {
    const { configurations, configuration } = raft.machine.log;
    const first = raft.machine.leading?.firstIndex ?? 0;
    if (raft.commit < first && raft.machine.log.configurationIndex > first)
      throw new Violation(
        "configuration safety: a change before anything of its term is committed",
      );
    const open = configurations.filter((each) => each.index > raft.commit).length;
    if (open > 1) throw new Violation("configuration safety: two changes are on their way");
    const { voters, outgoing, learners, removed } = configuration;
    if ([...voters, ...outgoing, ...learners].some((member) => removed.includes(member)))
      throw new Violation("configuration safety: a removed member is back");
  }

  /** Log matching: an entry of a term is one entry, and the one before it is one as well. */
  wrote(id: MemberId, entry: Entry, prevTerm: Term | undefined): void {
    if (entry.kind === "damaged") throw new Violation(`${id} writes a damaged entry`);
    const key = `${entry.index}:${entry.term}`;
    const known = this.#known.get(key);
    const text = textOf(entry);
    if (known === undefined) this.#known.set(key, { text, prevTerm: prevTerm ?? -1 });
    else if (known.text !== text)
      throw new Violation(
        `log matching: entry ${key} is "${text}" at ${id}, "${known.text}" before`,
      );
    else if (
      known.prevTerm >= 0 &&
      prevTerm !== undefined &&
      prevTerm >= 0 &&
      known.prevTerm !== prevTerm
    )
      throw new Violation(`log matching: before entry ${key} at ${id} lies another one`);
  }

  /** State machine safety. */
  applied(member: Judged, entry: Entry): void {
    const { id, raft } = member;
    const text = textOf(entry);
    const known = this.committed[entry.index - 1];
    if (known === undefined) {
      if (entry.index !== this.committed.length + 1)
        throw new Violation(
          `${id} applies ${entry.index}, ${this.committed.length + 1} comes next`,
        );
      if (this.#refused.has(text)) throw new Violation(`"${text}" was refused and is committed`);
      this.committed.push({ term: entry.term, by: raft?.term ?? 0, text });
    } else if (known.text !== text || known.term !== entry.term) {
      throw new Violation(
        `state machine safety: entry ${entry.index} is "${text}" at ${id}, "${known.text}" before`,
      );
    }
  }

  /** What a leader commits is durable on a majority of those who decided when the step began. */
  #onQuorum({ id, raft }: Judged, { voters, outgoing }: Configuration): void {
    const entry = raft?.machine.log.at(raft.commit);
    if (entry === undefined) return;
    if (entry.term !== raft?.term)
      throw new Violation(
        `${id} commits ${entry.index} of term ${entry.term} by counting (figure 8)`,
      );
    for (const deciding of [voters, outgoing]) {
      const holds = deciding.filter((member) => this.#holds(member, entry)).length;
      if (deciding.length > 0 && holds * 2 <= deciding.length)
        throw new Violation(`${id} commits ${entry.index}, which is durable on ${holds} only`);
    }
  }

  #holds(member: MemberId, entry: Entry): boolean {
    const disk = this.#members.get(member)?.disk;
    if (disk === undefined) return false;
    if (disk.saved.mark.index >= entry.index) return true;
    const there = disk.durableImage.at(entry.index);
    return there !== undefined && (there.term === entry.term || there.kind === "damaged");
  }

  /** Nothing is said that a power cut could make untrue. */
  said(member: Judged, message: Message): void {
    const { id, disk } = member;
    const image = disk.durableImage;
    if (message.from !== id) throw new Violation(`${id} speaks for ${message.from}`);
    if (message.term > image.term)
      throw new Violation(`unsynced: ${id} says term ${message.term}, durable is ${image.term}`);
    if (message.kind === "vote-reply" && message.granted && !message.pre) {
      if (image.term === message.term && image.vote !== message.to)
        throw new Violation(`unsynced: ${id} grants a vote that is not durable`);
    }
    if (message.kind === "vote-request" && !message.pre) {
      if (image.vote !== id || image.term !== message.term)
        throw new Violation(`unsynced: ${id} asks for votes before its own is durable`);
      this.#has(member, message.lastIndex);
    }
    if (message.kind === "append-reply" && message.accepted) this.#has(member, message.index);
  }

  #has({ id, disk }: Judged, index: Index): void {
    if (index <= disk.saved.mark.index) return;
    if (disk.durableImage.last < index)
      throw new Violation(
        `unsynced: ${id} says that it has ${index}, durable is ${disk.durableImage.last}`,
      );
    if (disk.durableImage.entries.some((entry) => entry.kind === "damaged" && entry.index <= index))
      throw new Violation(`${id} says that it has ${index}, and some of it is damaged`);
  }

  acknowledged(index: Index, text: string): void {
    if (this.committed[index - 1]?.text !== text)
      throw new Violation(`"${text}" was acknowledged at ${index}, where another entry is`);
  }

  refused(text: string): void {
    if (this.committed.some((each) => each.text === text))
      throw new Violation(`"${text}" is committed and refused`);
    this.#refused.add(text);
  }

  /** `asked` = what was committed when the read came. */
  read(raft: Raft, asked: Index): void {
    if (raft.applied < asked)
      throw new Violation(`stale read: ${raft.applied} is applied, ${asked} was committed before`);
  }
}
