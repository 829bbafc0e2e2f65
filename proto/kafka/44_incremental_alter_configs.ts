// IncrementalAlterConfigs (44): change single settings, leave the others (KIP-339). v1 flexible.

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

export const IncrementalAlterConfigs = api("IncrementalAlterConfigs", {
  key: 44,
  versions: [0, 1],
  flexible: 1,
  request: {
    resources: array({
      /** As in DescribeConfigs. */
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        /** 0 set, 1 delete (back to the default), 2 append to a list, 3 subtract from a list. */
        configOperation: int8,
        /** Null with 1. */
        value: string.nullable(),
      }),
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
       * setting, or 2 / 3 on one that is no list; 41 cannot reach the controller; 42 resource or
       * setting named twice, type, name or operation; 44 policy.
       */
      errorCode: int16,
      errorMessage: string.nullable(),
      resourceType: int8,
      resourceName: string,
    }),
  },
});
export type IncrementalAlterConfigsRequest = RequestOf<typeof IncrementalAlterConfigs>;
export type IncrementalAlterConfigsResponse = ResponseOf<typeof IncrementalAlterConfigs>;
