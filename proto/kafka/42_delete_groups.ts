// DeleteGroups (42): forget empty groups with their offsets (KIP-229). v2 flexible; v3 messages.

import { type RequestOf, type ResponseOf, api, array, int16, int32, string } from "../schema.ts";

export const DeleteGroups = api("DeleteGroups", {
  key: 42,
  versions: [0, 3],
  flexible: 2,
  request: {
    groupsNames: array(string),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    results: array({
      groupId: string,
      /**
       * 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 24 group id empty; 30 not
       * authorised; 68 group has members; 69 no such group.
       */
      errorCode: int16,
      errorMessage: string.since(3).nullable(3).ignorable(),
    }),
  },
});
export type DeleteGroupsRequest = RequestOf<typeof DeleteGroups>;
export type DeleteGroupsResponse = ResponseOf<typeof DeleteGroups>;
