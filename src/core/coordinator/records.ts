// What a shard keeps: the typed records that `plan` returns and `apply` takes. The broker writes
// them as Kafka's keys and values of `__consumer_offsets`. A tombstone ends the life of its key.

import type { LeaderEpoch, None, Offset, PartitionIndex, TopicId } from "../base/ids.ts";

/** One committed offset of one group and partition. */
export interface CommittedOffset {
  /** The next offset that the group will read, as the client said it. */
  readonly offset: Offset | None;
  /** Epoch of the last record read; -1 = unknown. */
  readonly leaderEpoch: LeaderEpoch | None;
  readonly metadata: string;
  /** Unix ms. */
  readonly commitTimestamp: number;
  /** Unix ms; -1 = expires with its group (OffsetCommit v2-4 may name a time of its own). */
  readonly expireTimestamp: number;
  /** `noTopicId` where it is not known. */
  readonly topicId: TopicId;
}

export interface MemberMetadata {
  readonly memberId: string;
  /** Null: not a static member. */
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** The member's metadata for the group's protocol. */
  readonly subscription: Uint8Array;
  readonly assignment: Uint8Array;
}

export interface GroupMetadata {
  /** Null: no member has named one yet. */
  readonly protocolType: string | null;
  readonly generation: number;
  /** Null: the group is empty. */
  readonly protocol: string | null;
  /** Null: the group is empty. */
  readonly leader: string | null;
  /** Unix ms of the last change of state; -1 = unknown. */
  readonly stateTimestamp: number;
  readonly members: readonly MemberMetadata[];
}

export type GroupRecord =
  | {
      readonly kind: "offset-commit";
      readonly group: string;
      readonly topic: string;
      readonly partition: PartitionIndex;
      readonly value: CommittedOffset;
    }
  | {
      readonly kind: "offset-tombstone";
      readonly group: string;
      readonly topic: string;
      readonly partition: PartitionIndex;
    }
  | { readonly kind: "group-metadata"; readonly group: string; readonly value: GroupMetadata }
  | { readonly kind: "group-tombstone"; readonly group: string };
