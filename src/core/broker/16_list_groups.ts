// ListGroups (16), v0-5: the groups that this node coordinates. v4 filters by state, v5 by type; both
// in any case, and what does not exist matches nothing.
//
// Refusals: 14, 15.

import type { ListGroupsRequest, ListGroupsResponse } from "../../../proto/kafka/16_list_groups.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { Call } from "../base/node_contract.ts";
import { type Broker, entry } from "./broker.ts";

/** The one type that there is. */
const groupType = "classic";

function plan(broker: Broker, call: Call<ListGroupsRequest, ListGroupsResponse>): void {
  const states = new Set(call.request.statesFilter.map((state) => state.toLowerCase()));
  const types = call.request.typesFilter.map((type) => type.toLowerCase());
  if (types.length > 0 && !types.includes(groupType)) {
    return broker.reply(call, { throttleTimeMs: 0, errorCode: ErrorCode.NONE, groups: [] });
  }
  broker.groups.askAll(
    (shard) => shard.list(states),
    (errorCode, answers) => {
      const groups =
        errorCode !== ErrorCode.NONE
          ? []
          : answers.flat().map(({ groupId, protocolType, state }) => ({
              groupId,
              protocolType,
              groupState: state,
              groupType,
            }));
      broker.reply(call, { throttleTimeMs: 0, errorCode, groups });
    },
  );
}

export const listGroups = entry<ListGroupsRequest, ListGroupsResponse>("ListGroups", plan);
