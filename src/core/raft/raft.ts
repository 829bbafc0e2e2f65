// The metadata Raft: agreement of a few voters on one log. Pure: inputs in, effects out; time is an
// input, randomness is seeded, the disk is one more peer.
//
//   follower   takes appends of the leader, grants votes        election.ts, replication.ts
//   candidate  asks for votes, after PreVote said it is worth it            election.ts
//   leader     appends, counts what is durable, commits      replication.ts, progress.ts
//   learner    a follower that does not count               membership.ts, quorum.ts
//
// Invariants, beside those of the paper (election safety, leader append-only, log matching, leader
// completeness, state machine safety):
//
//   a message leaves when the term, the vote and the entries that it speaks of are durable
//   what is applied is committed, durable here, and whole
//   a leader commits by counting entries of its own term
//   a damaged entry is never taken for an absent one
//   a member is a disk: it is drawn once and never comes back after its removal
//
// The carrier keeps writes in order, tells when they are durable, and starts every process with
// what the disk holds (`Stored`). Members are named by random ids; addresses are the carrier's.

import { assert } from "../base/assert.ts";
import type { MemberId } from "../base/ids.ts";
import {
  proposalsMax,
  raftAppendBytes,
  raftChunkBytes,
  raftHeldMax,
  raftInflightBytesMax,
  raftInflightMax,
  raftKeptBytes,
  raftMembersMax,
  raftPromotionLagMax,
  raftReadsMax,
  raftRemovedMax,
  raftUncommittedBytesMax,
  raftVotersMax,
} from "../base/limits.ts";
import type {
  Configuration,
  Index,
  Message,
  RaftEffects,
  RaftInput,
  Stored,
  Term,
} from "./contract.ts";
import {
  admits,
  electionTick,
  leaderHolds,
  leaderOf,
  onTimeoutNow,
  onVoteReply,
  onVoteRequest,
  ownVote,
} from "./election.ts";
import { Machine, type RaftLimits, type RaftSettings, type Role } from "./machine.ts";
import { change, followChange } from "./membership.ts";
import { followReads, read } from "./reads.ts";
import { onRepairReply, onRepairRequest, repairTick } from "./repair.ts";
import {
  advance,
  heartbeatAll,
  onAppend,
  onAppendReply,
  onHeartbeat,
  onHeartbeatReply,
  propose,
  resend,
  sendAll,
} from "./replication.ts";
import {
  onSnapshotChunk,
  onSnapshotReply,
  snapshotInstalled,
  snapshotRefused,
  snapshotSaved,
} from "./snapshots.ts";
import { followTransfer, transfer } from "./transfer.ts";

export type * from "./contract.ts";
export { unknownTerm } from "./contract.ts";
export { nobody } from "./quorum.ts";
export type { RaftLimits, RaftSettings, Role } from "./machine.ts";

export const raftLimits: RaftLimits = {
  votersMax: raftVotersMax,
  membersMax: raftMembersMax,
  removedMax: raftRemovedMax,
  appendBytes: raftAppendBytes,
  inflightMax: raftInflightMax,
  inflightBytesMax: raftInflightBytesMax,
  uncommittedBytesMax: raftUncommittedBytesMax,
  requestsMax: proposalsMax,
  heldMax: raftHeldMax,
  readsMax: raftReadsMax,
  chunkBytes: raftChunkBytes,
  keptBytes: raftKeptBytes,
  promotionLagMax: raftPromotionLagMax,
};

export class Raft {
  /** For tests and inspection; nobody else looks inside. */
  readonly machine: Machine;

  constructor(settings: RaftSettings, stored: Stored) {
    this.machine = new Machine(settings, stored);
  }

  get role(): Role {
    return this.machine.role;
  }
  get term(): Term {
    return this.machine.term;
  }
  /** Who leads in this term, as far as this member knows. */
  get leader(): MemberId | null {
    return this.machine.leader;
  }
  get commit(): Index {
    return this.machine.commit;
  }
  get applied(): Index {
    return this.machine.applied;
  }
  get configuration(): Configuration {
    return this.machine.log.configuration;
  }
  /** While a snapshot is on its way to somebody, a new one would start it over. */
  get sendsSnapshot(): boolean {
    const progress = this.machine.leading?.progress.values() ?? [];
    return [...progress].some((each) => each.state === "snapshot");
  }

  step(input: RaftInput, effects: RaftEffects): void {
    const { machine } = this;
    assert(machine.effects === null, "a step ends before the next one begins");
    machine.effects = effects;
    take(machine, input);
    settle(machine);
    machine.flush();
    machine.invariants();
    machine.effects = null;
  }
}

function take(raft: Machine, input: RaftInput): void {
  switch (input.kind) {
    case "tick":
      return tick(raft, input.now);
    case "message":
      return receive(raft, input.message);
    case "persisted":
      raft.journal.persisted(input.ticket, raft.out);
      raft.applyCommitted();
      ownVote(raft);
      return advance(raft);
    case "propose":
      return propose(raft, input.request, input.payload);
    case "read":
      return read(raft, input.request);
    case "change":
      return change(raft, input.request, input);
    case "transfer":
      return transfer(raft, input.to);
    case "snapshot-saved":
      return snapshotSaved(raft, input.index, input.bytes);
    case "snapshot-installed":
      return snapshotInstalled(raft, input.index);
    case "snapshot-refused":
      return snapshotRefused(raft, input.index);
  }
}

function tick(raft: Machine, now: number): void {
  assert(now >= raft.now, "monotonic time does not fall");
  raft.now = now;
  raft.applyCommitted();
  repairTick(raft);
  electionTick(raft);
  if (raft.leading === null || !leaderHolds(raft)) return;
  if (now >= raft.leading.heartbeatAt) heartbeatAll(raft);
}

function receive(raft: Machine, message: Message): void {
  // A message for another disk, or another life of this address.
  if (message.to !== raft.self || !admits(raft, message)) return;
  const leader = leaderOf(message);
  if (leader !== null && !follow(raft, leader)) return;
  switch (message.kind) {
    case "vote-request":
      return onVoteRequest(raft, message);
    case "vote-reply":
      return onVoteReply(raft, message);
    case "append":
      return onAppend(raft, message);
    case "append-reply":
      return onAppendReply(raft, message);
    case "heartbeat":
      return onHeartbeat(raft, message);
    case "heartbeat-reply":
      return onHeartbeatReply(raft, message);
    case "snapshot-chunk":
      return onSnapshotChunk(raft, message);
    case "snapshot-reply":
      return onSnapshotReply(raft, message);
    case "timeout-now":
      return onTimeoutNow(raft, message);
    case "repair-request":
      if (raft.leading !== null) return resend(raft, message.from, message.index);
      return onRepairRequest(raft, message);
    case "repair-reply":
      return onRepairReply(raft, message);
  }
}

/** The leader of this term was heard. False: there is another one, which cannot be. */
function follow(raft: Machine, leader: MemberId): boolean {
  if (raft.role === "leader" || (raft.leader !== null && raft.leader !== leader)) {
    raft.out.log("error", "raft-two-leaders", { term: raft.term, one: raft.leader ?? "", leader });
    return false;
  }
  if (raft.leader === null) raft.toFollower(raft.term, leader);
  raft.heardAt = raft.now;
  raft.resetElection();
  return true;
}

/** What a leader does when a step has changed something. */
function settle(raft: Machine): void {
  if (raft.leading !== null) followChange(raft, raft.leading);
  if (raft.leading === null) return;
  followTransfer(raft, raft.leading);
  if (followReads(raft, raft.leading)) {
    heartbeatAll(raft);
    // A leader alone has its quorum at once.
    followReads(raft, raft.leading);
  }
  sendAll(raft, raft.leading);
}
