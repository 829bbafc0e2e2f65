// What goes into the metadata Raft and what comes out: entries, messages, writes, inputs, effects.
// All of it is plain and flat. An entry of a term at an index is the same entry wherever it is.

import type { MemberId, Ticket } from "../base/ids.ts";

/** >= 0; 0 = before the first election. */
export type Term = number;
/** Position in the metadata log, >= 1; 0 = before the first entry. */
export type Index = number;

/** Term of a damaged entry whose head is lost too. It equals no term. */
export const unknownTerm: Term = -1;

/**
 * Who decides. It counts from the moment that it is in the log, committed or not. Joint while
 * `outgoing` has members: then every decision takes a majority of `voters` and one of `outgoing`.
 */
export interface Configuration {
  readonly voters: readonly MemberId[];
  readonly outgoing: readonly MemberId[];
  /** Get the log and decide nothing, unless they are in `outgoing`. */
  readonly learners: readonly MemberId[];
  /** Once members, never again. */
  readonly removed: readonly MemberId[];
}

export type Entry =
  | {
      readonly kind: "command";
      readonly index: Index;
      readonly term: Term;
      readonly payload: Uint8Array;
    }
  /** A leader's first entry: what it commits, commits everything before it. */
  | { readonly kind: "no-op"; readonly index: Index; readonly term: Term }
  | {
      readonly kind: "configuration";
      readonly index: Index;
      readonly term: Term;
      readonly configuration: Configuration;
    }
  /** It was here and its bytes are bad. Only found at a start; never sent, never applied. */
  | { readonly kind: "damaged"; readonly index: Index; readonly term: Term };

/** What a snapshot stands for: everything up to `index`. */
export interface SnapshotMark {
  readonly index: Index;
  readonly term: Term;
  /** As of `index`. */
  readonly configuration: Configuration;
  /** Size of the snapshot; 0 at index 0, which needs none. */
  readonly bytes: number;
}

/**
 * One record of the log on disk: there as a whole or not at all, in the order in which writes were
 * asked for. `reset` empties the log: it goes on behind the snapshot at that index, which is
 * durable. `entries` are contiguous, and the first replaces everything from its index on.
 * `repaired` replace single entries in place.
 */
export interface Write {
  readonly term: Term;
  readonly vote: MemberId | null;
  readonly commit: Index;
  readonly reset: { readonly index: Index; readonly term: Term } | null;
  readonly entries: readonly Entry[];
  readonly repaired: readonly Entry[];
}

/** What a start finds on disk. */
export interface Stored {
  readonly term: Term;
  readonly vote: MemberId | null;
  /** Known to be committed, perhaps long ago. */
  readonly commit: Index;
  /**
   * The newest durable snapshot, whose state the carrier has loaded. Founders of a cluster start
   * with one at index 0 that names them all; whoever joins, with one that names nobody.
   */
  readonly snapshot: SnapshotMark;
  /** Where the log began after its last reset. */
  readonly reset: { readonly index: Index; readonly term: Term } | null;
  /** Contiguous; they may begin below the snapshot. */
  readonly entries: readonly Entry[];
}

interface Head {
  readonly from: MemberId;
  readonly to: MemberId;
  /** Term of the sender. */
  readonly term: Term;
}

export interface VoteRequest extends Head {
  readonly kind: "vote-request";
  /** Asks whether an election would be won, and changes nothing (Raft thesis, 9.6). */
  readonly pre: boolean;
  /** The leader asked for it: a leader that was heard lately is no reason to refuse. */
  readonly transfer: boolean;
  /** The term that the election is for: `term`, or the one behind it. */
  readonly campaign: Term;
  readonly lastIndex: Index;
  readonly lastTerm: Term;
}
export interface VoteReply extends Head {
  readonly kind: "vote-reply";
  readonly pre: boolean;
  readonly campaign: Term;
  readonly granted: boolean;
}
export interface Append extends Head {
  readonly kind: "append";
  readonly prevIndex: Index;
  readonly prevTerm: Term;
  readonly commit: Index;
  readonly entries: readonly Entry[];
}
export interface AppendReply extends Head {
  readonly kind: "append-reply";
  readonly accepted: boolean;
  /** Accepted: everything up to here is durable and as the leader has it. Else: prevIndex. */
  readonly index: Index;
  /** Refused: the logs may agree at or below this index, at a term not above `hintTerm`. */
  readonly hintIndex: Index;
  readonly hintTerm: Term;
}
export interface Heartbeat extends Head {
  readonly kind: "heartbeat";
  /** Not above what the receiver is known to have. */
  readonly commit: Index;
  /** Rises with every round of heartbeats of a leader. */
  readonly round: number;
}
export interface HeartbeatReply extends Head {
  readonly kind: "heartbeat-reply";
  readonly round: number;
}
export interface SnapshotChunk extends Head {
  readonly kind: "snapshot-chunk";
  readonly snapshot: SnapshotMark;
  readonly position: number;
  readonly chunk: Uint8Array;
}
export interface SnapshotReply extends Head {
  readonly kind: "snapshot-reply";
  readonly index: Index;
  /** The byte that is wanted next; 0 = from the beginning. */
  readonly position: number;
}
/** From a leader that hands over: campaign at once. */
export interface TimeoutNow extends Head {
  readonly kind: "timeout-now";
}
/** Asks for an entry whose copy here is damaged. */
export interface RepairRequest extends Head {
  readonly kind: "repair-request";
  readonly index: Index;
  readonly entryTerm: Term;
}
export interface RepairReply extends Head {
  readonly kind: "repair-reply";
  readonly index: Index;
  readonly entryTerm: Term;
  /** Null: there is no such entry here, of any term that could be meant. */
  readonly entry: Entry | null;
  /** Terms of the entries before and behind it; 0 = there is none, or it is not known. */
  readonly prevTerm: Term;
  readonly nextTerm: Term;
  /** The entry is known to be committed. */
  readonly committed: boolean;
}

export type Message =
  | VoteRequest
  | VoteReply
  | Append
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | SnapshotChunk
  | SnapshotReply
  | TimeoutNow
  | RepairRequest
  | RepairReply;

export type RaftInput =
  /** Often enough for the timeouts. `now` = monotonic ms. */
  | { readonly kind: "tick"; readonly now: number }
  | { readonly kind: "message"; readonly message: Message }
  /** Every write up to `ticket` is durable. */
  | { readonly kind: "persisted"; readonly ticket: Ticket }
  | { readonly kind: "propose"; readonly request: number; readonly payload: Uint8Array }
  /** A linearisable read: answered by `readable` when the state is fresh enough, or refused. */
  | { readonly kind: "read"; readonly request: number }
  /** The members that should be. */
  | {
      readonly kind: "change";
      readonly request: number;
      readonly voters: readonly MemberId[];
      readonly learners: readonly MemberId[];
    }
  /** Hands leadership over, if this is the leader and `to` a voter. */
  | { readonly kind: "transfer"; readonly to: MemberId }
  /** The state as of `index` was written as a snapshot and is durable. */
  | { readonly kind: "snapshot-saved"; readonly index: Index; readonly bytes: number }
  /** All chunks of a received snapshot are durable in one whole file; or it was no good. */
  | { readonly kind: "snapshot-installed"; readonly index: Index }
  | { readonly kind: "snapshot-refused"; readonly index: Index };

export type Refusal =
  /** Ask the leader. */
  | "not-leader"
  /** Leadership is being handed over; ask again soon. */
  | "transfer"
  /** Too much waits. */
  | "busy"
  /** A change waits, or this leader has committed nothing of its own term yet. */
  | "change-in-flight"
  | "members-invalid"
  /** It was a member once. */
  | "member-removed"
  /** It does not have enough of the log to vote. */
  | "member-behind"
  /** Leadership was lost before it was known to be committed: it may still be, or not. */
  | "unknown";

export type RaftOutcome =
  | { readonly kind: "committed"; readonly index: Index }
  | { readonly kind: "refused"; readonly refusal: Refusal; readonly leader: MemberId | null };

export interface RaftEffects {
  /** May be lost, repeated and overtaken. What it depends on is durable. */
  send(message: Message): void;
  /**
   * Sends `chunk` with up to `bytesMax` bytes of the durable snapshot at `snapshot.index`, from
   * `position` on; sends nothing when that snapshot was replaced.
   */
  sendChunk(chunk: Omit<SnapshotChunk, "chunk">, bytesMax: number): void;
  /** Appends to the log on disk and syncs as soon as possible; tickets rise. */
  persist(write: Write): Ticket;
  /** Committed, in order, each once while the process lives; no-ops as well. */
  apply(entry: Entry): void;
  /**
   * Bytes of a snapshot from a leader, in order; position 0 starts anew. With the last of them the
   * carrier checks the whole, makes it durable, and says `snapshot-installed` or `-refused`.
   */
  takeChunk(snapshot: SnapshotMark, position: number, chunk: Uint8Array): void;
  /** The state is now that of the installed snapshot. */
  restore(snapshot: SnapshotMark): void;
  /** Entries up to `index` are in a durable snapshot and nobody asks for them. */
  trim(index: Index): void;
  /** Answers a proposal or a change. */
  outcome(request: number, outcome: RaftOutcome): void;
  /** Answers a read: the state now holds all that was committed when it was asked for. */
  readable(request: number, index: Index): void;
  readRefused(request: number, refusal: Refusal, leader: MemberId | null): void;
  log(
    level: "debug" | "info" | "warn" | "error",
    event: string,
    fields: Readonly<Record<string, string | number>>,
  ): void;
}
