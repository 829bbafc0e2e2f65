// OffsetCommit (8): store offsets of a group. v5 no retention; v6 leader epoch; v7 static members;
// v8 flexible; v9 KIP-848 groups; v10 topics by id.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  int64,
  leaderEpoch,
  offset,
  partitionIndex,
  string,
  uuid,
} from "../schema.ts";

export const OffsetCommit = api("OffsetCommit", {
  key: 8,
  versions: [2, 10],
  flexible: 8,
  request: {
    groupId: string,
    /** Generation of a classic group, member epoch of a KIP-848 group; -1 = not a member. */
    generationIdOrMemberEpoch: int32.since(1).default(-1).ignorable(),
    memberId: string.since(1).ignorable(),
    /** Null: not a static member. */
    groupInstanceId: string.since(7).nullable(7),
    /** How long to keep the offsets; -1 = the broker's setting. */
    retentionTimeMs: int64.since(2).until(4).default(-1).ignorable(),
    topics: array({
      name: string.until(9).ignorable(),
      topicId: uuid.since(10).ignorable(),
      partitions: array({
        partitionIndex,
        /** The next offset that the group will read. */
        committedOffset: offset,
        /** Epoch of the last record read; -1 = unknown. */
        committedLeaderEpoch: leaderEpoch.since(6).default(-1).ignorable(),
        /** Free text of the client, at most 4096 bytes. */
        committedMetadata: string.nullable(),
      }),
    }),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(3).ignorable(),
    topics: array({
      name: string.until(9).ignorable(),
      topicId: uuid.since(10).ignorable(),
      partitions: array({
        partitionIndex,
        /**
         * 0, or: 3 / 100 unknown topic or partition / topic id; 12 metadata above 4096 bytes; 14,
         * 15, 16 coordinator loading, absent, elsewhere; 22 wrong generation; 24 group id empty; 25
         * unknown member; 27 rebalancing; 28 size; 29, 30 not authorised; 82 fenced static member;
         * 113 stale member epoch.
         */
        errorCode: int16,
      }),
    }),
  },
});
export type OffsetCommitRequest = RequestOf<typeof OffsetCommit>;
export type OffsetCommitResponse = ResponseOf<typeof OffsetCommit>;
