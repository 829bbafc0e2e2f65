// DescribeTopicPartitions (75): partitions of topics, page by page (KIP-966). Flexible from v0.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  bool,
  int16,
  int32,
  leaderEpoch,
  nodeId,
  partitionIndex,
  string,
  struct,
  uuid,
} from "../schema.ts";

export const DescribeTopicPartitions = api("DescribeTopicPartitions", {
  key: 75,
  versions: [0, 0],
  flexible: 0,
  request: {
    /** Empty = all topics. */
    topics: array({ name: string }),
    /** Partitions per page; the node may lower it. */
    responsePartitionLimit: int32,
    /** Where the page starts, from the last answer; null = at the first. */
    cursor: struct({ topicName: string, partitionIndex }).nullable(),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    /** In the order of their names. */
    topics: array({
      /** 0, or: 3 unknown topic; 17 name not allowed; 29 not authorised. */
      errorCode: int16,
      name: string.nullable(),
      topicId: uuid,
      isInternal: bool,
      partitions: array({
        /** 0, or: 5 no leader. */
        errorCode: int16,
        partitionIndex,
        /** -1 = none. */
        leaderId: nodeId,
        leaderEpoch,
        replicaNodes: array(nodeId),
        isrNodes: array(nodeId),
        /** Nodes outside the ISR that could lead without loss; null = not kept. */
        eligibleLeaderReplicas: array(nodeId).nullable(),
        lastKnownElr: array(nodeId).nullable(),
        offlineReplicas: array(nodeId),
      }),
      /** Bit per AclOperation. */
      topicAuthorizedOperations: int32.default(-2147483648),
    }),
    /** Where the next page starts; null = this was the last. */
    nextCursor: struct({ topicName: string, partitionIndex }).nullable(),
  },
});
export type DescribeTopicPartitionsRequest = RequestOf<typeof DescribeTopicPartitions>;
export type DescribeTopicPartitionsResponse = ResponseOf<typeof DescribeTopicPartitions>;
