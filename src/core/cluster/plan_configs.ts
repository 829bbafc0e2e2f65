// Changes of settings: AlterConfigs replaces all of a resource, IncrementalAlterConfigs changes
// some. A resource changes whole or not at all; each resource has its own verdict.

import type { Command, ConfigChange, OutcomeOf, Verdict } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { configsPerResourceMax, configuredResourcesMax } from "../base/limits.ts";
import type { MetadataRecord } from "../../../proto/records/metadata.ts";
import { listOf } from "./config_spec.ts";
import {
  brokerProblem,
  clientMetricsProblem,
  ConfigResource,
  groupProblem,
  specOf,
} from "./configs.ts";
import type { ClusterImage } from "./image.ts";
import { topicNameProblem } from "./topic_names.ts";
import { done, type Plan } from "./verdicts.ts";

type AlterConfigs = Extract<Command, { kind: "alter-configs" }>;

const resources = {
  topic: ConfigResource.topic,
  broker: ConfigResource.broker,
  group: ConfigResource.group,
  "client-metrics": ConfigResource.clientMetrics,
} as const satisfies Record<ConfigChange["resource"], number>;

export function planConfigs(
  image: ClusterImage,
  command: AlterConfigs,
): Plan<OutcomeOf<AlterConfigs>> {
  const records: MetadataRecord[] = [];
  const changes: Verdict[] = [];
  /** Resources of each type that get their first settings here. */
  const fresh = new Map<ConfigChange["resource"], number>();
  for (const change of command.changes) {
    const isFresh = image.configs.of(resources[change.resource], change.name).size === 0;
    const planned = planChange(image, change, fresh.get(change.resource) ?? 0);
    if (planned.kind === "refused") {
      changes.push(planned.verdict);
      continue;
    }
    changes.push(done);
    if (command.validateOnly || planned.changes.length === 0) continue;
    if (isFresh) fresh.set(change.resource, (fresh.get(change.resource) ?? 0) + 1);
    const resource = resources[change.resource];
    records.push({ kind: "configs", resource, name: change.name, changes: planned.changes });
  }
  return { records, outcome: { kind: "alter-configs", changes } };
}

type Planned =
  | { readonly kind: "refused"; readonly verdict: Verdict }
  | {
      readonly kind: "planned";
      readonly changes: readonly { name: string; value: string | null }[];
    };

function refused(code: number, message: string): Planned {
  return { kind: "refused", verdict: { code, message } };
}

function planChange(image: ClusterImage, change: ConfigChange, fresh: number): Planned {
  const resource = resources[change.resource];
  const malformed = operationsProblem(change);
  if (malformed !== null) return refused(ErrorCode.INVALID_REQUEST, malformed);
  const before = image.configs.of(resource, change.name);
  const after = new Map(change.replace ? [] : before);
  for (const operation of change.operations) {
    if (!operate(image, resource, after, operation)) {
      const key = operation.name;
      return refused(ErrorCode.INVALID_CONFIG, `${key} is no list`);
    }
  }
  const changes = difference(before, after);
  if (after.size > configsPerResourceMax) {
    return refused(
      ErrorCode.POLICY_VIOLATION,
      `a resource has at most ${configsPerResourceMax} settings`,
    );
  }
  const verdict =
    valuesProblem(image, change, after, changes) ?? existenceProblem(image, change, fresh);
  return verdict === null ? { kind: "planned", changes } : { kind: "refused", verdict };
}

type Operation = ConfigChange["operations"][number];

function operationsProblem(change: ConfigChange): string | null {
  const nulls = change.operations.filter(
    (each) => each.operation !== "delete" && each.value === null,
  );
  if (nulls.length > 0)
    return `a setting cannot be null: ${nulls.map((each) => each.name).join(", ")}`;
  const names = new Set(change.operations.map((each) => each.name));
  if (names.size < change.operations.length) return "a setting is named twice";
  return null;
}

/** False: the operation is for lists and the setting is none. */
function operate(
  image: ClusterImage,
  resource: number,
  texts: Map<string, string>,
  of: Operation,
): boolean {
  const { name, operation } = of;
  const value = of.value ?? "";
  if (operation === "delete") {
    texts.delete(name);
    return true;
  }
  if (operation === "set") {
    texts.set(name, value);
    return true;
  }
  if (specOf(resource, name)?.type !== "list") return false;
  const elements = listOf(texts.get(name) ?? heldList(image, resource, name));
  const named = listOf(value);
  const next =
    operation === "append"
      ? [...elements, ...named.filter((each) => !elements.includes(each))]
      : elements.filter((each) => !named.includes(each));
  texts.set(name, next.join(","));
  return true;
}

/** The list that holds where the resource sets none itself: what is appended to or taken from. */
function heldList(image: ClusterImage, resource: number, name: string): string {
  const spec = specOf(resource, name);
  if (resource === ConfigResource.broker) return image.configs.brokerText(name) ?? "";
  if (resource === ConfigResource.topic && spec !== undefined) {
    return image.configs.topicText(new Map(), spec) ?? "";
  }
  return spec?.default ?? "";
}

function difference(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): { name: string; value: string | null }[] {
  const changes: { name: string; value: string | null }[] = [];
  for (const [name, value] of after) if (before.get(name) !== value) changes.push({ name, value });
  for (const name of before.keys()) if (!after.has(name)) changes.push({ name, value: null });
  return changes;
}

function valuesProblem(
  image: ClusterImage,
  change: ConfigChange,
  after: ReadonlyMap<string, string>,
  changes: readonly { readonly name: string; readonly value: string | null }[],
): Verdict | null {
  switch (change.resource) {
    case "topic": {
      if (change.name === "") return invalid(ErrorCode.INVALID_REQUEST, "a topic has a name");
      const name = topicNameProblem(change.name);
      if (name !== null) return { code: ErrorCode.INVALID_TOPIC_EXCEPTION, message: name };
      return invalid(ErrorCode.INVALID_CONFIG, image.configs.topicProblem(after));
    }
    case "group":
      if (change.name === "") return invalid(ErrorCode.INVALID_REQUEST, "a group has a name");
      return invalid(ErrorCode.INVALID_CONFIG, groupProblem(after));
    case "client-metrics":
      if (change.name === "")
        return invalid(ErrorCode.INVALID_REQUEST, "a subscription has a name");
      return invalid(ErrorCode.INVALID_REQUEST, clientMetricsProblem(after));
    case "broker":
      for (const { name, value } of changes) {
        const problem = brokerProblem(name, value, change.name !== "");
        if (problem !== null) return { code: ErrorCode.INVALID_REQUEST, message: problem };
      }
      return null;
  }
}

function invalid(code: number, message: string | null): Verdict | null {
  return message === null ? null : { code, message };
}

/** Kafka looks last whether there is such a resource. Groups may be configured ahead. */
function existenceProblem(
  image: ClusterImage,
  change: ConfigChange,
  fresh: number,
): Verdict | null {
  if (change.resource === "group" || change.resource === "client-metrics") {
    const resource = resources[change.resource];
    const known = image.configs.of(resource, change.name).size > 0;
    if (known || image.configs.count(resource) + fresh < configuredResourcesMax) return null;
    const message = `at most ${configuredResourcesMax} resources of a type have settings`;
    return { code: ErrorCode.POLICY_VIOLATION, message };
  }
  if (change.resource === "topic" && image.topicByName(change.name) === undefined) {
    const message = `there is no topic ${change.name}`;
    return { code: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message };
  }
  if (change.resource !== "broker" || change.name === "") return null;
  for (const { node } of image.nodes()) if (String(node) === change.name) return null;
  return { code: ErrorCode.INVALID_REQUEST, message: `there is no node ${change.name}` };
}
