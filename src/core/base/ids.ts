// Branded numbers and strings: an offset is not an epoch is not a node id. Arithmetic drops the
// brand, so every sum passes through a named function here.

import { assert } from "./assert.ts";

declare const brand: unique symbol;
export type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Position of a record in a partition: dense, >= 0, below 2^53. */
export type Offset = Branded<number, "Offset">;
/** Kafka's `partitionLeaderEpoch`: int32 on the wire, >= 0. */
export type LeaderEpoch = Branded<number, "LeaderEpoch">;
/** Kafka's broker id: int32, >= 0. */
export type NodeId = Branded<number, "NodeId">;
export type PartitionIndex = Branded<number, "PartitionIndex">;
export type ProducerId = Branded<number, "ProducerId">;
/**
 * Dense number of a partition within one process, never reused while the process lives. It indexes
 * the typed arrays of every room and never leaves the node.
 */
export type Slot = Branded<number, "Slot">;
/** Log position just behind a frame. "Durable up to ticket n" is the only statement about a disk. */
export type Ticket = Branded<number, "Ticket">;
/** Position in the metadata log, >= 1; 0 = nothing applied. */
export type MetadataIndex = Branded<number, "MetadataIndex">;
/**
 * One disk that keeps the metadata log: 16 random bytes as 22 characters of base64url, drawn when
 * the disk is first used and never again (KIP-853 calls it the directory id). A wiped or replaced
 * disk is another member.
 */
export type MemberId = Branded<string, "MemberId">;
/** 16 bytes as 22 characters of base64url, the form that Kafka's tools print. */
export type TopicId = Branded<string, "TopicId">;

/**
 * Producer ids from here on are made of the key of a request, by whoever sends it; below, the cluster
 * hands them out. All lie below 2^53.
 */
export const keyedProducerIdMin = 2 ** 52;

/** Kafka's "none" in offset, epoch, node and producer fields. */
export type None = -1;
export const none: None = -1;

/** The all-zero id: "no topic id" on the wire. */
export const noTopicId = "AAAAAAAAAAAAAAAAAAAAAA" as TopicId; // proof: 16 zero bytes in base64url

export function offset(value: number): Offset {
  assert(Number.isSafeInteger(value), "offset is a safe integer");
  assert(value >= 0, "offset is not negative");
  return value as Offset; // proof: the two lines above
}

export function offsetAdd(start: Offset, count: number): Offset {
  return offset(start + count);
}

export function leaderEpoch(value: number): LeaderEpoch {
  assert(Number.isInteger(value), "leader epoch is an integer");
  assert(value >= 0 && value <= 0x7fffffff, "leader epoch fits int32");
  return value as LeaderEpoch; // proof: the two lines above
}

export function nodeId(value: number): NodeId {
  assert(Number.isInteger(value), "node id is an integer");
  assert(value >= 0 && value <= 0x7fffffff, "node id fits int32");
  return value as NodeId; // proof: the two lines above
}

export function partitionIndex(value: number): PartitionIndex {
  assert(Number.isInteger(value), "partition index is an integer");
  assert(value >= 0 && value <= 0x7fffffff, "partition index fits int32");
  return value as PartitionIndex; // proof: the two lines above
}

export function producerId(value: number): ProducerId {
  assert(Number.isSafeInteger(value), "producer id is a safe integer");
  assert(value >= 0, "producer id is not negative");
  return value as ProducerId; // proof: the two lines above
}

export function slot(value: number): Slot {
  assert(Number.isInteger(value), "slot is an integer");
  assert(value >= 0 && value <= 0x7fffffff, "slot fits int32");
  return value as Slot; // proof: the two lines above
}

export function ticket(value: number): Ticket {
  assert(Number.isSafeInteger(value), "ticket is a safe integer");
  assert(value >= 0, "ticket is not negative");
  return value as Ticket; // proof: the two lines above
}

export function metadataIndex(value: number): MetadataIndex {
  assert(Number.isSafeInteger(value), "metadata index is a safe integer");
  assert(value >= 0, "metadata index is not negative");
  return value as MetadataIndex; // proof: the two lines above
}

/** The caller has checked that `value` is 22 characters of base64url. */
export function topicId(value: string): TopicId {
  assert(value.length === 22, "topic id has 22 characters");
  return value as TopicId; // proof: the line above and the caller
}

/** The caller has drawn it, or read it from where it was kept. */
export function memberId(value: string): MemberId {
  assert(value.length > 0, "a member has a name");
  return value as MemberId; // proof: the line above and the caller
}
