// Produce (0), v3-13: judge each batch by its facts, hand out offsets, stage it, and answer when it
// is committed. v0-2 are advertised (old clients look there for compression) and refused.
//
// The order of the checks and their codes are Kafka's (ProduceRequest, ReplicaManager, LogValidator,
// ProducerAppendInfo). A batch is never opened here: what a check needs is in the facts.

import type { ProduceRequest, ProduceResponse } from "../../../proto/kafka/00_produce.ts";
import { Attribute, Codec, Fact, factStride, Flaw } from "../base/facts.ts";
import { ErrorCode } from "../base/error_code.ts";
import { none, noTopicId, type Offset, type PartitionIndex, type Slot } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import type { Topic } from "../cluster/cluster.ts";
import type { Waiting } from "../replication/replication.ts";
import { recordErrorsMax } from "../base/limits.ts";
import { beginsAsCodec } from "../../wire/batch.ts";
import { keylessRecords } from "../../wire/records.ts";
import { type Broker, entry } from "./broker.ts";

/** Topics are named by id from this version on (KIP-516). */
const topicIdsSince = 13;
/** zstd may be sent from this version on (KIP-110). */
const zstdSince = 7;

type PartitionResult = Mutable<ProduceResponse["topics"][number]["partitions"][number]>;
type TopicResult = ProduceResponse["topics"][number];
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const noLeaderHint = { leaderId: none, leaderEpoch: none } as const;
const noRecordErrors: PartitionResult["recordErrors"] = [];

/** One request on its way to the disk: answered when its last batch is committed. */
class PendingProduce implements Waiting {
  readonly topics: TopicResult[] = [];
  #broker: Broker;
  #call: Call<ProduceRequest, ProduceResponse>;
  /** Batches that are not committed yet, and one for the planning itself. */
  #open = 1;

  constructor(broker: Broker, call: Call<ProduceRequest, ProduceResponse>) {
    this.#broker = broker;
    this.#call = call;
  }

  get request(): ProduceRequest {
    return this.#call.request;
  }
  get version(): number {
    return this.#call.version;
  }
  get expectedEnd(): Offset | undefined {
    return this.#call.expectedEnd;
  }

  waits(): void {
    this.#open += 1;
  }

  committed(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    if (this.request.acks !== 0) {
      this.#broker.reply(this.#call, { topics: this.topics, throttleTimeMs: 0, nodeEndpoints: [] });
      return;
    }
    // acks=0 has no answer; the only way to tell of an error is to close the connection.
    if (this.#failed())
      this.#broker.effects.close(this.#call.connection, "produce with acks=0 failed");
    else this.#broker.effects.reply(this.#call, null);
  }

  #failed(): boolean {
    return this.topics.some((topic) => topic.partitions.some((p) => p.errorCode !== 0));
  }
}

function plan(broker: Broker, call: Call<ProduceRequest, ProduceResponse>): void {
  const request = call.request;
  const byId = call.version >= topicIdsSince;
  const pending = new PendingProduce(broker, call);
  let at = 0;
  for (const named of request.topics) {
    const topic = byId
      ? broker.image.topicById(named.topicId)
      : broker.image.topicByName(named.name);
    const partitions: PartitionResult[] = [];
    for (const { index, records } of named.partitions) {
      const result = newResult(index);
      partitions.push(result);
      const factsAt = at;
      if (records !== null) at += factStride;
      if (topic === undefined) {
        result.errorCode = byId ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
        continue;
      }
      planPartition(broker, pending, topic, result, records, call.facts, factsAt);
    }
    pending.topics.push({
      name: named.name,
      topicId: byId ? named.topicId : noTopicId,
      partitions,
    });
  }
  pending.committed();
}

function newResult(index: PartitionIndex): PartitionResult {
  return {
    index,
    errorCode: ErrorCode.NONE,
    baseOffset: none,
    logAppendTimeMs: -1,
    logStartOffset: none,
    recordErrors: noRecordErrors,
    errorMessage: null,
    currentLeader: noLeaderHint,
  };
}

function planPartition(
  broker: Broker,
  pending: PendingProduce,
  topic: Topic,
  result: PartitionResult,
  records: Uint8Array | null,
  facts: Float64Array,
  at: number,
): void {
  const slot = topic.slots[result.index];
  if (slot === undefined) return refuse(result, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, null);
  if (!judgeRequest(pending, topic, result, records, facts, at)) return;
  if (records === null) return;
  if (!judgeBatch(broker, topic, result, records, facts, at)) return;
  const known = slot as Slot; // proof: slots of the image
  const idempotent = (facts[at + Fact.producerId] ?? -1) >= 0;
  if (broker.partitions.isOpen(known) && broker.producers.ready(known, idempotent)) {
    return appendBatch(broker, pending, topic, known, result, records, facts, at);
  }
  // First touch: the batch outlives the step, so it and its facts are copied. Later requests for
  // the partition queue behind it and keep their order.
  const batch = new Uint8Array(records); // a copy; `slice` of a Buffer would not be one
  const kept = facts.slice(at, at + factStride);
  pending.waits();
  broker.producers.whenReady(known, idempotent, (code) => {
    if (code !== ErrorCode.NONE) refuse(result, code, "the partition could not be loaded");
    else appendBatch(broker, pending, topic, known, result, batch, kept, 0);
    pending.committed();
  });
}

function refuse(result: PartitionResult, code: number, message: string | null): void {
  result.errorCode = code;
  result.errorMessage = message;
}

/** The "no" of a check. */
function refused(result: PartitionResult, code: number, message: string | null): false {
  refuse(result, code, message);
  return false;
}

/** Checks that come before the log: presence, magic, codec by version, acks, internal topics. */
function judgeRequest(
  pending: PendingProduce,
  topic: Topic,
  result: PartitionResult,
  records: Uint8Array | null,
  facts: Float64Array,
  at: number,
): boolean {
  const { request, version } = pending;
  if (records === null || records.byteLength === 0) {
    return refused(
      result,
      ErrorCode.INVALID_RECORD,
      "a produce request needs exactly one record batch per partition",
    );
  }
  const flaws = facts[at + Fact.flaws] ?? 0;
  const attributes = facts[at + Fact.attributes] ?? 0;
  if ((flaws & Flaw.magic) !== 0) {
    return refused(result, ErrorCode.INVALID_RECORD, "only record batches of magic 2 are accepted");
  }
  if ((flaws & Flaw.severalBatches) !== 0) {
    return refused(
      result,
      ErrorCode.INVALID_RECORD,
      "a produce request needs exactly one record batch per partition",
    );
  }
  if ((attributes & Attribute.codecMask) === Codec.zstd && version < zstdSince) {
    return refused(
      result,
      ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
      "zstd needs Produce v7 or newer",
    );
  }
  if ((attributes & Attribute.transactional) !== 0) {
    const code =
      request.transactionalId === null
        ? ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        : ErrorCode.INVALID_TXN_STATE;
    return refused(result, code, "the partition is not part of a transaction");
  }
  if (request.acks !== -1 && request.acks !== 0 && request.acks !== 1) {
    return refused(result, ErrorCode.INVALID_REQUIRED_ACKS, null);
  }
  if (topic.internal) {
    return refused(
      result,
      ErrorCode.INVALID_TOPIC_EXCEPTION,
      "internal topics are written by the node itself",
    );
  }
  if (request.acks === -1 && topic.minInsyncReplicas > 1) {
    return refused(
      result,
      ErrorCode.NOT_ENOUGH_REPLICAS,
      "min.insync.replicas asks for more copies than there are nodes",
    );
  }
  return true;
}

/** Checks of the batch itself, against its facts and the configuration of its topic. */
function judgeBatch(
  broker: Broker,
  topic: Topic,
  result: PartitionResult,
  batch: Uint8Array,
  facts: Float64Array,
  at: number,
): boolean {
  const flaws = facts[at + Fact.flaws] ?? 0;
  const bytes = facts[at + Fact.bytes] ?? 0;
  const attributes = facts[at + Fact.attributes] ?? 0;
  const count = facts[at + Fact.recordsCount] ?? 0;
  const invalid = ErrorCode.INVALID_RECORD;
  if ((flaws & Flaw.size) !== 0) {
    return refused(result, ErrorCode.CORRUPT_MESSAGE, "the length of the record batch is wrong");
  }
  if ((facts[at + Fact.baseOffset] ?? 0) !== 0 && (flaws & Flaw.crc) === 0) {
    return refused(result, invalid, "the base offset of a produced batch is 0");
  }
  if (bytes > topic.maxMessageBytes) {
    return refused(
      result,
      ErrorCode.MESSAGE_TOO_LARGE,
      `the record batch is larger than max.message.bytes (${topic.maxMessageBytes})`,
    );
  }
  if ((flaws & Flaw.crc) !== 0) {
    return refused(result, ErrorCode.CORRUPT_MESSAGE, "the CRC-32C of the record batch is wrong");
  }
  if ((attributes & Attribute.codecMask) > Codec.zstd) {
    return refused(result, invalid, "unknown compression codec");
  }
  if (!beginsAsCodec(batch, 0, bytes)) {
    return refused(result, invalid, "the records are not compressed with the codec of the batch");
  }
  if (count <= 0 || (facts[at + Fact.lastOffsetDelta] ?? 0) !== count - 1) {
    return refused(result, invalid, "record count and last offset delta disagree");
  }
  if ((attributes & Attribute.control) !== 0) {
    return refused(result, invalid, "clients may not write control batches");
  }
  if ((facts[at + Fact.producerId] ?? -1) >= 0 && (facts[at + Fact.baseSequence] ?? -1) < 0) {
    return refused(result, invalid, "a batch with a producer id needs a base sequence");
  }
  return judgeRecords(broker, topic, result, batch, facts, at);
}

function judgeRecords(
  broker: Broker,
  topic: Topic,
  result: PartitionResult,
  batch: Uint8Array,
  facts: Float64Array,
  at: number,
): boolean {
  const flaws = facts[at + Fact.flaws] ?? 0;
  const attributes = facts[at + Fact.attributes] ?? 0;
  if ((flaws & (Flaw.records | Flaw.recordAttributes)) !== 0) {
    const index = Math.max(0, facts[at + Fact.firstBadRecord] ?? 0);
    const message = "the record is malformed, or offset deltas are not consecutive";
    refuse(result, ErrorCode.INVALID_RECORD, "one or more records have been rejected");
    result.recordErrors = [{ batchIndex: index, message }];
    return false;
  }
  if ((attributes & Attribute.logAppendTime) !== 0) {
    return refused(
      result,
      ErrorCode.INVALID_TIMESTAMP,
      "a producer may not set the timestamp type LogAppendTime",
    );
  }
  if ((flaws & Flaw.unsafeInt64) !== 0) {
    return refused(
      result,
      ErrorCode.INVALID_TIMESTAMP,
      "a timestamp or producer id is outside the range of the node",
    );
  }
  const keyless = facts[at + Fact.firstWithoutKey] ?? -1;
  if (topic.compacts && keyless >= 0) {
    refuse(result, ErrorCode.INVALID_RECORD, "one or more records have been rejected");
    // Every one of them, because clients retry the records of the batch that are not named. The
    // records of a compressed batch are not at hand here: then the first has to do.
    const compressed = (attributes & Attribute.codecMask) !== Codec.none;
    const all = compressed ? [keyless] : keylessRecords(batch, recordErrorsMax);
    const message = "a compacted topic needs a key in every record";
    result.recordErrors = all.map((batchIndex) => ({ batchIndex, message }));
    return false;
  }
  if (!topic.logAppendTime && !timestampsInRange(broker, topic, facts, at)) {
    return refused(
      result,
      ErrorCode.INVALID_TIMESTAMP,
      "a timestamp is outside message.timestamp.before.max.ms or after.max.ms",
    );
  }
  if ((facts[at + Fact.bytes] ?? 0) > topic.segmentBytes) {
    return refused(
      result,
      ErrorCode.RECORD_LIST_TOO_LARGE,
      "the record batch is larger than segment.bytes",
    );
  }
  return true;
}

function timestampsInRange(broker: Broker, topic: Topic, facts: Float64Array, at: number): boolean {
  const lowest = facts[at + Fact.lowestTimestamp] ?? -1;
  const highest = facts[at + Fact.highestTimestamp] ?? -1;
  if (highest !== -1 && highest - broker.wall > topic.timestampAfterMaxMs) return false;
  return lowest === -1 || broker.wall - lowest <= topic.timestampBeforeMaxMs;
}

/** The last two checks (producer state, room) and the append. The partition is open. */
function appendBatch(
  broker: Broker,
  pending: PendingProduce,
  topic: Topic,
  slot: Slot,
  result: PartitionResult,
  batch: Uint8Array,
  facts: Float64Array,
  at: number,
): void {
  const count = facts[at + Fact.recordsCount] ?? 0;
  const producerId = facts[at + Fact.producerId] ?? -1;
  const sync = broker.syncs(slot);
  if (producerId >= 0) {
    const verdict = broker.partitions
      .producersOf(slot)
      .judge(
        producerId,
        facts[at + Fact.producerEpoch] ?? 0,
        facts[at + Fact.baseSequence] ?? 0,
        count,
      );
    switch (verdict.kind) {
      case "append":
        break;
      case "fenced":
        return refuse(
          result,
          ErrorCode.INVALID_PRODUCER_EPOCH,
          "a newer epoch of this producer has written",
        );
      case "out-of-order":
        return refuse(
          result,
          ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
          "the sequence does not follow the last one",
        );
      case "behind-refused":
        return refuse(
          result,
          ErrorCode.KAFKA_STORAGE_ERROR,
          "an earlier batch of this producer was refused and comes first",
        );
      case "duplicate": {
        result.baseOffset = verdict.baseOffset as Offset; // proof: an offset that was handed out
        result.logAppendTimeMs = topic.logAppendTime ? verdict.timestamp : -1;
        result.logStartOffset = broker.partitions.logStartOf(slot);
        const end = (verdict.lastOffset + 1) as Offset; // proof: one behind an offset that was handed out
        if (end > broker.partitions.highWatermarkOf(slot)) {
          pending.waits();
          broker.afterStaged(slot, end, sync, pending);
        }
        return;
      }
    }
  }
  const { expectedEnd } = pending;
  if (expectedEnd !== undefined && expectedEnd !== broker.partitions.endOf(slot)) {
    const words = `the partition ends at ${broker.partitions.endOf(slot)}, not at ${expectedEnd}`;
    return refuse(result, ErrorCode.OFFSET_OUT_OF_RANGE, words);
  }
  if (!hasRoom(broker, slot, result, batch, count)) {
    if (producerId >= 0) {
      const epoch = facts[at + Fact.producerEpoch] ?? 0;
      const sequence = facts[at + Fact.baseSequence] ?? 0;
      broker.partitions.producersOf(slot).refuse(producerId, epoch, sequence, broker.wall);
    }
    return;
  }
  const logAppendTime = topic.logAppendTime ? broker.wall : -1;
  const timestamp = topic.logAppendTime ? broker.wall : (facts[at + Fact.highestTimestamp] ?? -1);
  pending.waits();
  const base = broker.append(slot, batch, count, timestamp, logAppendTime, sync, pending);
  if (producerId >= 0) {
    broker.partitions
      .producersOf(slot)
      .remember(
        producerId,
        facts[at + Fact.producerEpoch] ?? 0,
        facts[at + Fact.baseSequence] ?? 0,
        count,
        base,
        timestamp,
        broker.wall,
      );
  }
  broker.producers.appended(slot, batch.byteLength);
  result.baseOffset = base;
  result.logAppendTimeMs = logAppendTime;
  result.logStartOffset = broker.partitions.logStartOf(slot);
}

/** Offsets and bytes for one more batch; the "no" is in the result. */
function hasRoom(
  broker: Broker,
  slot: Slot,
  result: PartitionResult,
  batch: Uint8Array,
  count: number,
): boolean {
  if (broker.partitions.endOf(slot) + count > Number.MAX_SAFE_INTEGER)
    return refused(result, ErrorCode.INVALID_RECORD, "the partition has no offsets left");
  if (!broker.hasCredit(batch.byteLength))
    return refused(result, ErrorCode.KAFKA_STORAGE_ERROR, "the disk takes no more bytes now");
  return true;
}

export const produce = entry<ProduceRequest, ProduceResponse>("Produce", plan);
