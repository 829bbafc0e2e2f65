// CreateTopics (19), v2-7. Each topic has its own verdict; v5+ tells the counts and settings that
// the topic got, also with validate_only.
//
// Refusals per topic: 7 the cluster did not take it in time, 17 name, 36 exists, 37 and 38 counts,
// 39 assignment, 40 setting, 42 named twice, counts beside an assignment, or Kafka's metadata
// topic, 44 too many partitions.

import type {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from "../../../proto/kafka/19_create_topics.ts";
import type { CreatedTopic, TopicToCreate, Verdict } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { noTopicId } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { clipped, duplicatesOf } from "./admin.ts";
import { type Broker, entry } from "./broker.ts";
import { allEntries, topicEntries } from "./config_entries.ts";

type Asked = CreateTopicsRequest["topics"][number];
type Answer = CreateTopicsResponse["topics"][number];

/** Kafka's own log of metadata, which no client may touch. */
const metadataTopic = "__cluster_metadata";

function plan(broker: Broker, call: Call<CreateTopicsRequest, CreateTopicsResponse>): void {
  const { topics, validateOnly } = call.request;
  const twice = duplicatesOf(topics.map((topic) => topic.name));
  const refused = new Map<string, Answer>();
  const asked: Asked[] = [];
  for (const topic of topics) {
    const verdict = early(topic.name, twice);
    if (verdict === null) asked.push(topic);
    else refused.set(topic.name, failure(topic.name, verdict));
  }
  const reply = (answers: readonly Answer[]): void => {
    broker.reply(call, { throttleTimeMs: 0, topics: [...refused.values(), ...answers] });
  };
  if (asked.length === 0) return reply([]);
  broker.propose(
    { kind: "create-topics", topics: asked.map(toCreate), validateOnly },
    (outcome) => {
      if (outcome.kind === "refused")
        return reply(asked.map(({ name }) => failure(name, outcome.verdict)));
      reply(outcome.topics.map((created, i) => answerOf(broker, created, asked[i])));
    },
  );
}

function early(name: string, twice: ReadonlySet<string>): Verdict | null {
  if (twice.has(name))
    return { code: ErrorCode.INVALID_REQUEST, message: "the topic is named twice" };
  if (name === metadataTopic) {
    return {
      code: ErrorCode.INVALID_REQUEST,
      message: `${metadataTopic} is no topic of clients`,
    };
  }
  return null;
}

function toCreate(topic: Asked): TopicToCreate {
  return {
    name: topic.name,
    partitions: topic.numPartitions,
    replicationFactor: topic.replicationFactor,
    assignments: topic.assignments.map((each) => ({
      partition: each.partitionIndex,
      nodes: each.brokerIds,
    })),
    configs: topic.configs,
    internal: false,
  };
}

function failure(name: string, verdict: Verdict): Answer {
  return {
    name,
    topicId: noTopicId,
    errorCode: verdict.code,
    errorMessage: clipped(verdict.message),
    topicConfigErrorCode: ErrorCode.NONE,
    numPartitions: -1,
    replicationFactor: -1,
    configs: [],
  };
}

function answerOf(broker: Broker, created: CreatedTopic, asked: Asked | undefined): Answer {
  if (created.code !== ErrorCode.NONE) return failure(created.name, created);
  const overrides = new Map((asked?.configs ?? []).map(({ name, value }) => [name, value ?? ""]));
  const entries = topicEntries(broker.image.configs, overrides, allEntries);
  return {
    name: created.name,
    topicId: created.id ?? noTopicId,
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    topicConfigErrorCode: ErrorCode.NONE,
    numPartitions: created.partitions,
    replicationFactor: created.replicationFactor,
    configs: entries.map(({ name, value, readOnly, configSource, isSensitive }) => ({
      name,
      value,
      readOnly,
      configSource,
      isSensitive,
    })),
  };
}

export const createTopics = entry("CreateTopics", plan);
