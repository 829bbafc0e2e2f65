// What Kafka's internal topic `__consumer_offsets` keeps: per group the committed offsets, and the
// state of a classic group. A key or value is an int16 version and then the message in that
// version; a key's version also says what the record is. A null value is a tombstone.

import {
  type MessageOf,
  array,
  bytes,
  int32,
  int64,
  leaderEpoch,
  message,
  offset,
  partitionIndex,
  string,
  struct,
  uuid,
  versionMax,
} from "../schema.ts";

/** Key version 0 or 1: a committed offset. Kafka writes 1; 0 stems from versions before 0.8.2. */
export const OffsetCommitKey = message("OffsetCommitKey", {
  versions: [0, 1],
  flexible: versionMax,
  fields: {
    group: string,
    topic: string,
    partition: partitionIndex,
  },
});
export type OffsetCommitKey = MessageOf<typeof OffsetCommitKey>;

/** v1 keeps an expiry of its own; v3 leader epoch; v4 flexible, topic id. */
export const OffsetCommitValue = message("OffsetCommitValue", {
  versions: [0, 4],
  flexible: 4,
  fields: {
    /** The next offset that the group will read. */
    offset,
    /** Epoch of the last record read; -1 = unknown. */
    leaderEpoch: leaderEpoch.since(3).default(-1).ignorable(),
    /** Free text of the client. */
    metadata: string,
    /** Milliseconds since 1970. */
    commitTimestamp: int64,
    /** Milliseconds since 1970; -1 = expires with its group. */
    expireTimestamp: int64.since(1).until(1).default(-1).ignorable(),
    topicId: uuid.since(4).tag(0).ignorable(),
  },
});
export type OffsetCommitValue = MessageOf<typeof OffsetCommitValue>;

/** Key version 2: the state of a classic group. */
export const GroupMetadataKey = message("GroupMetadataKey", {
  versions: [2, 2],
  flexible: versionMax,
  fields: {
    group: string,
  },
});
export type GroupMetadataKey = MessageOf<typeof GroupMetadataKey>;

const member = struct({
  memberId: string,
  /** Null: not a static member. */
  groupInstanceId: string.since(3).nullable(3).ignorable(),
  clientId: string,
  clientHost: string,
  /** Milliseconds; -1 = as the session timeout. */
  rebalanceTimeout: int32.since(1).default(-1).ignorable(),
  /** Milliseconds. */
  sessionTimeout: int32,
  /** The member's metadata for the protocol chosen. */
  subscription: bytes,
  assignment: bytes,
});

/** v1 rebalance timeout; v2 time of the last change; v3 static members; v4 flexible. */
export const GroupMetadataValue = message("GroupMetadataValue", {
  versions: [0, 4],
  flexible: 4,
  fields: {
    /** Empty: the group only keeps offsets. */
    protocolType: string,
    generation: int32,
    /** Null: the group is empty. */
    protocol: string.nullable(),
    /** Member id; null: the group is empty. */
    leader: string.nullable(),
    /** Milliseconds since 1970; -1 = unknown. */
    currentStateTimestamp: int64.since(2).default(-1).ignorable(),
    members: array(member),
  },
});
export type GroupMetadataValue = MessageOf<typeof GroupMetadataValue>;
