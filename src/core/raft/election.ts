// Elections: PreVote, votes, stickiness, and how a leader that lost its quorum or its disk steps
// down.
//
// A vote is a promise and leaves when it is durable, as everything does. Whoever heard a leader
// within an election timeout grants nothing and takes no higher term from a candidate (Raft thesis,
// 4.2.3 and 9.6), unless the leader itself asked for the election.

import { assert } from "../base/assert.ts";
import type { MemberId } from "../base/ids.ts";
import type { Message, TimeoutNow, VoteReply, VoteRequest } from "./contract.ts";
import type { Machine } from "./machine.ts";
import { isVoter, votersOf } from "./quorum.ts";
import { leadFirst } from "./replication.ts";

export function electionTick(raft: Machine): void {
  if (raft.leading !== null) return;
  if (raft.now < raft.electionAt) return;
  if (mayCampaign(raft)) return campaign(raft, true, false);
  raft.toFollower(raft.term, null);
  raft.resetElection();
}

/** A disk that takes nothing would hold the votes back, and a log with a hole cannot be led from. */
function mayCampaign(raft: Machine): boolean {
  return mayBeNeeded(raft) && raft.log.damaged.length === 0 && !raft.diskStalls;
}

/**
 * A voter; or one whose removal is not known to be committed: it may be the only one that the others
 * can follow. Its own vote does not count (Raft thesis, 4.2.2).
 */
function mayBeNeeded(raft: Machine): boolean {
  const { log, self, commit } = raft;
  if (isVoter(log.configuration, self)) return true;
  return log.configurationIndex > commit && isVoter(log.configurationAt(commit), self);
}

/** Asks all voters; `pre` asks whether it would be any use. */
function campaign(raft: Machine, pre: boolean, transfer: boolean): void {
  if (!pre) raft.setTerm(raft.term + 1, raft.self);
  raft.role = pre ? "follower" : "candidate";
  raft.leader = null;
  raft.campaigning = { pre, transfer, votes: new Map() };
  raft.resetElection();
  const { log } = raft;
  for (const to of votersOf(log.configuration)) {
    if (to === raft.self) continue;
    raft.send(
      {
        kind: "vote-request",
        ...raft.head(to),
        pre,
        transfer,
        campaign: pre ? raft.term + 1 : raft.term,
        lastIndex: log.last,
        lastTerm: log.lastTerm,
      },
      log.last,
    );
  }
  ownVote(raft);
}

/** A candidate's own vote counts when it is durable. */
export function ownVote(raft: Machine): void {
  const { campaigning, journal } = raft;
  if (campaigning === null || campaigning.votes.has(raft.self)) return;
  if (!campaigning.pre && (!journal.stateDurable || journal.stable < raft.log.last)) return;
  campaigning.votes.set(raft.self, true);
  countVotes(raft);
}

function countVotes(raft: Machine): void {
  const { campaigning } = raft;
  assert(campaigning !== null, "votes are for a campaign");
  const { pre, transfer, votes } = campaigning;
  if (raft.quorumSays((member) => votes.get(member) === true)) {
    if (pre) return campaign(raft, false, transfer);
    raft.toLeader();
    return leadFirst(raft);
  }
  // Lost: wait for whoever wins.
  if (raft.quorumSays((member) => votes.get(member) === false)) raft.toFollower(raft.term, null);
}

/** What a candidate's log has to be (Raft, 5.4.1). */
function upToDate(raft: Machine, request: VoteRequest): boolean {
  const { lastTermBound, log } = raft;
  if (request.lastTerm !== lastTermBound) return request.lastTerm > lastTermBound;
  return request.lastIndex >= log.last;
}

export function onVoteRequest(raft: Machine, request: VoteRequest): void {
  const { pre, campaign: wanted } = request;
  const free = pre
    ? wanted > raft.term && !raft.hearsLeader
    : wanted === raft.term && (raft.vote === null || raft.vote === request.from);
  const granted = free && upToDate(raft, request);
  if (granted && !pre) {
    if (raft.vote === null) raft.setTerm(raft.term, request.from);
    raft.resetElection();
    raft.campaigning = null;
  }
  reply(raft, request, granted);
}

/** A refusal that brings the candidate to a newer term, or tells it that it is late. */
export function refuseVote(raft: Machine, request: VoteRequest): void {
  reply(raft, request, false);
}

function reply(raft: Machine, request: VoteRequest, granted: boolean): void {
  const { from, pre, campaign: wanted } = request;
  const vote = { pre, campaign: wanted, granted };
  raft.send({ kind: "vote-reply", ...raft.head(from), ...vote });
}

export function onVoteReply(raft: Machine, reply: VoteReply): void {
  const { campaigning } = raft;
  if (campaigning === null || campaigning.pre !== reply.pre) return;
  if (reply.campaign !== (reply.pre ? raft.term + 1 : raft.term)) return;
  if (!campaigning.votes.has(reply.from)) campaigning.votes.set(reply.from, reply.granted);
  countVotes(raft);
}

/** A leader hands over. */
export function onTimeoutNow(raft: Machine, message: TimeoutNow): void {
  if (raft.leader !== message.from || !mayCampaign(raft)) return;
  campaign(raft, false, true);
}

/**
 * The term of every message is compared here and nowhere else. False: the message is not for this
 * term.
 */
export function admits(raft: Machine, message: Message): boolean {
  if (message.term > raft.term) return higherTerm(raft, message);
  if (message.term === raft.term) return true;
  switch (message.kind) {
    case "vote-request":
      refuseVote(raft, message);
      return false;
    case "append":
    case "heartbeat":
      // Tells a leader that was replaced, and frees a member whose term is ahead of its leader's.
      raft.send({ kind: "heartbeat-reply", ...raft.head(message.from), round: 0 });
      return false;
    case "vote-reply":
      // PreVote leaves the term of its voter as it was; `campaign` says what the reply is about.
      return message.pre;
    case "append-reply":
    case "heartbeat-reply":
    case "timeout-now":
      return false;
    // A committed state, and an entry of a term, are what they are in any term.
    case "snapshot-chunk":
    case "snapshot-reply":
    case "repair-request":
    case "repair-reply":
      return true;
  }
}

function higherTerm(raft: Machine, message: Message): boolean {
  if (message.kind === "vote-request") {
    if (message.pre) return true;
    if (!message.transfer && raft.hearsLeader) return false;
  }
  raft.toFollower(message.term, leaderOf(message));
  return true;
}

/** Only a leader says these. */
export function leaderOf(message: Message): MemberId | null {
  return message.kind === "append" || message.kind === "heartbeat" ? message.from : null;
}

/** The rest of a leader's tick: it has to be heard, and its disk has to take what it says. */
export function leaderHolds(raft: Machine): boolean {
  const { leading } = raft;
  assert(leading !== null, "a leader ticks");
  // Who is alone has nobody to leave it to.
  if (raft.diskStalls && !raft.alone) {
    raft.out.log("warn", "raft-disk-stalls", { term: raft.term });
    raft.toFollower(raft.term, null);
    return false;
  }
  if (raft.now < leading.quorumCheckAt) return true;
  leading.quorumCheckAt = raft.now + raft.settings.electionTimeoutMs;
  const heard = raft.quorumSays(
    (member) => member === raft.self || leading.progress.get(member)?.active === true,
  );
  for (const each of leading.progress.values()) each.active = false;
  if (!heard) raft.toFollower(raft.term, null);
  return heard;
}
