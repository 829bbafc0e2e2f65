// DescribeTopicPartitions (75), v0: topics in the order of their names, in pages (KIP-966). A page
// holds at most max.request.partition.size.limit partitions; the cursor says where the next one
// starts. A topic that was deleted between two pages is simply not there any more.
//
// Refusals per topic: 3 unknown, 17 name, 42 a cursor with a negative partition, or at a topic that
// is not among those asked for.

import type {
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponse,
} from "../../../proto/kafka/75_describe_topic_partitions.ts";
import { ErrorCode } from "../base/error_code.ts";
import { noTopicId, partitionIndex, type Slot } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { isInternalTopic, type Topic, topicNameProblem } from "../cluster/cluster.ts";
import { noNodes, operationsUnknown, Rows, topicOperations } from "./admin.ts";
import { type Broker, entry } from "./broker.ts";

type TopicAnswer = DescribeTopicPartitionsResponse["topics"][number];
type Cursor = DescribeTopicPartitionsResponse["nextCursor"];

function plan(
  broker: Broker,
  call: Call<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>,
): void {
  const { request } = call;
  const { cursor } = request;
  const reply = (topics: readonly TopicAnswer[], nextCursor: Cursor): void => {
    broker.reply(call, { throttleTimeMs: 0, topics, nextCursor });
  };
  const asked = new Set(request.topics.map((topic) => topic.name));
  if (cursor !== null && !isSensible(cursor, asked)) {
    return reply(
      [...asked].map((name) => failed(name, ErrorCode.INVALID_REQUEST, operationsUnknown)),
      null,
    );
  }
  const names = asked.size === 0 ? broker.image.topicNames() : [...asked].sort();
  const limit = broker.image.configs.brokerNumber("max.request.partition.size.limit");
  let left = Math.max(1, Math.min(limit, request.responsePartitionLimit));
  const rows = new Rows();
  const topics: TopicAnswer[] = [];
  for (
    let i = cursor === null ? 0 : firstAtOrAfter(names, cursor.topicName);
    i < names.length;
    i += 1
  ) {
    const name = names[i] ?? "";
    const from = cursor !== null && cursor.topicName === name ? cursor.partitionIndex : 0;
    if (left === 0) return reply(topics, { topicName: name, partitionIndex: partitionIndex(from) });
    const topic = broker.image.topicByName(name);
    if (topic === undefined) {
      topics.push(failed(name, unknownCode(name), topicOperations));
      continue;
    }
    const to = Math.min(topic.slots.length, from + left);
    topics.push(describe(broker, topic, from, to, rows));
    left -= Math.max(0, to - from);
    if (to < topic.slots.length)
      return reply(topics, { topicName: name, partitionIndex: partitionIndex(to) });
  }
  reply(topics, null);
}

function isSensible(
  cursor: { topicName: string; partitionIndex: number },
  asked: ReadonlySet<string>,
): boolean {
  return cursor.partitionIndex >= 0 && (asked.size === 0 || asked.has(cursor.topicName));
}

/** Index of the first name that is not below `name`. */
function firstAtOrAfter(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((names[middle] ?? "") < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

function unknownCode(name: string): number {
  return topicNameProblem(name) === null
    ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    : ErrorCode.INVALID_TOPIC_EXCEPTION;
}

function failed(name: string, errorCode: number, topicAuthorizedOperations: number): TopicAnswer {
  return {
    errorCode,
    name,
    topicId: noTopicId,
    isInternal: isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations,
  };
}

function describe(broker: Broker, topic: Topic, from: number, to: number, rows: Rows): TopicAnswer {
  const { image } = broker;
  const partitions: TopicAnswer["partitions"][number][] = [];
  for (const each of topic.slots.subarray(from, to)) {
    const slot = each as Slot; // proof: slots of the image
    const leader = image.leaderOf(slot);
    partitions.push({
      errorCode: ErrorCode.NONE,
      partitionIndex: image.slotPartition(slot),
      leaderId: leader,
      leaderEpoch: image.epochOf(slot),
      replicaNodes: rows.of(leader),
      isrNodes: rows.of(leader),
      eligibleLeaderReplicas: noNodes,
      lastKnownElr: noNodes,
      offlineReplicas: noNodes,
    });
  }
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions,
    topicAuthorizedOperations: topicOperations,
  };
}

export const describeTopicPartitions = entry("DescribeTopicPartitions", plan);
