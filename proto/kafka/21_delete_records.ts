// DeleteRecords (21): raise the log start of partitions (KIP-107). v2 flexible.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  offset,
  offsetSaturated,
  partitionIndex,
  string,
} from "../schema.ts";

export const DeleteRecords = api("DeleteRecords", {
  key: 21,
  versions: [0, 2],
  flexible: 2,
  request: {
    topics: array({
      name: string,
      partitions: array({
        partitionIndex,
        /** New log start; -1 = the high watermark. Beyond 2^53 it saturates and is out of range. */
        offset: offsetSaturated,
      }),
    }),
    timeoutMs: int32,
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    topics: array({
      name: string,
      partitions: array({
        partitionIndex,
        /** The log start now; -1 on error. */
        lowWatermark: offset,
        /**
         * 0, or: 1 above the high watermark; 3 unknown topic or partition; 6 not the leader; 7 not
         * done in time; 29 not authorised; 44 topic is compacted only.
         */
        errorCode: int16,
      }),
    }),
  },
});
export type DeleteRecordsRequest = RequestOf<typeof DeleteRecords>;
export type DeleteRecordsResponse = ResponseOf<typeof DeleteRecords>;
