// Settings of topics, nodes, groups and subscriptions: told and changed, on disks in memory.

import { describe, expect, test } from "bun:test";
import type { DescribeConfigsResponse } from "../../proto/kafka/32_describe_configs.ts";
import type { IncrementalAlterConfigsResponse } from "../../proto/kafka/44_incremental_alter_configs.ts";
import type { ListConfigResourcesResponse } from "../../proto/kafka/74_list_config_resources.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { brokerConfigs, ConfigSource, topicConfigs } from "../../src/core/cluster/cluster.ts";
import type { OneNode } from "../sim/one_node.ts";
import { ask, versionsOf, withTopics } from "./admin_asks.ts";

type Entries = DescribeConfigsResponse["results"][number]["configs"];

function describeConfigs(
  node: OneNode,
  resourceType: number,
  resourceName: string,
  version = 4,
  keys: readonly string[] | null = null,
): DescribeConfigsResponse["results"][number] {
  const request = {
    resources: [{ resourceType, resourceName, configurationKeys: keys }],
    includeSynonyms: true,
    includeDocumentation: version >= 3,
  };
  const [result] = ask<DescribeConfigsResponse>(node, "DescribeConfigs", version, request).results;
  if (result === undefined) throw new Error("no result");
  return result;
}

function find(entries: Entries, name: string): Entries[number] | undefined {
  return entries.find((each) => each.name === name);
}

describe("broker: settings", () => {
  for (const version of versionsOf("DescribeConfigs")) {
    test(`a topic has all its settings with source and synonyms (v${version})`, () => {
      const node = withTopics({ "log.segment.bytes": "2000000" });
      const { configs } = describeConfigs(node, 2, "t", version);
      expect(configs.map((each) => each.name)).toEqual(topicConfigs.map((spec) => spec.name));
      expect(find(configs, "segment.bytes")).toMatchObject({
        value: "2000000",
        configSource: ConfigSource.staticBroker,
        readOnly: false,
        isSensitive: false,
        synonyms: [
          { name: "log.segment.bytes", value: "2000000", source: ConfigSource.staticBroker },
          { name: "log.segment.bytes", value: "1073741824", source: ConfigSource.default },
        ],
      });
      expect(find(configs, "flush.messages")?.value).toBe("9223372036854775807");
      if (version >= 3)
        expect(find(configs, "retention.ms")).toMatchObject({
          configType: 5,
          documentation: expect.stringContaining("Age"),
        });
    });
  }

  test("only the settings that are asked for, in any number", () => {
    const node = withTopics();
    expect(
      describeConfigs(node, 2, "t", 1, ["retention.ms", "no.such"]).configs.map(
        (each) => each.name,
      ),
    ).toEqual(["retention.ms"]);
    expect(describeConfigs(node, 2, "t", 1, []).configs.length).toBe(topicConfigs.length);
  });

  test("a node has all its settings, all nodes together only what was set for them", () => {
    const node = withTopics({ "num.partitions": "4" });
    const { configs } = describeConfigs(node, 4, "1");
    expect(configs.map((each) => each.name)).toEqual(brokerConfigs.map((spec) => spec.name));
    expect(find(configs, "num.partitions")).toMatchObject({
      value: "4",
      readOnly: true,
      configSource: ConfigSource.staticBroker,
    });
    expect(find(configs, "node.id")?.value).toBe("1");
    expect(find(configs, "log.retention.bytes")).toMatchObject({
      value: "-1",
      readOnly: false,
      configSource: ConfigSource.default,
    });
    expect(describeConfigs(node, 4, "").configs).toEqual([]);
  });

  const refused: readonly (readonly [number, string, number])[] = [
    [2, "none", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    [2, "a/b", ErrorCode.INVALID_TOPIC_EXCEPTION],
    [4, "2", ErrorCode.INVALID_REQUEST],
    [4, "x".repeat(32_000), ErrorCode.INVALID_REQUEST],
    [8, "2", ErrorCode.INVALID_REQUEST],
    [16, "", ErrorCode.INVALID_REQUEST],
    [32, "", ErrorCode.INVALID_REQUEST],
    [3, "t", ErrorCode.INVALID_REQUEST],
  ];
  for (const [type, name, code] of refused) {
    test(`a resource that is none is refused (${type} ${name.slice(0, 10)})`, () => {
      expect(describeConfigs(withTopics(), type, name)).toMatchObject({
        errorCode: code,
        configs: [],
      });
    });
  }

  interface Change {
    readonly type?: number;
    readonly name?: string;
    readonly configs: readonly {
      readonly name: string;
      readonly configOperation: number;
      readonly value: string | null;
    }[];
  }

  function alter(
    node: OneNode,
    changes: readonly Change[],
    version = 1,
    validateOnly = false,
  ): number[] {
    const resources = changes.map(({ type = 2, name = "t", configs }) => ({
      resourceType: type,
      resourceName: name,
      configs,
    }));
    const { responses } = ask<IncrementalAlterConfigsResponse>(
      node,
      "IncrementalAlterConfigs",
      version,
      { resources, validateOnly },
    );
    expect(responses.map((each) => [each.resourceType, each.resourceName])).toEqual(
      resources.map((each) => [each.resourceType, each.resourceName]),
    );
    return responses.map((each) => each.errorCode);
  }
  const op = (configOperation: number, name: string, value: string | null) => ({
    name,
    configOperation,
    value,
  });

  for (const version of versionsOf("IncrementalAlterConfigs")) {
    test(`set, delete, append and subtract (v${version})`, () => {
      const node = withTopics();
      const value = (name: string): string | null | undefined =>
        find(describeConfigs(node, 2, "t").configs, name)?.value;
      expect(
        alter(
          node,
          [{ configs: [op(0, "retention.ms", "5"), op(2, "cleanup.policy", "compact")] }],
          version,
        ),
      ).toEqual([0]);
      expect([value("retention.ms"), value("cleanup.policy")]).toEqual(["5", "delete,compact"]);
      expect(
        alter(
          node,
          [{ configs: [op(1, "retention.ms", null), op(3, "cleanup.policy", "delete")] }],
          version,
        ),
      ).toEqual([0]);
      expect([value("retention.ms"), value("cleanup.policy")]).toEqual(["604800000", "compact"]);
    });
  }

  test("each resource has its verdict; append to a number is refused, never an end of the node", () => {
    const node = withTopics();
    const codes = alter(node, [
      { configs: [op(2, "retention.ms", "1")] },
      { name: "other", configs: [op(0, "retention.ms", "1")] },
      { name: "none", configs: [op(0, "retention.ms", "1")] },
      { type: 4, name: "1", configs: [op(0, "node.id", "7")] },
      { type: 8, name: "1", configs: [op(0, "root", "DEBUG")] },
      { type: 32, name: "g", configs: [op(0, "consumer.session.timeout.ms", "50000")] },
      { type: 16, name: "m", configs: [op(9, "interval.ms", "1000")] },
      { type: 99, name: "m", configs: [] },
    ]);
    const { INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION } = ErrorCode;
    expect(codes).toEqual([
      INVALID_CONFIG,
      0,
      UNKNOWN_TOPIC_OR_PARTITION,
      INVALID_REQUEST,
      INVALID_REQUEST,
      0,
      INVALID_REQUEST,
      INVALID_REQUEST,
    ]);
    expect(alter(node, [{ configs: [] }, { configs: [] }])).toEqual([
      INVALID_REQUEST,
      INVALID_REQUEST,
    ]);
    expect(
      find(describeConfigs(node, 32, "g").configs, "consumer.session.timeout.ms"),
    ).toMatchObject({ value: "50000", configSource: ConfigSource.group });
  });

  test("validate only judges and changes nothing", () => {
    const node = withTopics();
    expect(alter(node, [{ configs: [op(0, "retention.ms", "5")] }], 1, true)).toEqual([0]);
    expect(find(describeConfigs(node, 2, "t").configs, "retention.ms")?.value).toBe("604800000");
  });

  for (const version of versionsOf("AlterConfigs")) {
    test(`read, change one, write back all (v${version})`, () => {
      const node = withTopics();
      const all = describeConfigs(node, 2, "t").configs;
      const configs = all.map(({ name, value }) => ({
        name,
        value: name === "max.message.bytes" ? "2000" : value,
      }));
      const request = {
        resources: [{ resourceType: 2, resourceName: "t", configs }],
        validateOnly: false,
      };
      const { responses } = ask<IncrementalAlterConfigsResponse>(
        node,
        "AlterConfigs",
        version,
        request,
      );
      expect(responses).toMatchObject([{ errorCode: 0 }]);
      const after = describeConfigs(node, 2, "t").configs;
      expect(after.map((each) => [each.name, each.value])).toEqual(
        configs.map((each) => [each.name, each.value]),
      );
      expect(after.every((each) => each.configSource === ConfigSource.topic)).toBe(true);
      ask(node, "AlterConfigs", version, {
        resources: [{ resourceType: 2, resourceName: "t", configs: [] }],
        validateOnly: false,
      });
      expect(describeConfigs(node, 2, "t").configs).toEqual(all);
    });
  }

  test("a setting of all nodes survives a power cut and reaches the topics", () => {
    const node = withTopics();
    expect(
      alter(node, [{ type: 4, name: "", configs: [op(0, "log.retention.bytes", "77")] }]),
    ).toEqual([0]);
    const again = node.powerCut();
    expect(find(describeConfigs(again, 2, "t").configs, "retention.bytes")).toMatchObject({
      value: "77",
      configSource: ConfigSource.dynamicDefaultBroker,
    });
    expect(describeConfigs(again, 4, "").configs).toMatchObject([
      { name: "log.retention.bytes", value: "77" },
    ]);
  });

  test("resources with settings are listed by type, v0 lists metrics subscriptions only", () => {
    const node = withTopics();
    alter(node, [
      { type: 16, name: "m", configs: [op(0, "interval.ms", "1000")] },
      { type: 32, name: "g", configs: [op(0, "share.isolation.level", "read_committed")] },
    ]);
    const list = (version: number, resourceTypes: readonly number[]) =>
      ask<ListConfigResourcesResponse>(node, "ListConfigResources", version, { resourceTypes });
    expect(list(0, []).configResources).toEqual([{ resourceName: "m", resourceType: 16 }]);
    expect(list(1, [32]).configResources).toEqual([{ resourceName: "g", resourceType: 32 }]);
    expect(
      list(1, []).configResources.map((each) => `${each.resourceType}:${each.resourceName}`),
    ).toEqual(["2:other", "2:t", "4:1", "8:1", "16:m", "32:g"]);
    expect(list(1, [5])).toMatchObject({
      errorCode: ErrorCode.UNSUPPORTED_VERSION,
      configResources: [],
    });
  });
});
