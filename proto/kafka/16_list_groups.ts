// ListGroups (16): the groups that this node coordinates. v3 flexible; v4 by state (KIP-518); v5 by
// type (KIP-848).

import { type RequestOf, type ResponseOf, api, array, int16, int32, string } from "../schema.ts";

export const ListGroups = api("ListGroups", {
  key: 16,
  versions: [0, 5],
  flexible: 3,
  request: {
    /** States wanted; empty = all. */
    statesFilter: array(string).since(4),
    /** Types wanted ("classic", "consumer", "share"); empty = all. */
    typesFilter: array(string).since(5),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    /** 0, or: 14, 15 coordinator loading, absent. */
    errorCode: int16,
    groups: array({
      groupId: string,
      protocolType: string,
      groupState: string.since(4).ignorable(),
      groupType: string.since(5).ignorable(),
    }),
  },
});
export type ListGroupsRequest = RequestOf<typeof ListGroups>;
export type ListGroupsResponse = ResponseOf<typeof ListGroups>;
