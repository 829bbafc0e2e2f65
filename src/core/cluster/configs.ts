// Settings of topics, nodes, groups and client metrics: what was set where, and what therefore
// holds. The text that was given is kept; the numbers that the produce path compares with are
// parsed when something changes, once for all topics that set nothing themselves.
//
// What holds, strongest first: the topic's own value; then, each time for the broker settings that
// the topic setting inherits from, this node's dynamic value, the dynamic value of all nodes, the
// node's file, the default.

import { configTextMax } from "../base/limits.ts";
import type { Settings } from "../base/settings.ts";
import { brokerConfigByName, brokerConfigs } from "./broker_configs.ts";
import {
  booleanOf,
  type ConfigSpec,
  listOf,
  numberOf,
  problemOf,
  type Synonym,
  tooLong,
} from "./config_spec.ts";
import {
  clientMetricsConfigByName,
  clientMetricsConfigs,
  groupConfigByName,
  groupConfigs,
} from "./group_configs.ts";
import { topicConfigByName, topicConfigs } from "./topic_configs.ts";

/** Kafka's numbers of the resource types that carry settings. */
export const ConfigResource = { topic: 2, broker: 4, clientMetrics: 16, group: 32 } as const;
export type ConfigResource = (typeof ConfigResource)[keyof typeof ConfigResource];

/** Kafka's numbers for where a value comes from. */
export const ConfigSource = {
  topic: 1,
  dynamicBroker: 2,
  dynamicDefaultBroker: 3,
  staticBroker: 4,
  default: 5,
  clientMetrics: 7,
  group: 8,
} as const;
export type ConfigSource = (typeof ConfigSource)[keyof typeof ConfigSource];

export interface SourcedText {
  readonly name: string;
  /** As it was given, in the units of `name`. */
  readonly text: string;
  readonly source: ConfigSource;
}

/** The settings of a topic as numbers. Limits that were "none" are MAX_SAFE_INTEGER. */
export interface TopicConfigs {
  readonly compacts: boolean;
  readonly deletes: boolean;
  readonly compressionType: string;
  readonly deleteRetentionMs: number;
  readonly durability: "fsync" | "os";
  readonly logAppendTime: boolean;
  readonly maxCompactionLagMs: number;
  readonly maxDecompressedBytes: number;
  readonly maxMessageBytes: number;
  readonly minCleanableRatio: number;
  readonly minCompactionLagMs: number;
  readonly minInsyncReplicas: number;
  /** Negative = none. */
  readonly retentionBytes: number;
  /** Negative = none. */
  readonly retentionMs: number;
  readonly segmentBytes: number;
  readonly timestampAfterMaxMs: number;
  readonly timestampBeforeMaxMs: number;
}

type Draft = { -readonly [K in keyof TopicConfigs]: TopicConfigs[K] };

const parsers: ReadonlyMap<string, (draft: Draft, text: string) => void> = new Map([
  ["cleanup.policy", parseCleanupPolicy],
  ["compression.type", (draft, text) => (draft.compressionType = text.trim())],
  ["delete.retention.ms", (draft, text) => (draft.deleteRetentionMs = numberOf(text))],
  ["max.compaction.lag.ms", (draft, text) => (draft.maxCompactionLagMs = numberOf(text))],
  [
    "max.decompressed.message.bytes",
    (draft, text) => (draft.maxDecompressedBytes = numberOf(text)),
  ],
  ["max.message.bytes", (draft, text) => (draft.maxMessageBytes = numberOf(text))],
  ["message.timestamp.after.max.ms", (draft, text) => (draft.timestampAfterMaxMs = numberOf(text))],
  [
    "message.timestamp.before.max.ms",
    (draft, text) => (draft.timestampBeforeMaxMs = numberOf(text)),
  ],
  [
    "message.timestamp.type",
    (draft, text) => (draft.logAppendTime = text.trim() === "LogAppendTime"),
  ],
  ["min.cleanable.dirty.ratio", (draft, text) => (draft.minCleanableRatio = numberOf(text))],
  ["min.compaction.lag.ms", (draft, text) => (draft.minCompactionLagMs = numberOf(text))],
  ["min.insync.replicas", (draft, text) => (draft.minInsyncReplicas = numberOf(text))],
  [
    "pyralog.durability",
    (draft, text) => (draft.durability = text.trim() === "os" ? "os" : "fsync"),
  ],
  ["retention.bytes", (draft, text) => (draft.retentionBytes = numberOf(text))],
  ["retention.ms", (draft, text) => (draft.retentionMs = numberOf(text))],
  ["segment.bytes", (draft, text) => (draft.segmentBytes = numberOf(text))],
] as const satisfies readonly (readonly [string, (draft: Draft, text: string) => void])[]);

function parseCleanupPolicy(draft: Draft, text: string): void {
  const policies = listOf(text);
  draft.compacts = policies.includes("compact");
  draft.deletes = policies.includes("delete");
}

const blank: TopicConfigs = {
  compacts: false,
  deletes: true,
  compressionType: "producer",
  deleteRetentionMs: 0,
  durability: "fsync",
  logAppendTime: false,
  maxCompactionLagMs: 0,
  maxDecompressedBytes: 0,
  maxMessageBytes: 0,
  minCleanableRatio: 0,
  minCompactionLagMs: 0,
  minInsyncReplicas: 1,
  retentionBytes: -1,
  retentionMs: -1,
  segmentBytes: 0,
  timestampAfterMaxMs: 0,
  timestampBeforeMaxMs: 0,
};

function parsed(base: TopicConfigs, texts: Iterable<readonly [string, string]>): TopicConfigs {
  const draft: Draft = { ...base };
  for (const [name, text] of texts) parsers.get(name)?.(draft, text);
  return draft;
}

const noTexts: ReadonlyMap<string, string> = new Map();

export class Configs {
  readonly #node: string;
  readonly #static: ReadonlyMap<string, string>;
  /** By resource number and name: what was set, in the order of setting. */
  readonly #set = new Map<number, Map<string, Map<string, string>>>();
  #topicDefaults: TopicConfigs = blank;

  constructor(settings: Settings) {
    this.#node = String(settings.nodeId);
    this.#static = staticTexts(settings);
    this.#reparse();
  }

  /** Settings of a topic that sets nothing itself. Another object after each change of them. */
  get topicDefaults(): TopicConfigs {
    return this.#topicDefaults;
  }

  topicConfigs(overrides: ReadonlyMap<string, string>): TopicConfigs {
    return overrides.size === 0 ? this.#topicDefaults : parsed(this.#topicDefaults, overrides);
  }

  /** What was set for one resource. */
  of(resource: number, name: string): ReadonlyMap<string, string> {
    return this.#set.get(resource)?.get(name) ?? noTexts;
  }

  /** Resources of a type that have settings. */
  count(resource: number): number {
    return this.#set.get(resource)?.size ?? 0;
  }

  /** Names of the resources of a type that have settings. */
  names(resource: number): string[] {
    return [...(this.#set.get(resource)?.keys() ?? [])];
  }

  /** A null value takes the setting out. */
  change(
    resource: number,
    name: string,
    changes: readonly { readonly name: string; readonly value: string | null }[],
  ): void {
    let byName = this.#set.get(resource);
    if (byName === undefined) {
      byName = new Map();
      this.#set.set(resource, byName);
    }
    const texts = byName.get(name) ?? new Map<string, string>();
    for (const change of changes) {
      if (change.value === null) texts.delete(change.name);
      else texts.set(change.name, change.value);
    }
    if (texts.size === 0) byName.delete(name);
    else byName.set(name, texts);
    if (resource === ConfigResource.broker) this.#reparse();
  }

  drop(resource: number, name: string): void {
    this.#set.get(resource)?.delete(name);
  }

  /** What holds for a node setting; null = not set and without a default. */
  brokerText(name: string): string | null {
    return this.#brokerTexts([{ name, factor: 1 }])[0]?.text ?? null;
  }

  /** A numeric node setting that has a default. */
  brokerNumber(name: string): number {
    return numberOf(this.brokerText(name) ?? "0");
  }

  brokerBoolean(name: string): boolean {
    return booleanOf(this.brokerText(name) ?? "false");
  }

  /** All values of a node setting, strongest first, those of its synonyms included. */
  brokerTexts(name: string): SourcedText[] {
    const spec = brokerConfigByName.get(name);
    const synonyms =
      spec === undefined || spec.synonyms.length === 0 ? [{ name, factor: 1 }] : spec.synonyms;
    return this.#brokerTexts(synonyms);
  }

  /**
   * All values of a topic setting, strongest first. As in Kafka the default is among them only
   * where the nearest broker setting has one.
   */
  topicTexts(overrides: ReadonlyMap<string, string>, spec: ConfigSpec): SourcedText[] {
    const texts = this.#brokerTexts(spec.synonyms);
    const text = overrides.get(spec.name);
    if (text !== undefined) texts.unshift({ name: spec.name, text, source: ConfigSource.topic });
    return texts;
  }

  /** What holds for a topic setting, in its own unit. */
  topicText(overrides: ReadonlyMap<string, string>, spec: ConfigSpec): string | null {
    const strongest = this.topicTexts(overrides, spec)[0];
    if (strongest === undefined) return spec.default;
    const factor = spec.synonyms.find((synonym) => synonym.name === strongest.name)?.factor ?? 1;
    return inUnit(strongest.text, factor);
  }

  /** Why these cannot be the settings of a topic, in words; null when they can. */
  topicProblem(overrides: ReadonlyMap<string, string>): string | null {
    const problem = textsProblem(topicConfigByName, overrides, "topic");
    if (problem !== null) return problem;
    if (booleanOf(overrides.get("remote.storage.enable") ?? "false")) {
      return "remote.storage.enable cannot be true: there is no remote tier";
    }
    const { minCompactionLagMs, maxCompactionLagMs } = this.topicConfigs(overrides);
    if (minCompactionLagMs > maxCompactionLagMs) {
      const [min, max] = [minCompactionLagMs, maxCompactionLagMs];
      return `min.compaction.lag.ms (${min}) is above max.compaction.lag.ms (${max})`;
    }
    return null;
  }

  #reparse(): void {
    const texts: [string, string][] = [];
    for (const spec of topicConfigs) {
      const text = this.topicText(noTexts, spec);
      if (text !== null) texts.push([spec.name, text]);
    }
    this.#topicDefaults = parsed(blank, texts);
  }

  /** Values under these names at every level, and the default under the first of them. */
  #brokerTexts(names: readonly Synonym[]): SourcedText[] {
    const levels = [
      { texts: this.of(ConfigResource.broker, this.#node), source: ConfigSource.dynamicBroker },
      { texts: this.of(ConfigResource.broker, ""), source: ConfigSource.dynamicDefaultBroker },
      { texts: this.#static, source: ConfigSource.staticBroker },
    ];
    const found: SourcedText[] = [];
    for (const { texts, source } of levels) {
      for (const { name } of names) {
        const text = texts.get(name);
        if (text !== undefined) found.push({ name, text, source });
      }
    }
    const nearest = names[0]?.name ?? "";
    const text = brokerConfigByName.get(nearest)?.default ?? null;
    if (text !== null) found.push({ name: nearest, text, source: ConfigSource.default });
    return found;
  }
}

/** A coarser unit counts up; below zero it means "no limit" in any unit. */
function inUnit(text: string, factor: number): string {
  if (factor === 1) return text;
  const value = numberOf(text);
  return value < 0 ? "-1" : String(value * factor);
}

/** The node's file, and what follows from its other sections. */
function staticTexts(settings: Settings): ReadonlyMap<string, string> {
  const texts = new Map(settings.kafka);
  const derived: readonly (readonly [string, string])[] = [
    ["node.id", String(settings.nodeId)],
    ["broker.id", String(settings.nodeId)],
    ["default.replication.factor", String(settings.replicationFactor)],
    ["offsets.topic.replication.factor", String(settings.replicationFactor)],
    ["min.insync.replicas", String(settings.writeQuorum)],
    ["pyralog.durability", settings.durability],
  ];
  for (const [name, text] of derived) {
    if (!texts.has(name) && brokerConfigByName.get(name)?.default !== text) texts.set(name, text);
  }
  return texts;
}

function textsProblem(
  specs: ReadonlyMap<string, ConfigSpec>,
  texts: ReadonlyMap<string, string>,
  what: string,
): string | null {
  for (const [name, text] of texts) {
    const spec = specs.get(name);
    if (spec === undefined) return `there is no ${what} setting ${name}`;
    const problem = problemOf(spec, text);
    if (problem !== null) return problem;
  }
  return null;
}

export function groupProblem(texts: ReadonlyMap<string, string>): string | null {
  return textsProblem(groupConfigByName, texts, "group");
}

export function clientMetricsProblem(texts: ReadonlyMap<string, string>): string | null {
  return textsProblem(clientMetricsConfigByName, texts, "client metrics");
}

/**
 * Why a dynamic node setting may not get this value (null = be taken out); null when it may. As in
 * Kafka an unknown name is nobody's business: plug-ins have settings of their own.
 */
export function brokerProblem(name: string, text: string | null, perNode: boolean): string | null {
  const spec = brokerConfigByName.get(name);
  if (spec === undefined)
    return text !== null && text.length > configTextMax ? tooLong(name) : null;
  if (spec.update === "read-only") return `${name} cannot change while the node runs`;
  if (spec.update === "per-broker" && !perNode) {
    return `${name} is a setting of single nodes`;
  }
  return text === null ? null : problemOf(spec, text);
}

/** Why `name` may not have this value in the section `[kafka]` of the configuration. */
export function kafkaSettingProblem(name: string, text: string): string | null {
  const spec = brokerConfigByName.get(name);
  if (spec === undefined) return `there is no setting ${name}`;
  return problemOf(spec, text);
}

/** Names that the section `[kafka]` of the configuration may hold, for suggestions. */
export const kafkaSettingNames: readonly string[] = brokerConfigs.map((spec) => spec.name);

/** The type of a setting that can be a list decides whether something may be appended to it. */
export function specOf(resource: number, name: string): ConfigSpec | undefined {
  switch (resource) {
    case ConfigResource.topic:
      return topicConfigByName.get(name);
    case ConfigResource.broker:
      return brokerConfigByName.get(name);
    case ConfigResource.group:
      return groupConfigByName.get(name);
    default:
      return clientMetricsConfigByName.get(name);
  }
}

export function specsOf(resource: number): readonly ConfigSpec[] {
  switch (resource) {
    case ConfigResource.topic:
      return topicConfigs;
    case ConfigResource.broker:
      return brokerConfigs;
    case ConfigResource.group:
      return groupConfigs;
    default:
      return clientMetricsConfigs;
  }
}
