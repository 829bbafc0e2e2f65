// ListGroups, DescribeGroups and DeleteGroups: the groups as an administrator sees them.

import { ErrorCode } from "../base/error_code.ts";
import { type Group, type GroupState, type Member, noBytes } from "./group.ts";
import { forgetOffsets } from "./offsets.ts";
import { forgetVoid, type ShardState } from "./state.ts";
import type { Turn } from "./turn.ts";

export interface ListedGroup {
  readonly groupId: string;
  readonly protocolType: string;
  readonly state: GroupState;
}

export interface DescribedGroup {
  readonly groupId: string;
  readonly state: GroupState;
  readonly protocolType: string;
  /** Empty unless the group is stable. */
  readonly protocol: string;
  readonly members: readonly DescribedMember[];
}

export interface DescribedMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** Zero bytes unless the group is stable. */
  readonly metadata: Uint8Array;
  readonly assignment: Uint8Array;
}

/** `states` in lower case; empty = all. */
export function listGroups(state: ShardState, states: ReadonlySet<string>): readonly ListedGroup[] {
  const listed: ListedGroup[] = [];
  for (const group of state.groups.values()) {
    if (states.size > 0 && !states.has(group.state.toLowerCase())) continue;
    listed.push({ groupId: group.id, protocolType: group.protocolType ?? "", state: group.state });
  }
  return listed;
}

/** Null: no such group. */
export function describeGroup(state: ShardState, groupId: string): DescribedGroup | null {
  const group = state.groups.get(groupId);
  if (group === undefined) return null;
  const stable = group.state === "Stable";
  return {
    groupId,
    state: group.state,
    protocolType: group.protocolType ?? "",
    protocol: stable ? (group.protocol ?? "") : "",
    members: [...group.members.values()].map((member) => describeMember(group, member, stable)),
  };
}

function describeMember(group: Group, member: Member, stable: boolean): DescribedMember {
  return {
    memberId: member.id,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    metadata: stable ? member.metadata(group.protocol) : noBytes,
    assignment: member.assignment,
  };
}

/** Kafka's code. A group whose members have all gone is deleted with its offsets. */
export function planDelete(state: ShardState, turn: Turn, groupId: string): number {
  const group = state.groups.get(groupId);
  if (group === undefined) return ErrorCode.GROUP_ID_NOT_FOUND;
  if (group.state !== "Empty") return ErrorCode.NON_EMPTY_GROUP;
  forgetOffsets(group, turn.records);
  removeGroup(state, turn, group);
  return ErrorCode.NONE;
}

/**
 * The group is empty and its offsets go with this turn. Member ids that were given out are void; the
 * group itself is forgotten when the last record about it is applied.
 */
export function removeGroup(state: ShardState, turn: Turn, group: Group): void {
  group.turnAlarmsOff(state.alarms);
  group.pending.clear();
  if (group.stored !== null) turn.records.push({ kind: "group-tombstone", group: group.id });
  forgetVoid(state, group);
}
