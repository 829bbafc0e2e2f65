// SyncGroup, Heartbeat and LeaveGroup: what members of a generation may ask.

import { ErrorCode } from "../base/error_code.ts";
import { type Group, noBytes, type SyncAnswer } from "./group.ts";
import { forgetPending, memberOf, memberRefusal } from "./join.ts";
import { dropAssignments, joinedOrWait, removeMember, startRebalance, touch } from "./rebalance.ts";
import { forgetVoid, note, type ShardState, store } from "./state.ts";
import type { Turn, Waiter } from "./turn.ts";

export interface SyncRequest {
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
  /** What the member believes the group uses; null = not said. */
  readonly protocolType: string | null;
  readonly protocol: string | null;
  /** From the leader. The bytes belong to the shard from now on. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Uint8Array }[];
}

export interface HeartbeatRequest {
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
}

export interface LeaveRequest {
  readonly groupId: string;
  readonly members: readonly LeavingMember[];
}

export interface LeavingMember {
  /** Empty: an administrator names the member by its instance id. */
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly reason: string;
}

/** Code of the whole request, and where that is 0 one code per member. */
export interface LeaveAnswer {
  readonly code: number;
  readonly codes: readonly number[];
}

type SyncWaiter = Waiter<SyncAnswer>;

export function planSync(
  state: ShardState,
  turn: Turn,
  waiter: SyncWaiter,
  request: SyncRequest,
): void {
  const refuse = (code: number): void => {
    turn.reply(waiter, { code, protocolType: null, protocol: null, assignment: noBytes });
  };
  if (request.groupId === "") return refuse(ErrorCode.INVALID_GROUP_ID);
  const group = state.groups.get(request.groupId);
  if (group === undefined || group.state === "Empty") return refuse(ErrorCode.UNKNOWN_MEMBER_ID);
  const code = syncRefusal(group, request);
  if (code !== ErrorCode.NONE) return refuse(code);
  const member = memberOf(group, request.memberId);
  group.unsynced.delete(member.id);
  if (group.unsynced.size === 0) state.alarms.off(group.syncAlarm);
  if (group.state === "Stable") return turn.reply(waiter, syncAnswer(group, member.assignment));
  const older = member.syncing;
  if (older !== null) {
    turn.reply(older, {
      code: ErrorCode.REBALANCE_IN_PROGRESS,
      protocolType: null,
      protocol: null,
      assignment: noBytes,
    });
  }
  member.syncing = waiter;
  if (group.leader === member.id) assign(state, turn, group, request);
}

function syncRefusal(group: Group, request: SyncRequest): number {
  const code = memberRefusal(group, request.memberId, request.instanceId);
  if (code !== ErrorCode.NONE) return code;
  if (request.generation !== group.generation) return ErrorCode.ILLEGAL_GENERATION;
  const { protocolType, protocol } = request;
  if (protocolType !== null && protocolType !== group.protocolType)
    return ErrorCode.INCONSISTENT_GROUP_PROTOCOL;
  if (protocol !== null && protocol !== group.protocol)
    return ErrorCode.INCONSISTENT_GROUP_PROTOCOL;
  return group.state === "PreparingRebalance" ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE;
}

function syncAnswer(group: Group, assignment: Uint8Array): SyncAnswer {
  return {
    code: ErrorCode.NONE,
    protocolType: group.protocolType,
    protocol: group.protocol,
    assignment,
  };
}

/** The leader's word. Members that it does not name get nothing, which is zero bytes. */
function assign(state: ShardState, turn: Turn, group: Group, request: SyncRequest): void {
  const assignments = new Map<string, Uint8Array>();
  for (const each of request.assignments) assignments.set(each.memberId, each.assignment);
  const value = group.asMetadata(assignments);
  if (metadataBytes(value) > state.settings.recordBytesMax) {
    // No record can hold the group: all who wait learn it, and may come back with less.
    dropAssignments(state, turn, group, ErrorCode.MESSAGE_TOO_LARGE);
    return startRebalance(state, turn, group, "the metadata of the group is too large");
  }
  store(turn, group, value);
  group.enter("Stable", turn.wall);
  for (const member of group.members.values()) {
    member.assignment = assignments.get(member.id) ?? noBytes;
    const syncing = member.syncing;
    if (syncing === null) continue;
    member.syncing = null;
    turn.reply(syncing, syncAnswer(group, member.assignment));
    touch(state, turn, member);
  }
}

/** An upper bound of the record's size: strings have at most 3 bytes for each UTF-16 unit. */
function metadataBytes(value: ReturnType<Group["asMetadata"]>): number {
  let bytes =
    64 +
    3 *
      ((value.protocolType?.length ?? 0) +
        (value.protocol?.length ?? 0) +
        (value.leader?.length ?? 0));
  for (const member of value.members) {
    const text =
      member.memberId.length +
      member.clientId.length +
      member.clientHost.length +
      (member.instanceId?.length ?? 0);
    bytes += 64 + 3 * text + member.subscription.byteLength + member.assignment.byteLength;
  }
  return bytes;
}

/** Kafka's code; 0 = go on. */
export function planHeartbeat(state: ShardState, turn: Turn, request: HeartbeatRequest): number {
  if (request.groupId === "") return ErrorCode.INVALID_GROUP_ID;
  const group = state.groups.get(request.groupId);
  if (group === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
  const code = memberRefusal(group, request.memberId, request.instanceId);
  if (code !== ErrorCode.NONE) return code;
  if (request.generation !== group.generation) return ErrorCode.ILLEGAL_GENERATION;
  touch(state, turn, memberOf(group, request.memberId));
  return group.state === "PreparingRebalance" ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE;
}

export function planLeave(state: ShardState, turn: Turn, request: LeaveRequest): LeaveAnswer {
  if (request.groupId === "") return { code: ErrorCode.INVALID_GROUP_ID, codes: [] };
  const group = state.groups.get(request.groupId);
  if (group === undefined) {
    return { code: ErrorCode.NONE, codes: request.members.map(() => ErrorCode.UNKNOWN_MEMBER_ID) };
  }
  const before = group.members.size;
  const codes = request.members.map((leaving) => leaveOne(state, turn, group, leaving));
  if (group.state === "PreparingRebalance") joinedOrWait(state, turn, group);
  else if (group.members.size < before) startRebalance(state, turn, group, "members left");
  forgetVoid(state, group);
  return { code: ErrorCode.NONE, codes };
}

function leaveOne(state: ShardState, turn: Turn, group: Group, leaving: LeavingMember): number {
  let memberId = leaving.memberId;
  if (memberId === "") {
    const named = leaving.instanceId === null ? undefined : group.statics.get(leaving.instanceId);
    if (named === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
    memberId = named;
  } else {
    if (forgetPending(state, group, memberId)) return ErrorCode.NONE;
    const code = memberRefusal(group, memberId, leaving.instanceId);
    if (code !== ErrorCode.NONE) return code;
  }
  note(turn, "member-left", group, `${memberId}; ${leaving.reason}`);
  removeMember(state, turn, group, memberOf(group, memberId));
  return ErrorCode.NONE;
}
