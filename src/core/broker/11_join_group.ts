// JoinGroup (11), v0-9: become a member of a classic group, or stay one through a rebalance. The
// answer comes when the rebalance has chosen a leader. v0 knows one timeout; v4 gets a member id first
// (KIP-394); v5 static members; v9 a leader may keep the assignment (KIP-814).
//
// Refusals: 14, 15, 16, 23 no protocol in common, 24 group id empty, 25 unknown member, 26 session
// timeout, 27 a later request took this one's place, 79 join again with the id given, 81 group full,
// 82 fenced static member.

import type { JoinGroupRequest, JoinGroupResponse } from "../../../proto/kafka/11_join_group.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { Call } from "../base/node_contract.ts";
import {
  type JoinAnswer,
  type JoinRequest,
  type Protocol,
  Waiter,
} from "../coordinator/coordinator.ts";
import { type Broker, entry } from "./broker.ts";
import { shownReason } from "./groups.ts";

const rebalanceTimeoutSince = 1;
const memberIdFirstSince = 4;
/** Below, no protocol is an empty name. */
const nullProtocolSince = 7;
const skipAssignmentSince = 9;

type JoinCall = Call<JoinGroupRequest, JoinGroupResponse>;

function plan(broker: Broker, call: JoinCall): void {
  const request = joinRequest(call);
  const waiter = new Waiter<JoinAnswer>((code, answer) => {
    broker.reply(call, answer === null ? refusal(call, code) : response(call, answer));
  });
  broker.groups.whenTopicExists((code) => {
    if (code !== ErrorCode.NONE) return waiter.settle(code);
    broker.groups.run(request.groupId, waiter, (shard, turn) => shard.join(turn, waiter, request));
  });
}

/** The bytes are copied: the member keeps them longer than the request lives. */
function joinRequest(call: JoinCall): JoinRequest {
  const { request, version } = call;
  const protocols = new Map<string, Protocol>();
  for (const { name, metadata } of request.protocols) {
    if (!protocols.has(name)) protocols.set(name, { name, metadata: metadata.slice() });
  }
  return {
    groupId: request.groupId,
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    clientId: call.clientId ?? "",
    clientHost: `/${call.peer}`,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs:
      version >= rebalanceTimeoutSince ? request.rebalanceTimeoutMs : request.sessionTimeoutMs,
    protocolType: request.protocolType,
    protocols: [...protocols.values()],
    reason: shownReason(request.reason),
    takesMemberId: version >= memberIdFirstSince,
    skipsAssignment: version >= skipAssignmentSince,
  };
}

function response(call: JoinCall, answer: JoinAnswer): JoinGroupResponse {
  return {
    throttleTimeMs: 0,
    errorCode: answer.code,
    generationId: answer.generation,
    protocolType: answer.protocolType,
    protocolName: answer.protocol ?? (call.version >= nullProtocolSince ? null : ""),
    leader: answer.leader,
    skipAssignment: answer.skipAssignment,
    memberId: answer.memberId,
    members: answer.members.map(({ memberId, instanceId, metadata }) => ({
      memberId,
      groupInstanceId: instanceId,
      metadata,
    })),
  };
}

function refusal(call: JoinCall, code: number): JoinGroupResponse {
  return response(call, {
    code,
    memberId: call.request.memberId,
    generation: -1,
    protocolType: null,
    protocol: null,
    leader: "",
    skipAssignment: false,
    members: [],
  });
}

export const joinGroup = entry<JoinGroupRequest, JoinGroupResponse>("JoinGroup", plan);
