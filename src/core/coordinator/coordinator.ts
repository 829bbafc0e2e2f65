// Classic consumer groups: which member reads which partition, and how far the group has read.
// Groups are spread over the partitions of `__consumer_offsets`; a `Shard` is the machine of one of
// them. It is pure: time comes in with each turn, randomness from a seed.
//
// A plan (`join`, `commit`, ...) decides. It changes only what may be lost (who waits, alarms, the
// picture of a rebalance under way) and leaves records and answers in the turn. `apply` alone changes
// what is durable: committed offsets and the last metadata record of each group. Whoever carries a
// turn out appends its records, applies them at once, and lets the answers out when all records up to
// there are committed. When an append fails, the shard is dropped and built again from the log.
//
// Building again: `apply` every record from the log start to the end, then `loaded`. Members found
// there are alive for one more session timeout.
//
// Invariants: the list of each group (group.ts); after `apply` of everything in the log, the durable
// part of a shard equals that of the shard that wrote it; a group that has nothing durable, no member
// and no member id given out is forgotten.

import { assert, assertNever } from "../base/assert.ts";
import type { PartitionIndex, TopicId } from "../base/ids.ts";
import { retentionOffsetsPerTick } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import { Alarms } from "./alarms.ts";
import { type AlarmOwner, Group, type JoinAnswer, Member, type SyncAnswer } from "./group.ts";
import {
  type DescribedGroup,
  describeGroup,
  type ListedGroup,
  listGroups,
  planDelete,
  removeGroup,
} from "./inspection.ts";
import { type JoinRequest, planJoin } from "./join.ts";
import {
  type HeartbeatRequest,
  type LeaveAnswer,
  type LeaveRequest,
  planHeartbeat,
  planLeave,
  planSync,
  type SyncRequest,
} from "./membership.ts";
import {
  type CommitRequest,
  committedOf,
  expireOffsets,
  forgetTopic,
  type OffsetDeleteAnswer,
  type OffsetDeleteRequest,
  planCommit,
  planOffsetDelete,
} from "./offsets.ts";
import { alarmRang, startRebalance, subscribedTopicsOf, touch } from "./rebalance.ts";
import type { CommittedOffset, GroupMetadata, GroupRecord } from "./records.ts";
import {
  forgetVoid,
  type GroupSettings,
  note,
  type ShardState,
  type SubscribedTopics,
} from "./state.ts";
import type { Turn, Waiter } from "./turn.ts";

export type { GroupState, JoinAnswer, JoinedMember, Protocol, SyncAnswer } from "./group.ts";
export type { DescribedGroup, DescribedMember, ListedGroup } from "./inspection.ts";
export type { JoinRequest } from "./join.ts";
export type {
  HeartbeatRequest,
  LeaveAnswer,
  LeaveRequest,
  LeavingMember,
  SyncRequest,
} from "./membership.ts";
export type {
  CommitPartition,
  CommitRequest,
  CommitTopic,
  OffsetDeleteAnswer,
  OffsetDeleteRequest,
} from "./offsets.ts";
export type { CommittedOffset, GroupMetadata, GroupRecord, MemberMetadata } from "./records.ts";
export type { GroupSettings, SubscribedTopics } from "./state.ts";
export { type Note, type Settled, Turn, Waiter } from "./turn.ts";

/** Partition of `__consumer_offsets` that keeps a group: Java's String.hashCode, made positive. */
export function shardOf(groupId: string, partitions: number): number {
  assert(partitions > 0, "there is a partition to choose");
  let hash = 0;
  for (let at = 0; at < groupId.length; at += 1)
    hash = (Math.imul(hash, 31) + groupId.charCodeAt(at)) | 0;
  // The one hash without a positive twin counts as 0.
  return (hash === -0x80000000 ? 0 : Math.abs(hash)) % partitions;
}

export class Shard {
  readonly #state: ShardState;
  #loaded = false;
  /** Monotonic ms of the next look for expired offsets. */
  #nextSweep = Number.POSITIVE_INFINITY;
  /** The sweep under way: the groups not looked at yet. */
  #sweep: Iterator<Group> | null = null;

  constructor(settings: GroupSettings, random: Random, subscribedTopics: SubscribedTopics) {
    this.#state = {
      settings,
      random,
      subscribedTopics,
      alarms: new Alarms<AlarmOwner>(),
      groups: new Map(),
    };
  }

  /** The only thing that changes what is durable. Records come in the order of the log. */
  apply(record: GroupRecord): void {
    switch (record.kind) {
      case "offset-commit":
        return this.#keep(record.group, record.topic, record.partition, record.value);
      case "offset-tombstone":
        return this.#forgetOffset(record.group, record.topic, record.partition);
      case "group-metadata": {
        const group = this.#groupOf(record.group);
        group.stored = record.value;
        group.storing = false;
        return;
      }
      case "group-tombstone": {
        const group = this.#state.groups.get(record.group);
        if (group === undefined) return;
        group.stored = null;
        forgetVoid(this.#state, group);
        return;
      }
      default:
        assertNever(record);
    }
  }

  /** The log has been applied to its end: the groups come to life. */
  loaded(turn: Turn): void {
    assert(!this.#loaded, "a shard is loaded once");
    this.#loaded = true;
    this.#nextSweep = turn.now + this.#state.settings.retentionCheckMs;
    for (const group of this.#state.groups.values()) {
      if (group.stored !== null) this.#revive(turn, group, group.stored);
    }
  }

  join(turn: Turn, waiter: Waiter<JoinAnswer>, request: JoinRequest): void {
    assert(this.#loaded, "plans come after the load");
    planJoin(this.#state, turn, waiter, request);
  }

  sync(turn: Turn, waiter: Waiter<SyncAnswer>, request: SyncRequest): void {
    assert(this.#loaded, "plans come after the load");
    planSync(this.#state, turn, waiter, request);
  }

  heartbeat(turn: Turn, request: HeartbeatRequest): number {
    return planHeartbeat(this.#state, turn, request);
  }

  leave(turn: Turn, request: LeaveRequest): LeaveAnswer {
    return planLeave(this.#state, turn, request);
  }

  /** Kafka's code for each partition of each topic, in the order asked. */
  commit(turn: Turn, request: CommitRequest): readonly (readonly number[])[] {
    assert(this.#loaded, "plans come after the load");
    return planCommit(this.#state, turn, request);
  }

  /** What is committed for a partition of the topic with this id; null = nothing. */
  committed(
    groupId: string,
    topic: string,
    topicId: TopicId,
    partition: PartitionIndex,
  ): CommittedOffset | null {
    return committedOf(this.#state, groupId, topic, topicId, partition);
  }

  /** Topic -> partition -> offset; empty where the group has none. */
  allCommitted(groupId: string): ReadonlyMap<string, ReadonlyMap<PartitionIndex, CommittedOffset>> {
    return this.#state.groups.get(groupId)?.offsets ?? new Map();
  }

  deleteOffsets(turn: Turn, request: OffsetDeleteRequest): OffsetDeleteAnswer {
    return planOffsetDelete(this.#state, turn, request);
  }

  list(states: ReadonlySet<string>): readonly ListedGroup[] {
    return listGroups(this.#state, states);
  }

  describe(groupId: string): DescribedGroup | null {
    return describeGroup(this.#state, groupId);
  }

  /** Kafka's code. */
  delete(turn: Turn, groupId: string): number {
    assert(this.#loaded, "plans come after the load");
    return planDelete(this.#state, turn, groupId);
  }

  topicDeleted(turn: Turn, topic: string, topicId: TopicId): void {
    forgetTopic(this.#state, turn, topic, topicId);
  }

  /** Whatever is late happens now. */
  tick(turn: Turn): void {
    assert(this.#loaded, "ticks come after the load");
    this.#state.alarms.advance(turn.now, (owner) => alarmRang(this.#state, turn, owner));
  }

  /** True when `sweep` has something to look at. */
  sweepDue(now: number): boolean {
    return this.#sweep !== null || now >= this.#nextSweep;
  }

  /** Looks at some groups for offsets that have expired, and goes on with the next ones when called again. */
  sweep(turn: Turn): void {
    if (this.#sweep === null) {
      this.#sweep = this.#state.groups.values();
      this.#nextSweep = turn.now + this.#state.settings.retentionCheckMs;
    }
    this.#sweepOn(turn, this.#sweep);
  }

  /**
   * Records from which the durable part can be built again, each as it is when it is taken: applying
   * other records in between is allowed, as long as they come behind those already taken.
   */
  *liveRecords(): Generator<GroupRecord> {
    for (const group of this.#state.groups.values()) {
      if (group.stored !== null)
        yield { kind: "group-metadata", group: group.id, value: group.stored };
      for (const [topic, partitions] of group.offsets) {
        for (const [partition, value] of partitions) {
          yield { kind: "offset-commit", group: group.id, topic, partition, value };
        }
      }
    }
  }

  invariants(): void {
    for (const group of this.#state.groups.values()) {
      group.invariants();
      assert(
        !group.isVoid() || group.state !== "Empty",
        "a group of which nothing is left is forgotten",
      );
    }
  }

  #groupOf(id: string): Group {
    let group = this.#state.groups.get(id);
    if (group === undefined) {
      group = new Group(id);
      this.#state.groups.set(id, group);
    }
    return group;
  }

  #keep(groupId: string, topic: string, partition: PartitionIndex, value: CommittedOffset): void {
    const offsets = this.#groupOf(groupId).offsets;
    const partitions = offsets.get(topic);
    if (partitions === undefined) offsets.set(topic, new Map([[partition, value]]));
    else partitions.set(partition, value);
  }

  #forgetOffset(groupId: string, topic: string, partition: PartitionIndex): void {
    const group = this.#state.groups.get(groupId);
    const partitions = group?.offsets.get(topic);
    if (group === undefined || partitions === undefined) return;
    partitions.delete(partition);
    if (partitions.size === 0) group.offsets.delete(topic);
    forgetVoid(this.#state, group);
  }

  /** Members that a record names are alive until their session ends. */
  #revive(turn: Turn, group: Group, stored: GroupMetadata): void {
    group.generation = stored.generation;
    group.protocolType = stored.protocolType;
    group.protocol = stored.protocol;
    group.stateTimestamp = stored.stateTimestamp;
    for (const each of stored.members) {
      const member = new Member(group, {
        id: each.memberId,
        instanceId: each.instanceId,
        clientId: each.clientId,
        clientHost: each.clientHost,
        protocolType: stored.protocolType ?? "",
        rebalanceTimeoutMs: each.rebalanceTimeoutMs,
        sessionTimeoutMs: each.sessionTimeoutMs,
        protocols: [{ name: stored.protocol ?? "", metadata: each.subscription }],
        assignment: each.assignment,
      });
      group.add(member, null);
      touch(this.#state, turn, member);
    }
    if (group.members.size > 0) {
      group.state = "Stable";
      group.protocol ??= "";
    }
    if (stored.leader !== null && group.members.has(stored.leader)) group.leader = stored.leader;
    group.subscribed = subscribedTopicsOf(this.#state, group);
    note(turn, "group-loaded", group, "");
    if (group.members.size > this.#state.settings.groupMembersMax) {
      // The limit is lower than it was: members get a chance to commit before some find no room.
      startRebalance(this.#state, turn, group, "the group has more members than allowed");
    }
  }

  #sweepOn(turn: Turn, groups: Iterator<Group>): void {
    let looked = 0;
    while (looked < retentionOffsetsPerTick) {
      const next = groups.next();
      if (next.done === true) {
        this.#sweep = null;
        return;
      }
      const group = next.value;
      for (const partitions of group.offsets.values()) looked += partitions.size;
      looked += 1;
      const nothingLeft = expireOffsets(this.#state, turn, group);
      if (nothingLeft && group.state === "Empty" && group.pending.size === 0)
        removeGroup(this.#state, turn, group);
    }
  }
}
