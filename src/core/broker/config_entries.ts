// Settings as DescribeConfigs and CreateTopics tell them: what holds, where it comes from, and the
// values that would hold without it.

import type { DescribeConfigsResponse } from "../../../proto/kafka/32_describe_configs.ts";
import {
  brokerConfigByName,
  brokerConfigs,
  ConfigResource,
  type Configs,
  type ConfigSpec,
  ConfigSource,
  configTypeCodes,
  listOf,
  type SourcedText,
  specsOf,
  topicConfigs,
} from "../cluster/cluster.ts";

export type ConfigEntry = DescribeConfigsResponse["results"][number]["configs"][number];

export interface EntryOptions {
  /** Null or empty: all. */
  readonly keys: readonly string[] | null;
  readonly synonyms: boolean;
  readonly documentation: boolean;
}

export const allEntries: EntryOptions = { keys: null, synonyms: false, documentation: false };

/** Kafka prints values as it has parsed them: without spaces around. */
function printed(spec: ConfigSpec, text: string): string {
  return spec.type === "list" ? listOf(text).join(",") : text.trim();
}

function wants(options: EntryOptions, name: string): boolean {
  return options.keys === null || options.keys.length === 0 || options.keys.includes(name);
}

function entryOf(
  spec: ConfigSpec,
  value: string | null,
  readOnly: boolean,
  texts: readonly SourcedText[],
  options: EntryOptions,
): ConfigEntry {
  const isSensitive = spec.type === "password";
  return {
    name: spec.name,
    value: value === null || isSensitive ? null : printed(spec, value),
    readOnly,
    configSource: texts[0]?.source ?? ConfigSource.default,
    isSensitive,
    synonyms: options.synonyms ? synonymsOf(texts, isSensitive) : [],
    configType: configTypeCodes[spec.type],
    documentation: options.documentation ? spec.documentation : null,
  };
}

function synonymsOf(texts: readonly SourcedText[], isSensitive: boolean): ConfigEntry["synonyms"] {
  return texts.map(({ name, text, source }) => ({
    name,
    value: isSensitive ? null : text,
    source,
  }));
}

export function topicEntries(
  configs: Configs,
  overrides: ReadonlyMap<string, string>,
  options: EntryOptions,
): ConfigEntry[] {
  const entries: ConfigEntry[] = [];
  for (const spec of topicConfigs) {
    if (!wants(options, spec.name)) continue;
    const texts = configs.topicTexts(overrides, spec);
    entries.push(entryOf(spec, configs.topicText(overrides, spec), false, texts, options));
  }
  return entries;
}

/** Every setting of this node, and names that are nobody's but were set. */
export function brokerEntries(
  configs: Configs,
  node: string,
  options: EntryOptions,
): ConfigEntry[] {
  const entries: ConfigEntry[] = [];
  for (const spec of brokerConfigs) {
    if (!wants(options, spec.name)) continue;
    const texts = configs.brokerTexts(spec.name);
    entries.push(
      entryOf(spec, configs.brokerText(spec.name), spec.update === "read-only", texts, options),
    );
  }
  const foreign = new Set([
    ...configs.of(ConfigResource.broker, node).keys(),
    ...configs.of(ConfigResource.broker, "").keys(),
  ]);
  for (const name of foreign) {
    if (brokerConfigByName.has(name) || !wants(options, name)) continue;
    entries.push(foreignEntry(name, configs.brokerTexts(name), options));
  }
  return entries;
}

/** What was set for all nodes, and nothing else. */
export function clusterDefaultEntries(configs: Configs, options: EntryOptions): ConfigEntry[] {
  const entries: ConfigEntry[] = [];
  for (const [name, text] of configs.of(ConfigResource.broker, "")) {
    if (!wants(options, name)) continue;
    const texts = configs
      .brokerTexts(name)
      .filter((each) => each.source === ConfigSource.dynamicDefaultBroker);
    const spec = brokerConfigByName.get(name);
    if (spec === undefined) entries.push(foreignEntry(name, texts, options));
    else entries.push(entryOf(spec, text, spec.update === "read-only", texts, options));
  }
  return entries;
}

/** A setting without a type may be a secret: its value is not told, nor can it change a thing. */
function foreignEntry(
  name: string,
  texts: readonly SourcedText[],
  options: EntryOptions,
): ConfigEntry {
  return {
    name,
    value: null,
    readOnly: true,
    configSource: texts[0]?.source ?? ConfigSource.default,
    isSensitive: true,
    synonyms: options.synonyms ? synonymsOf(texts, true) : [],
    configType: 0,
    documentation: null,
  };
}

/**
 * Groups and client metrics: what was set, else the default. A group's default stands under the
 * name that nodes have for it.
 */
export function plainEntries(
  configs: Configs,
  resource: number,
  resourceName: string,
  options: EntryOptions,
): ConfigEntry[] {
  const isGroup = resource === ConfigResource.group;
  const source = isGroup ? ConfigSource.group : ConfigSource.clientMetrics;
  const set = configs.of(resource, resourceName);
  const entries: ConfigEntry[] = [];
  for (const spec of specsOf(resource)) {
    if (!wants(options, spec.name)) continue;
    const text = set.get(spec.name);
    const texts: SourcedText[] = [];
    if (text !== undefined) texts.push({ name: spec.name, text, source });
    if (isGroup && spec.default !== null) {
      const name = spec.synonyms[0]?.name ?? spec.name;
      texts.push({ name, text: spec.default, source: ConfigSource.default });
    }
    entries.push(entryOf(spec, text ?? spec.default, false, texts, options));
  }
  return entries;
}
