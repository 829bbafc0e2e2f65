// DescribeGroups (15), v0-6: state and members of classic groups. Protocol and subscriptions are shown
// while the group is stable. A group that does not exist is "Dead"; from v6 on that is error 69. A
// group that is named twice is told once: what its members say of themselves may be long.
//
// Refusals per group: 14, 15, 16, 69 no such group (v6+).

import type {
  DescribeGroupsRequest,
  DescribeGroupsResponse,
} from "../../../proto/kafka/15_describe_groups.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { Call } from "../base/node_contract.ts";
import type { DescribedGroup } from "../coordinator/coordinator.ts";
import { type Broker, entry } from "./broker.ts";
import { countdown, shownGroupId } from "./groups.ts";

const notFoundSince = 6;
/** Without access control everything is allowed: read 3, delete 6, describe 8, describe and alter configs 10, 11. */
const allOperations = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11);
const operationsNotAsked = -2147483648;

type DescribeCall = Call<DescribeGroupsRequest, DescribeGroupsResponse>;
type GroupAnswer = DescribeGroupsResponse["groups"][number];

function plan(broker: Broker, call: DescribeCall): void {
  const ids = [...new Set(call.request.groups)];
  const groups = new Array<GroupAnswer>(ids.length);
  const finished = countdown(ids.length, () => broker.reply(call, { throttleTimeMs: 0, groups }));
  for (const [at, groupId] of ids.entries()) {
    broker.groups.ask(
      groupId,
      (shard) => ({ found: shard.describe(groupId) }),
      (code, answer) => {
        groups[at] =
          answer === null
            ? dead(call, groupId, code, null)
            : described(call, groupId, answer.found);
        finished();
      },
    );
  }
}

function described(call: DescribeCall, groupId: string, found: DescribedGroup | null): GroupAnswer {
  if (found === null) {
    if (call.version < notFoundSince) return dead(call, groupId, ErrorCode.NONE, null);
    return dead(
      call,
      groupId,
      ErrorCode.GROUP_ID_NOT_FOUND,
      `Group ${shownGroupId(groupId)} not found.`,
    );
  }
  return {
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    groupId,
    groupState: found.state,
    protocolType: found.protocolType,
    protocolData: found.protocol,
    members: found.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: member.metadata,
      memberAssignment: member.assignment,
    })),
    authorizedOperations: operations(call),
  };
}

function dead(
  call: DescribeCall,
  groupId: string,
  errorCode: number,
  errorMessage: string | null,
): GroupAnswer {
  // Kafka shows no state for a group that it could not ask about.
  const groupState =
    errorCode === ErrorCode.NONE || errorCode === ErrorCode.GROUP_ID_NOT_FOUND ? "Dead" : "";
  return {
    errorCode,
    errorMessage,
    groupId,
    groupState,
    protocolType: "",
    protocolData: "",
    members: [],
    authorizedOperations: errorCode === ErrorCode.NONE ? operations(call) : operationsNotAsked,
  };
}

function operations(call: DescribeCall): number {
  return call.request.includeAuthorizedOperations ? allOperations : operationsNotAsked;
}

export const describeGroups = entry<DescribeGroupsRequest, DescribeGroupsResponse>(
  "DescribeGroups",
  plan,
);
