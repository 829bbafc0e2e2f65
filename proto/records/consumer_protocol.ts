// What members of a classic group of protocol type "consumer" say to each other through JoinGroup
// and SyncGroup. The bytes are an int16 version and then the message in that version. A reader
// takes a newer version for the newest that it knows, and ignores what follows.

import {
  type MessageOf,
  array,
  bytes,
  int32,
  message,
  partitionIndex,
  string,
  versionMax,
} from "../schema.ts";

/** v1 owned partitions (KIP-429); v2 generation (KIP-792); v3 rack (KIP-881). */
export const ConsumerProtocolSubscription = message("ConsumerProtocolSubscription", {
  versions: [0, 3],
  flexible: versionMax,
  forward: true,
  fields: {
    topics: array(string),
    /** For the assignor; null = nothing. */
    userData: bytes.nullable(),
    /** What the member holds now. */
    ownedPartitions: array({ topic: string, partitions: array(partitionIndex) })
      .since(1)
      .ignorable(),
    /** The generation in which it got them; -1 = none. */
    generationId: int32.since(2).default(-1).ignorable(),
    rackId: string.since(3).nullable(3).ignorable(),
  },
});
export type ConsumerProtocolSubscription = MessageOf<typeof ConsumerProtocolSubscription>;

/** The same layout in all versions. */
export const ConsumerProtocolAssignment = message("ConsumerProtocolAssignment", {
  versions: [0, 3],
  flexible: versionMax,
  forward: true,
  fields: {
    assignedPartitions: array({ topic: string, partitions: array(partitionIndex) }),
    /** From the assignor; null = nothing. */
    userData: bytes.nullable(),
  },
});
export type ConsumerProtocolAssignment = MessageOf<typeof ConsumerProtocolAssignment>;
