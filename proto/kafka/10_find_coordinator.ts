// FindCoordinator (10): which node serves a group or a transactional id. v1 key type; v3 flexible;
// v4 many keys (KIP-699); v5 error 120; v6 share groups.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  int8,
  nodeId,
  string,
} from "../schema.ts";

export const FindCoordinator = api("FindCoordinator", {
  key: 10,
  versions: [0, 6],
  flexible: 3,
  request: {
    /** The one key of v0-3. */
    key: string.until(3),
    /** 0 = group, 1 = transactional id, 2 = share partition `group:topicId:partition`. */
    keyType: int8.since(1),
    coordinatorKeys: array(string).since(4),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    /** As in `coordinators`. */
    errorCode: int16.until(3),
    errorMessage: string.since(1).until(3).nullable(1).ignorable(),
    nodeId: nodeId.until(3),
    host: string.until(3),
    port: int32.until(3),
    coordinators: array({
      key: string,
      /** -1 on error. */
      nodeId,
      host: string,
      port: int32,
      /**
       * 0, or: 15 not available yet; 30, 53 not authorised; 35 key type not served; 42 key type.
       */
      errorCode: int16,
      errorMessage: string.nullable(),
    }).since(4),
  },
});
export type FindCoordinatorRequest = RequestOf<typeof FindCoordinator>;
export type FindCoordinatorResponse = ResponseOf<typeof FindCoordinator>;
