// DescribeCluster (60), v0-2: the nodes, with the address of the listener that the client used.
//
// Refusals: 114 controllers asked for at a listener of nodes, 115 endpoint type unknown.

import type {
  DescribeClusterRequest,
  DescribeClusterResponse,
} from "../../../proto/kafka/60_describe_cluster.ts";
import { ErrorCode } from "../base/error_code.ts";
import { none } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { addressOf, clusterOperations, operationsUnknown } from "./admin.ts";
import { type Broker, entry } from "./broker.ts";

const EndpointType = { brokers: 1, controllers: 2 } as const;

function plan(broker: Broker, call: Call<DescribeClusterRequest, DescribeClusterResponse>): void {
  const { endpointType, includeClusterAuthorizedOperations } = call.request;
  if (endpointType !== EndpointType.brokers) return refuse(broker, call, endpointType);
  const { image, settings } = broker;
  broker.reply(call, {
    throttleTimeMs: 0,
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    endpointType,
    clusterId: settings.clusterId,
    controllerId: settings.nodeId,
    brokers: [...image.nodes()].map((node) => ({
      brokerId: node.node,
      ...addressOf(broker, call, node),
      isFenced: false,
    })),
    clusterAuthorizedOperations: includeClusterAuthorizedOperations
      ? clusterOperations
      : operationsUnknown,
  });
}

function refuse(
  broker: Broker,
  call: Call<DescribeClusterRequest, DescribeClusterResponse>,
  endpointType: number,
): void {
  const mismatched = endpointType === EndpointType.controllers;
  broker.reply(call, {
    throttleTimeMs: 0,
    errorCode: mismatched
      ? ErrorCode.MISMATCHED_ENDPOINT_TYPE
      : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
    errorMessage: mismatched
      ? "this is an endpoint of brokers, not of controllers"
      : `there is no endpoint type ${endpointType}`,
    endpointType: EndpointType.brokers,
    clusterId: "",
    controllerId: none,
    brokers: [],
    clusterAuthorizedOperations: operationsUnknown,
  });
}

export const describeCluster = entry("DescribeCluster", plan);
