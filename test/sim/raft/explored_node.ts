// One node for the explorer: the production machine and its disk, taken apart into text and put
// together again. Equal text, equal behaviour, so a step is taken once for each text and input.
//
// Time is what may happen: an election timeout fires, or a leader was not heard for long. Heartbeats
// are never delivered. A sync makes the oldest write durable, a crash loses all others.

import { memberId, type MemberId, ticket } from "../../../src/core/base/ids.ts";
import {
  type Entry,
  type Message,
  nobody,
  Raft,
  raftLimits,
  type RaftEffects,
  type RaftInput,
  type Stored,
  type Write,
} from "../../../src/core/raft/raft.ts";
import { Progress } from "../../../src/core/raft/progress.ts";
import { Violation } from "../truth.ts";

export type NodeInput =
  | { readonly kind: "deliver"; readonly message: Message }
  /** The election timeout passes. */
  | { readonly kind: "timeout" }
  /** So much time passes that the leader does not count as heard any more. */
  | { readonly kind: "silence" }
  | { readonly kind: "propose"; readonly payload: number }
  | { readonly kind: "sync" }
  | { readonly kind: "crash" };

export interface NodeStep {
  readonly node: string;
  readonly sent: readonly Message[];
  readonly applied: readonly Entry[];
}

/** What a checker wants to know of a node. */
export interface NodeView {
  readonly leads: boolean;
  readonly term: number;
  /** The term that no crash takes back. */
  readonly durableTerm: number;
  readonly commit: number;
  /** Terms of the log, and of what is durable; index 1 first. */
  readonly log: readonly number[];
  readonly durable: readonly number[];
  readonly unsynced: boolean;
  readonly hears: boolean;
}

export const ids = ["a", "b", "c"].map((id) => memberId(id));
const timeoutMs = 100;
const never = 1_000_000_000;
const seed = [1, 2, 3, 4] as const;
const snapshot = {
  index: 0,
  term: 0,
  configuration: { ...nobody, voters: ids },
  bytes: 0,
} as const;

interface Disk {
  stored: Stored;
  waiting: Write[];
}

class ExploredNode implements RaftEffects {
  raft: Raft;
  readonly disk: Disk;
  readonly sent: Message[] = [];
  readonly applied: Entry[] = [];
  tickets = 0;

  constructor(member: MemberId, disk: Disk) {
    this.disk = disk;
    const times = { electionTimeoutMs: timeoutMs, heartbeatMs: never };
    this.raft = new Raft({ member, ...times, seed, limits: raftLimits }, disk.stored);
    for (const _ of disk.waiting) this.tickets += 1;
  }

  step(input: RaftInput): void {
    this.raft.step(input, this);
    this.raft.machine.leading?.requests.clear();
  }

  send(message: Message): void {
    const { stored } = this.disk;
    const last = stored.entries.length;
    const granted = message.kind === "vote-reply" && message.granted && !message.pre;
    const says = message.kind === "append-reply" && message.accepted ? message.index : 0;
    if (message.term > stored.term || says > last || (granted && stored.vote !== message.to))
      throw new Violation(`unsynced: ${JSON.stringify(message)}`);
    if (message.kind !== "heartbeat" && message.kind !== "heartbeat-reply") this.sent.push(message);
  }
  persist(write: Write): ReturnType<typeof ticket> {
    this.disk.waiting.push(write);
    this.tickets += 1;
    return ticket(this.tickets);
  }
  apply(entry: Entry): void {
    this.applied.push(entry);
  }
  sendChunk(): void {
    throw new Violation("no snapshot is needed");
  }
  takeChunk(): void {
    throw new Violation("no snapshot is sent");
  }
  restore(): void {
    throw new Violation("no snapshot is sent");
  }
  trim(): void {
    throw new Violation("nothing is trimmed");
  }
  outcome(): void {}
  readable(): void {}
  readRefused(): void {}
  log(level: string, event: string): void {
    if (level === "error") throw new Violation(event);
  }
}

function synced(stored: Stored, write: Write): Stored {
  const [first] = write.entries;
  const kept = first === undefined ? stored.entries : stored.entries.slice(0, first.index - 1);
  return { ...stored, ...write, entries: [...kept, ...write.entries], reset: null };
}

/** Everything that decides what a node will do. Times are relative, tickets start at the disk. */
function textOf(node: ExploredNode): string {
  const { machine } = node.raft;
  const { journal, log, leading, campaigning } = machine;
  const { stored, waiting } = node.disk;
  const leads =
    leading === null
      ? null
      : [
          leading.firstIndex,
          leading.uncommittedBytes,
          [...leading.progress].map(([id, { state, match, next, waits, told, inFlight }]) => [
            ...[id, state, match, next, waits, told],
            inFlight.map(({ last, bytes }) => [last, bytes]),
          ]),
        ];
  const asks =
    campaigning === null
      ? null
      : [campaigning.pre, campaigning.transfer, [...campaigning.votes].sort()];
  return JSON.stringify([
    machine.self,
    [machine.role, machine.term, machine.vote, machine.leader, machine.commit, machine.applied],
    machine.hearsLeader,
    log.entries,
    [journal.stable, Math.max(0, journal.stateTicket - journal.durable)],
    journal.pending.map((each) => each.reach),
    journal.held.map((each) => [each.message, each.ticket - journal.durable]),
    leads,
    asks,
    [stored.term, stored.vote, stored.commit, stored.entries],
    waiting,
  ]);
}

type Parsed = [
  MemberId,
  [Raft["role"], number, MemberId | null, MemberId | null, number, number],
  boolean,
  Entry[],
  [number, number],
  number[],
  [Message, number][],
  (
    | [
        number,
        number,
        [MemberId, Progress["state"], number, number, boolean, number, [number, number][]][],
      ]
    | null
  ),
  [boolean, boolean, [MemberId, boolean][]] | null,
  [number, MemberId | null, number, Entry[]],
  Write[],
];

function nodeOf(text: string): ExploredNode {
  const parsed: Parsed = JSON.parse(text, revived);
  const [self, [role, term, vote, leader, commit, applied], hears, entries, state] = parsed;
  const [, , , , , reaches, held, leads, asks, durable, waiting] = parsed;
  const [storedTerm, storedVote, storedCommit, storedEntries] = durable;
  const stored: Stored = {
    ...{ term: storedTerm, vote: storedVote, commit: storedCommit, entries: storedEntries },
    ...{ snapshot, reset: null },
  };
  const node = new ExploredNode(self, { stored, waiting });
  const { machine } = node.raft;
  machine.log.entries = entries;
  const { journal } = machine;
  [journal.stable, journal.stateTicket] = state;
  journal.pending = reaches.map((reach, i) => ({ ticket: i + 1, reach, since: 0 }));
  journal.held = held.map(([message, at]) => ({ message, ticket: at }));
  Object.assign(machine, { role, term, vote, leader, commit, applied });
  // Just heard, or as long ago as it may be while nothing has happened yet.
  machine.now = timeoutMs;
  machine.heardAt = hears ? timeoutMs : 0;
  machine.electionAt = 3 * timeoutMs;
  if (asks !== null)
    machine.campaigning = { pre: asks[0], transfer: asks[1], votes: new Map(asks[2]) };
  if (leads !== null) lead(machine, leads);
  return node;
}

function lead(
  machine: Raft["machine"],
  [firstIndex, bytes, members]: NonNullable<Parsed[7]>,
): void {
  const progress = new Map<MemberId, Progress>();
  for (const [id, state, match, next, waits, told, inFlight] of members) {
    const each = new Progress(next);
    Object.assign(each, { state, match, waits, told });
    each.inFlight = inFlight.map(([last, size]) => ({ last, bytes: size }));
    each.inFlightBytes = each.inFlight.reduce((sum, one) => sum + one.bytes, 0);
    progress.set(id, each);
  }
  machine.leading = {
    ...{ progress, firstIndex, requests: new Map(), change: null, uncommittedBytes: bytes },
    ...{ round: 1, reads: [], earlyReads: [], heartbeatAt: never, quorumCheckAt: never },
    transfer: null,
  };
}

/** Payloads are bytes; JSON makes objects of them. */
function revived(key: string, value: unknown): unknown {
  if (key !== "payload") return value;
  return new Uint8Array(Object.values(value ?? {}));
}

export function firstText(self: MemberId): string {
  const stored = { term: 0, vote: null, commit: 0, snapshot, reset: null, entries: [] };
  return textOf(new ExploredNode(self, { stored, waiting: [] }));
}

/**
 * The step of the production machine; a violation within the node is thrown. `prompt`: the disk
 * syncs at once, which is all that a run without crashes can see of it.
 */
export function stepOf(text: string, input: NodeInput, prompt: boolean): NodeStep {
  const node = stepped(nodeOf(text), input);
  while (prompt && node.disk.waiting.length > 0) sync(node);
  return { node: textOf(node), sent: node.sent, applied: node.applied };
}

function sync(node: ExploredNode): void {
  const write = node.disk.waiting.shift();
  if (write !== undefined) node.disk.stored = synced(node.disk.stored, write);
  node.step({ kind: "persisted", ticket: ticket(node.raft.machine.journal.durable + 1) });
}

function stepped(node: ExploredNode, input: NodeInput): ExploredNode {
  switch (input.kind) {
    case "deliver":
      node.step({ kind: "message", message: input.message });
      break;
    case "timeout":
      node.step({ kind: "tick", now: node.raft.machine.electionAt });
      break;
    case "silence":
      node.raft.machine.heardAt = 0;
      break;
    case "propose": {
      const payload = new Uint8Array([input.payload]);
      node.step({ kind: "propose", request: 1, payload });
      break;
    }
    case "sync":
      sync(node);
      break;
    case "crash": {
      const { stored } = node.disk;
      return new ExploredNode(node.raft.machine.self, { stored, waiting: [] });
    }
  }
  return node;
}

export function viewOf(text: string): NodeView {
  const { raft, disk } = nodeOf(text);
  return {
    leads: raft.role === "leader",
    term: raft.term,
    durableTerm: disk.stored.term,
    commit: raft.commit,
    log: raft.machine.log.entries.map((entry) => entry.term),
    durable: disk.stored.entries.map((entry) => entry.term),
    unsynced: disk.waiting.length > 0,
    hears: raft.role === "follower" && raft.machine.hearsLeader,
  };
}
