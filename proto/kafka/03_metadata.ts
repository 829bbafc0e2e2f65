// Metadata (3): nodes, topics, leaders. v4 auto-creation switch; v5 offline replicas; v7 leader
// epoch; v8 authorised operations; v9 flexible; v10 topic ids; v12 topics by id; v13 error of the
// whole answer (KIP-1102).

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
  uuid,
} from "../schema.ts";

export const Metadata = api("Metadata", {
  key: 3,
  versions: [0, 13],
  flexible: 9,
  request: {
    /** Null = all topics (v1+); empty = all topics in v0, none from v1 on. */
    topics: array({
      topicId: uuid.since(10).ignorable(),
      /** Null: the topic is named by its id (v10+, answered from v12 on). */
      name: string.nullable(10),
    }).nullable(1),
    /** May create topics named here, if the cluster does so at all. */
    allowAutoTopicCreation: bool.since(4).default(true),
    includeClusterAuthorizedOperations: bool.since(8).until(10),
    includeTopicAuthorizedOperations: bool.since(8),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(3).ignorable(),
    /** Nodes with the address of the listener that the client used. */
    brokers: array({
      nodeId,
      host: string,
      port: int32,
      rack: string.since(1).nullable(1).ignorable(),
    }),
    clusterId: string.since(2).nullable(2).ignorable(),
    /** -1 = unknown. */
    controllerId: nodeId.since(1).default(-1).ignorable(),
    topics: array({
      /**
       * 0, or: 3 / 100 unknown topic / topic id; 5 just created, no leader yet; 17 name not
       * allowed; 29 not authorised.
       */
      errorCode: int16,
      /** Null: asked by id and not found. */
      name: string.nullable(12),
      /** All zero: asked by name and not found. */
      topicId: uuid.since(10).ignorable(),
      isInternal: bool.since(1).ignorable(),
      partitions: array({
        /**
         * 0, or: 5 no leader; 72 the leader lacks the listener that the client used (5 below v6).
         */
        errorCode: int16,
        partitionIndex,
        /** -1 = none. */
        leaderId: nodeId,
        leaderEpoch: leaderEpoch.since(7).default(-1).ignorable(),
        replicaNodes: array(nodeId),
        isrNodes: array(nodeId),
        offlineReplicas: array(nodeId).since(5).ignorable(),
      }),
      /** Bit per AclOperation; -2^31 = not asked for. */
      topicAuthorizedOperations: int32.since(8).default(-2147483648).ignorable(),
    }),
    /** Bit per AclOperation; -2^31 = not asked for. */
    clusterAuthorizedOperations: int32.since(8).until(10).default(-2147483648).ignorable(),
    /** 0, or 129: the client should start again from its bootstrap addresses. */
    errorCode: int16.since(13).ignorable(),
  },
});
export type MetadataRequest = RequestOf<typeof Metadata>;
export type MetadataResponse = ResponseOf<typeof Metadata>;
