// OffsetDelete (47): forget committed offsets of a group (KIP-496). Never flexible.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  partitionIndex,
  string,
  versionMax,
} from "../schema.ts";

export const OffsetDelete = api("OffsetDelete", {
  key: 47,
  versions: [0, 0],
  flexible: versionMax,
  request: {
    groupId: string,
    topics: array({ name: string, partitions: array({ partitionIndex }) }),
  },
  response: {
    /**
     * 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 24 group id empty; 30 not
     * authorised; 68 group has members of another protocol type; 69 no such group.
     */
    errorCode: int16,
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    topics: array({
      name: string,
      partitions: array({
        partitionIndex,
        /**
         * 0, or: 3 unknown topic or partition; 29 not authorised; 86 the group reads this topic.
         */
        errorCode: int16,
      }),
    }),
  },
});
export type OffsetDeleteRequest = RequestOf<typeof OffsetDelete>;
export type OffsetDeleteResponse = ResponseOf<typeof OffsetDelete>;
