// ListOffsets (2), v1-11: where a time lies in a partition. Special times: -1 latest (high
// watermark), -2 earliest, -3 highest timestamp (v7), -4 earliest local (v8), -5 latest tiered (v9),
// -6 earliest pending upload (v11). Nothing is tiered here, so -5 and -6 have no offset.
//
// Records below the log start are deleted, also where their batch is still there: no answer names one.
//
// Refusals per partition: 3 unknown, 35 special time above the version, 42 named twice, 56, 74, 75.

import type {
  ListOffsetsRequest,
  ListOffsetsResponse,
} from "../../../proto/kafka/02_list_offsets.ts";
import { ErrorCode } from "../base/error_code.ts";
import {
  type LeaderEpoch,
  none,
  type None,
  type Offset,
  offset,
  type PartitionIndex,
  type Slot,
} from "../base/ids.ts";
import type { Call, ReadOutcome } from "../base/node_contract.ts";
import {
  batchBaseOffset,
  batchLastOffsetDelta,
  batchLeaderEpoch,
  batchMaxTimestamp,
} from "../../wire/batch.ts";
import { isRefused } from "../../wire/refusal.ts";
import { findRecord, type RecordPlace } from "../../wire/records.ts";
import { type Broker, entry } from "./broker.ts";
import { PartitionSet } from "./partition_set.ts";

const Time = {
  latest: -1,
  earliest: -2,
  maxTimestamp: -3,
  earliestLocal: -4,
  latestTiered: -5,
  earliestPending: -6,
} as const;
/** Special time -> first version that may ask for it; index = -time. */
const specialSince = [0, 1, 1, 7, 8, 9, 11] as const;

type Answer = ListOffsetsResponse["topics"][number]["partitions"][number];
type Asked = ListOffsetsRequest["topics"][number]["partitions"][number];
type ListCall = Call<ListOffsetsRequest, ListOffsetsResponse>;

function answer(
  partitionIndex: PartitionIndex,
  errorCode: number,
  at: Offset | None,
  timestamp: number,
  epoch: LeaderEpoch | None,
): Answer {
  return { partitionIndex, errorCode, timestamp, offset: at, leaderEpoch: epoch };
}

function plan(broker: Broker, call: ListCall): void {
  const topics = call.request.topics.map((topic) => ({
    name: topic.name,
    partitions: new Array<Answer>(topic.partitions.length),
  }));
  let open = 1;
  const finished = (): void => {
    open -= 1;
    if (open === 0) broker.reply(call, { throttleTimeMs: 0, topics });
  };
  const twice = namedTwice(call);
  for (const [t, topic] of call.request.topics.entries()) {
    for (const [p, asked] of topic.partitions.entries()) {
      if (twice.has(topic.name, asked.partitionIndex)) {
        const answers = topics[t]?.partitions;
        if (answers !== undefined) answers[p] = without(asked, ErrorCode.INVALID_REQUEST);
        continue;
      }
      open += 1;
      one(broker, call, topic.name, asked, (found) => {
        const answers = topics[t]?.partitions;
        if (answers !== undefined) answers[p] = found;
        finished();
      });
    }
  }
  finished();
}

function namedTwice(call: ListCall): PartitionSet {
  const seen = new PartitionSet();
  const twice = new PartitionSet();
  for (const { name, partitions } of call.request.topics) {
    for (const { partitionIndex } of partitions)
      if (!seen.add(name, partitionIndex)) twice.add(name, partitionIndex);
  }
  return twice;
}

/** Without an offset: why there is none, or 0 where nothing has that time. */
function without(asked: Asked, code: number): Answer {
  return answer(asked.partitionIndex, code, none, -1, none);
}

function one(
  broker: Broker,
  call: ListCall,
  name: string,
  asked: Asked,
  done: (found: Answer) => void,
): void {
  const refuse = (code: number): void => done(without(asked, code));
  const slot = broker.image.topicByName(name)?.slots[asked.partitionIndex];
  if (slot === undefined) return refuse(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const known = slot as Slot; // proof: slots of the image
  broker.whenOpen(known, (code) => {
    if (code !== ErrorCode.NONE) return refuse(code);
    const epoch = broker.partitions.epochOf(known);
    if (asked.currentLeaderEpoch > epoch) return refuse(ErrorCode.UNKNOWN_LEADER_EPOCH);
    if (asked.currentLeaderEpoch >= 0 && asked.currentLeaderEpoch < broker.image.sinceOf(known))
      return refuse(ErrorCode.FENCED_LEADER_EPOCH);
    if (asked.timestamp < 0) return special(broker, call, known, asked, epoch, done);
    byTime(broker, known, asked, offset(0), done);
  });
}

function special(
  broker: Broker,
  call: ListCall,
  slot: Slot,
  asked: Asked,
  epoch: LeaderEpoch,
  done: (found: Answer) => void,
): void {
  const since = specialSince[-asked.timestamp];
  if (since === undefined || call.version < since) {
    return done(without(asked, ErrorCode.UNSUPPORTED_VERSION));
  }
  const found = (at: Offset | None, of: LeaderEpoch | None): void =>
    done(answer(asked.partitionIndex, ErrorCode.NONE, at, -1, of));
  switch (asked.timestamp) {
    case Time.latest:
      return found(broker.partitions.highWatermarkOf(slot), epoch);
    case Time.earliest:
    case Time.earliestLocal: {
      const start = broker.partitions.logStartOf(slot);
      return found(start, epochAt(broker, slot, start));
    }
    case Time.maxTimestamp:
      return byMaxTimestamp(broker, slot, asked, done);
    default:
      return found(none, none);
  }
}

/** The first record that is at or above the time, looked for from `from` on. */
function byTime(
  broker: Broker,
  slot: Slot,
  asked: Asked,
  from: Offset,
  done: (found: Answer) => void,
): void {
  lookup(broker, slot, "timestamp", asked, from, (found) => {
    if (typeof found === "number") return done(without(asked, found));
    if (found === null) return done(without(asked, ErrorCode.NONE));
    if (found.record !== null) return done(recordAnswer(asked, found.epoch, found.record));
    // The record that gave the batch its timestamp is deleted.
    byTime(broker, slot, asked, found.end, done);
  });
}

function byMaxTimestamp(
  broker: Broker,
  slot: Slot,
  asked: Asked,
  done: (found: Answer) => void,
): void {
  lookup(broker, slot, "max-timestamp", asked, offset(0), (found) => {
    if (typeof found === "number") return done(without(asked, found));
    if (found === null) return done(without(asked, ErrorCode.NONE));
    const best = found.record;
    if (found.whole || best?.timestamp === found.maxTimestamp)
      return done(recordAnswer(asked, found.epoch, best));
    // The log starts in the middle of this batch, behind its newest record: that of the batches
    // behind it may be newer than what is left.
    lookup(broker, slot, "max-timestamp", asked, found.end, (later) => {
      if (typeof later === "number") return done(without(asked, later));
      const newer = later?.record ?? null;
      if (later === null || newer === null || (best !== null && best.timestamp >= newer.timestamp))
        return done(recordAnswer(asked, found.epoch, best));
      done(recordAnswer(asked, later.epoch, newer));
    });
  });
}

/** A batch that was looked up. */
interface FoundBatch {
  /** The one that was asked for, among those that are not deleted. */
  readonly record: RecordPlace | null;
  /** None of its records is deleted. */
  readonly whole: boolean;
  readonly maxTimestamp: number;
  readonly epoch: number;
  /** Behind its last offset. */
  readonly end: Offset;
}

/** Brings one batch, null when there is none, or the code why it cannot be told. */
function lookup(
  broker: Broker,
  slot: Slot,
  by: "timestamp" | "max-timestamp",
  asked: Asked,
  from: Offset,
  done: (found: FoundBatch | null | number) => void,
): void {
  const { partitions } = broker;
  // Deleted between two look-ups.
  if (!partitions.isOpen(slot)) return done(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const limit = partitions.highWatermarkOf(slot);
  if (from >= limit) return done(null);
  const value = by === "timestamp" ? asked.timestamp : -1;
  broker.lookup(slot, by, value, from, limit, (outcome) =>
    done(foundBatch(outcome, by, value, partitions.logStartOf(slot))),
  );
}

function foundBatch(
  outcome: ReadOutcome,
  by: "timestamp" | "max-timestamp",
  value: number,
  logStart: Offset,
): FoundBatch | null | number {
  if (outcome.status !== "ok" && outcome.status !== "absent") return ErrorCode.KAFKA_STORAGE_ERROR;
  const bytes = outcome.records;
  if (bytes.byteLength === 0) return null;
  const record = findRecord(bytes, by, value, logStart);
  if (isRefused(record)) return ErrorCode.CORRUPT_MESSAGE;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const base = batchBaseOffset(view, 0);
  return {
    record,
    whole: base >= logStart,
    maxTimestamp: batchMaxTimestamp(view, 0),
    epoch: batchLeaderEpoch(view, 0),
    end: offset(base + batchLastOffsetDelta(view, 0) + 1),
  };
}

function recordAnswer(asked: Asked, epoch: number, record: RecordPlace | null): Answer {
  if (record === null) return without(asked, ErrorCode.NONE);
  return answer(
    asked.partitionIndex,
    ErrorCode.NONE,
    offset(record.offset),
    record.timestamp,
    epoch < 0 ? none : (epoch as LeaderEpoch), // proof: stamped by a leader
  );
}

/** The epoch that owns an offset: the last one that starts at or below it. */
function epochAt(broker: Broker, slot: Slot, at: Offset): LeaderEpoch {
  let owner = broker.partitions.epochOf(slot);
  for (const { epoch, start } of broker.image.chainOf(slot)) if (start <= at) owner = epoch;
  return owner;
}

export const listOffsets = entry<ListOffsetsRequest, ListOffsetsResponse>("ListOffsets", plan);
