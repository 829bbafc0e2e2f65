// ListOffsets (2): offsets by time. v2 isolation level; v4 leader epoch; v6 flexible; v7 -3; v8 -4;
// v9 -5; v10 timeout; v11 -6 (KIP-1023).

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  int64,
  int64Saturated,
  int8,
  leaderEpoch,
  nodeId,
  offset,
  partitionIndex,
  string,
} from "../schema.ts";

export const ListOffsets = api("ListOffsets", {
  key: 2,
  versions: [1, 11],
  flexible: 6,
  request: {
    /** -1: a consumer; -2: a debugging consumer. */
    replicaId: nodeId,
    /** 0 = read_uncommitted, 1 = read_committed: -1 (latest) is then the last stable offset. */
    isolationLevel: int8.since(2),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex,
        /** The leader epoch that the client believes in; -1 = do not check. */
        currentLeaderEpoch: leaderEpoch.since(4).default(-1).ignorable(),
        /**
         * Milliseconds since 1970, or: -1 latest, -2 earliest, -3 record of the largest timestamp
         * (v7), -4 earliest on local disks (v8), -5 latest in tiered storage (v9), -6 earliest not
         * yet uploaded (v11). Beyond 2^53 it saturates: no record is as late.
         */
        timestamp: int64Saturated,
      }),
    }),
    /** How long a look-up in tiered storage may take. */
    timeoutMs: int32.since(10).ignorable(),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(2).ignorable(),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex,
        /**
         * 0, or: 3 unknown topic or partition; 6 not the leader; 29 not authorised; 35 special time
         * newer than the version; 56 storage failed; 74 / 75 leader epoch older / newer than ours;
         * 78 leader recovering.
         */
        errorCode: int16,
        /** Timestamp of the record found; -1 for the special times and where none was found. */
        timestamp: int64.since(1).default(-1),
        /** First offset whose timestamp is at or after the one asked for; -1 = none. */
        offset: offset.since(1).default(-1),
        /** Epoch of the record found; -1 = unknown. */
        leaderEpoch: leaderEpoch.since(4).default(-1).ignorable(),
      }),
    }),
  },
});
export type ListOffsetsRequest = RequestOf<typeof ListOffsets>;
export type ListOffsetsResponse = ResponseOf<typeof ListOffsets>;
