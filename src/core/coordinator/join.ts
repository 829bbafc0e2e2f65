// JoinGroup: who may become a member, who stays one, and when that takes a rebalance.

import { assert } from "../base/assert.ts";
import { ErrorCode } from "../base/error_code.ts";
import { groupsPerShardMax, memberIdPrefixMax, pendingMembersPerGroupMax } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import { Alarm } from "./alarms.ts";
import {
  type AlarmOwner,
  Group,
  type JoinAnswer,
  Member,
  noBytes,
  type Protocol,
} from "./group.ts";
import {
  joinAnswer,
  joinedOrWait,
  joinRefusal,
  newMemberJoinTimeoutMs,
  rebalanceOrGoOn,
  refuseWaiting,
  removeMember,
  startRebalance,
  subscribedTopicsOf,
  touch,
} from "./rebalance.ts";
import { forgetVoid, type ShardState, store } from "./state.ts";
import type { Turn, Waiter } from "./turn.ts";

export interface JoinRequest {
  readonly groupId: string;
  /** Empty: not a member yet. */
  readonly memberId: string;
  /** Null: not a static member. */
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  /** Best first, each name once. The bytes belong to the shard from now on. */
  readonly protocols: readonly Protocol[];
  /** Why, in the client's words. */
  readonly reason: string;
  /** The client can take a member id first and join with it (KIP-394). */
  readonly takesMemberId: boolean;
  /** The client understands that a leader may keep the assignment (KIP-814). */
  readonly skipsAssignment: boolean;
}

type JoinWaiter = Waiter<JoinAnswer>;

export function planJoin(
  state: ShardState,
  turn: Turn,
  waiter: JoinWaiter,
  request: JoinRequest,
): void {
  const refuse = (code: number): void => turn.reply(waiter, joinRefusal(code, request.memberId));
  if (request.groupId === "") return refuse(ErrorCode.INVALID_GROUP_ID);
  const { sessionTimeoutMsMin, sessionTimeoutMsMax } = state.settings;
  if (
    request.sessionTimeoutMs < sessionTimeoutMsMin ||
    request.sessionTimeoutMs > sessionTimeoutMsMax
  ) {
    return refuse(ErrorCode.INVALID_SESSION_TIMEOUT);
  }
  let group = state.groups.get(request.groupId);
  if (group === undefined) {
    if (request.memberId !== "") return refuse(ErrorCode.UNKNOWN_MEMBER_ID);
    if (state.groups.size >= groupsPerShardMax) return refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    group = new Group(request.groupId);
    state.groups.set(group.id, group);
  }
  if (!hasRoom(state, group, request.memberId)) {
    putOut(state, turn, group, request.memberId);
    turn.reply(waiter, joinRefusal(ErrorCode.GROUP_MAX_SIZE_REACHED, ""));
  } else if (request.memberId === "") {
    joinAsNew(state, turn, waiter, group, request);
  } else {
    joinAsKnown(state, turn, waiter, group, request);
  }
  forgetVoid(state, group);
}

/**
 * While members join, those that wait count, not those that are there: the group may already be too
 * large, and then the last to join again are the ones that must go.
 */
function hasRoom(state: ShardState, group: Group, memberId: string): boolean {
  const most = state.settings.groupMembersMax;
  const member = group.members.get(memberId);
  switch (group.state) {
    case "Empty":
      return true;
    case "PreparingRebalance":
      return (member !== undefined && member.joining !== null) || group.awaiting < most;
    case "CompletingRebalance":
    case "Stable":
      return member !== undefined || group.members.size < most;
  }
}

/** Who finds no room any more is no member and not awaited. */
function putOut(state: ShardState, turn: Turn, group: Group, memberId: string): void {
  forgetPending(state, group, memberId);
  const member = group.members.get(memberId);
  if (member !== undefined) removeMember(state, turn, group, member);
  joinedOrWait(state, turn, group);
}

/** True when the id was given out and is now void. */
export function forgetPending(state: ShardState, group: Group, memberId: string): boolean {
  const alarm = group.pending.get(memberId);
  if (alarm === undefined) return false;
  state.alarms.off(alarm);
  return group.pending.delete(memberId);
}

function joinAsNew(
  state: ShardState,
  turn: Turn,
  waiter: JoinWaiter,
  group: Group,
  request: JoinRequest,
): void {
  if (!group.supports(request.protocolType, request.protocols)) {
    return turn.reply(waiter, joinRefusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, ""));
  }
  const memberId = unusedId(state.random, group, request.instanceId ?? request.clientId);
  if (request.instanceId !== null) {
    const existing = group.statics.get(request.instanceId);
    if (existing === undefined) return addMember(state, turn, waiter, group, memberId, request);
    return replaceStatic(state, turn, waiter, group, memberOf(group, existing), memberId, request);
  }
  if (!request.takesMemberId) return addMember(state, turn, waiter, group, memberId, request);
  if (group.pending.size >= pendingMembersPerGroupMax) {
    return turn.reply(waiter, joinRefusal(ErrorCode.GROUP_MAX_SIZE_REACHED, ""));
  }
  const alarm = new Alarm<AlarmOwner>({ kind: "pending", group, memberId });
  group.pending.set(memberId, alarm);
  state.alarms.set(alarm, turn.now, turn.now + request.sessionTimeoutMs);
  turn.reply(waiter, joinRefusal(ErrorCode.MEMBER_ID_REQUIRED, memberId));
}

function joinAsKnown(
  state: ShardState,
  turn: Turn,
  waiter: JoinWaiter,
  group: Group,
  request: JoinRequest,
): void {
  const refuse = (code: number): void => turn.reply(waiter, joinRefusal(code, request.memberId));
  if (!group.supports(request.protocolType, request.protocols)) {
    return refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
  }
  if (request.instanceId === null && forgetPending(state, group, request.memberId)) {
    return addMember(state, turn, waiter, group, request.memberId, request);
  }
  const code = memberRefusal(group, request.memberId, request.instanceId);
  if (code !== ErrorCode.NONE) return refuse(code);
  const member = memberOf(group, request.memberId);
  switch (group.state) {
    case "PreparingRebalance":
      return updateMember(state, turn, waiter, group, member, request);
    case "CompletingRebalance":
      // The same again: its first answer was lost.
      if (member.matches(request.protocols))
        return turn.reply(waiter, joinAnswer(group, member.id));
      return updateMember(state, turn, waiter, group, member, request);
    case "Stable":
      // A leader that joins again wants a rebalance: what it assigns may have changed (new partitions).
      if (group.leader === member.id || !member.matches(request.protocols)) {
        return updateMember(state, turn, waiter, group, member, request);
      }
      return turn.reply(waiter, joinAnswer(group, member.id));
    case "Empty":
      return refuse(ErrorCode.UNKNOWN_MEMBER_ID);
  }
}

/** 0, or 25 no such member or instance, or 82 the instance id belongs to another member now. */
export function memberRefusal(group: Group, memberId: string, instanceId: string | null): number {
  if (instanceId !== null) {
    const owner = group.statics.get(instanceId);
    if (owner === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
    if (owner !== memberId) return ErrorCode.FENCED_INSTANCE_ID;
  }
  return group.members.has(memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID;
}

/** The caller knows that it is one. */
export function memberOf(group: Group, memberId: string): Member {
  const member = group.members.get(memberId);
  assert(member !== undefined, "the member was looked up before");
  return member;
}

function addMember(
  state: ShardState,
  turn: Turn,
  waiter: JoinWaiter,
  group: Group,
  id: string,
  request: JoinRequest,
): void {
  const member = new Member(group, { ...request, id, assignment: noBytes });
  member.fresh = true;
  if (group.state === "PreparingRebalance" && group.previous === "Empty") group.memberAdded = true;
  group.add(member, waiter);
  state.alarms.set(member.session, turn.now, turn.now + newMemberJoinTimeoutMs);
  rebalanceOrGoOn(state, turn, group, `new member ${id}; ${request.reason}`);
}

function updateMember(
  state: ShardState,
  turn: Turn,
  waiter: JoinWaiter,
  group: Group,
  member: Member,
  request: JoinRequest,
): void {
  takeOver(turn, waiter, group, member, request);
  rebalanceOrGoOn(state, turn, group, `member ${member.id} joins again; ${request.reason}`);
}

/** The member waits by this request from now on; an older one of its own can only be a lost one. */
function takeOver(
  turn: Turn,
  waiter: JoinWaiter,
  group: Group,
  member: Member,
  request: JoinRequest,
): void {
  group.update(member, request.protocols, request.rebalanceTimeoutMs, request.sessionTimeoutMs);
  const older = member.joining;
  if (older !== null) turn.reply(older, joinRefusal(ErrorCode.REBALANCE_IN_PROGRESS, member.id));
  group.setJoining(member, waiter);
}

/**
 * A static member came back without its member id (it restarted): it takes the place of the old one.
 * In a stable group that costs no rebalance unless the choice of protocol changes.
 */
function replaceStatic(
  state: ShardState,
  turn: Turn,
  waiter: JoinWaiter,
  group: Group,
  old: Member,
  memberId: string,
  request: JoinRequest,
): void {
  const leaderBefore = group.leader ?? "";
  const member = old.successor(group, memberId);
  refuseWaiting(turn, group, old, ErrorCode.FENCED_INSTANCE_ID, old.id);
  state.alarms.off(old.session);
  group.replace(old, member);
  takeOver(turn, waiter, group, member, request);
  touch(state, turn, member);
  assert(group.state !== "Empty", "a group with a static member is not empty");
  const why = `static member ${memberId} came back; ${request.reason}`;
  switch (group.state) {
    case "PreparingRebalance":
      return joinedOrWait(state, turn, group);
    case "CompletingRebalance":
      // The leader may be assigning to the old member id just now.
      return startRebalance(state, turn, group, why);
    case "Stable": {
      if (group.chooseProtocol() !== group.protocol) return startRebalance(state, turn, group, why);
      group.subscribed = subscribedTopicsOf(state, group);
      group.setJoining(member, null);
      store(turn, group, group.asMetadata(null));
      const answer = joinAnswer(group, memberId);
      const leads = group.leader === memberId;
      // An older client that leads must not assign anew: it is told that the old member id leads.
      if (request.skipsAssignment) turn.reply(waiter, { ...answer, skipAssignment: leads });
      else turn.reply(waiter, { ...answer, leader: leaderBefore, members: [] });
      return;
    }
  }
}

/** A node that starts with the seed of an earlier one gives out the ids of that one again. */
function unusedId(random: Random, group: Group, name: string): string {
  // Cut short, so that the id fits wherever Kafka has a string.
  const prefix = name.slice(0, memberIdPrefixMax).toWellFormed();
  for (;;) {
    const id = `${prefix}-${uuid(random)}`;
    if (!group.members.has(id) && !group.pending.has(id)) return id;
  }
}

/** RFC 9562 version 4. */
function uuid(random: Random): string {
  const hex = (value: number): string => value.toString(16).padStart(8, "0");
  const a = hex(random.uint32());
  const b = hex(((random.uint32() & 0xffff0fff) | 0x4000) >>> 0);
  const c = hex(((random.uint32() & 0x3fffffff) | 0x80000000) >>> 0);
  const d = hex(random.uint32());
  return `${a}-${b.slice(0, 4)}-${b.slice(4)}-${c.slice(0, 4)}-${c.slice(4)}${d}`;
}
