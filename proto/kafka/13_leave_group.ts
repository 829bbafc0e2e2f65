// LeaveGroup (13): members leave a classic group. v3 many members, static ones too (KIP-345); v4
// flexible; v5 reason.

import { type RequestOf, type ResponseOf, api, array, int16, int32, string } from "../schema.ts";

export const LeaveGroup = api("LeaveGroup", {
  key: 13,
  versions: [0, 5],
  flexible: 4,
  request: {
    groupId: string,
    /** The one member of v0-2. */
    memberId: string.until(2),
    members: array({
      /** Empty: named by its instance id (the admin's remove). */
      memberId: string,
      groupInstanceId: string.nullable(3),
      /** Why the member leaves, for the log. */
      reason: string.since(5).nullable(5).ignorable(),
    }).since(3),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    /**
     * 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 24 group id empty; 30 not
     * authorised; below v3 also the member's error.
     */
    errorCode: int16,
    members: array({
      memberId: string,
      groupInstanceId: string.nullable(3),
      /** 0, or: 25 unknown member; 82 fenced static member. */
      errorCode: int16,
    }).since(3),
  },
});
export type LeaveGroupRequest = RequestOf<typeof LeaveGroup>;
export type LeaveGroupResponse = ResponseOf<typeof LeaveGroup>;
