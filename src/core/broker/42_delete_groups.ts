// DeleteGroups (42), v0-3: forget groups without members, with all that they have committed.
//
// Refusals per group: 14, 15, 16, 68 the group has members, 69 no such group; from v3 on in words too.

import type {
  DeleteGroupsRequest,
  DeleteGroupsResponse,
} from "../../../proto/kafka/42_delete_groups.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { Call } from "../base/node_contract.ts";
import { type Broker, entry } from "./broker.ts";
import { countdown, shownGroupId } from "./groups.ts";

type Result = DeleteGroupsResponse["results"][number];

function plan(broker: Broker, call: Call<DeleteGroupsRequest, DeleteGroupsResponse>): void {
  // A group named twice is deleted once.
  const ids = [...new Set(call.request.groupsNames)];
  const results = new Array<Result>(ids.length);
  const finished = countdown(ids.length, () => broker.reply(call, { throttleTimeMs: 0, results }));
  for (const [at, groupId] of ids.entries()) {
    broker.groups.ask(
      groupId,
      (shard, turn) => shard.delete(turn, groupId),
      (code, answer) => {
        results[at] = {
          groupId,
          errorCode: answer ?? code,
          errorMessage: messageOf(groupId, answer ?? code),
        };
        finished();
      },
    );
  }
}

function messageOf(groupId: string, code: number): string | null {
  switch (code) {
    case ErrorCode.NONE:
      return null;
    case ErrorCode.GROUP_ID_NOT_FOUND:
      return `Group ${shownGroupId(groupId)} not found.`;
    case ErrorCode.NON_EMPTY_GROUP:
      return `Group ${shownGroupId(groupId)} has members.`;
    default:
      return "The coordinator of the group cannot answer now.";
  }
}

export const deleteGroups = entry<DeleteGroupsRequest, DeleteGroupsResponse>("DeleteGroups", plan);
