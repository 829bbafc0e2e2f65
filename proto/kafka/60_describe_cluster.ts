// DescribeCluster (60): the nodes and the cluster's id (KIP-700). Flexible from v0; v1 controllers
// too (KIP-919); v2 fenced nodes (KIP-1073).

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
  string,
} from "../schema.ts";

export const DescribeCluster = api("DescribeCluster", {
  key: 60,
  versions: [0, 2],
  flexible: 0,
  request: {
    includeClusterAuthorizedOperations: bool,
    /** 1 = brokers, 2 = controllers. */
    endpointType: int8.since(1).default(1),
    includeFencedBrokers: bool.since(2),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    /** 0, or: 114 this listener is not of that endpoint type; 115 endpoint type unknown. */
    errorCode: int16,
    errorMessage: string.nullable(),
    /** The type that was described. */
    endpointType: int8.since(1).default(1),
    clusterId: string,
    /** -1 = unknown. */
    controllerId: nodeId.default(-1),
    /** Nodes with the address of the listener that the client used. */
    brokers: array({
      brokerId: nodeId,
      host: string,
      port: int32,
      rack: string.nullable(),
      isFenced: bool.since(2).ignorable(),
    }),
    /** Bit per AclOperation; -2^31 = not asked for. */
    clusterAuthorizedOperations: int32.default(-2147483648),
  },
});
export type DescribeClusterRequest = RequestOf<typeof DescribeCluster>;
export type DescribeClusterResponse = ResponseOf<typeof DescribeCluster>;
