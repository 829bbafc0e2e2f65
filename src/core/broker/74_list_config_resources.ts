// ListConfigResources (74), v0-1: what has settings. v0 lists metrics subscriptions only; from v1
// on an empty list of types means all.
//
// Refusals: 35 a type that has no list.

import type {
  ListConfigResourcesRequest,
  ListConfigResourcesResponse,
} from "../../../proto/kafka/74_list_config_resources.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { Call } from "../base/node_contract.ts";
import { ConfigResource } from "../cluster/cluster.ts";
import { ResourceType } from "./admin.ts";
import { type Broker, entry } from "./broker.ts";

const listed: readonly number[] = Object.values(ResourceType);

function plan(
  broker: Broker,
  call: Call<ListConfigResourcesRequest, ListConfigResourcesResponse>,
): void {
  const types = typesOf(call);
  if (types.some((type) => !listed.includes(type))) {
    return broker.reply(call, {
      throttleTimeMs: 0,
      errorCode: ErrorCode.UNSUPPORTED_VERSION,
      configResources: [],
    });
  }
  const configResources = [...new Set(types)].flatMap((resourceType) =>
    namesOf(broker, resourceType).map((resourceName) => ({ resourceName, resourceType })),
  );
  broker.reply(call, { throttleTimeMs: 0, errorCode: ErrorCode.NONE, configResources });
}

function typesOf(
  call: Call<ListConfigResourcesRequest, ListConfigResourcesResponse>,
): readonly number[] {
  if (call.version === 0) return [ResourceType.clientMetrics];
  return call.request.resourceTypes.length === 0 ? listed : call.request.resourceTypes;
}

function namesOf(broker: Broker, type: number): readonly string[] {
  const { image } = broker;
  switch (type) {
    case ResourceType.topic:
      return image.topicNames();
    case ResourceType.broker:
    case ResourceType.brokerLogger:
      return [...image.nodes()].map((node) => String(node.node));
    case ResourceType.group:
      return image.configs.names(ConfigResource.group);
    default:
      return image.configs.names(ConfigResource.clientMetrics);
  }
}

export const listConfigResources = entry("ListConfigResources", plan);
