// ListOffsets (2), v1-11: where a time lies in a partition. Special times: -1 latest (high
// watermark), -2 earliest, -3 highest timestamp (v7), -4 earliest local (v8), -5 latest tiered (v9),
// -6 earliest pending upload (v11). Nothing is tiered here, so -5 and -6 have no offset.
//
// Refusals per partition: 3 unknown, 35 special time above the version, 56, 74, 75.

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
import { batchLeaderEpoch } from "../../wire/batch.ts";
import { isRefused } from "../../wire/refusal.ts";
import { readBatch, type StoredRecord } from "../../wire/records.ts";
import { type Broker, entry } from "./broker.ts";

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
  for (const [t, topic] of call.request.topics.entries()) {
    for (const [p, asked] of topic.partitions.entries()) {
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

function one(
  broker: Broker,
  call: ListCall,
  name: string,
  asked: Asked,
  done: (found: Answer) => void,
): void {
  const refuse = (code: number): void => done(answer(asked.partitionIndex, code, none, -1, none));
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
    byTime(broker, known, asked, done);
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
    return done(answer(asked.partitionIndex, ErrorCode.UNSUPPORTED_VERSION, none, -1, none));
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

function byTime(broker: Broker, slot: Slot, asked: Asked, done: (found: Answer) => void): void {
  const limit = broker.partitions.highWatermarkOf(slot);
  broker.lookup(slot, "timestamp", asked.timestamp, limit, (outcome) =>
    done(
      fromBatch(asked, outcome, (records) =>
        records.find((record) => record.timestamp >= asked.timestamp),
      ),
    ),
  );
}

function byMaxTimestamp(
  broker: Broker,
  slot: Slot,
  asked: Asked,
  done: (found: Answer) => void,
): void {
  const limit = broker.partitions.highWatermarkOf(slot);
  broker.lookup(slot, "max-timestamp", -1, limit, (outcome) =>
    done(fromBatch(asked, outcome, newest)),
  );
}

function fromBatch(
  asked: Asked,
  outcome: ReadOutcome,
  find: (records: readonly StoredRecord[]) => StoredRecord | undefined,
): Answer {
  if (outcome.status !== "ok" && outcome.status !== "absent") {
    return answer(asked.partitionIndex, ErrorCode.KAFKA_STORAGE_ERROR, none, -1, none);
  }
  const batch = outcome.records;
  const records = batch.byteLength === 0 ? [] : readBatch(batch);
  if (isRefused(records))
    return answer(asked.partitionIndex, ErrorCode.CORRUPT_MESSAGE, none, -1, none);
  const record = find(records);
  if (record === undefined) return answer(asked.partitionIndex, ErrorCode.NONE, none, -1, none);
  const epoch = batchLeaderEpoch(new DataView(batch.buffer, batch.byteOffset, batch.byteLength), 0);
  return answer(
    asked.partitionIndex,
    ErrorCode.NONE,
    offset(record.offset),
    record.timestamp,
    epoch < 0 ? none : (epoch as LeaderEpoch),
  ); // proof: stamped by a leader
}

/** The first record among those with the highest timestamp, as Kafka answers. */
function newest(records: readonly StoredRecord[]): StoredRecord | undefined {
  let best: StoredRecord | undefined;
  for (const record of records)
    if (best === undefined || record.timestamp > best.timestamp) best = record;
  return best;
}

/** The epoch that owns an offset: the last one that starts at or below it. */
function epochAt(broker: Broker, slot: Slot, at: Offset): LeaderEpoch {
  let owner = broker.partitions.epochOf(slot);
  for (const { epoch, start } of broker.image.chainOf(slot)) if (start <= at) owner = epoch;
  return owner;
}

export const listOffsets = entry<ListOffsetsRequest, ListOffsetsResponse>("ListOffsets", plan);
