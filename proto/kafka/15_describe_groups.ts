// DescribeGroups (15): state and members of classic groups. v3 authorised operations; v4 static
// members; v5 flexible; v6 error 69 for a group that does not exist.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  bool,
  bytes,
  int16,
  int32,
  string,
} from "../schema.ts";

export const DescribeGroups = api("DescribeGroups", {
  key: 15,
  versions: [0, 6],
  flexible: 5,
  request: {
    /** Group ids. */
    groups: array(string),
    includeAuthorizedOperations: bool.since(3),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    groups: array({
      /**
       * 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 24 group id empty; 30 not
       * authorised; 69 no such group (v6+; below, an empty group of state "Dead" without error).
       */
      errorCode: int16,
      errorMessage: string.since(6).nullable(6).ignorable(),
      groupId: string,
      /** "PreparingRebalance", "CompletingRebalance", "Stable", "Dead" or "Empty". */
      groupState: string,
      protocolType: string,
      /** The assignor in use; empty unless the group is stable. */
      protocolData: string,
      members: array({
        memberId: string,
        groupInstanceId: string.since(4).nullable(4).ignorable(),
        clientId: string,
        /** "/" and the address that the member joined from. */
        clientHost: string,
        /** Its subscription for the assignor in use. */
        memberMetadata: bytes,
        memberAssignment: bytes,
      }),
      /** Bit per AclOperation; -2^31 = not asked for. */
      authorizedOperations: int32.since(3).default(-2147483648).ignorable(),
    }),
  },
});
export type DescribeGroupsRequest = RequestOf<typeof DescribeGroups>;
export type DescribeGroupsResponse = ResponseOf<typeof DescribeGroups>;
