// LeaveGroup (13), v0-5: members leave a classic group. Up to v2 one member by its id; from v3 on
// many, and an administrator may name static members by their instance id.
//
// Refusals: 14, 15, 16, 24 group id empty. Per member (v0-2: of the whole): 25 unknown, 82 fenced.

import type { LeaveGroupRequest, LeaveGroupResponse } from "../../../proto/kafka/13_leave_group.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { Call } from "../base/node_contract.ts";
import type { LeavingMember } from "../coordinator/coordinator.ts";
import { type Broker, entry } from "./broker.ts";
import { shownReason } from "./groups.ts";

const manyMembersSince = 3;

function plan(broker: Broker, call: Call<LeaveGroupRequest, LeaveGroupResponse>): void {
  const { groupId, memberId, members } = call.request;
  const many = call.version >= manyMembersSince;
  const leaving: readonly LeavingMember[] = many
    ? members.map((each) => ({
        memberId: each.memberId,
        instanceId: each.groupInstanceId,
        reason: shownReason(each.reason),
      }))
    : [{ memberId, instanceId: null, reason: "" }];
  broker.groups.ask(
    groupId,
    (shard, turn) => shard.leave(turn, { groupId, members: leaving }),
    (code, answer) => {
      const whole = answer?.code ?? code;
      const codes = answer?.codes ?? [];
      if (!many)
        return broker.reply(call, {
          throttleTimeMs: 0,
          errorCode: whole === 0 ? (codes[0] ?? 0) : whole,
          members: [],
        });
      const answers =
        whole !== ErrorCode.NONE
          ? []
          : leaving.map((each, at) => memberAnswer(each, codes[at] ?? 0));
      broker.reply(call, { throttleTimeMs: 0, errorCode: whole, members: answers });
    },
  );
}

function memberAnswer(
  member: LeavingMember,
  errorCode: number,
): LeaveGroupResponse["members"][number] {
  return { memberId: member.memberId, groupInstanceId: member.instanceId, errorCode };
}

export const leaveGroup = entry<LeaveGroupRequest, LeaveGroupResponse>("LeaveGroup", plan);
