// The records of one request on their way into batches, one at a time for each partition. What was
// sent in one go becomes one batch per partition, and one produce.

import { ErrorCode } from "../../core/base/error_code.ts";
import type { Offset, PartitionIndex } from "../../core/base/ids.ts";
import { type Topic } from "../../core/cluster/cluster.ts";
import { partitionOfKey } from "../../wire/murmur2.ts";
import { BatchBuilder, type NewRecord } from "../../wire/records.ts";
import type { Bridge, Produced } from "./bridge.ts";
import { Problem, problemOf } from "./problems.ts";
import type { SentRecord } from "./record_text.ts";

/** A batch is no larger, whatever its topic takes: neighbours of it want to go on. */
const batchBytesWanted = 512 * 1024;
/** Of a record beside its key, value and headers. */
const recordBytesExtra = 40;

/** What became of records that were sent together, in their order. */
export class Outcomes {
  readonly partitions: number[] = [];
  /** -1: see `problems`. */
  readonly offsets: number[] = [];
  readonly timestamps: number[] = [];
  readonly problems = new Map<number, Problem>();

  get count(): number {
    return this.offsets.length;
  }

  /** A record that was not sent. */
  refused(problem: Problem): void {
    this.problems.set(this.take(-1, -1), problem);
  }

  /** Index of a record that is on its way. */
  take(partition: number, timestamp: number): number {
    this.partitions.push(partition);
    this.timestamps.push(timestamp);
    return this.offsets.push(-1) - 1;
  }
}

class Lane {
  readonly builder = new BatchBuilder();
  /** Indexes of the records in their outcomes. */
  places: number[] = [];
}

/** What a request wants of its batches beside their records. */
export interface Conditions {
  /** The request is the same as another one with these numbers, and is stored once. */
  readonly once?: Once;
  /** The partition ends here, or nothing is stored. */
  readonly expectedEnd?: Offset;
}

export interface Once {
  readonly producerId: number;
  readonly sequence: number;
  /** Decides the partition of records that name none and have no key. */
  readonly turn: number;
}

export class Spread {
  readonly #bridge: Bridge;
  readonly #topic: Topic;
  readonly #acks: number;
  readonly #lanes = new Map<PartitionIndex, Lane>();
  readonly #bytesMax: number;
  /** Where records without a key go until the next batch. */
  #sticky: number;
  /** Bytes of batches without an answer. */
  bytesInFlight = 0;

  readonly #conditions: Conditions;

  constructor(bridge: Bridge, topic: Topic, acks: number, conditions: Conditions = {}) {
    this.#conditions = conditions;
    this.#bridge = bridge;
    this.#topic = topic;
    this.#acks = acks;
    this.#bytesMax = this.#isOne
      ? topic.maxMessageBytes
      : Math.min(batchBytesWanted, topic.maxMessageBytes);
    this.#sticky = conditions.once?.turn ?? bridge.turn();
  }

  /** A condition is one of a whole batch. */
  get #isOne(): boolean {
    return this.#conditions.once !== undefined || this.#conditions.expectedEnd !== undefined;
  }

  /** The partition of a record, or the problem that there is none such. */
  place({ partition, key }: Pick<SentRecord, "partition" | "key">): PartitionIndex {
    const count = this.#topic.slots.length;
    const wanted = partition ?? (key === null ? this.#sticky % count : partitionOfKey(key, count));
    return this.#bridge.knownPartition(this.#topic, wanted);
  }

  /** Puts a record into the batch of its partition. Batches that became full are sent. */
  add(record: NewRecord, at: PartitionIndex, outcomes: Outcomes, sent: Promise<void>[]): void {
    let lane = this.#lanes.get(at);
    if (lane === undefined) {
      lane = new Lane();
      this.#lanes.set(at, lane);
    }
    const bytes = lane.builder.position + bytesOf(record);
    if (lane.builder.count > 0 && bytes > this.#bytesMax) {
      if (this.#isOne) throw tooManyAtOnce(this.#topic);
      sent.push(this.#send(at, lane, outcomes));
    }
    lane.builder.add(record);
    lane.places.push(outcomes.take(at, record.timestamp));
  }

  /** Sends what is there; the promises never fail. */
  flush(outcomes: Outcomes, sent: Promise<void>[]): void {
    if (this.#conditions.expectedEnd !== undefined && this.#lanes.size > 1) {
      throw new Problem(
        "validation",
        "an expected offset belongs to one partition, and the records go to several. Name it with ?partition=.",
      );
    }
    for (const [at, lane] of this.#lanes) {
      if (lane.builder.count > 0) sent.push(this.#send(at, lane, outcomes));
    }
    this.#sticky += 1;
  }

  async #send(at: PartitionIndex, lane: Lane, outcomes: Outcomes): Promise<void> {
    const { once, expectedEnd } = this.#conditions;
    const batch = lane.builder.finish(
      once === undefined
        ? {}
        : { producerId: once.producerId, producerEpoch: 0, baseSequence: once.sequence },
    );
    const places = lane.places;
    lane.builder.reset();
    lane.places = [];
    this.bytesInFlight += batch.byteLength;
    try {
      const produced = await this.#bridge.produce(
        this.#topic.id,
        at,
        batch,
        this.#acks,
        expectedEnd,
      );
      const problem = problemOfProduced(this.#bridge, produced);
      if (problem !== null) return fail(places, outcomes, problem);
      const { baseOffset, logAppendTimeMs } = produced;
      for (let i = 0; i < places.length; i += 1) {
        const place = places[i] ?? 0;
        outcomes.offsets[place] = baseOffset + i;
        if (logAppendTimeMs >= 0) outcomes.timestamps[place] = logAppendTimeMs;
      }
    } catch (error) {
      fail(places, outcomes, asProblem(error));
    } finally {
      this.bytesInFlight -= batch.byteLength;
    }
  }
}

function tooManyAtOnce(topic: Topic): Problem {
  return new Problem(
    "record-too-large",
    `records under an Idempotency-Key or an expected offset are one batch for each partition, of at most max.message.bytes (${topic.maxMessageBytes}). Send fewer at a time.`,
  );
}

function fail(places: readonly number[], outcomes: Outcomes, problem: Problem): void {
  for (const place of places) outcomes.problems.set(place, problem);
}

/** The bridge rejects with nothing else; what else there is, is a bug and stays one. */
function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  throw error;
}

export function problemOfProduced(bridge: Bridge, produced: Produced): Problem | null {
  const { errorCode, errorMessage, recordErrors } = produced;
  if (errorCode === 0) return null;
  const words = recordErrors[0]?.message ?? errorMessage ?? "";
  switch (errorCode) {
    case ErrorCode.OFFSET_OUT_OF_RANGE:
      return new Problem("offset-mismatch", `${words}. Read what came, and try again from there.`);
    case ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
      return new Problem(
        "idempotency-reused",
        "the Idempotency-Key was used with another payload. Take a new key for each request.",
      );
  }
  return problemOf(errorCode, words, !bridge.host.node.broker.takesWrites);
}

function bytesOf({ key, value, headers = [] }: NewRecord): number {
  let bytes = recordBytesExtra + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
  for (const header of headers)
    bytes += 16 + header.key.length * 3 + (header.value?.byteLength ?? 0);
  return bytes;
}
