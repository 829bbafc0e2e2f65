// OffsetFetch (9): committed offsets of groups. v2 all topics; v5 leader epoch; v6 flexible; v7
// require_stable (KIP-447); v8 many groups (KIP-709); v9 member epoch; v10 topics by id.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  bool,
  int16,
  int32,
  leaderEpoch,
  offset,
  partitionIndex,
  string,
  uuid,
} from "../schema.ts";

export const OffsetFetch = api("OffsetFetch", {
  key: 9,
  versions: [1, 10],
  flexible: 6,
  request: {
    /** The one group of v1-7. */
    groupId: string.until(7),
    /** Of that group; null = all topics (v2+). Empty from v8 on: see `groups`. */
    topics: array({ name: string, partitionIndexes: array(partitionIndex) })
      .until(7)
      .nullable(2)
      .default([]),
    groups: array({
      groupId: string,
      /** Null: not a member. */
      memberId: string.since(9).nullable(9).ignorable(),
      /** Member epoch of a KIP-848 group; -1 = do not check. */
      memberEpoch: int32.since(9).default(-1).ignorable(),
      /** Null = all topics. */
      topics: array({
        name: string.until(9).ignorable(),
        topicId: uuid.since(10).ignorable(),
        partitionIndexes: array(partitionIndex),
      }).nullable(8),
    }).since(8),
    /** Answer 88 instead of an offset that an open transaction may still change. */
    requireStable: bool.since(7),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(3).ignorable(),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex,
        /** -1 = nothing committed. */
        committedOffset: offset,
        committedLeaderEpoch: leaderEpoch.since(5).default(-1).ignorable(),
        metadata: string.nullable(),
        /** As in `groups`; below v2 also the errors of the group. */
        errorCode: int16,
      }),
    }).until(7),
    /** 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 24 group id; 30 not authorised. */
    errorCode: int16.since(2).until(7).ignorable(),
    groups: array({
      groupId: string,
      topics: array({
        name: string.until(9).ignorable(),
        topicId: uuid.since(10).ignorable(),
        partitions: array({
          partitionIndex,
          /** -1 = nothing committed. */
          committedOffset: offset,
          committedLeaderEpoch: leaderEpoch.default(-1).ignorable(),
          metadata: string.nullable(),
          /**
           * 0, or: 3 / 100 unknown topic or partition / topic id; 29 not authorised; 88 unstable.
           */
          errorCode: int16,
        }),
      }),
      /**
       * 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 24 group id; 25 unknown member;
       * 30 not authorised; 113 stale member epoch.
       */
      errorCode: int16,
    }).since(8),
  },
});
export type OffsetFetchRequest = RequestOf<typeof OffsetFetch>;
export type OffsetFetchResponse = ResponseOf<typeof OffsetFetch>;
