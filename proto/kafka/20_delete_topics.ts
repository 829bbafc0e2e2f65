// DeleteTopics (20). v4 flexible; v5 messages and quota error 89; v6 by name or id.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  string,
  uuid,
} from "../schema.ts";

export const DeleteTopics = api("DeleteTopics", {
  key: 20,
  versions: [1, 6],
  flexible: 4,
  request: {
    topics: array({
      /** Null: named by its id. */
      name: string.nullable(6),
      /** All zero: named by its name. */
      topicId: uuid,
    }).since(6),
    /** The topics of v1-5. */
    topicNames: array(string).until(5).ignorable(),
    timeoutMs: int32,
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    responses: array({
      /** Null: asked by id and not found, or not allowed to know. */
      name: string.nullable(6),
      topicId: uuid.since(6).ignorable(),
      /**
       * 0, or: 3 / 100 unknown topic / topic id; 7 not done in time; 29 not authorised; 41 cannot
       * reach the controller; 42 named twice, or by both name and id; 73 deletion switched off; 89
       * quota.
       */
      errorCode: int16,
      errorMessage: string.since(5).nullable(5).ignorable(),
    }),
  },
});
export type DeleteTopicsRequest = RequestOf<typeof DeleteTopics>;
export type DeleteTopicsResponse = ResponseOf<typeof DeleteTopics>;
