// CreatePartitions (37): give topics more partitions (KIP-195). v2 flexible; v3 quota error 89.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  bool,
  int16,
  int32,
  nodeId,
  string,
} from "../schema.ts";

export const CreatePartitions = api("CreatePartitions", {
  key: 37,
  versions: [0, 3],
  flexible: 2,
  request: {
    topics: array({
      name: string,
      /** The count afterwards, not the increase. */
      count: int32,
      /** Where each new partition shall lie; null = the cluster chooses. */
      assignments: array({ brokerIds: array(nodeId) }).nullable(),
    }),
    timeoutMs: int32,
    /** Check only, create nothing. */
    validateOnly: bool,
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    results: array({
      name: string,
      /**
       * 0, or: 3 unknown topic; 7 not done in time; 17 internal topic or name; 29 not authorised;
       * 37 count not above the present one; 39 assignment; 41 cannot reach the controller; 42 named
       * twice; 44 policy; 89 quota.
       */
      errorCode: int16,
      errorMessage: string.nullable(),
    }),
  },
});
export type CreatePartitionsRequest = RequestOf<typeof CreatePartitions>;
export type CreatePartitionsResponse = ResponseOf<typeof CreatePartitions>;
