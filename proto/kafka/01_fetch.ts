// Fetch (1): read record batches. v4 isolation level; v7 sessions (KIP-227); v9 leader epoch
// (KIP-320); v11 rack; v12 flexible, divergence; v13 topics by id; v15 replica state tagged; v16
// leader hint (KIP-951); v17 replica directory; v18 the replica's high watermark (KIP-1166).

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  int64,
  int8,
  leaderEpoch,
  nodeId,
  offset,
  offsetOrAbsent,
  offsetSaturated,
  partitionIndex,
  producerId,
  records,
  string,
  struct,
  uuid,
} from "../schema.ts";

export const Fetch = api("Fetch", {
  key: 1,
  versions: [4, 18],
  flexible: 12,
  request: {
    /** Sent by replicas that join a cluster; consumers leave it out. */
    clusterId: string.since(12).nullable(12).tag(0).ignorable(),
    /** -1: a consumer. */
    replicaId: nodeId.until(14).default(-1),
    replicaState: struct({
      /** -1: a consumer. */
      replicaId: nodeId.default(-1),
      replicaEpoch: int64.default(-1),
    })
      .since(15)
      .tag(1),
    /** How long to wait until `minBytes` are there. */
    maxWaitMs: int32,
    minBytes: int32,
    /** Limit of the whole answer; the first batch may exceed it (KIP-74). */
    maxBytes: int32.since(3).default(0x7fffffff).ignorable(),
    /** 0 = read_uncommitted, 1 = read_committed: only below the last stable offset. */
    isolationLevel: int8.since(4).ignorable(),
    /** 0: no session, or a new one is asked for. */
    sessionId: int32.since(7).ignorable(),
    /**
     * 0 asks for a new session, -1 closes it or wants none, else the next number of the session.
     */
    sessionEpoch: int32.since(7).default(-1).ignorable(),
    topics: array({
      topic: string.until(12).ignorable(),
      topicId: uuid.since(13).ignorable(),
      partitions: array({
        partition: partitionIndex,
        /** The leader epoch that the client believes in; -1 = do not check. */
        currentLeaderEpoch: leaderEpoch.since(9).default(-1).ignorable(),
        /** First offset wanted. Beyond 2^53 it saturates and is out of range like any other. */
        fetchOffset: offsetSaturated,
        /** Epoch of the last record that the client has, for truncation; -1 = none. */
        lastFetchedEpoch: leaderEpoch.since(12).default(-1),
        /** Log start of the replica that asks; -1 from a consumer. */
        logStartOffset: offset.since(5).default(-1).ignorable(),
        /** Limit for this partition; the first batch may exceed it (KIP-74). */
        partitionMaxBytes: int32,
        /** Directory of the replica that asks. */
        replicaDirectoryId: uuid.since(17).tag(0).ignorable(),
        /** What the replica knows; -1 = unknown, null = it does not take part in KIP-1166. */
        highWatermark: offsetOrAbsent.since(18).default(null).tag(1).ignorable(),
      }),
    }),
    /** Partitions that leave the session. */
    forgottenTopicsData: array({
      topic: string.until(12).ignorable(),
      topicId: uuid.since(13).ignorable(),
      partitions: array(partitionIndex),
    }).since(7),
    /** Rack of the consumer, for reading from a near copy; empty = not said. */
    rackId: string.since(11).ignorable(),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    /** 0, or: 70 session unknown; 71 session epoch wrong; 106 topic ids differ from the session. */
    errorCode: int16.since(7).ignorable(),
    /** 0: this fetch belongs to no session. */
    sessionId: int32.since(7),
    responses: array({
      topic: string.until(12).ignorable(),
      topicId: uuid.since(13).ignorable(),
      partitions: array({
        partitionIndex,
        /**
         * 0, or: 1 offset below log start or above the high watermark; 3 / 100 unknown topic or
         * partition / topic id; 6 not the leader; 29 not authorised; 56 damaged or failed storage;
         * 74 / 75 leader epoch older / newer than ours; 76 zstd below v10; 78 leader recovering;
         * 103 topic id of another topic.
         */
        errorCode: int16,
        highWatermark: offset,
        /** Limit of read_committed; -1 = unknown. */
        lastStableOffset: offset.since(4).default(-1).ignorable(),
        logStartOffset: offset.since(5).default(-1).ignorable(),
        /** End of the largest epoch that both sides share: the reader truncates there. */
        divergingEpoch: struct({ epoch: leaderEpoch.default(-1), endOffset: offset.default(-1) })
          .since(12)
          .tag(0)
          .ignorable(),
        /** Where to fetch instead, with errors 6 and 74. */
        currentLeader: struct({
          leaderId: nodeId.default(-1),
          leaderEpoch: leaderEpoch.default(-1),
        })
          .since(12)
          .tag(1)
          .ignorable(),
        /** Snapshot to load below the log start; only Kafka's own metadata topic uses it. */
        snapshotId: struct({ endOffset: offset.default(-1), epoch: leaderEpoch.default(-1) })
          .since(12)
          .tag(2)
          .ignorable(),
        /** Aborted transactions that overlap the range; null or empty unless read_committed. */
        abortedTransactions: array({ producerId, firstOffset: offset })
          .since(4)
          .nullable(4)
          .ignorable(),
        /** Node that the consumer should read from next; -1 = stay. */
        preferredReadReplica: nodeId.since(11).default(-1),
        /** Whole batches; the first may start below the offset asked for. */
        records: records.nullable(),
      }),
    }),
    /** Addresses of all leaders named in `currentLeader`. */
    nodeEndpoints: array({ nodeId, host: string, port: int32, rack: string.nullable() })
      .since(16)
      .tag(0)
      .ignorable(),
  },
});
export type FetchRequest = RequestOf<typeof Fetch>;
export type FetchResponse = ResponseOf<typeof Fetch>;
