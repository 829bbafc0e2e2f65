// CreateTopics (19). v4 broker defaults by -1; v5 flexible, the settings come back; v6 quota error
// 89; v7 topic ids.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  bool,
  int16,
  int32,
  int8,
  nodeId,
  partitionIndex,
  string,
  uuid,
} from "../schema.ts";

export const CreateTopics = api("CreateTopics", {
  key: 19,
  versions: [2, 7],
  flexible: 5,
  request: {
    topics: array({
      name: string,
      /** -1 = the broker's default (v4+), or given by `assignments`. */
      numPartitions: int32,
      /** -1 = the broker's default (v4+), or given by `assignments`. */
      replicationFactor: int16,
      /** Where each partition shall lie; empty = the cluster chooses. */
      assignments: array({ partitionIndex, brokerIds: array(nodeId) }),
      /** Settings that differ from the defaults. */
      configs: array({ name: string, value: string.nullable() }),
    }),
    timeoutMs: int32,
    /** Check only, create nothing. */
    validateOnly: bool.since(1),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(2).ignorable(),
    topics: array({
      name: string,
      topicId: uuid.since(7).ignorable(),
      /**
       * 0, or: 7 not done in time; 17 name; 29 not authorised; 36 exists; 37 partition count; 38
       * replication factor; 39 assignment; 40 setting; 41 cannot reach the controller; 42 named
       * twice, or counts beside an assignment; 44 policy; 89 quota.
       */
      errorCode: int16,
      errorMessage: string.since(1).nullable().ignorable(),
      /** Why `configs` is null: 29 not authorised to see them. */
      topicConfigErrorCode: int16.since(5).tag(0).ignorable(),
      /** -1 on error. */
      numPartitions: int32.since(5).default(-1).ignorable(),
      /** -1 on error. */
      replicationFactor: int16.since(5).default(-1).ignorable(),
      configs: array({
        name: string,
        value: string.nullable(),
        readOnly: bool,
        /** As in DescribeConfigs. */
        configSource: int8.default(-1),
        isSensitive: bool,
      })
        .since(5)
        .nullable(5)
        .ignorable(),
    }),
  },
});
export type CreateTopicsRequest = RequestOf<typeof CreateTopics>;
export type CreateTopicsResponse = ResponseOf<typeof CreateTopics>;
