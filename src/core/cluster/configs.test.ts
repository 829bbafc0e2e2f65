import { describe, expect, test } from "bun:test";
import { configTextMax } from "../base/limits.ts";
import type { Settings } from "../base/settings.ts";
import { brokerConfigByName, brokerConfigs } from "./broker_configs.ts";
import { problemOf } from "./config_spec.ts";
import { ConfigResource, Configs, ConfigSource, kafkaSettingProblem } from "./configs.ts";
import { topicConfigByName, topicConfigs } from "./topic_configs.ts";
import { trialSettings } from "./trial.ts";

function configsWith(kafka: Record<string, string> = {}, over: Partial<Settings> = {}): Configs {
  return new Configs({ ...trialSettings, kafka: new Map(Object.entries(kafka)), ...over });
}

function topicSpec(name: string) {
  const spec = topicConfigByName.get(name);
  if (spec === undefined) throw new Error(name);
  return spec;
}

function textOf(
  configs: Configs,
  name: string,
  overrides: Record<string, string> = {},
): string | null {
  return configs.topicText(new Map(Object.entries(overrides)), topicSpec(name));
}

const none = new Map<string, string>();

describe("cluster: values of settings", () => {
  const taken: readonly (readonly [string, string])[] = [
    ["cleanup.policy", ""],
    ["cleanup.policy", "compact, delete"],
    ["cleanup.policy", " delete "],
    ["compression.gzip.level", "-1"],
    ["flush.ms", "9223372036854775807"],
    ["leader.replication.throttled.replicas", "*"],
    ["leader.replication.throttled.replicas", "0:1,1:2"],
    ["max.message.bytes", "0"],
    ["min.cleanable.dirty.ratio", "0.5e0"],
    ["preallocate", " TRUE "],
    ["retention.bytes", "-5"],
    ["retention.ms", " +5 "],
    ["retention.ms", "-1"],
    ["retention.ms", "0009223372036854775807"],
  ];
  for (const [name, text] of taken) {
    test(`Kafka takes it and so do we (${name}=${text})`, () => {
      expect(problemOf(topicSpec(name), text)).toBeNull();
    });
  }

  const refused: readonly (readonly [string, string, string])[] = [
    ["cleanup.policy", "COMPACT", "it is none of"],
    ["cleanup.policy", "delete,", "is empty"],
    ["compression.gzip.level", "0", "neither -1 nor from 1 to 9"],
    ["compression.type", "none", "it is none of"],
    ["leader.replication.throttled.replicas", "x", "list of partition:node"],
    ["max.message.bytes", "", "it is no int"],
    ["max.message.bytes", "2147483648", "it is no int"],
    ["max.message.bytes", "8388609", "above 8388608"],
    ["message.timestamp.type", "logappendtime", "it is none of"],
    ["min.cleanable.dirty.ratio", "1.5", "above 1"],
    ["min.cleanable.dirty.ratio", "half", "it is no double"],
    ["preallocate", "yes", "neither true nor false"],
    ["pyralog.durability", "sometimes", "it is none of"],
    ["retention.ms", "-2", "below -1"],
    ["retention.ms", "0x10", "it is no long"],
    ["retention.ms", "1.5", "it is no long"],
    ["retention.ms", "9223372036854775808", "it is no long"],
    ["segment.bytes", "1000", "below 1048576"],
    ["compression.type", "g".repeat(configTextMax + 1), "longer than"],
  ];
  for (const [name, text, why] of refused) {
    test(`Kafka refuses it and so do we (${name}=${text.slice(0, 20)})`, () => {
      expect(problemOf(topicSpec(name), text)).toContain(why);
    });
  }

  test("every default is a value of its own setting", () => {
    for (const spec of [...topicConfigs, ...brokerConfigs]) {
      if (spec.default !== null && spec.name !== "broker.id")
        expect([spec.name, problemOf(spec, spec.default)]).toEqual([spec.name, null]);
    }
  });

  test("names stand in order and once", () => {
    for (const specs of [topicConfigs, brokerConfigs]) {
      const names = specs.map((spec) => spec.name);
      expect(names).toEqual([...new Set(names)].sort());
    }
  });

  test("every broker setting that a topic inherits from exists", () => {
    for (const { synonyms } of topicConfigs)
      for (const { name } of synonyms) expect(brokerConfigByName.has(name)).toBe(true);
  });

  test("the section [kafka] takes what has a meaning and nothing else", () => {
    expect(kafkaSettingProblem("num.partitions", "4")).toBeNull();
    expect(kafkaSettingProblem("num.partitions", "0")).toContain("below 1");
    expect(kafkaSettingProblem("num.partitons", "4")).toContain("no setting");
  });
});

describe("cluster: what holds", () => {
  test("the topic's own value, this node's, all nodes', the file's, the default, in this order", () => {
    const configs = configsWith({ "log.retention.bytes": "5" });
    const { broker } = ConfigResource;
    expect(textOf(configsWith(), "retention.bytes")).toBe("-1");
    expect(textOf(configs, "retention.bytes")).toBe("5");
    configs.change(broker, "", [{ name: "log.retention.bytes", value: "4" }]);
    configs.change(broker, "1", [{ name: "log.retention.bytes", value: "3" }]);
    configs.change(broker, "2", [{ name: "log.retention.bytes", value: "9" }]);
    const texts = configs.topicTexts(
      new Map([["retention.bytes", "2"]]),
      topicSpec("retention.bytes"),
    );
    expect(texts).toEqual([
      { name: "retention.bytes", text: "2", source: ConfigSource.topic },
      { name: "log.retention.bytes", text: "3", source: ConfigSource.dynamicBroker },
      { name: "log.retention.bytes", text: "4", source: ConfigSource.dynamicDefaultBroker },
      { name: "log.retention.bytes", text: "5", source: ConfigSource.staticBroker },
      { name: "log.retention.bytes", text: "-1", source: ConfigSource.default },
    ]);
    configs.change(broker, "1", [{ name: "log.retention.bytes", value: null }]);
    expect(configs.topicDefaults.retentionBytes).toBe(4);
  });

  test("coarser units count up, and below zero they mean no limit", () => {
    expect(textOf(configsWith(), "retention.ms")).toBe("604800000");
    expect(textOf(configsWith({ "log.retention.hours": "2" }), "retention.ms")).toBe("7200000");
    expect(
      textOf(
        configsWith({ "log.retention.hours": "2", "log.retention.minutes": "3" }),
        "retention.ms",
      ),
    ).toBe("180000");
    expect(
      textOf(configsWith({ "log.retention.hours": "2", "log.retention.ms": "7" }), "retention.ms"),
    ).toBe("7");
    expect(textOf(configsWith({ "log.retention.hours": "-1" }), "retention.ms")).toBe("-1");
  });

  test("a default is told where the nearest broker setting has one, as Kafka does", () => {
    expect(configsWith().topicTexts(none, topicSpec("retention.ms"))).toEqual([]);
    expect(configsWith().topicTexts(none, topicSpec("remote.log.copy.disable"))).toEqual([]);
    expect(
      configsWith({ "log.retention.hours": "2" }).topicTexts(none, topicSpec("retention.ms")),
    ).toEqual([{ name: "log.retention.hours", text: "2", source: ConfigSource.staticBroker }]);
    expect(configsWith().topicTexts(none, topicSpec("segment.bytes"))).toEqual([
      { name: "log.segment.bytes", text: "1073741824", source: ConfigSource.default },
    ]);
  });

  test("digits beyond 2^53 are kept as text and clamped as numbers", () => {
    const configs = configsWith();
    expect(textOf(configs, "message.timestamp.before.max.ms")).toBe("9223372036854775807");
    expect(configs.topicDefaults.timestampBeforeMaxMs).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("a topic with settings of its own gets an object of its own, others share one", () => {
    const configs = configsWith();
    expect(configs.topicConfigs(none)).toBe(configs.topicDefaults);
    const own = configs.topicConfigs(
      new Map([
        ["cleanup.policy", "compact"],
        ["max.message.bytes", "100"],
      ]),
    );
    expect(own).toEqual({
      ...configs.topicDefaults,
      compacts: true,
      deletes: false,
      maxMessageBytes: 100,
    });
  });

  test("durability, write quorum and copies come from their own sections", () => {
    const configs = configsWith({}, { durability: "os", writeQuorum: 2, replicationFactor: 3 });
    expect(configs.topicDefaults).toMatchObject({ durability: "os", minInsyncReplicas: 2 });
    expect(configs.brokerNumber("default.replication.factor")).toBe(3);
    expect(configs.brokerTexts("min.insync.replicas")[0]).toEqual({
      name: "min.insync.replicas",
      text: "2",
      source: ConfigSource.staticBroker,
    });
    expect(
      configsWith({ "min.insync.replicas": "1" }, { writeQuorum: 2 }).topicDefaults
        .minInsyncReplicas,
    ).toBe(1);
  });

  test("settings that contradict each other are refused", () => {
    const configs = configsWith();
    const problem = (of: Record<string, string>): string | null =>
      configs.topicProblem(new Map(Object.entries(of)));
    expect(problem({ "min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5" })).toContain(
      "(10) is above",
    );
    expect(problem({ "remote.storage.enable": "true" })).toContain("no remote tier");
    expect(problem({ "retention.weeks": "1" })).toBe("there is no topic setting retention.weeks");
    expect(problem({ "retention.ms": "1", "cleanup.policy": "compact,delete" })).toBeNull();
  });
});
