// DescribeConfigs (32), v1-4: every setting of a topic, of this node, of all nodes, of a group or
// of a metrics subscription, with its source and, where asked, the values behind it. A resource that
// is named twice is told once. More settings than an answer may have close the connection, before
// they are gathered: any name is a group, so few bytes can ask for many.
//
// Refusals per resource: 3 unknown topic, 17 topic name, 42 resource type or name.

import type {
  DescribeConfigsRequest,
  DescribeConfigsResponse,
} from "../../../proto/kafka/32_describe_configs.ts";
import type { Verdict } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { responseRowsMax } from "../base/limits.ts";
import type { Call } from "../base/node_contract.ts";
import { ConfigResource, topicNameProblem } from "../cluster/cluster.ts";
import { clipped, ResourceType } from "./admin.ts";
import { type Broker, entry } from "./broker.ts";
import {
  brokerEntries,
  clusterDefaultEntries,
  type ConfigEntry,
  type EntryOptions,
  plainEntries,
  topicEntries,
} from "./config_entries.ts";

type Asked = DescribeConfigsRequest["resources"][number];
type Result = DescribeConfigsResponse["results"][number];

type Described =
  | { readonly kind: "entries"; readonly entries: readonly ConfigEntry[] }
  | { readonly kind: "refused"; readonly verdict: Verdict };

const documentationSince = 3;

function plan(broker: Broker, call: Call<DescribeConfigsRequest, DescribeConfigsResponse>): void {
  const { resources, includeSynonyms, includeDocumentation } = call.request;
  const results: Result[] = [];
  let rows = 0;
  for (const asked of once(resources)) {
    const described = describe(broker, asked, {
      keys: asked.configurationKeys,
      synonyms: includeSynonyms,
      documentation: includeDocumentation && call.version >= documentationSince,
    });
    const verdict = described.kind === "refused" ? described.verdict : null;
    const configs = described.kind === "entries" ? described.entries : [];
    for (const each of configs) rows += 1 + each.synonyms.length;
    if (rows > responseRowsMax)
      return broker.effects.close(call.connection, "answer larger than the limit");
    results.push({
      errorCode: verdict?.code ?? ErrorCode.NONE,
      errorMessage: clipped(verdict?.message ?? null),
      resourceType: asked.resourceType,
      resourceName: asked.resourceName,
      configs,
    });
  }
  broker.reply(call, { throttleTimeMs: 0, results });
}

function once(resources: readonly Asked[]): Iterable<Asked> {
  const first = new Map<string, Asked>();
  for (const asked of resources) {
    const key = `${asked.resourceType} ${asked.resourceName}`;
    if (!first.has(key)) first.set(key, asked);
  }
  return first.values();
}

function refused(code: number, message: string): Described {
  return { kind: "refused", verdict: { code, message } };
}

function entries(of: readonly ConfigEntry[]): Described {
  return { kind: "entries", entries: of };
}

function describe(broker: Broker, asked: Asked, options: EntryOptions): Described {
  const { configs } = broker.image;
  const name = asked.resourceName;
  switch (asked.resourceType) {
    case ResourceType.topic:
      return describeTopic(broker, name, options);
    case ResourceType.broker:
      if (name === "") return entries(clusterDefaultEntries(configs, options));
      return (
        own(broker, name, "this node's id or nothing is expected") ??
        entries(brokerEntries(configs, name, options))
      );
    case ResourceType.brokerLogger:
      // The log has no loggers that could be set one by one.
      return own(broker, name, "this node's id is expected") ?? entries([]);
    case ResourceType.clientMetrics:
      if (name === "") return refused(ErrorCode.INVALID_REQUEST, "a subscription has a name");
      return entries(plainEntries(configs, ConfigResource.clientMetrics, name, options));
    case ResourceType.group:
      if (name === "") return refused(ErrorCode.INVALID_REQUEST, "a group has a name");
      return entries(plainEntries(configs, ConfigResource.group, name, options));
    default:
      return refused(
        ErrorCode.INVALID_REQUEST,
        `resource type ${asked.resourceType} has no settings`,
      );
  }
}

/** Null: the name is this node's. */
function own(broker: Broker, name: string, expected: string): Described | null {
  if (name === String(broker.settings.nodeId)) return null;
  return refused(ErrorCode.INVALID_REQUEST, `${expected}, not ${name}`);
}

function describeTopic(broker: Broker, name: string, options: EntryOptions): Described {
  const problem = topicNameProblem(name);
  if (problem !== null) return refused(ErrorCode.INVALID_TOPIC_EXCEPTION, problem);
  const { image } = broker;
  if (image.topicByName(name) === undefined) {
    return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic ${name}`);
  }
  return entries(
    topicEntries(image.configs, image.configs.of(ConfigResource.topic, name), options),
  );
}

export const describeConfigs = entry("DescribeConfigs", plan);
