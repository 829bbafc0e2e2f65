// JoinGroup (11): become a member of a classic group, or stay one through a rebalance. v1 rebalance
// timeout; v4 member id required first (KIP-394); v5 static members (KIP-345); v6 flexible; v7
// protocol type; v8 reason; v9 the leader may skip the assignment.

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

export const JoinGroup = api("JoinGroup", {
  key: 11,
  versions: [0, 9],
  flexible: 6,
  request: {
    groupId: string,
    /** A member silent for so long is expelled. */
    sessionTimeoutMs: int32,
    /** How long a rebalance waits for a member; -1 = as the session timeout (v0). */
    rebalanceTimeoutMs: int32.since(1).default(-1).ignorable(),
    /** Empty at the first call. */
    memberId: string,
    /** Null: not a static member. */
    groupInstanceId: string.since(5).nullable(5),
    /** "consumer", "connect" and the like: one per group. */
    protocolType: string,
    /** Assignors that the member knows, best first, each with its subscription. */
    protocols: array({ name: string, metadata: bytes }),
    /** Why the member joins, for the log. */
    reason: string.since(8).nullable(8).ignorable(),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(2).ignorable(),
    /**
     * 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 23 no common protocol; 24 group id
     * empty; 25 unknown member; 26 session timeout out of range; 27 rebalancing; 30 not authorised;
     * 79 join again with the member id given here; 81 group full; 82 fenced static member.
     */
    errorCode: int16,
    generationId: int32.default(-1),
    protocolType: string.since(7).nullable(7).ignorable(),
    /** The assignor chosen. Null on error (v7+), empty below. */
    protocolName: string.nullable(7),
    /** Member id of the group's leader. */
    leader: string,
    /** The leader keeps the old assignment (static member that came back, KIP-814). */
    skipAssignment: bool.since(9),
    memberId: string,
    /** All members with their subscriptions, for the leader only. */
    members: array({
      memberId: string,
      groupInstanceId: string.since(5).nullable(5).ignorable(),
      metadata: bytes,
    }),
  },
});
export type JoinGroupRequest = RequestOf<typeof JoinGroup>;
export type JoinGroupResponse = ResponseOf<typeof JoinGroup>;
