// One member under a test's hand: what comes in is said by the test, what goes out is kept.

import { memberId, type MemberId, ticket, type Ticket } from "../../../src/core/base/ids.ts";
import {
  type Entry,
  type Index,
  type Message,
  nobody,
  Raft,
  type RaftEffects,
  type RaftInput,
  type RaftLimits,
  raftLimits,
  type RaftOutcome,
  type Refusal,
  type SnapshotChunk,
  type SnapshotMark,
  type Stored,
  type Write,
} from "../../../src/core/raft/raft.ts";

export const [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map((id) => memberId(id)) as [
  MemberId,
  MemberId,
  MemberId,
  MemberId,
  MemberId,
];
export const timeoutMs = 100;
export const heartbeatMs = 20;

/** Without head: `from` and `term` are the test's, `to` is the member. */
export type Said<K extends Message["kind"]> = Omit<
  Extract<Message, { kind: K }>,
  "kind" | "from" | "to" | "term"
>;

export function command(index: Index, term: number, text = `${term}.${index}`): Entry {
  return { kind: "command", index, term, payload: new TextEncoder().encode(text) };
}

export function founded(voters: readonly MemberId[], more: Partial<Stored> = {}): Stored {
  const configuration = { ...nobody, voters };
  const snapshot = { index: 0, term: 0, configuration, bytes: 0 };
  return { term: 0, vote: null, commit: 0, snapshot, reset: null, entries: [], ...more };
}

export class OneMember implements RaftEffects {
  readonly raft: Raft;
  readonly self: MemberId;
  sent: Message[] = [];
  readonly writes: Write[] = [];
  readonly applied: Entry[] = [];
  readonly outcomes = new Map<number, RaftOutcome>();
  readonly reads = new Map<number, Index | Refusal>();
  readonly chunks: Omit<SnapshotChunk, "chunk">[] = [];
  readonly taken: Uint8Array[] = [];
  readonly restored: Index[] = [];
  readonly trimmed: Index[] = [];
  readonly logged: string[] = [];
  /** Writes become durable with the step that asked for them. */
  prompt = true;
  now = 0;
  #tickets = 0;
  #request = 0;

  constructor(stored: Stored, limits: Partial<RaftLimits> = {}, self: MemberId = a) {
    this.self = self;
    const seed = [1, 2, 3, 4] as const;
    const times = { electionTimeoutMs: timeoutMs, heartbeatMs };
    const all = { ...raftLimits, ...limits };
    this.raft = new Raft({ member: self, ...times, seed, limits: all }, stored);
  }

  step(input: RaftInput): void {
    this.raft.step(input, this);
    if (this.prompt) this.sync();
  }

  sync(): void {
    while (this.raft.machine.journal.pending.length > 0)
      this.raft.step({ kind: "persisted", ticket: ticket(this.#tickets) }, this);
  }

  pass(ms: number): void {
    this.now += ms;
    this.step({ kind: "tick", now: this.now });
  }

  hear<K extends Message["kind"]>(kind: K, from: MemberId, term: number, said: Said<K>): void {
    const message = { kind, from, to: this.self, term, ...said } as unknown as Message;
    this.step({ kind: "message", message });
  }

  append(
    from: MemberId,
    term: number,
    prev: readonly [Index, number],
    entries: Entry[],
    commit = 0,
  ): void {
    const [prevIndex, prevTerm] = prev;
    this.hear("append", from, term, { prevIndex, prevTerm, entries, commit });
  }
  accept(from: MemberId, term: number, index: Index): void {
    this.hear("append-reply", from, term, { accepted: true, index, hintIndex: 0, hintTerm: 0 });
  }

  propose(bytes = 1): number {
    this.#request += 1;
    this.step({ kind: "propose", request: this.#request, payload: new Uint8Array(bytes) });
    return this.#request;
  }
  read(): number {
    this.#request += 1;
    this.step({ kind: "read", request: this.#request });
    return this.#request;
  }
  change(voters: readonly MemberId[], learners: readonly MemberId[] = []): number {
    this.#request += 1;
    this.step({ kind: "change", request: this.#request, voters, learners });
    return this.#request;
  }

  /** What it said since the last look, of one kind. */
  said<K extends Message["kind"]>(kind: K): Extract<Message, { kind: K }>[] {
    const found = this.sent.filter((each) => each.kind === kind);
    this.sent = this.sent.filter((each) => each.kind !== kind);
    return found as Extract<Message, { kind: K }>[];
  }

  /** Leads in the next term, and everybody has its first entry. */
  elect(others: readonly MemberId[]): this {
    this.pass(2 * timeoutMs);
    const { term } = this.raft;
    for (const from of others)
      this.hear("vote-reply", from, term, { pre: true, campaign: term + 1, granted: true });
    for (const from of others)
      this.hear("vote-reply", from, term + 1, { pre: false, campaign: term + 1, granted: true });
    for (const from of others) this.accept(from, term + 1, this.raft.machine.log.last);
    this.sent = [];
    return this;
  }

  send(message: Message): void {
    this.sent.push(message);
  }
  sendChunk(chunk: Omit<SnapshotChunk, "chunk">): void {
    this.chunks.push(chunk);
  }
  persist(write: Write): Ticket {
    this.writes.push(write);
    this.#tickets += 1;
    return ticket(this.#tickets);
  }
  apply(entry: Entry): void {
    this.applied.push(entry);
  }
  takeChunk(_snapshot: SnapshotMark, _position: number, chunk: Uint8Array): void {
    this.taken.push(chunk);
  }
  restore(snapshot: SnapshotMark): void {
    this.restored.push(snapshot.index);
  }
  trim(index: Index): void {
    this.trimmed.push(index);
  }
  outcome(request: number, outcome: RaftOutcome): void {
    this.outcomes.set(request, outcome);
  }
  readable(request: number, index: Index): void {
    this.reads.set(request, index);
  }
  readRefused(request: number, refusal: Refusal): void {
    this.reads.set(request, refusal);
  }
  log(_level: string, event: string): void {
    this.logged.push(event);
  }
  refusal(request: number): Refusal | null {
    const outcome = this.outcomes.get(request);
    return outcome?.kind === "refused" ? outcome.refusal : null;
  }
}
