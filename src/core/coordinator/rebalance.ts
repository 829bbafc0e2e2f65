// How a group gets from one generation to the next: the join phase with its delays, the choice of
// leader and protocol, the assignment phase, and what members that do not keep up cost.
// Rules as in Kafka's classic groups; KIP-62 (rebalance timeout), KIP-134 (initial delay), KIP-345
// (static members), KIP-394 (member id required).

import { assert, assertNever } from "../base/assert.ts";
import { ErrorCode } from "../base/error_code.ts";
import {
  type AlarmOwner,
  consumerProtocolType,
  type Group,
  type JoinAnswer,
  type Member,
  noBytes,
} from "./group.ts";
import { forgetVoid, note, type ShardState, store } from "./state.ts";
import type { Turn } from "./turn.ts";

/** A member that has not seen its first answer may wait so long; then it is taken for gone. */
export const newMemberJoinTimeoutMs = 5 * 60 * 1000;

const generationMax = 0x7fffffff;

/** An answer of JoinGroup that says only why not. */
export function joinRefusal(code: number, memberId: string): JoinAnswer {
  return {
    code,
    memberId,
    generation: -1,
    protocolType: null,
    protocol: null,
    leader: "",
    skipAssignment: false,
    members: [],
  };
}

/** The generation as its member sees it. */
export function joinAnswer(group: Group, memberId: string): JoinAnswer {
  return {
    code: ErrorCode.NONE,
    memberId,
    generation: group.generation,
    protocolType: group.protocolType,
    protocol: group.protocol,
    leader: group.leader ?? "",
    skipAssignment: false,
    members: group.leader === memberId ? group.joinedMembers() : [],
  };
}

/** The member is alive: its next sign of life is due after its session timeout. */
export function touch(state: ShardState, turn: Turn, member: Member): void {
  state.alarms.set(member.session, turn.now, turn.now + member.sessionTimeoutMs);
}

/** Answers whatever of the member waits, with `code`. */
export function refuseWaiting(
  turn: Turn,
  group: Group,
  member: Member,
  code: number,
  memberId: string,
): void {
  const joining = member.joining;
  if (joining !== null) {
    group.setJoining(member, null);
    turn.reply(joining, joinRefusal(code, memberId));
  }
  const syncing = member.syncing;
  if (syncing !== null) {
    member.syncing = null;
    turn.reply(syncing, { code, protocolType: null, protocol: null, assignment: noBytes });
  }
}

/** Takes the member out; what it waits for is answered UNKNOWN_MEMBER_ID, so that it may come back. */
export function removeMember(state: ShardState, turn: Turn, group: Group, member: Member): void {
  refuseWaiting(turn, group, member, ErrorCode.UNKNOWN_MEMBER_ID, "");
  state.alarms.off(member.session);
  group.remove(member);
}

/** A change of members or of their protocols: starts a rebalance, or lets the one under way go on. */
export function rebalanceOrGoOn(state: ShardState, turn: Turn, group: Group, reason: string): void {
  if (group.state === "PreparingRebalance") joinedOrWait(state, turn, group);
  else startRebalance(state, turn, group, reason);
}

export function startRebalance(state: ShardState, turn: Turn, group: Group, reason: string): void {
  assert(group.state !== "PreparingRebalance", "a rebalance starts once");
  if (group.state === "CompletingRebalance")
    dropAssignments(state, turn, group, ErrorCode.REBALANCE_IN_PROGRESS);
  group.unsynced.clear();
  state.alarms.off(group.syncAlarm);
  const initial = group.state === "Empty";
  note(turn, "group-rebalance", group, reason);
  group.enter("PreparingRebalance", turn.wall);
  if (initial) return startInitialDelay(state, turn, group);
  if (group.allJoined()) return completeJoin(state, turn, group);
  state.alarms.set(group.joinAlarm, turn.now, turn.now + group.rebalanceTimeoutMs());
}

/** A group that starts waits for more members, so that they do not cost a rebalance each. */
function startInitialDelay(state: ShardState, turn: Turn, group: Group): void {
  const delay = state.settings.initialRebalanceDelayMs;
  group.memberAdded = false;
  group.delayMs = delay;
  group.delayLeftMs = Math.max(group.rebalanceTimeoutMs() - delay, 0);
  if (delay === 0) return completeJoin(state, turn, group);
  state.alarms.set(group.joinAlarm, turn.now, turn.now + delay);
}

/** Each newcomer extends the delay, up to the rebalance timeout of the first members. */
function initialDelayOver(state: ShardState, turn: Turn, group: Group): void {
  if (!group.memberAdded || group.delayLeftMs === 0) return completeJoin(state, turn, group);
  group.memberAdded = false;
  const delay = Math.min(state.settings.initialRebalanceDelayMs, group.delayLeftMs);
  group.delayLeftMs = Math.max(group.delayLeftMs - group.delayMs, 0);
  group.delayMs = delay;
  state.alarms.set(group.joinAlarm, turn.now, turn.now + delay);
}

/** The join phase ends when all have joined, except for a new group, which waits its delay out. */
export function joinedOrWait(state: ShardState, turn: Turn, group: Group): void {
  if (group.state !== "PreparingRebalance" || group.previous === "Empty") return;
  if (group.allJoined()) completeJoin(state, turn, group);
}

function joinAlarmRang(state: ShardState, turn: Turn, group: Group): void {
  if (group.state !== "PreparingRebalance") return;
  if (group.previous === "Empty" && group.delayMs > 0) return initialDelayOver(state, turn, group);
  completeJoin(state, turn, group);
}

/**
 * The next generation begins. Dynamic members that have not joined again are out; static ones stay
 * until their session ends.
 */
export function completeJoin(state: ShardState, turn: Turn, group: Group): void {
  assert(group.state === "PreparingRebalance", "a join phase completes once");
  state.alarms.off(group.joinAlarm);
  for (const member of [...group.members.values()]) {
    if (member.joining !== null || member.instanceId !== null) continue;
    note(turn, "member-expelled", group, `${member.id} did not join in time`);
    removeMember(state, turn, group, member);
  }
  if (!group.chooseJoinedLeader() && group.members.size > 0) {
    // Only static members are left and none has joined: wait until their sessions end.
    group.delayMs = 0;
    state.alarms.set(group.joinAlarm, turn.now, turn.now + group.rebalanceTimeoutMs());
    return;
  }
  group.generation = group.generation === generationMax ? 1 : group.generation + 1;
  group.unsynced.clear();
  if (group.members.size === 0) return becomeEmpty(state, turn, group);
  group.protocol = group.chooseProtocol();
  group.subscribed = subscribedTopicsOf(state, group);
  group.enter("CompletingRebalance", turn.wall);
  note(turn, "group-generation", group, "");
  for (const member of group.members.values()) {
    const joining = member.joining;
    if (joining !== null) {
      group.setJoining(member, null);
      turn.reply(joining, joinAnswer(group, member.id));
    }
    member.fresh = false;
    touch(state, turn, member);
    group.unsynced.add(member.id);
  }
  state.alarms.set(group.syncAlarm, turn.now, turn.now + group.rebalanceTimeoutMs());
}

function becomeEmpty(state: ShardState, turn: Turn, group: Group): void {
  group.protocol = null;
  group.subscribed = subscribedTopicsOf(state, group);
  group.enter("Empty", turn.wall);
  note(turn, "group-empty", group, "");
  store(turn, group, group.asMetadata(null));
}

/** All members get no assignment; those that wait for one get `code`. */
export function dropAssignments(state: ShardState, turn: Turn, group: Group, code: number): void {
  for (const member of group.members.values()) {
    member.assignment = noBytes;
    const syncing = member.syncing;
    if (syncing === null) continue;
    member.syncing = null;
    turn.reply(syncing, { code, protocolType: null, protocol: null, assignment: noBytes });
    touch(state, turn, member);
  }
}

/** Those who asked for no assignment in time are out, static or not. */
function syncAlarmRang(state: ShardState, turn: Turn, group: Group): void {
  if (group.state !== "CompletingRebalance" && group.state !== "Stable") return;
  if (group.unsynced.size === 0) return;
  for (const memberId of [...group.unsynced]) {
    const member = group.members.get(memberId);
    assert(member !== undefined, "who owes a sync is a member");
    note(turn, "member-expelled", group, `${memberId} did not sync in time`);
    removeMember(state, turn, group, member);
  }
  startRebalance(state, turn, group, "members did not sync in time");
}

function sessionEnded(state: ShardState, turn: Turn, group: Group, member: Member): void {
  if (group.members.get(member.id) !== member) return;
  // Who waits for the others is alive, unless it has never seen an answer.
  if (!member.fresh && (member.joining !== null || member.syncing !== null)) return;
  note(turn, "member-expelled", group, `${member.id} was silent`);
  removeMember(state, turn, group, member);
  if (group.state === "Stable" || group.state === "CompletingRebalance") {
    startRebalance(state, turn, group, `member ${member.id} was silent`);
  } else if (group.state === "PreparingRebalance" && group.allJoined()) {
    completeJoin(state, turn, group);
  }
}

function pendingEnded(state: ShardState, turn: Turn, group: Group, memberId: string): void {
  if (!group.pending.delete(memberId)) return;
  if (group.state === "PreparingRebalance" && group.allJoined()) completeJoin(state, turn, group);
}

/** Something is late. The group may be gone by now: then nothing happens. */
export function alarmRang(state: ShardState, turn: Turn, owner: AlarmOwner): void {
  const group = owner.group;
  if (state.groups.get(group.id) !== group) return;
  switch (owner.kind) {
    case "session":
      sessionEnded(state, turn, group, owner.member);
      break;
    case "pending":
      pendingEnded(state, turn, group, owner.memberId);
      break;
    case "join":
      joinAlarmRang(state, turn, group);
      break;
    case "sync":
      syncAlarmRang(state, turn, group);
      break;
    default:
      assertNever(owner);
  }
  forgetVoid(state, group);
}

/** Topics that the members read; null when one of them does not say so in the consumer protocol. */
export function subscribedTopicsOf(state: ShardState, group: Group): ReadonlySet<string> | null {
  if (group.protocolType !== consumerProtocolType) return null;
  const topics = new Set<string>();
  if (group.members.size === 0) return topics;
  if (group.protocol === null) return null;
  for (const member of group.members.values()) {
    const own = state.subscribedTopics(member.metadata(group.protocol));
    if (own === null) return null;
    for (const topic of own) topics.add(topic);
  }
  return topics;
}
