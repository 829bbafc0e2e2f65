// The state of one member and the steps that all roles share: changes of term and role, timeouts,
// commit. Plain fields, so that the explorer can copy and compare them.
//
// Invariants: see `invariants`.

import { assert } from "../base/assert.ts";
import type { MemberId } from "../base/ids.ts";
import { Random } from "../base/random.ts";
import {
  type Entry,
  type Index,
  type Message,
  type RaftEffects,
  type Refusal,
  type SnapshotMark,
  type Stored,
  type Term,
  unknownTerm,
} from "./contract.ts";
import { Journal } from "./journal.ts";
import { entryBytes, type Log, logFrom } from "./log.ts";
import { Progress } from "./progress.ts";
import { decides, membersOf, votersOf } from "./quorum.ts";

export interface RaftLimits {
  readonly votersMax: number;
  readonly membersMax: number;
  readonly removedMax: number;
  readonly appendBytes: number;
  readonly inflightMax: number;
  readonly inflightBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly requestsMax: number;
  readonly heldMax: number;
  readonly readsMax: number;
  readonly chunkBytes: number;
  readonly keptBytes: number;
  readonly promotionLagMax: number;
}

export interface RaftSettings {
  readonly member: MemberId;
  /** A follower that hears no leader for so long, up to twice as long, asks for votes. */
  readonly electionTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly seed: readonly [number, number, number, number];
  readonly limits: RaftLimits;
}

export interface WaitingRead {
  readonly request: number;
  readonly index: Index;
  /** Confirmed when a quorum has answered this round of heartbeats. */
  readonly round: number;
}

/** What only a leader has. */
export interface Leading {
  readonly progress: Map<MemberId, Progress>;
  /** Its own first entry: until that is committed, it does not know what is. */
  readonly firstIndex: Index;
  /** Who waits for the commit of an index. */
  readonly requests: Map<Index, number>;
  /** Who waits for the end of a change. */
  change: number | null;
  uncommittedBytes: number;
  round: number;
  reads: WaitingRead[];
  /** Reads that came before the first entry was committed. */
  earlyReads: number[];
  heartbeatAt: number;
  quorumCheckAt: number;
  transfer: { readonly to: MemberId; readonly deadline: number; readonly told: boolean } | null;
}

/** What only a candidate has, or who finds out whether to be one. */
export interface Campaigning {
  readonly pre: boolean;
  readonly transfer: boolean;
  readonly votes: Map<MemberId, boolean>;
}

export interface Incoming {
  readonly snapshot: SnapshotMark;
  /** Two members may write the same state in other bytes. */
  readonly from: MemberId;
  position: number;
  heardAt: number;
}

export type Role = "follower" | "candidate" | "leader";

/** Streams of randomness of the Raft, apart from the others of a node. */
const randomConcern = 0x20000;

export class Machine {
  readonly settings: RaftSettings;
  readonly random: Random;
  readonly log: Log;
  readonly journal: Journal;
  role: Role = "follower";
  term: Term;
  vote: MemberId | null;
  leader: MemberId | null = null;
  commit: Index;
  applied: Index;
  now = 0;
  electionAt = 0;
  /** When the present leader was last heard. */
  heardAt = 0;
  leading: Leading | null = null;
  campaigning: Campaigning | null = null;
  /** The snapshot that comes in, and how much of it is here. */
  incoming: Incoming | null = null;
  /** No entry that this start has found is of a higher term. */
  readonly termAtStart: Term;
  /** Who has no copy of the first damaged entry, and in which term they said so. */
  readonly lacking = new Map<MemberId, Term>();
  /** Which entry they were asked for. */
  lackingIndex: Index = 0;
  /** When to ask for it again. */
  repairAt = 0;
  effects: RaftEffects | null = null;

  constructor(settings: RaftSettings, stored: Stored) {
    this.settings = settings;
    this.random = new Random(settings.seed, randomConcern);
    this.log = logFrom(stored);
    this.journal = new Journal(this.log.last);
    this.term = stored.term;
    this.termAtStart = stored.term;
    this.vote = stored.vote;
    this.applied = this.log.snapshot.index;
    this.commit = Math.max(this.applied, Math.min(stored.commit, this.log.last));
    this.electionAt = settings.electionTimeoutMs + this.random.below(settings.electionTimeoutMs);
    // Nobody else can lead: there is nothing to wait for.
    if (this.alone) this.electionAt = 0;
  }

  get self(): MemberId {
    return this.settings.member;
  }

  /** This member decides alone. */
  get alone(): boolean {
    const voters = votersOf(this.log.configuration);
    return voters.length === 1 && voters[0] === this.self;
  }

  get out(): RaftEffects {
    assert(this.effects !== null, "effects belong to a step");
    return this.effects;
  }

  /** Says a message when term and vote are durable, and everything up to `reach`. */
  send(message: Message, reach: Index = 0): void {
    this.journal.say(message, reach);
  }
  /** The head of a message to `to`. */
  head(to: MemberId): { readonly from: MemberId; readonly to: MemberId; readonly term: Term } {
    return { from: this.self, to, term: this.term };
  }

  resetElection(): void {
    const { electionTimeoutMs } = this.settings;
    this.electionAt = this.now + electionTimeoutMs + this.random.below(electionTimeoutMs);
  }

  /** A leader was heard so lately that nobody else needs to be one. */
  get hearsLeader(): boolean {
    if (this.role === "leader") return true;
    return this.leader !== null && this.now - this.heardAt < this.settings.electionTimeoutMs;
  }

  get diskStalls(): boolean {
    return this.journal.stalledMs(this.now) >= this.settings.electionTimeoutMs;
  }

  setTerm(term: Term, vote: MemberId | null): void {
    assert(term >= this.term, "the term does not fall");
    assert(term > this.term || this.vote === null || this.vote === vote, "one vote a term");
    if (term > this.term) this.journal.forget();
    this.term = term;
    this.vote = vote;
    this.journal.stateChanged = true;
  }

  toFollower(term: Term, leader: MemberId | null): void {
    if (term > this.term) this.setTerm(term, null);
    if (this.leading !== null) this.#abdicate(this.leading);
    if (this.role !== "follower" || this.leader !== leader) this.resetElection();
    this.role = "follower";
    this.leader = leader;
    this.leading = null;
    this.campaigning = null;
  }

  /** What waits may be committed by the next leader, or not. */
  #abdicate(leading: Leading): void {
    const unknown = { kind: "refused", refusal: "unknown", leader: null } as const;
    for (const request of leading.requests.values()) this.out.outcome(request, unknown);
    if (leading.change !== null) this.out.outcome(leading.change, unknown);
    for (const read of leading.reads) this.refuseRead(read.request, "not-leader");
    for (const request of leading.earlyReads) this.refuseRead(request, "not-leader");
    this.out.log("info", "raft-leader-steps-down", { term: this.term });
  }

  toLeader(): void {
    assert(this.role === "candidate", "a leader was elected");
    assert(this.log.damaged.length === 0, "a leader has a whole log");
    this.role = "leader";
    this.leader = this.self;
    this.campaigning = null;
    const { heartbeatMs, electionTimeoutMs } = this.settings;
    this.leading = {
      progress: new Map(),
      firstIndex: this.log.last + 1,
      requests: new Map(),
      change: null,
      uncommittedBytes: 0,
      round: 0,
      reads: [],
      earlyReads: [],
      heartbeatAt: this.now + heartbeatMs,
      quorumCheckAt: this.now + electionTimeoutMs,
      transfer: null,
    };
    for (let index = this.applied + 1; index <= this.log.last; index += 1)
      this.leading.uncommittedBytes += this.bytesAt(index);
    this.followMembers();
    this.out.log("info", "raft-leader", { term: this.term });
  }

  bytesAt(index: Index): number {
    const entry = this.log.at(index);
    return entry === undefined ? 0 : entryBytes(entry);
  }

  /** Progress for all members of the newest configuration, and for nobody else. */
  followMembers(): void {
    if (this.leading === null) return;
    const members = membersOf(this.log.configuration).filter((member) => member !== this.self);
    const { progress } = this.leading;
    for (const member of progress.keys()) if (!members.includes(member)) progress.delete(member);
    for (const member of members)
      if (!progress.has(member)) progress.set(member, new Progress(this.log.last + 1));
  }

  /** Appends an entry of the leader's own. */
  appendOwn(entry: Entry): void {
    assert(this.leading !== null, "a leader appends");
    assert(entry.term === this.term, "a leader appends in its term");
    this.log.append(entry);
    this.journal.changed(entry.index);
    this.leading.uncommittedBytes += entryBytes(entry);
  }

  /** Takes the term's word that everything up to `index` is committed, and applies what is here. */
  commitTo(index: Index): void {
    assert(index <= this.log.last, "what is committed is in the log");
    if (index > this.commit) this.commit = index;
    this.applyCommitted();
  }

  /** What is not durable or not whole here is not applied. */
  applyCommitted(): void {
    const limit = Math.min(this.commit, this.journal.stable, this.log.whole);
    while (this.applied < limit) {
      const entry = this.log.at(this.applied + 1);
      assert(entry !== undefined && entry.kind !== "damaged", "what is applied is whole");
      this.applied += 1;
      this.out.apply(entry);
      if (this.leading !== null) this.#answer(this.leading, entry);
    }
  }

  #answer(leading: Leading, entry: Entry): void {
    leading.uncommittedBytes -= entryBytes(entry);
    const request = leading.requests.get(entry.index);
    if (request === undefined) return;
    leading.requests.delete(entry.index);
    this.out.outcome(request, { kind: "committed", index: entry.index });
  }

  /** Term of the last entry, or the highest that it can have. */
  get lastTermBound(): Term {
    const { lastTerm } = this.log;
    return lastTerm === unknownTerm ? this.termAtStart : lastTerm;
  }

  quorumSays(says: (member: MemberId) => boolean): boolean {
    return decides(this.log.configuration, says);
  }

  refuse(request: number, refusal: Refusal): void {
    this.out.outcome(request, { kind: "refused", refusal, leader: this.leader });
  }
  refuseRead(request: number, refusal: Refusal): void {
    this.out.readRefused(request, refusal, this.leader);
  }

  /** Writes and sends what the step has brought about. */
  flush(): void {
    const { log, journal, term, vote, commit } = this;
    const entries =
      journal.unwritten === 0 ? [] : log.entries.slice(journal.unwritten - log.base - 1);
    const { heldMax } = this.settings.limits;
    journal.flush({ term, vote, commit }, entries, this.now, heldMax, this.out);
  }

  invariants(): void {
    const { log, journal, settings } = this;
    assert(log.base <= log.snapshot.index, "the log reaches back to the snapshot");
    assert(log.snapshot.index <= log.last, "the snapshot is of the log");
    assert(this.applied <= this.commit, "what is applied is committed");
    assert(this.applied <= journal.stable, "what is applied is durable");
    assert(this.commit <= log.last, "what is committed is in the log");
    assert(journal.stable <= log.last, "what is durable is in the log");
    assert(journal.held.length <= settings.limits.heldMax, "messages that wait are bounded");
    assert((this.role === "leader") === (this.leading !== null), "a leader has its state");
    assert(
      (this.role === "candidate") === (this.campaigning?.pre === false),
      "a candidate has its votes",
    );
    if (this.leading === null) return;
    assert(log.damaged.length === 0, "a leader has a whole log");
    assert(this.leading.uncommittedBytes >= 0, "bytes are counted once");
    assert(waitingOf(this.leading) <= settings.limits.requestsMax, "requests are bounded");
    for (const each of this.leading.progress.values()) {
      assert(each.match < each.next, "a member gets what it does not have");
      assert(each.match <= log.last, "a member has no more than the leader");
      assert(each.inFlight.length <= settings.limits.inflightMax, "the window is bounded");
    }
  }
}

/** Proposals and changes that wait for their commit. */
export function waitingOf(leading: Leading): number {
  return leading.requests.size + (leading.change === null ? 0 : 1);
}
