// Reading records over HTTP: positions in partitions, one Fetch at a time, and the records of the
// batches that it brings, opened within bounds.

import { Attribute } from "../../core/base/facts.ts";
import { ErrorCode } from "../../core/base/error_code.ts";
import { none, noTopicId, offset, type PartitionIndex } from "../../core/base/ids.ts";
import type { Topic } from "../../core/cluster/cluster.ts";
import type { FetchRequest } from "../../../proto/kafka/01_fetch.ts";
import {
  batchAttributes,
  batchBaseOffset,
  batchBytes,
  batchHeaderBytes,
  batchLastOffsetDelta,
} from "../../wire/batch.ts";
import { readBatch, type StoredRecord } from "../../wire/records.ts";
import { isRefused } from "../../wire/refusal.ts";
import { openBatch } from "../disk/open_batch.ts";
import type { Bridge, Origin } from "./bridge.ts";
import { Problem, problemOf } from "./problems.ts";

/** Next offset by partition. */
export type Positions = Map<PartitionIndex, number>;

interface Fetched {
  readonly partition: PartitionIndex;
  readonly start: number;
  readonly end: number;
  readonly records: Uint8Array;
}

const sessionless = -1;

function requestOf(
  topic: Topic,
  positions: Positions,
  waitMs: number,
  bytesMax: number,
): FetchRequest {
  const partitions = [...positions].map(([partition, fetchOffset]) => ({
    partition,
    currentLeaderEpoch: none,
    fetchOffset: offset(fetchOffset),
    lastFetchedEpoch: none,
    logStartOffset: none,
    partitionMaxBytes: bytesMax,
    replicaDirectoryId: noTopicId,
    highWatermark: null,
  }));
  return {
    clusterId: null,
    replicaId: none,
    replicaState: { replicaId: none, replicaEpoch: -1 },
    maxWaitMs: waitMs,
    minBytes: 1,
    maxBytes: bytesMax,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: sessionless,
    topics: [{ topic: "", topicId: topic.id, partitions }],
    forgottenTopicsData: [],
    rackId: "",
  };
}

export class Poll {
  readonly #topic: Topic;
  readonly #origin: Origin;
  /** Moved by `next` to behind what it has given. */
  readonly positions: Positions;
  readonly #bytesMax: number;
  /** An offset below the first record means that one. */
  readonly #clamp: boolean;
  #stopped = false;

  constructor(
    bridge: Bridge,
    topic: Topic,
    positions: Positions,
    bytesMax: number,
    clamp: boolean,
  ) {
    this.#topic = topic;
    this.positions = positions;
    this.#bytesMax = bytesMax;
    this.#clamp = clamp;
    this.#origin = bridge.origin();
  }

  /** Nobody waits for more. */
  stop(): void {
    this.#stopped = true;
    this.#origin.leave();
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /**
   * Gives up to `limit` records to `give`, after a wait of at most `waitMs` for the first; how many
   * there were. Each partition stands behind its last record then.
   */
  async next(
    limit: number,
    waitMs: number,
    give: (partition: PartitionIndex, record: StoredRecord) => void,
  ): Promise<number> {
    const fetched = await this.#fetch(waitMs);
    let left = limit;
    for (const { partition, records } of fetched)
      left -= this.#walk(partition, records, left, give);
    return limit - left;
  }

  async #fetch(waitMs: number): Promise<readonly Fetched[]> {
    const request = requestOf(this.#topic, this.positions, waitMs, this.#bytesMax);
    // Records are views of memory that the next read uses again.
    const answer = await this.#origin.ask("Fetch", request, ({ responses }) =>
      responses.flatMap(({ partitions }) =>
        partitions.map((each) => ({
          ...each,
          records: each.records?.slice() ?? new Uint8Array(0),
        })),
      ),
    );
    const fetched: Fetched[] = [];
    for (const { partitionIndex, errorCode, logStartOffset, highWatermark, records } of answer) {
      const at = this.positions.get(partitionIndex) ?? 0;
      const ends = { partition: partitionIndex, start: logStartOffset, end: highWatermark };
      if (errorCode === ErrorCode.NONE) {
        fetched.push({ ...ends, records });
      } else if (errorCode === ErrorCode.OFFSET_OUT_OF_RANGE && this.#clamp) {
        this.positions.set(partitionIndex, at < ends.start ? ends.start : ends.end);
      } else {
        throw this.#problem(errorCode, ends, at);
      }
    }
    return fetched;
  }

  #problem(code: number, ends: Omit<Fetched, "records">, at: number): Problem {
    const { partition, start, end } = ends;
    const where = `partition ${partition} of "${this.#topic.name}"`;
    if (code !== ErrorCode.OFFSET_OUT_OF_RANGE) return problemOf(code, `${where} cannot be read`);
    return new Problem(
      "offset-out-of-range",
      `${where} has no offset ${at}: it begins at ${start} and ends before ${end}. Ask for one of these, or add clamp=true.`,
      { kafkaCode: code, partition, start, end },
    );
  }

  /** Records of whole batches, from the position of the partition on. */
  #walk(
    partition: PartitionIndex,
    bytes: Uint8Array,
    limit: number,
    give: (partition: PartitionIndex, record: StoredRecord) => void,
  ): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let given = 0;
    let at = 0;
    while (at + batchHeaderBytes <= bytes.byteLength && given < limit) {
      const end = at + batchBytes(view, at);
      if (end > bytes.byteLength) break;
      const behind = batchBaseOffset(view, at) + batchLastOffsetDelta(view, at) + 1;
      const isControl = (batchAttributes(view, at) & Attribute.control) !== 0;
      const records = isControl ? [] : this.#open(bytes.subarray(at, end), partition, behind);
      for (const record of records) {
        if (record.offset < (this.positions.get(partition) ?? 0)) continue;
        if (given === limit) return given;
        given += 1;
        this.positions.set(partition, record.offset + 1);
        give(partition, record);
      }
      this.positions.set(partition, behind);
      at = end;
    }
    return given;
  }

  #open(batch: Uint8Array, partition: number, behind: number): readonly StoredRecord[] {
    const opened = openBatch(batch);
    const records = opened === null ? null : readBatch(opened);
    if (records !== null && !isRefused(records)) return records;
    throw new Problem(
      "corrupt-batch",
      `the records before offset ${behind} of partition ${partition} do not open: their producer wrote them so, or they are larger than a view may be. Read on with from=offset:${behind}.`,
      { partition, next: behind },
    );
  }
}

/** `p:o,p:o`: what an event's id, and `from`, say. */
export function textOfPositions(positions: Positions): string {
  let text = "";
  for (const [partition, at] of positions) text += `${text === "" ? "" : ","}${partition}:${at}`;
  return text;
}

/** Null: the text does not name positions. */
export function positionsOf(text: string): ReadonlyMap<number, number> | null {
  if (!/^\d{1,10}:\d{1,16}(,\d{1,10}:\d{1,16})*$/.test(text)) return null;
  const positions = new Map<number, number>();
  for (const part of text.split(",")) {
    const [partition = "", at = ""] = part.split(":");
    if (!Number.isSafeInteger(Number(at))) return null;
    positions.set(Number(partition), Number(at));
  }
  return positions;
}
