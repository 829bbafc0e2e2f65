// OffsetForLeaderEpoch (23): where a leader epoch ended, so that a reader can tell whether what it
// has was truncated (KIP-101, KIP-320). v3 replica id; v4 flexible.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  leaderEpoch,
  offset,
  partitionIndex,
  string,
} from "../schema.ts";

export const OffsetForLeaderEpoch = api("OffsetForLeaderEpoch", {
  key: 23,
  versions: [2, 4],
  flexible: 4,
  request: {
    /** -1: a consumer; -2: a debugging consumer. */
    replicaId: int32.since(3).default(-2).ignorable(),
    topics: array({
      topic: string,
      partitions: array({
        partition: partitionIndex,
        /** The leader epoch that the client believes in; -1 = do not check. */
        currentLeaderEpoch: leaderEpoch.since(2).default(-1).ignorable(),
        /** The epoch whose end is wanted. */
        leaderEpoch,
      }),
    }),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(2).ignorable(),
    topics: array({
      topic: string,
      partitions: array({
        /**
         * 0, or: 3 unknown topic or partition; 6 not the leader; 29 not authorised; 56 storage
         * failed; 74 / 75 leader epoch older / newer than ours.
         */
        errorCode: int16,
        partition: partitionIndex,
        /** The largest epoch known that is not above the one asked for; -1 = none. */
        leaderEpoch: leaderEpoch.since(1).default(-1).ignorable(),
        /** Its end, exclusive; -1 = unknown. */
        endOffset: offset.default(-1),
      }),
    }),
  },
});
export type OffsetForLeaderEpochRequest = RequestOf<typeof OffsetForLeaderEpoch>;
export type OffsetForLeaderEpochResponse = ResponseOf<typeof OffsetForLeaderEpoch>;
