// Metadata (3), v0-13: the nodes and the topics with their leaders. A topic that does not exist is
// created where both the request (v4+, before that always) and auto.create.topics.enable allow it;
// the answer then waits for it, so that the client need not ask again. A partition whose epoch is
// still recovering has its leader already: that one parks what comes until the epoch is open. A topic
// that is asked for twice, by whatever means, is told once, as in Kafka.
//
// Refusals per topic: 3 unknown name, 5 creation not done in time, 17 name not allowed, 42 topic id
// before v12, 100 unknown topic id, and what creation says (38, 44).

import type { MetadataRequest, MetadataResponse } from "../../../proto/kafka/03_metadata.ts";
import type { Outcome, TopicToCreate } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { noTopicId, type Slot, type TopicId } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { isInternalTopic, type Topic, topicNameProblem } from "../cluster/cluster.ts";
import {
  addressOf,
  clusterOperations,
  noNodes,
  operationsUnknown,
  Rows,
  topicOperations,
} from "./admin.ts";
import { type Broker, entry } from "./broker.ts";

type TopicAnswer = MetadataResponse["topics"][number];
type MetadataCall = Call<MetadataRequest, MetadataResponse>;

/** First version whose empty list means "no topic"; before, it means all. */
const allIsNullSince = 1;
const topicsByIdSince = 12;

function plan(broker: Broker, call: MetadataCall): void {
  const wanted = missingToCreate(broker, call);
  if (wanted.length === 0) return answer(broker, call, new Map());
  const topics = wanted.map(newTopic);
  broker.propose({ kind: "create-topics", topics, validateOnly: false }, (outcome) => {
    answer(broker, call, failedCreations(wanted, outcome));
  });
}

function asksForAll(call: MetadataCall): boolean {
  const { topics } = call.request;
  return topics === null || (topics.length === 0 && call.version < allIsNullSince);
}

/** Names to create, each once. */
function missingToCreate(broker: Broker, call: MetadataCall): string[] {
  if (!call.request.allowAutoTopicCreation || asksForAll(call)) return [];
  if (!broker.image.configs.brokerBoolean("auto.create.topics.enable")) return [];
  const names = new Set<string>();
  for (const { name, topicId } of call.request.topics ?? []) {
    if (name === null || topicId !== noTopicId || broker.image.topicByName(name) !== undefined)
      continue;
    if (topicNameProblem(name) === null && !isInternalTopic(name)) names.add(name);
  }
  return [...names];
}

function newTopic(name: string): TopicToCreate {
  return {
    name,
    partitions: -1,
    replicationFactor: -1,
    assignments: [],
    configs: [],
    internal: false,
  };
}

/** Code by name, for those that the cluster did not create. */
function failedCreations(
  wanted: readonly string[],
  outcome: Extract<Outcome, { kind: "create-topics" | "refused" }>,
): ReadonlyMap<string, number> {
  const codes = new Map<string, number>();
  if (outcome.kind === "refused") {
    for (const name of wanted) codes.set(name, ErrorCode.LEADER_NOT_AVAILABLE);
    return codes;
  }
  for (const { name, code } of outcome.topics) {
    if (code !== ErrorCode.NONE && code !== ErrorCode.TOPIC_ALREADY_EXISTS) codes.set(name, code);
  }
  return codes;
}

function answer(broker: Broker, call: MetadataCall, failed: ReadonlyMap<string, number>): void {
  const { image, settings } = broker;
  const { request } = call;
  const rows = new Rows();
  const operations = request.includeTopicAuthorizedOperations ? topicOperations : operationsUnknown;
  const topics: TopicAnswer[] = [];
  if (asksForAll(call)) {
    for (const topic of image.topics()) topics.push(describe(broker, topic, rows, operations));
  } else {
    for (const asked of askedOnce(broker, request.topics ?? []))
      topics.push(one(broker, call, asked, rows, operations, failed));
  }
  broker.reply(call, {
    throttleTimeMs: 0,
    brokers: [...image.nodes()].map((node) => ({
      nodeId: node.node,
      ...addressOf(broker, call, node),
    })),
    clusterId: settings.clusterId,
    controllerId: settings.nodeId,
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? clusterOperations
      : operationsUnknown,
    errorCode: ErrorCode.NONE,
  });
}

interface Asked {
  readonly topicId: TopicId;
  readonly name: string | null;
}

function askedOnce(broker: Broker, asked: readonly Asked[]): readonly Asked[] {
  const seen = new Set<Topic | string>();
  return asked.filter((each) => {
    const { topicId, name } = each;
    const topic =
      topicId === noTopicId && name !== null
        ? broker.image.topicByName(name)
        : broker.image.topicById(topicId);
    const before = seen.size;
    return seen.add(topic ?? `${topicId} ${name}`).size > before;
  });
}

function one(
  broker: Broker,
  call: MetadataCall,
  asked: Asked,
  rows: Rows,
  operations: number,
  failed: ReadonlyMap<string, number>,
): TopicAnswer {
  const { topicId, name } = asked;
  if (topicId !== noTopicId || name === null) {
    if (call.version < topicsByIdSince)
      return unknown(ErrorCode.INVALID_REQUEST, name ?? "", topicId);
    const topic = broker.image.topicById(topicId);
    if (topic === undefined) return unknown(ErrorCode.UNKNOWN_TOPIC_ID, null, topicId);
    return describe(broker, topic, rows, operations);
  }
  const topic = broker.image.topicByName(name);
  if (topic !== undefined) return describe(broker, topic, rows, operations);
  const invalid =
    topicNameProblem(name) === null
      ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
      : ErrorCode.INVALID_TOPIC_EXCEPTION;
  return unknown(failed.get(name) ?? invalid, name, noTopicId);
}

function unknown(errorCode: number, name: string | null, topicId: TopicId): TopicAnswer {
  return {
    errorCode,
    name,
    topicId,
    isInternal: name !== null && isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations: operationsUnknown,
  };
}

function describe(broker: Broker, topic: Topic, rows: Rows, operations: number): TopicAnswer {
  const { image } = broker;
  const partitions: TopicAnswer["partitions"][number][] = [];
  for (const each of topic.slots) {
    const slot = each as Slot; // proof: slots of the image
    const leader = image.leaderOf(slot);
    partitions.push({
      errorCode: ErrorCode.NONE,
      partitionIndex: image.slotPartition(slot),
      leaderId: leader,
      leaderEpoch: image.epochOf(slot),
      replicaNodes: rows.of(leader),
      isrNodes: rows.of(leader),
      offlineReplicas: noNodes,
    });
  }
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions,
    topicAuthorizedOperations: operations,
  };
}

export const metadata = entry("Metadata", plan);
