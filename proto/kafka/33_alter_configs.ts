// AlterConfigs (33): replace all settings of a resource; what is not named goes back to its
// default. Kafka deprecates it in favour of 44, old clients still send it. v2 flexible.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  bool,
  int16,
  int32,
  int8,
  string,
} from "../schema.ts";

export const AlterConfigs = api("AlterConfigs", {
  key: 33,
  versions: [0, 2],
  flexible: 2,
  request: {
    resources: array({
      /** As in DescribeConfigs. */
      resourceType: int8,
      resourceName: string,
      configs: array({ name: string, value: string.nullable() }),
    }),
    /** Check only, change nothing. */
    validateOnly: bool,
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    responses: array({
      /**
       * 0, or: 3 unknown topic; 7 not done in time; 17 topic name; 29, 30, 31 not authorised; 40
       * setting; 41 cannot reach the controller; 42 resource named twice, type or name; 44 policy.
       */
      errorCode: int16,
      errorMessage: string.nullable(),
      resourceType: int8,
      resourceName: string,
    }),
  },
});
export type AlterConfigsRequest = RequestOf<typeof AlterConfigs>;
export type AlterConfigsResponse = ResponseOf<typeof AlterConfigs>;
