// The records of a shard as Kafka's keys and values of `__consumer_offsets`, in the versions that
// Kafka 4.4 writes, and back from all versions that Kafka has written.

import {
  GroupMetadataKey,
  GroupMetadataValue,
  OffsetCommitKey,
  OffsetCommitValue,
} from "../../../proto/records/consumer_offsets.ts";
import { ConsumerProtocolSubscription } from "../../../proto/records/consumer_protocol.ts";
import { decodeMessage, decodeVersioned, encodeVersioned, versionOf } from "../../wire/codec.ts";
import type { NewRecord, StoredRecord } from "../../wire/records.ts";
import { type DecodeRefusal, isRefused, refuse } from "../../wire/refusal.ts";
import { assertNever } from "../base/assert.ts";
import type { CommittedOffset, GroupMetadata, GroupRecord } from "../coordinator/coordinator.ts";

const offsetKeyVersion = 1;
const groupKeyVersion = 2;
/** With the topic id, but without an expiry of its own, which only version 1 has. */
const offsetValueVersion = 4;
const expiringOffsetValueVersion = 1;
/** The newest that is not flexible: what Kafka writes. */
const groupValueVersion = 3;

/** `wall`: Unix ms, the record's timestamp. */
export function encodeGroupRecord(record: GroupRecord, wall: number): NewRecord {
  switch (record.kind) {
    case "offset-commit":
      return { key: offsetKey(record), value: offsetValue(record.value), timestamp: wall };
    case "offset-tombstone":
      return { key: offsetKey(record), value: null, timestamp: wall };
    case "group-metadata":
      return { key: groupKey(record.group), value: groupValue(record.value), timestamp: wall };
    case "group-tombstone":
      return { key: groupKey(record.group), value: null, timestamp: wall };
    default:
      return assertNever(record);
  }
}

function offsetKey(record: Extract<GroupRecord, { readonly topic: string }>): Uint8Array {
  const { group, topic, partition } = record;
  return encodeVersioned(OffsetCommitKey, offsetKeyVersion, { group, topic, partition });
}

function groupKey(group: string): Uint8Array {
  return encodeVersioned(GroupMetadataKey, groupKeyVersion, { group });
}

function offsetValue(value: CommittedOffset): Uint8Array {
  const expires = value.expireTimestamp !== -1;
  return encodeVersioned(
    OffsetCommitValue,
    expires ? expiringOffsetValueVersion : offsetValueVersion,
    value,
  );
}

function groupValue(value: GroupMetadata): Uint8Array {
  return encodeVersioned(GroupMetadataValue, groupValueVersion, {
    protocolType: value.protocolType ?? "",
    generation: value.generation,
    protocol: value.protocol,
    leader: value.leader,
    currentStateTimestamp: value.stateTimestamp,
    members: value.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeout: member.rebalanceTimeoutMs,
      sessionTimeout: member.sessionTimeoutMs,
      subscription: member.subscription,
      assignment: member.assignment,
    })),
  });
}

/**
 * Null: a record of another kind (groups of the newer protocols). Refused: malformed, or of a version
 * to come; to pass it over would lose what it says. What is kept of it is copied.
 */
export function decodeGroupRecord({
  key,
  value,
}: StoredRecord): GroupRecord | null | DecodeRefusal {
  if (key === null) return null;
  const version = versionOf(key);
  if (version === -1) return refuse("truncated");
  if (version === 0 || version === offsetKeyVersion) return decodeOffset(key, value);
  if (version === groupKeyVersion) return decodeGroup(key, value);
  return null;
}

function decodeOffset(key: Uint8Array, bytes: Uint8Array | null): GroupRecord | DecodeRefusal {
  const at = decodeVersioned(OffsetCommitKey, key);
  if (isRefused(at)) return at;
  if (bytes === null) return { kind: "offset-tombstone", ...at };
  const value = decodeVersioned(OffsetCommitValue, bytes);
  return isRefused(value) ? value : { kind: "offset-commit", ...at, value };
}

function decodeGroup(key: Uint8Array, bytes: Uint8Array | null): GroupRecord | DecodeRefusal {
  const at = decodeVersioned(GroupMetadataKey, key);
  if (isRefused(at)) return at;
  if (bytes === null) return { kind: "group-tombstone", group: at.group };
  const value = decodeVersioned(GroupMetadataValue, bytes);
  if (isRefused(value)) return value;
  const metadata: GroupMetadata = {
    protocolType: value.protocolType === "" ? null : value.protocolType,
    generation: value.generation,
    protocol: value.protocol,
    leader: value.leader,
    stateTimestamp: value.currentStateTimestamp,
    members: value.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs:
        member.rebalanceTimeout === -1 ? member.sessionTimeout : member.rebalanceTimeout,
      sessionTimeoutMs: member.sessionTimeout,
      subscription: member.subscription.slice(),
      assignment: member.assignment.slice(),
    })),
  };
  return { kind: "group-metadata", group: at.group, value: metadata };
}

/**
 * Topics of a subscription in the consumer protocol; null when the bytes are none. Every version
 * begins with the fields of version 0, so newer ones are read as that.
 */
export function subscribedTopics(subscription: Uint8Array): readonly string[] | null {
  const version = versionOf(subscription);
  if (version < 0 || version > 0x7fff) return null;
  const decoded = decodeMessage(ConsumerProtocolSubscription, 0, subscription, 2);
  return isRefused(decoded) ? null : decoded.topics;
}
