// OffsetFetch (9), v1-10: what groups have committed. v2+ null topics = all that the group has; v8+
// many groups; v9 member id and epoch, which classic groups do not look at; v10 topics by id.
// A group, or a partition of a group, that is named twice is told once: its metadata may be long.
// An answer leaves only when the commits that it shows are durable, so require_stable (v7+) changes
// nothing while there are no transactions.
//
// Refusals per group: 14, 15, 16. Per partition: 100 unknown topic id (v10). A partition without an
// offset is no error: offset -1.

import type {
  OffsetFetchRequest,
  OffsetFetchResponse,
} from "../../../proto/kafka/09_offset_fetch.ts";
import { ErrorCode } from "../base/error_code.ts";
import { none, noTopicId, type PartitionIndex, type TopicId } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import type { CommittedOffset, Shard } from "../coordinator/coordinator.ts";
import { type Broker, entry } from "./broker.ts";
import { countdown } from "./groups.ts";
import { PartitionSet } from "./partition_set.ts";

/** Many groups in one request (KIP-709). */
const groupsSince = 8;
const topicIdsSince = 10;
/** The answer has a code of its own, beside those of the partitions. */
const groupCodeSince = 2;

type FetchCall = Call<OffsetFetchRequest, OffsetFetchResponse>;
type GroupAnswer = OffsetFetchResponse["groups"][number];
type TopicAnswer = GroupAnswer["topics"][number];
type PartitionAnswer = TopicAnswer["partitions"][number];

interface TopicAsked {
  readonly name: string;
  /** `noTopicId`: asked by name, and no such topic. */
  readonly topicId: TopicId;
  /** Asked by id, and no such topic. */
  readonly unknown: boolean;
  readonly partitions: readonly PartitionIndex[];
}

interface GroupAsked {
  readonly groupId: string;
  /** Null: all topics. */
  readonly topics: readonly TopicAsked[] | null;
}

function plan(broker: Broker, call: FetchCall): void {
  const { request, version } = call;
  if (version < groupsSince) {
    const seen = new PartitionSet();
    const topics =
      request.topics?.map((topic) =>
        askedByName(broker, topic.name, once(seen, topic.name, topic.partitionIndexes)),
      ) ?? null;
    return one(broker, { groupId: request.groupId, topics }, false, (answer) =>
      broker.reply(call, single(answer, version)),
    );
  }
  const byId = version >= topicIdsSince;
  const byGroup = new Map(request.groups.map((group) => [group.groupId, group]));
  const groups = new Array<GroupAnswer>(byGroup.size);
  const finished = countdown(groups.length, () => broker.reply(call, many(groups)));
  for (const [at, { groupId, topics }] of [...byGroup.values()].entries()) {
    const seen = new PartitionSet();
    const asked = topics?.map((topic) =>
      byId
        ? askedById(broker, topic.topicId, once(seen, topic.topicId, topic.partitionIndexes))
        : askedByName(broker, topic.name, once(seen, topic.name, topic.partitionIndexes)),
    );
    one(broker, { groupId, topics: asked ?? null }, byId, (answer) => {
      groups[at] = answer;
      finished();
    });
  }
}

function once(
  seen: PartitionSet,
  topic: string,
  partitions: readonly PartitionIndex[],
): readonly PartitionIndex[] {
  return partitions.filter((partition) => seen.add(topic, partition));
}

function askedByName(
  broker: Broker,
  name: string,
  partitions: readonly PartitionIndex[],
): TopicAsked {
  return {
    name,
    topicId: broker.image.topicByName(name)?.id ?? noTopicId,
    unknown: false,
    partitions,
  };
}

function askedById(
  broker: Broker,
  topicId: TopicId,
  partitions: readonly PartitionIndex[],
): TopicAsked {
  const topic = broker.image.topicById(topicId);
  return { name: topic?.name ?? "", topicId, unknown: topic === undefined, partitions };
}

function one(
  broker: Broker,
  asked: GroupAsked,
  byId: boolean,
  done: (answer: GroupAnswer) => void,
): void {
  const { groupId, topics } = asked;
  broker.groups.ask(
    groupId,
    (shard) =>
      topics === null
        ? allOffsets(broker, shard, groupId, byId)
        : topics.map((topic) => offsetsOf(shard, groupId, topic, byId)),
    (code, answers) =>
      done({ groupId, topics: answers ?? refusedTopics(topics, byId, code), errorCode: code }),
  );
}

function offsetsOf(shard: Shard, groupId: string, asked: TopicAsked, byId: boolean): TopicAnswer {
  const partitions = asked.partitions.map((partition) =>
    asked.unknown
      ? partitionAnswer(partition, null, ErrorCode.UNKNOWN_TOPIC_ID)
      : partitionAnswer(
          partition,
          shard.committed(groupId, asked.name, asked.topicId, partition),
          ErrorCode.NONE,
        ),
  );
  return topicAnswer(asked.name, asked.topicId, byId, partitions);
}

/** Asked by id, topics that exist no more have no name in the answer and are left out. */
function allOffsets(broker: Broker, shard: Shard, groupId: string, byId: boolean): TopicAnswer[] {
  const answers: TopicAnswer[] = [];
  for (const [name, committed] of shard.allCommitted(groupId)) {
    const topicId = broker.image.topicByName(name)?.id ?? noTopicId;
    if (byId && topicId === noTopicId) continue;
    const partitions = [...committed].map(([partition, offset]) =>
      partitionAnswer(partition, offset, ErrorCode.NONE),
    );
    answers.push(topicAnswer(name, topicId, byId, partitions));
  }
  return answers;
}

/** v1 has no code for the group, so each partition bears it; later versions repeat it there for nothing. */
function refusedTopics(
  topics: readonly TopicAsked[] | null,
  byId: boolean,
  code: number,
): TopicAnswer[] {
  return (topics ?? []).map((topic) =>
    topicAnswer(
      topic.name,
      topic.topicId,
      byId,
      topic.partitions.map((partition) => partitionAnswer(partition, null, code)),
    ),
  );
}

function topicAnswer(
  name: string,
  topicId: TopicId,
  byId: boolean,
  partitions: PartitionAnswer[],
): TopicAnswer {
  return { name: byId ? "" : name, topicId: byId ? topicId : noTopicId, partitions };
}

function partitionAnswer(
  partitionIndex: PartitionIndex,
  found: CommittedOffset | null,
  errorCode: number,
): PartitionAnswer {
  return {
    partitionIndex,
    committedOffset: found?.offset ?? none,
    committedLeaderEpoch: found?.leaderEpoch ?? none,
    metadata: found?.metadata ?? "",
    errorCode,
  };
}

function single(answer: GroupAnswer, version: number): OffsetFetchResponse {
  // A group that fails has no topics where the group's own code can say so.
  const topics =
    answer.errorCode !== ErrorCode.NONE && version >= groupCodeSince ? [] : answer.topics;
  return { throttleTimeMs: 0, topics, errorCode: answer.errorCode, groups: [] };
}

function many(groups: readonly GroupAnswer[]): OffsetFetchResponse {
  return {
    throttleTimeMs: 0,
    topics: [],
    errorCode: ErrorCode.NONE,
    groups: groups.map((group) =>
      group.errorCode === ErrorCode.NONE ? group : { ...group, topics: [] },
    ),
  };
}

export const offsetFetch = entry<OffsetFetchRequest, OffsetFetchResponse>("OffsetFetch", plan);
