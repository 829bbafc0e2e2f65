// Heartbeat (12): a member of a classic group is alive. v3 static members; v4 flexible.

import { type RequestOf, type ResponseOf, api, int16, int32, string } from "../schema.ts";

export const Heartbeat = api("Heartbeat", {
  key: 12,
  versions: [0, 4],
  flexible: 4,
  request: {
    groupId: string,
    generationId: int32,
    memberId: string,
    /** Null: not a static member. */
    groupInstanceId: string.since(3).nullable(3),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    /**
     * 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 22 wrong generation; 24 group id
     * empty; 25 unknown member; 27 rebalancing: join again; 30 not authorised; 82 fenced static
     * member.
     */
    errorCode: int16,
  },
});
export type HeartbeatRequest = RequestOf<typeof Heartbeat>;
export type HeartbeatResponse = ResponseOf<typeof Heartbeat>;
