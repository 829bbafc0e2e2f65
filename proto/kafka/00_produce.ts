// Produce (0): append record batches. v3 record batch v2; v7 zstd; v8 errors per record; v9
// flexible; v10 leader hint (KIP-951); v12 transactions of KIP-890; v13 topics by id (KIP-516).

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  int64,
  leaderEpoch,
  nodeId,
  offset,
  partitionIndex,
  records,
  string,
  struct,
  uuid,
} from "../schema.ts";

export const Produce = api("Produce", {
  key: 0,
  versions: [3, 13],
  flexible: 9,
  request: {
    /** Null: the producer is not transactional. */
    transactionalId: string.since(3).nullable(3),
    /** -1 = W durable copies, 1 = the leader alone, 0 = no answer at all. */
    acks: int16,
    /** How long acks=-1 may wait for its copies. */
    timeoutMs: int32,
    topics: array({
      name: string.until(12).ignorable(),
      topicId: uuid.since(13).ignorable(),
      partitions: array({
        index: partitionIndex,
        /** Exactly one record batch of magic 2; a view of the request. */
        records: records.nullable(),
      }),
    }),
  },
  response: {
    topics: array({
      name: string.until(12).ignorable(),
      topicId: uuid.since(13).ignorable(),
      partitions: array({
        index: partitionIndex,
        /**
         * 0, or: 2 CRC or size wrong; 3 / 100 unknown topic or partition / topic id; 6 not the
         * leader; 7 acks=-1 not reached in time; 10 batch above max.message.bytes; 17 internal
         * topic; 18 batch above segment.bytes; 19 / 20 fewer than W copies before / after the
         * append; 21 acks; 29, 53 not authorised; 32 timestamp out of range; 45 sequence gap; 47
         * stale producer epoch; 48, 120 partition not in the transaction; 49 several producer ids;
         * 56 storage failed; 76 zstd below v7; 87 no batch, several batches, magic, counts, or a
         * null key on a compacted topic.
         */
        errorCode: int16,
        /**
         * Offset of the first record; of a duplicate, the one it got the first time; -1 on error.
         */
        baseOffset: offset,
        /** Broker's append time where the topic uses LogAppendTime, else -1. */
        logAppendTimeMs: int64.since(2).default(-1).ignorable(),
        logStartOffset: offset.since(5).default(-1).ignorable(),
        /** The records that made the whole batch be refused. */
        recordErrors: array({
          /** Index of the record in its batch. */
          batchIndex: int32,
          message: string.nullable(),
        })
          .since(8)
          .ignorable(),
        /** What was wrong with the batch, in words. */
        errorMessage: string.since(8).nullable(8).ignorable(),
        /** Where to send instead, with error 6. */
        currentLeader: struct({
          leaderId: nodeId.default(-1),
          leaderEpoch: leaderEpoch.default(-1),
        })
          .since(10)
          .tag(0)
          .ignorable(),
      }),
    }),
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    /** Addresses of all leaders named in `currentLeader`. */
    nodeEndpoints: array({ nodeId, host: string, port: int32, rack: string.nullable() })
      .since(10)
      .tag(0)
      .ignorable(),
  },
});
export type ProduceRequest = RequestOf<typeof Produce>;
export type ProduceResponse = ResponseOf<typeof Produce>;
