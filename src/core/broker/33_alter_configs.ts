// AlterConfigs (33), v0-2: the whole new set of settings of a resource; what is not named goes back
// to its default. Old clients use it where newer ones use IncrementalAlterConfigs.
//
// Refusals per resource: those of alter.ts.

import type {
  AlterConfigsRequest,
  AlterConfigsResponse,
} from "../../../proto/kafka/33_alter_configs.ts";
import type { Call } from "../base/node_contract.ts";
import { alter } from "./alter.ts";
import { type Broker, entry } from "./broker.ts";

function plan(broker: Broker, call: Call<AlterConfigsRequest, AlterConfigsResponse>): void {
  const { resources, validateOnly } = call.request;
  const asked = resources.map(({ resourceType, resourceName, configs }) => ({
    resourceType,
    resourceName,
    operations: configs.map(({ name, value }) => ({ name, operation: "set" as const, value })),
  }));
  alter(broker, asked, true, validateOnly, (responses) => {
    broker.reply(call, { throttleTimeMs: 0, responses });
  });
}

export const alterConfigs = entry("AlterConfigs", plan);
