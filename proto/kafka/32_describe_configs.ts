// DescribeConfigs (32): settings of topics, nodes and groups with where each came from. v1 source
// and synonyms (KIP-226); v3 type and documentation; v4 flexible.

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

export const DescribeConfigs = api("DescribeConfigs", {
  key: 32,
  versions: [1, 4],
  flexible: 4,
  request: {
    resources: array({
      /** 2 = topic, 4 = broker, 8 = broker logger, 16 = client metrics, 32 = group. */
      resourceType: int8,
      /** Empty for resource type 4: the cluster's defaults. */
      resourceName: string,
      /** Null = all. */
      configurationKeys: array(string).nullable(),
    }),
    includeSynonyms: bool.since(1),
    includeDocumentation: bool.since(3),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    results: array({
      /**
       * 0, or: 3 unknown topic; 17 topic name; 29, 30, 31 not authorised; 42 resource type or name.
       */
      errorCode: int16,
      errorMessage: string.nullable(),
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        /** Null: sensitive, or not set. */
        value: string.nullable(),
        readOnly: bool,
        /**
         * 1 topic, 2 one broker, 3 all brokers, 4 the node's file, 5 default, 6 broker logger, 7
         * client metrics, 8 group; -1 unknown.
         */
        configSource: int8.since(1).default(-1).ignorable(),
        isSensitive: bool,
        /** The settings that would apply, strongest first. */
        synonyms: array({ name: string, value: string.nullable(), source: int8 })
          .since(1)
          .ignorable(),
        /**
         * 0 unknown, 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class,
         * 9 password.
         */
        configType: int8.since(3).ignorable(),
        documentation: string.since(3).nullable().ignorable(),
      }),
    }),
  },
});
export type DescribeConfigsRequest = RequestOf<typeof DescribeConfigs>;
export type DescribeConfigsResponse = ResponseOf<typeof DescribeConfigs>;
