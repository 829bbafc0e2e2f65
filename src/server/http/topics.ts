// Topics, their settings and their partitions over HTTP.

import { type Static, Type } from "@sinclair/typebox";
import { ErrorCode } from "../../core/base/error_code.ts";
import { none, noTopicId, offset, type PartitionIndex } from "../../core/base/ids.ts";
import { configTextMax, partitionsPerCommandMax } from "../../core/base/limits.ts";
import type { Topic } from "../../core/cluster/cluster.ts";
import type { DescribeConfigsResponse } from "../../../proto/kafka/32_describe_configs.ts";
import type { MetadataResponse } from "../../../proto/kafka/03_metadata.ts";
import { jsonBody } from "./body.ts";
import type { Bridge } from "./bridge.ts";
import { Problem, problemOf } from "./problems.ts";
import { exactly, json, noQuery, param, type Route, route } from "./routes.ts";
import {
  nodeSchema,
  offsetSchema,
  paged,
  pageOf,
  pageQuery,
  partitionSchema,
  topicNameSchema,
} from "./schemas.ts";
import { Shape } from "./shape.ts";

const tag = "Topics";
const topicResource = 2;
const setSetting = 0;
const deleteSetting = 1;
/** Metadata changes wait so long for the control thread. */
const changeMsMax = 30_000;

const dryRun = Type.Optional(
  Type.Boolean({ description: "Say what would happen, and change nothing." }),
);
const settingValue = Type.Union([
  Type.String({ maxLength: configTextMax }),
  Type.Number(),
  Type.Boolean(),
]);
const settings = Type.Record(Type.String({ maxLength: 249 }), settingValue);

const newTopic = new Shape(
  exactly({
    name: topicNameSchema,
    partitions: Type.Optional(
      Type.Integer({ minimum: 1, maximum: partitionsPerCommandMax, examples: [3] }),
    ),
    replicationFactor: Type.Optional(Type.Integer({ minimum: 1, maximum: 32_767, examples: [1] })),
    config: Type.Optional(settings),
  }),
);

const changedTopic = new Shape(
  exactly({
    config: Type.Record(Type.String({ maxLength: 249 }), Type.Union([settingValue, Type.Null()]), {
      description: "Settings to change; null takes one back to its default.",
    }),
  }),
);

const morePartitions = new Shape(
  exactly({ count: Type.Integer({ minimum: 1, maximum: 1_000_000 }) }),
);
const newValue = new Shape(exactly({ value: settingValue }));
const topicRow = Type.Object({
  name: Type.String(),
  id: Type.String(),
  partitions: Type.Integer(),
  internal: Type.Boolean(),
});
const partitionRow = Type.Object({
  partition: partitionSchema,
  leader: Type.Union([nodeSchema, Type.Null()]),
  leaderEpoch: Type.Integer(),
  replicas: Type.Array(nodeSchema),
  inSync: Type.Array(nodeSchema),
  startOffset: offsetSchema,
  endOffset: offsetSchema,
});
const settingRow = Type.Object({
  name: Type.String(),
  value: Type.Union([Type.String(), Type.Null()]),
  source: Type.String(),
  readOnly: Type.Boolean(),
  documentation: Type.Union([Type.String(), Type.Null()]),
});
const describedTopic = Type.Object({
  ...topicRow.properties,
  config: Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()]), {
    description: "Settings of its own.",
  }),
});

const sources: ReadonlyMap<number, string> = new Map([
  [1, "topic"],
  [2, "node"],
  [3, "cluster"],
  [4, "file"],
  [5, "default"],
]);

type Setting = DescribeConfigsResponse["results"][number]["configs"][number];
type TopicMetadata = MetadataResponse["topics"][number];

/** The ends of a partition, as ListOffsets tells them. */
interface Ends {
  readonly start: number;
  readonly end: number;
}

async function metadataOf(bridge: Bridge, name: string): Promise<TopicMetadata> {
  const topics = [{ topicId: noTopicId, name }];
  const answer = await bridge.ask("Metadata", {
    topics,
    allowAutoTopicCreation: false,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  });
  const topic = answer.topics[0];
  const code = topic?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR;
  if (topic === undefined || code !== ErrorCode.NONE) {
    throw problemOf(code, code === 3 ? `there is no topic "${name}"` : "");
  }
  return topic;
}

/** First and next offset of every partition. */
export async function endsOf(bridge: Bridge, topic: Topic): Promise<readonly Ends[]> {
  const [starts, ends] = await Promise.all(
    [earliest, latest].map((timestamp) => offsetsAt(bridge, topic, timestamp)),
  );
  return topic.slots
    .keys()
    .toArray()
    .map((index) => ({
      start: starts?.[index] ?? 0,
      end: ends?.[index] ?? 0,
    }));
}

export const latest = -1;
export const earliest = -2;

/** Of every partition, the first offset at or after a time; -1 where there is none. */
export async function offsetsAt(
  bridge: Bridge,
  topic: Topic,
  timestamp: number,
): Promise<readonly number[]> {
  const partitions = topic.slots
    .keys()
    .toArray()
    .map((index) => ({
      partitionIndex: index as PartitionIndex, // proof: an index of the topic's slots
      currentLeaderEpoch: none,
      timestamp,
    }));
  const { topics } = await bridge.ask("ListOffsets", {
    replicaId: none,
    isolationLevel: 0,
    timeoutMs: changeMsMax,
    topics: [{ name: topic.name, partitions }],
  });
  return (topics[0]?.partitions ?? []).map(({ errorCode, offset, partitionIndex }) => {
    if (errorCode !== ErrorCode.NONE)
      throw problemOf(errorCode, `partition ${partitionIndex} of "${topic.name}" does not answer`);
    return offset;
  });
}

function settingsOf(given: Readonly<Record<string, string | number | boolean>> | undefined) {
  return Object.entries(given ?? {}).map(([name, value]) => ({ name, value: String(value) }));
}

async function describeSettings(bridge: Bridge, topic: string): Promise<readonly Setting[]> {
  const { results } = await bridge.ask("DescribeConfigs", {
    resources: [{ resourceType: topicResource, resourceName: topic, configurationKeys: null }],
    includeSynonyms: false,
    includeDocumentation: true,
  });
  const result = results[0];
  if (result?.errorCode !== ErrorCode.NONE) {
    const code = result?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR;
    throw problemOf(
      code,
      code === 3 ? `there is no topic "${topic}"` : (result?.errorMessage ?? ""),
    );
  }
  return result.configs;
}

async function alterSettings(
  bridge: Bridge,
  topic: string,
  changes: Readonly<Record<string, string | number | boolean | null>>,
  validateOnly: boolean,
): Promise<void> {
  bridge.knownTopic(topic);
  const configs = Object.entries(changes).map(([name, value]) => ({
    name,
    configOperation: value === null ? deleteSetting : setSetting,
    value: value === null ? null : String(value),
  }));
  if (configs.length === 0) return;
  const { responses } = await bridge.ask("IncrementalAlterConfigs", {
    resources: [{ resourceType: topicResource, resourceName: topic, configs }],
    validateOnly,
  });
  fail(responses[0]);
}

function fail(
  result: { readonly errorCode: number; readonly errorMessage: string | null } | undefined,
): void {
  const code = result?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR;
  if (code !== ErrorCode.NONE) throw problemOf(code, result?.errorMessage ?? "");
}

function rowOf(topic: Topic): Static<typeof topicRow> {
  const { name, id, slots, internal } = topic;
  return { name, id, partitions: slots.length, internal };
}

async function describe(bridge: Bridge, name: string): Promise<Static<typeof describedTopic>> {
  const topic = bridge.knownTopic(name);
  const all = await describeSettings(bridge, name);
  const own = all.filter(({ configSource }) => configSource === 1);
  const config = Object.fromEntries(own.map((each) => [each.name, each.value]));
  return { ...rowOf(topic), config };
}

function shownSetting(setting: Setting): Static<typeof settingRow> {
  const { name, value, configSource, readOnly, documentation } = setting;
  return { name, value, source: sources.get(configSource) ?? "unknown", readOnly, documentation };
}

const ok = (schema: Parameters<typeof Type.Array>[0], description: string) => ({
  200: { description, content: { "application/json": schema } },
});

export function topicRoutes(bridge: Bridge): readonly Route[] {
  const settings = settingRoutes(bridge);
  return [...lifecycle(bridge), ...settings, ...partitionRoutes(bridge), trimRoute(bridge)];
}

const trimmed = new Shape(
  exactly({
    partition: partitionSchema,
    before: offsetSchema,
  }),
);

function trimRoute(bridge: Bridge): Route {
  return route(
    "DELETE",
    "/v1/topics/:topic/records",
    trimmed,
    {
      tag: "Records",
      summary: "Delete the records of a partition before an offset",
      answers: ok(
        Type.Object({ partition: partitionSchema, startOffset: offsetSchema }),
        "Where the partition begins now.",
      ),
      problems: [404, 416, 504],
    },
    async (exchange) => {
      const topic = bridge.knownTopic(param(exchange, "topic"));
      const { partition, before } = exchange.query;
      const partitions = [
        { partitionIndex: bridge.knownPartition(topic, partition), offset: offset(before) },
      ];
      const { topics } = await bridge.ask("DeleteRecords", {
        topics: [{ name: topic.name, partitions }],
        timeoutMs: changeMsMax,
      });
      const result = topics[0]?.partitions[0];
      const code = result?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR;
      if (code === ErrorCode.OFFSET_OUT_OF_RANGE)
        throw problemOf(code, `partition ${partition} ends below offset ${before}`);
      if (code !== ErrorCode.NONE) throw problemOf(code, "");
      return json({ partition, startOffset: result?.lowWatermark });
    },
  );
}

function lifecycle(bridge: Bridge): readonly Route[] {
  const listQuery = new Shape(
    exactly({
      ...pageQuery,
      internal: Type.Optional(Type.Boolean({ description: "Topics of the node itself as well." })),
    }),
  );
  const createQuery = new Shape(exactly({ dryRun }));
  return [
    route(
      "GET",
      "/v1/topics",
      listQuery,
      { tag, summary: "List topics", answers: ok(pageOf(topicRow), "A page of topics.") },
      ({ query }) => {
        const all = [...bridge.host.node.broker.image.topics()];
        const shown = all.filter((topic) => query.internal === true || !topic.internal);
        const page = paged(shown, (topic) => topic.name, query);
        return json({ ...page, items: page.items.map(rowOf) });
      },
    ),
    route(
      "POST",
      "/v1/topics",
      createQuery,
      {
        tag,
        summary: "Create a topic",
        body: { "application/json": newTopic.schema },
        answers: {
          200: {
            description: "It could be created (dryRun).",
            content: { "application/json": topicRow },
          },
          201: { description: "It is created.", content: { "application/json": topicRow } },
        },
        problems: [409, 413, 415, 504],
      },
      async ({ request, query }) => {
        const asked = newTopic.read(await jsonBody(bridge.memory, request), "the topic");
        const validateOnly = query.dryRun === true;
        const { topics } = await bridge.ask("CreateTopics", {
          topics: [
            {
              name: asked.name,
              numPartitions: asked.partitions ?? -1,
              replicationFactor: asked.replicationFactor ?? -1,
              assignments: [],
              configs: settingsOf(asked.config),
            },
          ],
          timeoutMs: changeMsMax,
          validateOnly,
        });
        fail(topics[0]);
        const { name, topicId: id = noTopicId, numPartitions: partitions = 0 } = topics[0] ?? {};
        const location = `/v1/topics/${asked.name}`;
        const body = { name, id, partitions, internal: false };
        return validateOnly ? json(body) : json(body, 201, { location });
      },
    ),
    route(
      "GET",
      "/v1/topics/:topic",
      noQuery,
      {
        tag,
        summary: "Describe a topic",
        answers: ok(describedTopic, "The topic."),
        problems: [404],
      },
      async (exchange) => json(await describe(bridge, param(exchange, "topic"))),
    ),
    route(
      "PATCH",
      "/v1/topics/:topic",
      createQuery,
      {
        tag,
        summary: "Change settings of a topic",
        body: { "application/json": changedTopic.schema },
        answers: ok(describedTopic, "The topic as it is now."),
        problems: [404, 413, 415, 504],
      },
      async (exchange) => {
        const topic = param(exchange, "topic");
        const asked = changedTopic.read(
          await jsonBody(bridge.memory, exchange.request),
          "the change",
        );
        await alterSettings(bridge, topic, asked.config, exchange.query.dryRun === true);
        return json(await describe(bridge, topic));
      },
    ),
    route(
      "DELETE",
      "/v1/topics/:topic",
      noQuery,
      {
        tag,
        summary: "Delete a topic and its records",
        answers: { 204: { description: "It is gone." } },
        problems: [404, 504],
      },
      async (exchange) => {
        const { name } = bridge.knownTopic(param(exchange, "topic"));
        const { responses } = await bridge.ask("DeleteTopics", {
          topics: [{ name, topicId: noTopicId }],
          topicNames: [],
          timeoutMs: changeMsMax,
        });
        fail(responses[0]);
        return new Response(null, { status: 204 });
      },
    ),
  ];
}

function settingRoutes(bridge: Bridge): readonly Route[] {
  const one = async (topic: string, name: string): Promise<Response> => {
    const all = await describeSettings(bridge, topic);
    const found = all.find((each) => each.name === name);
    if (found !== undefined) return json(shownSetting(found));
    const next = `GET /v1/topics/${topic}/config lists them.`;
    throw new Problem("unknown-setting", `a topic has no setting "${name}". ${next}`);
  };
  return [
    route(
      "GET",
      "/v1/topics/:topic/config",
      new Shape(exactly(pageQuery)),
      {
        tag,
        summary: "List the settings of a topic",
        answers: ok(pageOf(settingRow), "Settings, with where each value comes from."),
        problems: [404],
      },
      async (exchange) => {
        const all = await describeSettings(bridge, param(exchange, "topic"));
        return json(paged(all.map(shownSetting), ({ name }) => name, exchange.query));
      },
    ),
    route(
      "GET",
      "/v1/topics/:topic/config/:setting",
      noQuery,
      {
        tag,
        summary: "Show one setting",
        answers: ok(settingRow, "The setting."),
        problems: [404],
      },
      (exchange) => one(param(exchange, "topic"), param(exchange, "setting")),
    ),
    route(
      "PUT",
      "/v1/topics/:topic/config/:setting",
      new Shape(exactly({ dryRun })),
      {
        tag,
        summary: "Set one setting",
        body: { "application/json": newValue.schema },
        answers: ok(settingRow, "The setting as it is now."),
        problems: [404, 413, 415, 504],
      },
      async (exchange) => {
        const [topic, setting] = [param(exchange, "topic"), param(exchange, "setting")];
        const asked = newValue.read(await jsonBody(bridge.memory, exchange.request), "the setting");
        const change = { [setting]: asked.value };
        await alterSettings(bridge, topic, change, exchange.query.dryRun === true);
        return one(topic, setting);
      },
    ),
  ];
}

function partitionRoutes(bridge: Bridge): readonly Route[] {
  const rows = async (name: string): Promise<readonly Static<typeof partitionRow>[]> => {
    const topic = bridge.knownTopic(name);
    const [told, ends] = await Promise.all([metadataOf(bridge, name), endsOf(bridge, topic)]);
    return told.partitions.map((each) => ({
      partition: each.partitionIndex,
      leader: each.leaderId === none ? null : each.leaderId,
      leaderEpoch: each.leaderEpoch,
      replicas: [...each.replicaNodes],
      inSync: [...each.isrNodes],
      startOffset: ends[each.partitionIndex]?.start ?? 0,
      endOffset: ends[each.partitionIndex]?.end ?? 0,
    }));
  };
  const answers = ok(
    Type.Object({ items: Type.Array(partitionRow) }),
    "The partitions, with first and next offset.",
  );
  return [
    route(
      "GET",
      "/v1/topics/:topic/partitions",
      noQuery,
      { tag, summary: "List the partitions of a topic", answers, problems: [404] },
      async (exchange) => json({ items: await rows(param(exchange, "topic")) }),
    ),
    route(
      "POST",
      "/v1/topics/:topic/partitions",
      new Shape(exactly({ dryRun })),
      {
        tag,
        summary: "Give a topic more partitions",
        description: "`count` is how many there are afterwards.",
        body: { "application/json": morePartitions.schema },
        answers,
        problems: [404, 413, 415, 504],
      },
      async (exchange) => {
        const name = param(exchange, "topic");
        const { count } = morePartitions.read(
          await jsonBody(bridge.memory, exchange.request),
          "the body",
        );
        bridge.knownTopic(name);
        const { results } = await bridge.ask("CreatePartitions", {
          topics: [{ name, count, assignments: null }],
          timeoutMs: changeMsMax,
          validateOnly: exchange.query.dryRun === true,
        });
        fail(results[0]);
        return json({ items: await rows(name) });
      },
    ),
  ];
}
