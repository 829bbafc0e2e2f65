// The settings of a node under Kafka's names: those that it obeys, and those that give topic
// settings their defaults. They come from the section `[kafka]` of the configuration; the ones that
// topics inherit may also be changed while the cluster runs.

import {
  batchBytesMax,
  connectionsMax,
  fetchBytesMax,
  fetchSessionsMax,
  requestBytesMax,
} from "../base/limits.ts";
import {
  any,
  atLeast,
  between,
  type ConfigSpec,
  type ConfigType,
  intMax,
  longMax,
  oneOf,
  type Synonym,
  type ValueRule,
} from "./config_spec.ts";
import { topicConfigs } from "./topic_configs.ts";

function fixed(
  name: string,
  type: ConfigType,
  fallback: string | null,
  rule: ValueRule,
  documentation: string,
): ConfigSpec {
  return { name, type, default: fallback, rule, documentation, synonyms: [], update: "read-only" };
}

const own: readonly ConfigSpec[] = [
  fixed(
    "advertised.listeners",
    "list",
    null,
    any,
    "Addresses that clients are told; by default the one that they used.",
  ),
  fixed(
    "auto.create.topics.enable",
    "boolean",
    "true",
    any,
    "Whether asking for a topic that does not exist creates it.",
  ),
  fixed("broker.id", "int", "-1", any, "The node id, under its old name."),
  fixed("broker.rack", "string", null, any, "Where the node stands, for rack-aware clients."),
  fixed(
    "connections.max.idle.ms",
    "long",
    "600000",
    any,
    "Idle time after which a connection is closed.",
  ),
  fixed(
    "default.replication.factor",
    "int",
    "1",
    atLeast(1),
    "Copies of topics that do not say how many they want.",
  ),
  fixed("delete.topic.enable", "boolean", "true", any, "Whether topics can be deleted."),
  fixed(
    "fetch.max.bytes",
    "int",
    String(fetchBytesMax),
    between(1024, fetchBytesMax),
    "Largest answer to one fetch, whatever the client asks for.",
  ),
  fixed(
    "group.initial.rebalance.delay.ms",
    "int",
    "3000",
    any,
    "How long a new group waits for more members before its first rebalance.",
  ),
  fixed(
    "group.max.session.timeout.ms",
    "int",
    "1800000",
    any,
    "Longest session timeout of a member.",
  ),
  fixed("group.max.size", "int", intMax, atLeast(1), "Members that one group may have."),
  fixed(
    "group.min.session.timeout.ms",
    "int",
    "6000",
    any,
    "Shortest session timeout of a member.",
  ),
  fixed("listeners", "list", null, any, "Addresses that the node listens on."),
  fixed("log.dirs", "list", null, any, "The data directory."),
  fixed(
    "log.retention.check.interval.ms",
    "long",
    "300000",
    atLeast(1),
    "Pause between two looks for records past their retention.",
  ),
  fixed(
    "max.connections",
    "int",
    String(connectionsMax),
    between(0, connectionsMax),
    "Connections that the node takes; more are closed at once.",
  ),
  fixed(
    "max.incremental.fetch.session.cache.slots",
    "int",
    "1000",
    between(0, fetchSessionsMax),
    "Fetch sessions that the node remembers.",
  ),
  fixed(
    "max.request.partition.size.limit",
    "int",
    "2000",
    atLeast(1),
    "Partitions in one answer to DescribeTopicPartitions.",
  ),
  fixed("node.id", "int", null, atLeast(0), "Number of the node, unique in the cluster."),
  fixed(
    "num.partitions",
    "int",
    "1",
    atLeast(1),
    "Partitions of topics that do not say how many they want.",
  ),
  fixed(
    "offset.metadata.max.bytes",
    "int",
    "4096",
    any,
    "Largest text that a group may store with an offset.",
  ),
  fixed(
    "offsets.retention.check.interval.ms",
    "long",
    "600000",
    atLeast(1),
    "Pause between two looks for expired group offsets.",
  ),
  fixed(
    "offsets.retention.minutes",
    "int",
    "10080",
    atLeast(1),
    "How long the offsets of a group without members are kept.",
  ),
  fixed(
    "offsets.topic.num.partitions",
    "int",
    "50",
    atLeast(1),
    "Partitions of the topic that holds groups and their offsets.",
  ),
  fixed(
    "offsets.topic.replication.factor",
    "short",
    "1",
    atLeast(1),
    "Copies of the topic that holds groups and their offsets.",
  ),
  fixed(
    "producer.id.expiration.ms",
    "int",
    "86400000",
    atLeast(1),
    "How long an idle producer's sequence numbers are remembered.",
  ),
  fixed(
    "socket.request.max.bytes",
    "int",
    String(requestBytesMax),
    between(1, requestBytesMax),
    "Largest request.",
  ),
  fixed(
    "transaction.max.timeout.ms",
    "int",
    "900000",
    atLeast(1),
    "Longest transaction timeout that a producer may ask for.",
  ),
  fixed(
    "transactional.id.expiration.ms",
    "int",
    "604800000",
    atLeast(1),
    "How long an idle transactional id is remembered.",
  ),
];

/** Broker settings of the larger units; their values win only where the finer ones are not set. */
const coarse: readonly ConfigSpec[] = [
  fixed("log.retention.hours", "int", "168", any, "retention.ms of topics, in hours."),
  fixed("log.retention.minutes", "int", null, any, "retention.ms of topics, in minutes."),
  fixed("log.roll.hours", "int", "168", atLeast(1), "segment.ms of topics, in hours."),
  fixed("log.roll.jitter.hours", "int", "0", atLeast(0), "segment.jitter.ms of topics, in hours."),
  fixed(
    "log.flush.scheduler.interval.ms",
    "long",
    longMax,
    any,
    "flush.ms of topics, where log.flush.interval.ms is not set.",
  ),
];

/** Not set by default: the coarser settings say what they are. */
const unsetByDefault = new Set([
  "log.retention.ms",
  "log.roll.ms",
  "log.roll.jitter.ms",
  "log.flush.interval.ms",
]);

const special: ReadonlyMap<string, ValueRule> = new Map([
  ["message.max.bytes", between(0, batchBytesMax)],
  ["log.retention.ms", any],
  ["log.roll.ms", any],
  ["log.roll.jitter.ms", any],
  ["log.flush.interval.ms", any],
  ["pyralog.durability", oneOf("fsync", "os")],
]);

/** The broker's side of the topic settings: same type, rule and default as the topic's. */
function inherited(): ConfigSpec[] {
  const specs: ConfigSpec[] = [];
  for (const topic of topicConfigs) {
    const nearest: Synonym | undefined = topic.synonyms[0];
    if (nearest === undefined) continue;
    specs.push({
      name: nearest.name,
      type: topic.type,
      default: unsetByDefault.has(nearest.name) ? null : topic.default,
      rule: special.get(nearest.name) ?? topic.rule,
      documentation: `Default of topics for ${topic.name}: ${topic.documentation}`,
      synonyms: topic.synonyms,
      // The durability of a node is part of its promise: it changes with a restart only.
      update: nearest.name === "pyralog.durability" ? "read-only" : "cluster-wide",
    });
  }
  return specs;
}

function sorted(specs: ConfigSpec[]): readonly ConfigSpec[] {
  return specs.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** In the order of their names, which is the order of DescribeConfigs. */
export const brokerConfigs: readonly ConfigSpec[] = sorted([...own, ...coarse, ...inherited()]);

export const brokerConfigByName: ReadonlyMap<string, ConfigSpec> = new Map(
  brokerConfigs.map((spec) => [spec.name, spec]),
);
