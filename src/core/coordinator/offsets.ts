// Committed offsets of a group: commit, fetch, delete, and what expires.
// KIP-211 (offsets live as long as their group, then a retention time), KIP-496 (delete).

import { ErrorCode } from "../base/error_code.ts";
import {
  type LeaderEpoch,
  type None,
  noTopicId,
  type Offset,
  type PartitionIndex,
  type TopicId,
} from "../base/ids.ts";
import { groupsPerShardMax } from "../base/limits.ts";
import type { Group } from "./group.ts";
import { memberOf, memberRefusal } from "./join.ts";
import type { CommittedOffset, GroupRecord } from "./records.ts";
import { touch } from "./rebalance.ts";
import type { ShardState } from "./state.ts";
import type { Turn } from "./turn.ts";

export interface CommitRequest {
  readonly groupId: string;
  /** -1 = not a member. */
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
  /** -1 = as long as the group. */
  readonly retentionMs: number;
  /** The client knows GROUP_ID_NOT_FOUND as an answer to a commit. */
  readonly knowsGroupIdNotFound: boolean;
  readonly topics: readonly CommitTopic[];
}

export interface CommitTopic {
  readonly name: string;
  readonly topicId: TopicId;
  readonly partitions: readonly CommitPartition[];
}

export interface CommitPartition {
  readonly partition: PartitionIndex;
  readonly offset: Offset | None;
  readonly leaderEpoch: LeaderEpoch | None;
  readonly metadata: string | null;
}

/** Largest time that a record keeps; hostile retention times end here. */
const timeMax = Number.MAX_SAFE_INTEGER;

/** Kafka's code for each partition of each topic, in the order asked. */
export function planCommit(
  state: ShardState,
  turn: Turn,
  request: CommitRequest,
): readonly (readonly number[])[] {
  const code = commitRefusal(state, turn, request);
  const expireTimestamp =
    request.retentionMs === -1 ? -1 : Math.min(turn.wall + request.retentionMs, timeMax);
  return request.topics.map((topic) =>
    topic.partitions.map((each) => {
      if (code !== ErrorCode.NONE) return code;
      const metadata = each.metadata ?? "";
      if (metadata.length > state.settings.offsetMetadataMax)
        return ErrorCode.OFFSET_METADATA_TOO_LARGE;
      turn.records.push({
        kind: "offset-commit",
        group: request.groupId,
        topic: topic.name,
        partition: each.partition,
        value: {
          offset: each.offset,
          leaderEpoch: each.leaderEpoch,
          metadata,
          commitTimestamp: turn.wall,
          expireTimestamp,
          topicId: topic.topicId,
        },
      });
      return ErrorCode.NONE;
    }),
  );
}

/** Members commit in their generation; anybody may commit to a group that has no members. */
function commitRefusal(state: ShardState, turn: Turn, request: CommitRequest): number {
  const { generation, memberId, instanceId } = request;
  const group = state.groups.get(request.groupId);
  if (group === undefined) {
    if (generation < 0)
      return state.groups.size < groupsPerShardMax
        ? ErrorCode.NONE
        : ErrorCode.COORDINATOR_NOT_AVAILABLE;
    return request.knowsGroupIdNotFound
      ? ErrorCode.GROUP_ID_NOT_FOUND
      : ErrorCode.ILLEGAL_GENERATION;
  }
  if (generation < 0 && group.state === "Empty") return ErrorCode.NONE;
  if (generation < 0 && memberId === "" && instanceId === null) return ErrorCode.UNKNOWN_MEMBER_ID;
  const code = memberRefusal(group, memberId, instanceId);
  if (code !== ErrorCode.NONE) return code;
  if (generation !== group.generation) return ErrorCode.ILLEGAL_GENERATION;
  if (group.state === "CompletingRebalance") return ErrorCode.REBALANCE_IN_PROGRESS;
  touch(state, turn, memberOf(group, memberId));
  return ErrorCode.NONE;
}

/** The offset committed for a partition of the topic with this id, or null. */
export function committedOf(
  state: ShardState,
  groupId: string,
  topic: string,
  topicId: TopicId,
  partition: PartitionIndex,
): CommittedOffset | null {
  const found = state.groups.get(groupId)?.offsets.get(topic)?.get(partition);
  if (found === undefined) return null;
  // The topic was deleted and created again: what was committed belongs to the old one.
  const other = found.topicId !== noTopicId && topicId !== noTopicId && found.topicId !== topicId;
  return other ? null : found;
}

export interface OffsetDeleteRequest {
  readonly groupId: string;
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly PartitionIndex[];
  }[];
}

/** Code of the whole request, and where that is 0 one code per topic. */
export interface OffsetDeleteAnswer {
  readonly code: number;
  readonly codes: readonly number[];
}

export function planOffsetDelete(
  state: ShardState,
  turn: Turn,
  request: OffsetDeleteRequest,
): OffsetDeleteAnswer {
  if (request.groupId === "") return { code: ErrorCode.INVALID_GROUP_ID, codes: [] };
  const group = state.groups.get(request.groupId);
  if (group === undefined) return { code: ErrorCode.GROUP_ID_NOT_FOUND, codes: [] };
  if (group.state !== "Empty" && !group.usesConsumerProtocol())
    return { code: ErrorCode.NON_EMPTY_GROUP, codes: [] };
  const codes = request.topics.map((topic) => {
    if (group.reads(topic.name)) return ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC;
    const committed = group.offsets.get(topic.name);
    for (const partition of topic.partitions) {
      if (committed?.has(partition)) turn.records.push(tombstone(group, topic.name, partition));
    }
    return ErrorCode.NONE;
  });
  return { code: ErrorCode.NONE, codes };
}

/** Tombstones for everything that the group keeps. */
export function forgetOffsets(group: Group, records: GroupRecord[]): void {
  for (const [topic, partitions] of group.offsets) {
    for (const partition of partitions.keys()) records.push(tombstone(group, topic, partition));
  }
}

/** The topic is gone: what any group has committed for it is worthless. */
export function forgetTopic(state: ShardState, turn: Turn, topic: string, topicId: TopicId): void {
  for (const group of state.groups.values()) {
    const partitions = group.offsets.get(topic);
    if (partitions === undefined) continue;
    for (const [partition, committed] of partitions) {
      if (committed.topicId !== noTopicId && committed.topicId !== topicId) continue;
      turn.records.push(tombstone(group, topic, partition));
    }
  }
}

/**
 * Tombstones for what has expired. True when the group has no offsets left after them.
 *
 * A group of members keeps its offsets while it has members, except for topics that they no longer
 * read (consumers of a stable group only: otherwise nobody knows); then the retention time runs from
 * the moment it became empty. Without membership the time runs from each commit.
 */
export function expireOffsets(state: ShardState, turn: Turn, group: Group): boolean {
  if (group.offsets.size === 0) return true;
  const since = retentionStart(group);
  if (since === "never") return false;
  let left = false;
  for (const [topic, partitions] of group.offsets) {
    const read = group.reads(topic);
    for (const [partition, committed] of partitions) {
      const start = since === "commit" ? committed.commitTimestamp : group.stateTimestamp;
      const end =
        committed.expireTimestamp === -1
          ? start + state.settings.offsetsRetentionMs
          : committed.expireTimestamp;
      if (!read && turn.wall >= end) turn.records.push(tombstone(group, topic, partition));
      else left = true;
    }
  }
  return !left;
}

function retentionStart(group: Group): "commit" | "empty" | "never" {
  if (group.protocolType === null) return "commit";
  if (group.state === "Empty") return group.stateTimestamp === -1 ? "commit" : "empty";
  const known =
    group.state === "Stable" && group.usesConsumerProtocol() && group.subscribed !== null;
  return known ? "commit" : "never";
}

function tombstone(group: Group, topic: string, partition: PartitionIndex): GroupRecord {
  return { kind: "offset-tombstone", group: group.id, topic, partition };
}
