// SyncGroup (14): the leader of a classic group hands in the assignment, each member gets its part.
// v3 static members; v4 flexible; v5 protocol type and name (KIP-559).

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  bytes,
  int16,
  int32,
  string,
} from "../schema.ts";

export const SyncGroup = api("SyncGroup", {
  key: 14,
  versions: [0, 5],
  flexible: 4,
  request: {
    groupId: string,
    generationId: int32,
    memberId: string,
    /** Null: not a static member. */
    groupInstanceId: string.since(3).nullable(3),
    /** Must match the group's; null = not said. */
    protocolType: string.since(5).nullable(5).ignorable(),
    protocolName: string.since(5).nullable(5).ignorable(),
    /** From the leader only; empty from all others. */
    assignments: array({ memberId: string, assignment: bytes }),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    /**
     * 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 22 wrong generation; 23 protocol
     * differs from the group's; 24 group id empty; 25 unknown member; 27 rebalancing: join again;
     * 30 not authorised; 82 fenced static member.
     */
    errorCode: int16,
    protocolType: string.since(5).nullable(5).ignorable(),
    protocolName: string.since(5).nullable(5).ignorable(),
    /** The member's part; no bytes at all = nothing assigned. */
    assignment: bytes,
  },
});
export type SyncGroupRequest = RequestOf<typeof SyncGroup>;
export type SyncGroupResponse = ResponseOf<typeof SyncGroup>;
