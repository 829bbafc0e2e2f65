// SyncGroup (14), v0-5: the leader of a classic group hands in the assignment, every member gets its
// part. A member without a part gets zero bytes. v5 must name protocol type and protocol (KIP-559).
//
// Refusals: 14, 15, 16, 10 the group is too large for a record, 22 wrong generation, 23 another
// protocol, 24 group id empty, 25 unknown member, 27 join again, 82 fenced static member.

import type { SyncGroupRequest, SyncGroupResponse } from "../../../proto/kafka/14_sync_group.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { Call } from "../base/node_contract.ts";
import { type SyncAnswer, type SyncRequest, Waiter } from "../coordinator/coordinator.ts";
import { type Broker, entry } from "./broker.ts";

const protocolSince = 5;
const noBytes = new Uint8Array(0);

type SyncCall = Call<SyncGroupRequest, SyncGroupResponse>;

function plan(broker: Broker, call: SyncCall): void {
  const request = syncRequest(call);
  const waiter = new Waiter<SyncAnswer>((code, answer) => {
    broker.reply(
      call,
      response(answer ?? { code, protocolType: null, protocol: null, assignment: noBytes }),
    );
  });
  if (
    request.groupId !== "" &&
    call.version >= protocolSince &&
    (request.protocolType === null || request.protocol === null)
  ) {
    return waiter.settle(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
  }
  broker.groups.run(request.groupId, waiter, (shard, turn) => shard.sync(turn, waiter, request));
}

/** The bytes are copied: the members keep them longer than the request lives. */
function syncRequest({ request }: SyncCall): SyncRequest {
  return {
    groupId: request.groupId,
    generation: request.generationId,
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    protocolType: request.protocolType,
    protocol: request.protocolName,
    assignments: request.assignments.map(({ memberId, assignment }) => ({
      memberId,
      assignment: assignment.slice(),
    })),
  };
}

function response({ code, protocolType, protocol, assignment }: SyncAnswer): SyncGroupResponse {
  return { throttleTimeMs: 0, errorCode: code, protocolType, protocolName: protocol, assignment };
}

export const syncGroup = entry<SyncGroupRequest, SyncGroupResponse>("SyncGroup", plan);
