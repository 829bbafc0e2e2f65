// Changes of members: one at a time, voters through a joint configuration (Raft thesis, 4.3).
//
// A configuration counts from the moment that it is in the log. So nothing has to be applied before
// a campaign, and a change that is cut from the log takes its configuration with it. A leader
// proposes no change before an entry of its own term is committed (Ongaro, raft-dev, 2015).

import type { MemberId } from "../base/ids.ts";
import type { Configuration, Index, Refusal } from "./contract.ts";
import { type Leading, type Machine, waitingOf } from "./machine.ts";
import { isJoint, membersOf } from "./quorum.ts";
import { best, sayTimeoutNow } from "./transfer.ts";

interface Target {
  readonly voters: readonly MemberId[];
  readonly learners: readonly MemberId[];
}

export function change(raft: Machine, request: number, target: Target): void {
  const { leading, log } = raft;
  if (leading === null) return raft.refuse(request, "not-leader");
  const refusal = refusalOf(raft, leading, target);
  if (refusal !== null) return raft.refuse(request, refusal);
  const old = log.configuration;
  if (sameMembers(old.voters, target.voters)) {
    if (sameMembers(old.learners, target.learners)) {
      return raft.out.outcome(request, { kind: "committed", index: log.configurationIndex });
    }
    leading.requests.set(propose(raft, next(raft, old, { ...target, outgoing: [] })), request);
    return;
  }
  propose(raft, next(raft, old, { ...target, outgoing: old.voters }));
  leading.change = request;
}

function sameMembers(one: readonly MemberId[], other: readonly MemberId[]): boolean {
  return one.length === other.length && one.every((member) => other.includes(member));
}

function refusalOf(raft: Machine, leading: Leading, target: Target): Refusal | null {
  const { log, settings, commit } = raft;
  if (leading.transfer !== null) return "transfer";
  const settled = commit >= leading.firstIndex && log.configurationIndex <= commit;
  if (!settled || isJoint(log.configuration)) return "change-in-flight";
  const { votersMax, membersMax, requestsMax } = settings.limits;
  if (waitingOf(leading) >= requestsMax) return "busy";
  const all = [...target.voters, ...target.learners];
  if (target.voters.length === 0 || target.voters.length > votersMax) return "members-invalid";
  if (all.length > membersMax || new Set(all).size < all.length) return "members-invalid";
  const { removed } = log.configuration;
  if (all.some((member) => removed.includes(member))) return "member-removed";
  return target.voters.every((member) => mayVote(raft, leading, member)) ? null : "member-behind";
}

/** A voter stays one; a learner becomes one when it is close enough to be counted on. */
function mayVote(raft: Machine, leading: Leading, member: MemberId): boolean {
  const { log, settings } = raft;
  if (log.configuration.voters.includes(member)) return true;
  const progress = leading.progress.get(member);
  if (progress === undefined || progress.state !== "replicate") return false;
  return progress.match + settings.limits.promotionLagMax >= log.last;
}

/** Whoever is left out for good is remembered. */
function next(
  raft: Machine,
  old: Configuration,
  { voters, learners, outgoing }: Omit<Configuration, "removed">,
): Configuration {
  const kept = new Set([...voters, ...learners, ...outgoing]);
  const gone = membersOf(old).filter((member) => !kept.has(member));
  const removed = [...old.removed, ...gone].slice(-raft.settings.limits.removedMax);
  return { voters, outgoing, learners, removed };
}

function propose(raft: Machine, configuration: Configuration): Index {
  const index = raft.log.last + 1;
  raft.appendOwn({ kind: "configuration", index, term: raft.term, configuration });
  raft.followMembers();
  return index;
}

/** Follows up what was committed: leaves a joint configuration, and lets a removed leader go. */
export function followChange(raft: Machine, leading: Leading): void {
  const { log } = raft;
  if (log.configurationIndex > raft.commit || raft.commit < leading.firstIndex) return;
  const old = log.configuration;
  if (isJoint(old)) {
    const index = propose(raft, next(raft, old, { ...old, outgoing: [] }));
    if (leading.change !== null) leading.requests.set(index, leading.change);
    leading.change = null;
    return;
  }
  if (old.voters.includes(raft.self) || raft.applied < log.configurationIndex) return;
  const successor = best(raft, leading);
  if (successor !== null) sayTimeoutNow(raft, successor);
  raft.toFollower(raft.term, null);
}
