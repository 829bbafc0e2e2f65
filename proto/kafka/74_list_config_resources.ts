// ListConfigResources (74): what has settings (KIP-1142). Flexible from v0; v0 lists client metrics
// only, v1 any resource type.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  int16,
  int32,
  int8,
  string,
} from "../schema.ts";

export const ListConfigResources = api("ListConfigResources", {
  key: 74,
  versions: [0, 1],
  flexible: 0,
  request: {
    /** As in DescribeConfigs; empty = all. */
    resourceTypes: array(int8).since(1),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    /** 0, or: 31 not authorised; 35 a resource type that has no list. */
    errorCode: int16,
    configResources: array({
      resourceName: string,
      /** In v0 always 16, client metrics. */
      resourceType: int8.since(1).default(16).ignorable(),
    }),
  },
});
export type ListConfigResourcesRequest = RequestOf<typeof ListConfigResources>;
export type ListConfigResourcesResponse = ResponseOf<typeof ListConfigResources>;
