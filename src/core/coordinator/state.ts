// What the plans of a shard share: its groups, its alarms and what it was configured with.

import type { Random } from "../base/random.ts";
import type { Alarms } from "./alarms.ts";
import type { AlarmOwner, Group } from "./group.ts";
import type { GroupMetadata } from "./records.ts";
import type { Turn } from "./turn.ts";

export interface GroupSettings {
  /** Kafka: group.min.session.timeout.ms, group.max.session.timeout.ms. */
  readonly sessionTimeoutMsMin: number;
  readonly sessionTimeoutMsMax: number;
  /** Kafka: group.initial.rebalance.delay.ms. */
  readonly initialRebalanceDelayMs: number;
  /** Kafka: group.max.size. */
  readonly groupMembersMax: number;
  /** Kafka: offset.metadata.max.bytes, in UTF-16 units. */
  readonly offsetMetadataMax: number;
  /** Kafka: offsets.retention.minutes. */
  readonly offsetsRetentionMs: number;
  /** Kafka: offsets.retention.check.interval.ms. */
  readonly retentionCheckMs: number;
  /** Bytes of one record; a group whose metadata is larger cannot go on. */
  readonly recordBytesMax: number;
}

/**
 * Topics of a subscription in the consumer protocol; null when the bytes are none. Handed in,
 * because the layout belongs to the clients and the codec to another room.
 */
export type SubscribedTopics = (subscription: Uint8Array) => readonly string[] | null;

export interface ShardState {
  readonly settings: GroupSettings;
  readonly random: Random;
  readonly subscribedTopics: SubscribedTopics;
  readonly alarms: Alarms<AlarmOwner>;
  readonly groups: Map<string, Group>;
}

export function note(
  turn: Turn,
  event: Turn["notes"][number]["event"],
  group: Group,
  reason: string,
): void {
  turn.notes.push({
    event,
    group: group.id,
    generation: group.generation,
    members: group.members.size,
    reason,
  });
}

/** Plans the group's metadata record. */
export function store(turn: Turn, group: Group, value: GroupMetadata): void {
  group.storing = true;
  turn.records.push({ kind: "group-metadata", group: group.id, value });
}

/** Forgets a group of which nothing is left. */
export function forgetVoid(state: ShardState, group: Group): void {
  if (!group.isVoid() || group.state !== "Empty") return;
  group.turnAlarmsOff(state.alarms);
  state.groups.delete(group.id);
}
