// The settings of a topic, as Kafka 4.4 defines them, and our own. Where a setting bounds nothing
// here it is still stored and reported, because tools read, change and write back all of them; its
// documentation says so.

import { batchBytesMax } from "../base/limits.ts";
import {
  any,
  atLeast,
  between,
  type ConfigSpec,
  type ConfigType,
  longMax,
  oneOf,
  type Synonym,
  type ValueRule,
} from "./config_spec.ts";

function setting(
  name: string,
  type: ConfigType,
  fallback: string,
  rule: ValueRule,
  synonyms: readonly (string | Synonym)[],
  documentation: string,
): ConfigSpec {
  return {
    name,
    type,
    default: fallback,
    rule,
    documentation,
    synonyms: synonyms.map((each) => (typeof each === "string" ? { name: each, factor: 1 } : each)),
    update: "cluster-wide",
  };
}

const minuteMs = 60_000;
const hourMs = 3_600_000;
const noSegmentFile = "Segments are shared by all partitions, so it is kept and shapes no file.";
const noTier = "Kept for tools; there is no remote tier.";

export const compressionTypes = ["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"] as const;

/** In the order of their names, which is the order of DescribeConfigs. */
export const topicConfigs: readonly ConfigSpec[] = [
  setting("cleanup.policy", "list", "delete", oneOf("compact", "delete"), ["log.cleanup.policy"],
    "What happens to old records: 'delete' drops them by age or size, 'compact' keeps the newest of each key; both may be given, none keeps everything."),
  setting("compression.gzip.level", "int", "-1", { kind: "range-or", min: 1, max: 9, or: -1 }, ["compression.gzip.level"],
    "Level for gzip where the node compresses by itself; -1 is the codec's default."),
  setting("compression.lz4.level", "int", "9", between(1, 17), ["compression.lz4.level"],
    "Level for lz4 where the node compresses by itself."),
  setting("compression.type", "string", "producer", oneOf(...compressionTypes), ["compression.type"],
    "Codec of the stored batches; 'producer' keeps what the producer sent."),
  setting("compression.zstd.level", "int", "3", between(-131072, 22), ["compression.zstd.level"],
    "Level for zstd where the node compresses by itself."),
  setting("delete.retention.ms", "long", "86400000", atLeast(0), ["log.cleaner.delete.retention.ms"],
    "How long a tombstone of a compacted topic stays readable after compaction has seen it."),
  setting("errors.deadletterqueue.group.enable", "boolean", "false", any, [],
    "Whether the topic may be the dead letter queue of share groups."),
  setting("file.delete.delay.ms", "long", "60000", atLeast(0), ["log.segment.delete.delay.ms"],
    `Delay before a deleted file goes. ${noSegmentFile}`),
  setting("flush.messages", "long", longMax, atLeast(1), ["log.flush.interval.messages"],
    "Records between two forced syncs in Kafka. Here pyralog.durability decides; kept for tools."),
  setting("flush.ms", "long", longMax, atLeast(0), ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    "Time between two forced syncs in Kafka. Here pyralog.durability decides; kept for tools."),
  setting("follower.replication.throttled.replicas", "list", "", { kind: "throttled-replicas" }, [],
    "Followers whose catching up is throttled, as partition:node pairs or '*'. Kept for tools."),
  setting("index.interval.bytes", "int", "4096", atLeast(0), ["log.index.interval.bytes"],
    "Bytes between two index entries in Kafka. Here storage.index_interval decides for the whole log; kept for tools."),
  setting("leader.replication.throttled.replicas", "list", "", { kind: "throttled-replicas" }, [],
    "Leaders whose sending to followers is throttled, as partition:node pairs or '*'. Kept for tools."),
  setting("local.retention.bytes", "long", "-2", atLeast(-2), ["log.local.retention.bytes"],
    `Bytes kept on the node beside a remote tier; -2 is retention.bytes. ${noTier}`),
  setting("local.retention.ms", "long", "-2", atLeast(-2), ["log.local.retention.ms"],
    `Time kept on the node beside a remote tier; -2 is retention.ms. ${noTier}`),
  setting("max.compaction.lag.ms", "long", longMax, atLeast(1), ["log.cleaner.max.compaction.lag.ms"],
    "Longest time that a record of a compacted topic waits for compaction."),
  setting("max.decompressed.message.bytes", "int", "2147483639", between(1, 2147483639), ["max.decompressed.message.bytes"],
    "Largest batch after decompression, where the node has to open it."),
  setting("max.message.bytes", "int", "1048588", between(0, batchBytesMax), ["message.max.bytes"],
    "Largest record batch, as it comes over the wire."),
  setting("message.timestamp.after.max.ms", "long", "3600000", atLeast(0), ["log.message.timestamp.after.max.ms"],
    "How far a record's timestamp may lie ahead of the node's clock."),
  setting("message.timestamp.before.max.ms", "long", longMax, atLeast(0), ["log.message.timestamp.before.max.ms"],
    "How far a record's timestamp may lie behind the node's clock."),
  setting("message.timestamp.type", "string", "CreateTime", oneOf("CreateTime", "LogAppendTime"), ["log.message.timestamp.type"],
    "Whose time a record carries: the producer's, or the node's when it appends."),
  setting("min.cleanable.dirty.ratio", "double", "0.5", between(0, 1), ["log.cleaner.min.cleanable.ratio"],
    "Share of uncompacted bytes from which a partition is compacted."),
  setting("min.compaction.lag.ms", "long", "0", atLeast(0), ["log.cleaner.min.compaction.lag.ms"],
    "Time during which a record of a compacted topic is not compacted."),
  setting("min.insync.replicas", "int", "1", atLeast(1), ["min.insync.replicas"],
    "Write quorum: durable copies that acks=all waits for."),
  setting("preallocate", "boolean", "false", any, ["log.preallocate"],
    `Whether files are filled ahead. ${noSegmentFile}`),
  setting("pyralog.durability", "string", "fsync", oneOf("fsync", "os"), ["pyralog.durability"],
    "What an acknowledgement promises: 'fsync' = on stable storage of the write quorum, 'os' = in the page cache of its machines."),
  setting("remote.copy.lag.bytes", "long", "-1", atLeast(-1), ["log.remote.copy.lag.bytes"],
    `Bytes that may wait for a remote tier. ${noTier}`),
  setting("remote.copy.lag.ms", "long", "0", atLeast(-1), ["log.remote.copy.lag.ms"],
    `Time that records may wait for a remote tier. ${noTier}`),
  setting("remote.log.copy.disable", "boolean", "false", any, [],
    `Stops copying to a remote tier. ${noTier}`),
  setting("remote.log.delete.on.disable", "boolean", "false", any, [],
    `Deletes the remote copy when a remote tier is switched off. ${noTier}`),
  setting("remote.storage.enable", "boolean", "false", any, [],
    "Whether the topic has a remote tier. Only false is taken: there is no remote tier."),
  setting("retention.bytes", "long", "-1", any, ["log.retention.bytes"],
    "Bytes of a partition from which its oldest records are dropped; -1 = no limit."),
  setting("retention.ms", "long", "604800000", atLeast(-1),
    ["log.retention.ms", { name: "log.retention.minutes", factor: minuteMs }, { name: "log.retention.hours", factor: hourMs }],
    "Age from which records are dropped; -1 = no limit."),
  setting("segment.bytes", "int", "1073741824", atLeast(1_048_576), ["log.segment.bytes"],
    `Size of a segment in Kafka, and the largest batch that a producer may send. ${noSegmentFile}`),
  setting("segment.index.bytes", "int", "10485760", atLeast(4), ["log.index.size.max.bytes"],
    `Size of an index file. ${noSegmentFile}`),
  setting("segment.jitter.ms", "long", "0", atLeast(0),
    ["log.roll.jitter.ms", { name: "log.roll.jitter.hours", factor: hourMs }],
    `Spread of the time at which segments are rolled. ${noSegmentFile}`),
  setting("segment.ms", "long", "604800000", atLeast(1),
    ["log.roll.ms", { name: "log.roll.hours", factor: hourMs }],
    `Age at which a segment is rolled. ${noSegmentFile}`),
  setting("unclean.leader.election.enable", "boolean", "false", any, ["unclean.leader.election.enable"],
    "Whether a node that may lack records can become leader. Kept for tools: a leader always recovers every acknowledged record."),
];


export const topicConfigByName: ReadonlyMap<string, ConfigSpec> = new Map(topicConfigs.map((spec) => [spec.name, spec]));
