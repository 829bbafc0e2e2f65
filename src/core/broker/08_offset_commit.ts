// OffsetCommit (8), v2-10: a group stores how far it has read. Members name their generation; anybody
// may commit to a group without members (generation -1). v2-4 may say how long to keep the offsets,
// v10 names topics by id.
//
// Refusals per partition: 3 / 100 unknown topic or partition / topic id, 12 metadata too long, 14, 15,
// 16, 22 wrong generation, 25 unknown member, 27 the generation has no assignment yet, 69 no such
// group (v9+), 82 fenced static member.

import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from "../../../proto/kafka/08_offset_commit.ts";
import { ErrorCode } from "../base/error_code.ts";
import { noTopicId, type PartitionIndex } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import type { CommitTopic } from "../coordinator/coordinator.ts";
import { type Broker, entry } from "./broker.ts";

/** Topics are named by id from this version on (KIP-848). */
const topicIdsSince = 10;
/** GROUP_ID_NOT_FOUND is an answer from this version on. */
const groupIdNotFoundSince = 9;

type TopicAsked = OffsetCommitRequest["topics"][number];
type CommitCall = Call<OffsetCommitRequest, OffsetCommitResponse>;
type Judge = (topic: number, partition: number) => number;

function plan(broker: Broker, call: CommitCall): void {
  const { request } = call;
  const byId = call.version >= topicIdsSince;
  // Only what exists goes to the coordinator: `places` says where each answer of it belongs.
  const known: CommitTopic[] = [];
  const refused: Map<PartitionIndex, number>[] = [];
  const places: (number | null)[] = [];
  for (const asked of request.topics) {
    const { topic, codes } = judgeTopic(broker, asked, byId);
    refused.push(codes);
    places.push(topic === null ? null : known.length);
    if (topic !== null) known.push(topic);
  }
  const reply = (codeOf: Judge): void =>
    broker.reply(call, response(request.topics, refused, places, byId, codeOf));
  if (known.length === 0) return reply(() => ErrorCode.NONE);
  const commit = {
    groupId: request.groupId,
    generation: request.generationIdOrMemberEpoch,
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    retentionMs: request.retentionTimeMs,
    knowsGroupIdNotFound: call.version >= groupIdNotFoundSince,
    topics: known,
  };
  broker.groups.ask(
    request.groupId,
    (shard, turn) => shard.commit(turn, commit),
    (code, codes) => reply((topic, partition) => codes?.[topic]?.[partition] ?? code),
  );
}

/** The partitions of the topic that exist, or null; and why the others are refused. */
function judgeTopic(
  broker: Broker,
  asked: TopicAsked,
  byId: boolean,
): { readonly topic: CommitTopic | null; readonly codes: Map<PartitionIndex, number> } {
  const found = byId ? broker.image.topicById(asked.topicId) : broker.image.topicByName(asked.name);
  const codes = new Map<PartitionIndex, number>();
  const unknownTopic = byId ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  const partitions: CommitTopic["partitions"][number][] = [];
  for (const each of asked.partitions) {
    if (found === undefined) codes.set(each.partitionIndex, unknownTopic);
    else if (found.slotOf(each.partitionIndex) === undefined) {
      codes.set(each.partitionIndex, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    } else {
      partitions.push({
        partition: each.partitionIndex,
        offset: each.committedOffset,
        leaderEpoch: each.committedLeaderEpoch,
        metadata: each.committedMetadata,
      });
    }
  }
  const topic =
    found === undefined || partitions.length === 0
      ? null
      : { name: found.name, topicId: found.id, partitions };
  return { topic, codes };
}

function response(
  topics: readonly TopicAsked[],
  refused: readonly Map<PartitionIndex, number>[],
  places: readonly (number | null)[],
  byId: boolean,
  codeOf: Judge,
): OffsetCommitResponse {
  return {
    throttleTimeMs: 0,
    topics: topics.map((asked, at) => {
      const place = places[at] ?? null;
      let next = 0;
      return {
        name: byId ? "" : asked.name,
        topicId: byId ? asked.topicId : noTopicId,
        partitions: asked.partitions.map(({ partitionIndex }) => {
          const code = refused[at]?.get(partitionIndex);
          if (code !== undefined || place === null)
            return { partitionIndex, errorCode: code ?? ErrorCode.NONE };
          next += 1;
          return { partitionIndex, errorCode: codeOf(place, next - 1) };
        }),
      };
    }),
  };
}

export const offsetCommit = entry<OffsetCommitRequest, OffsetCommitResponse>("OffsetCommit", plan);
