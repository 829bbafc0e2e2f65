// Settings of single groups and of client metrics subscriptions, as Kafka 4.4 defines them. They
// are kept and described here; the coordinators read the ones that they know. Timeouts stay within
// the bounds that Kafka's nodes set by default.

import {
  any,
  atLeast,
  between,
  type ConfigSpec,
  type ConfigType,
  oneOf,
  type ValueRule,
} from "./config_spec.ts";

/** Settings that nodes have no default of their own for. */
const alone: ReadonlySet<string> = new Set([
  "errors.deadletterqueue.copy.record.enable",
  "errors.deadletterqueue.topic.name",
  "interval.ms",
  "match",
  "metrics",
  "share.auto.offset.reset",
  "share.isolation.level",
  "share.renew.acknowledge.enable",
  "streams.assignor.name",
]);

function setting(
  name: string,
  type: ConfigType,
  fallback: string | null,
  rule: ValueRule,
  documentation: string,
): ConfigSpec {
  const synonyms = alone.has(name) ? [] : [{ name: `group.${name}`, factor: 1 }];
  return { name, type, default: fallback, rule, documentation, synonyms, update: "cluster-wide" };
}

export const groupConfigs: readonly ConfigSpec[] = [
  setting(
    "consumer.assignment.interval.ms",
    "int",
    "1000",
    atLeast(0),
    "Shortest time between two assignments of a consumer group.",
  ),
  setting(
    "consumer.heartbeat.interval.ms",
    "int",
    "5000",
    between(5_000, 15_000),
    "Heartbeat interval of the members of a consumer group.",
  ),
  setting(
    "consumer.session.timeout.ms",
    "int",
    "45000",
    between(45_000, 60_000),
    "Silence after which a member of a consumer group is expelled.",
  ),
  setting(
    "errors.deadletterqueue.copy.record.enable",
    "boolean",
    "false",
    any,
    "Whether the dead letter queue gets key, value and headers.",
  ),
  setting(
    "errors.deadletterqueue.topic.name",
    "string",
    "",
    any,
    "Topic for records that a share group gave up.",
  ),
  setting(
    "share.assignment.interval.ms",
    "int",
    "1000",
    atLeast(0),
    "Shortest time between two assignments of a share group.",
  ),
  setting(
    "share.auto.offset.reset",
    "string",
    "latest",
    any,
    "Where a share group starts: latest, earliest or by_duration:PnDTnHnMn.nS.",
  ),
  setting(
    "share.delivery.count.limit",
    "int",
    "5",
    atLeast(2),
    "Times that a record is handed to a share group.",
  ),
  setting(
    "share.heartbeat.interval.ms",
    "int",
    "5000",
    between(5_000, 15_000),
    "Heartbeat interval of the members of a share group.",
  ),
  setting(
    "share.isolation.level",
    "string",
    "read_uncommitted",
    oneOf("read_committed", "read_uncommitted"),
    "Whether a share group sees records of open and aborted transactions.",
  ),
  setting(
    "share.partition.max.record.locks",
    "int",
    "2000",
    atLeast(100),
    "Records of a partition that a share group may hold.",
  ),
  setting(
    "share.record.lock.duration.ms",
    "int",
    "30000",
    atLeast(1000),
    "How long a record stays with a member of a share group.",
  ),
  setting(
    "share.renew.acknowledge.enable",
    "boolean",
    "true",
    any,
    "Whether a member may renew its hold on a record.",
  ),
  setting(
    "share.session.timeout.ms",
    "int",
    "45000",
    between(45_000, 60_000),
    "Silence after which a member of a share group is expelled.",
  ),
  setting(
    "streams.assignment.interval.ms",
    "int",
    "1000",
    atLeast(0),
    "Shortest time between two assignments of a streams group.",
  ),
  setting("streams.assignor.name", "string", null, any, "Assignor of a streams group."),
  setting(
    "streams.heartbeat.interval.ms",
    "int",
    "5000",
    between(5_000, 15_000),
    "Heartbeat interval of the members of a streams group.",
  ),
  setting(
    "streams.initial.rebalance.delay.ms",
    "int",
    "3000",
    atLeast(0),
    "How long a new streams group waits for more members.",
  ),
  setting(
    "streams.num.standby.replicas",
    "int",
    "0",
    atLeast(0),
    "Standby copies of each streams task.",
  ),
  setting(
    "streams.rack.aware.assignment.tags",
    "list",
    "",
    any,
    "Client tags over which standby copies are spread.",
  ),
  setting(
    "streams.session.timeout.ms",
    "int",
    "45000",
    between(45_000, 60_000),
    "Silence after which a member of a streams group is expelled.",
  ),
];

export const clientMetricsConfigs: readonly ConfigSpec[] = [
  setting("interval.ms", "int", "300000", atLeast(100), "How often clients push their metrics."),
  setting("match", "list", "", any, "Which clients push: selector=pattern pairs."),
  setting("metrics", "list", "", any, "Name prefixes of the metrics that are pushed; '*' = all."),
];

export const groupConfigByName: ReadonlyMap<string, ConfigSpec> = new Map(
  groupConfigs.map((spec) => [spec.name, spec]),
);

export const clientMetricsConfigByName: ReadonlyMap<string, ConfigSpec> = new Map(
  clientMetricsConfigs.map((spec) => [spec.name, spec]),
);
