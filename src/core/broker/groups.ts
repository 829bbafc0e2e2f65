// The group coordinator of this node: which shard keeps a group, the topic that keeps the shards, and
// the ticks that make silent members late. The API files bring requests here and get answers back.
//
// `__consumer_offsets` is created when a client first looks for a coordinator. Shards are loaded when
// they are touched, and one after the other in the background, so that members and offsets expire
// after a restart although nobody asks for their group.

import { assert } from "../base/assert.ts";
import { ErrorCode } from "../base/error_code.ts";
import { type PartitionIndex, partitionIndex, type Slot } from "../base/ids.ts";
import { groupMetadataBytesMax, groupRequestsParkedMax } from "../base/limits.ts";
import { Random } from "../base/random.ts";
import type { Topic } from "../cluster/cluster.ts";
import {
  type GroupSettings,
  type Settled,
  type Shard,
  shardOf,
  type Turn,
  Waiter,
} from "../coordinator/coordinator.ts";
import type { Broker } from "./broker.ts";
import { GroupLog } from "./group_log.ts";

export const groupsTopic = "__consumer_offsets";

type Plan = (shard: Shard, turn: Turn) => void;

const shownTextMax = 255;
/** A stream of randomness of its own: member ids. */
const randomConcern = 2;

export class Groups {
  readonly #broker: Broker;
  readonly #random: Random;
  /** By partition of the topic; filled when it is first seen. */
  #logs: GroupLog[] = [];
  /** Who waits for the topic; null = nobody has asked for it. */
  #creating: ((code: number) => void)[] | null = null;

  constructor(broker: Broker) {
    this.#broker = broker;
    this.#random = new Random(broker.settings.seed, randomConcern);
  }

  /** Runs `then` with 0 once the topic exists (at once when it does), or with Kafka's code. */
  whenTopicExists(then: (code: number) => void): void {
    const broker = this.#broker;
    if (broker.image.topicByName(groupsTopic) !== undefined) return then(ErrorCode.NONE);
    if (this.#creating !== null) {
      if (this.#creating.length >= groupRequestsParkedMax)
        return then(ErrorCode.COORDINATOR_NOT_AVAILABLE);
      this.#creating.push(then);
      return;
    }
    this.#creating = [then];
    const topic = {
      name: groupsTopic,
      partitions: broker.image.configs.brokerNumber("offsets.topic.num.partitions"),
      replicationFactor: broker.image.configs.brokerNumber("offsets.topic.replication.factor"),
      assignments: [],
      configs: [
        { name: "cleanup.policy", value: "compact" },
        { name: "compression.type", value: "producer" },
      ],
      internal: true,
    };
    broker.propose({ kind: "create-topics", topics: [topic], validateOnly: false }, (outcome) => {
      const waiting = this.#creating ?? [];
      this.#creating = null;
      const exists = broker.image.topicByName(groupsTopic) !== undefined;
      if (!exists) {
        const verdict = outcome.kind === "refused" ? outcome.verdict : outcome.topics[0];
        broker.effects.log("warn", "groups-topic-refused", {
          code: verdict?.code ?? 0,
          reason: verdict?.message ?? "",
        });
      }
      for (const each of waiting)
        each(exists ? ErrorCode.NONE : ErrorCode.COORDINATOR_NOT_AVAILABLE);
    });
  }

  /** Slot of the partition that keeps the group; undefined while the topic does not exist. */
  slotOf(groupId: string): Slot | undefined {
    const topic = this.#broker.image.topicByName(groupsTopic);
    return topic?.slotOf(shardOf(groupId, topic.slots.length));
  }

  /** Runs the plan in the shard of the group. The waiter is settled once, whatever happens. */
  run(groupId: string, waiter: Settled, plan: Plan): void {
    const log = this.#logOf(groupId);
    if (log === undefined) return waiter.settle(ErrorCode.NOT_COORDINATOR);
    log.run(waiter, plan);
  }

  /** Runs a plan that answers in its own turn. */
  ask<R>(
    groupId: string,
    plan: (shard: Shard, turn: Turn) => R,
    done: (code: number, answer: R | null) => void,
  ): void {
    const waiter = new Waiter<R>(done);
    this.run(groupId, waiter, (shard, turn) => turn.reply(waiter, plan(shard, turn)));
  }

  /** The same in every shard of this node. Code: that of a shard that could not answer, or 0. */
  askAll<R>(plan: (shard: Shard) => R, done: (code: number, answers: readonly R[]) => void): void {
    const answers: R[] = [];
    let failed: number = ErrorCode.NONE;
    const logs = this.#allLogs();
    const finished = countdown(logs.length, () => done(failed, answers));
    for (const log of logs) {
      const waiter = new Waiter<R>((code, answer) => {
        if (answer !== null) answers.push(answer);
        // A shard that is elsewhere answers there.
        else if (code !== ErrorCode.NOT_COORDINATOR) failed = code;
        finished();
      });
      log.run(waiter, (shard, turn) => turn.reply(waiter, plan(shard)));
    }
  }

  tick(now: number): void {
    let loading = false;
    let next: GroupLog | undefined;
    for (const log of this.#allLogs()) {
      log.tick();
      if (log.isLoading) loading = true;
      else if (!log.isLoaded) next ??= log;
    }
    if (!loading) next?.loadInBackground(now);
  }

  /** What groups have committed for the topic is worthless now. */
  topicDeleted(topic: Topic): void {
    for (const log of this.#logs)
      log.tell((shard, turn) => shard.topicDeleted(turn, topic.name, topic.id));
  }

  #logOf(groupId: string): GroupLog | undefined {
    const logs = this.#allLogs();
    return logs.length === 0 ? undefined : logs[shardOf(groupId, logs.length)];
  }

  #allLogs(): readonly GroupLog[] {
    const topic = this.#broker.image.topicByName(groupsTopic);
    if (topic === undefined) return [];
    while (this.#logs.length < topic.slots.length) {
      const partition = partitionIndex(this.#logs.length);
      this.#logs.push(this.#newLog(topic, partition));
    }
    return this.#logs;
  }

  #newLog(topic: Topic, partition: PartitionIndex): GroupLog {
    const slot = topic.slotOf(partition);
    assert(slot !== undefined, "a partition of the topic has a slot");
    return new GroupLog(
      this.#broker,
      { slot, topic: topic.id, partition },
      () => this.#settings(),
      this.#random,
    );
  }

  #settings(): GroupSettings {
    const configs = this.#broker.image.configs;
    return {
      sessionTimeoutMsMin: configs.brokerNumber("group.min.session.timeout.ms"),
      sessionTimeoutMsMax: configs.brokerNumber("group.max.session.timeout.ms"),
      initialRebalanceDelayMs: Math.max(
        configs.brokerNumber("group.initial.rebalance.delay.ms"),
        0,
      ),
      groupMembersMax: configs.brokerNumber("group.max.size"),
      offsetMetadataMax: configs.brokerNumber("offset.metadata.max.bytes"),
      offsetsRetentionMs: configs.brokerNumber("offsets.retention.minutes") * 60_000,
      retentionCheckMs: configs.brokerNumber("offsets.retention.check.interval.ms"),
      recordBytesMax: groupMetadataBytesMax,
    };
  }
}

/** A group id in a sentence: cut short, so that the sentence fits in a string of Kafka's. */
export function shownGroupId(groupId: string): string {
  return groupId.length <= shownTextMax
    ? groupId
    : `${groupId.slice(0, shownTextMax).toWellFormed()}...`;
}

/** A client's reason for the log, in the length that Kafka's clients keep to. */
export function shownReason(reason: string | null): string {
  return (reason ?? "").slice(0, shownTextMax).toWellFormed();
}

/** Calls `done` after as many calls of what it returns; at once when there is nothing to wait for. */
export function countdown(count: number, done: () => void): () => void {
  let left = count;
  if (left === 0) done();
  return () => {
    left -= 1;
    if (left === 0) done();
  };
}
