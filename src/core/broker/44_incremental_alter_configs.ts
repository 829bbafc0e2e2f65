// IncrementalAlterConfigs (44), v0-1: single changes of settings (KIP-339). Append and subtract
// work on lists, on what holds where the resource sets nothing itself.
//
// Refusals per resource: those of alter.ts; 42 also for an operation that does not exist.

import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from "../../../proto/kafka/44_incremental_alter_configs.ts";
import type { Call } from "../base/node_contract.ts";
import { alter } from "./alter.ts";
import { type Broker, entry } from "./broker.ts";

/** By Kafka's numbers. */
const operations = ["set", "delete", "append", "subtract"] as const;

function plan(
  broker: Broker,
  call: Call<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>,
): void {
  const { resources, validateOnly } = call.request;
  const asked = resources.map(({ resourceType, resourceName, configs }) => ({
    resourceType,
    resourceName,
    operations: configs.map(({ name, configOperation, value }) => ({
      name,
      operation: operations[configOperation] ?? null,
      value,
    })),
  }));
  alter(broker, asked, false, validateOnly, (responses) => {
    broker.reply(call, { throttleTimeMs: 0, responses });
  });
}

export const incrementalAlterConfigs = entry("IncrementalAlterConfigs", plan);
