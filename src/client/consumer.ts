// Reads partitions that the caller chose, from where he said, without a group. One fetch at a time is
// under way to each leader; what it brings waits, up to a bound, for the caller's loop. `#advance`
// decides what can be fetched: it runs after everything that may change that.

import { ErrorCode } from "../core/base/error_code.ts";
import { Attribute } from "../core/base/facts.ts";
import { noTopicId, none, offset as offsetId, partitionIndex } from "../core/base/ids.ts";
import type { ResponseOf } from "../../proto/schema.ts";
import { apis } from "../wire/apis.ts";
import {
  batchAttributes,
  batchBaseOffset,
  batchBaseTimestamp,
  batchBytes,
  batchCrc,
  batchHeaderBytes,
  batchLastOffsetDelta,
  batchMagic,
  batchMagicOf,
  batchMaxTimestamp,
  batchRecordsCount,
} from "../wire/batch.ts";
import { crc32c } from "../wire/crc32c.ts";
import { readRecords } from "../wire/records.ts";
import { DecodeRefusal } from "../wire/refusal.ts";
import { DamagedBatch, openSection } from "./compression.ts";
import { isRetriable, isStale, KafkaError, Unreachable, WrongUse } from "./failures.ts";
import { backoffMs, type Network } from "./network.ts";
import { type FoundOffset, keyOf, leaderOf, listOffsets, Time } from "./offsets.ts";
import type { ConsumedRecord } from "./records.ts";

/** Where to begin: the first record, the end, an offset, the first record since a time, the last n. */
export type StartAt =
  | "earliest"
  | "latest"
  | { readonly offset: number }
  | { readonly timestamp: number }
  | { readonly last: number };

export interface Assignment {
  readonly topic: string;
  /** By default all partitions that the topic has at the start. */
  readonly partition?: number;
  /** Default earliest. */
  readonly from?: StartAt;
}

export interface ConsumerOptions {
  /** Ends the iteration at the ends that the partitions have at the start. Default: it never ends. */
  readonly untilEnd?: boolean;
  /** When records that were to be read are trimmed away: go on there, or throw. Default throw. */
  readonly onOutOfRange?: "earliest" | "latest" | "throw";
  /** How long a node waits for records before it answers without. Default 500 ms. */
  readonly maxWaitMs?: number;
  /** How long nodes may be away before the iteration throws. Default: the client's `retryMs`. */
  readonly retryMs?: number;
  /** Bytes of one answer, and what may wait for the caller. Default 16 MiB. */
  readonly fetchBytes?: number;
  /** Bytes of one partition in an answer. Default 1 MiB. */
  readonly partitionBytes?: number;
}

/** The records of one batch of one partition, in the order of their offsets; never empty. */
export interface ConsumedBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly ConsumedRecord[];
  /** The next offset that the partition would have given out, when this was read. */
  readonly highWatermark: number;
  /** As stored, with its header. */
  readonly bytes: number;
}

export interface Position {
  readonly topic: string;
  readonly partition: number;
  /** The next offset that is read. */
  readonly offset: number;
  /** Records behind it, as of the last answer; -1 = unknown. */
  readonly lag: number;
}

interface Reading {
  readonly topic: string;
  readonly partition: number;
  position: number;
  /** Where reading ends; null = nowhere. */
  readonly end: number | null;
  highWatermark: number;
  busy: boolean;
  failures: number;
  notBefore: number;
}

type FetchAnswer = ResponseOf<typeof apis.Fetch>;
type PartitionAnswer = FetchAnswer["responses"][number]["partitions"][number];

export class Consumer implements AsyncIterable<ConsumedBatch> {
  readonly #network: Network;
  readonly #options: Required<ConsumerOptions>;
  readonly #assignments: readonly Assignment[];
  readonly #readings = new Map<string, Reading>();
  readonly #fetching = new Set<number>();
  readonly #found: ConsumedBatch[] = [];
  #foundBytes = 0;
  /** Nothing is fetched, since enough waits for the caller. */
  #stalled = false;
  #started: Promise<void> | null = null;
  #wanted: (() => void) | null = null;
  #failure: Error | null = null;
  #timer: Timer | null = null;
  /** When nodes were found away or leaders moving, and no answer came since; 0 = all is well. */
  #troubleSince = 0;
  #closed = false;

  constructor(network: Network, assignments: readonly Assignment[], options: ConsumerOptions) {
    if (assignments.length === 0) throw new WrongUse("say what to read");
    this.#network = network;
    this.#assignments = assignments;
    this.#options = {
      untilEnd: options.untilEnd ?? false,
      onOutOfRange: options.onOutOfRange ?? "throw",
      maxWaitMs: options.maxWaitMs ?? 500,
      retryMs: options.retryMs ?? network.options.retryMs,
      fetchBytes: options.fetchBytes ?? 16 * 1024 * 1024,
      partitionBytes: options.partitionBytes ?? 1024 * 1024,
    };
  }

  /**
   * Looks up where to begin, once; iterating does so by itself. Afterwards `positions` is known, and
   * records that are produced from then on will be read, also from "latest".
   */
  start(): Promise<void> {
    this.#started ??= this.#begin();
    return this.#started;
  }

  /** Of every partition that is read. */
  get positions(): readonly Position[] {
    return [...this.#readings.values()].map(({ topic, partition, position, highWatermark }) => ({
      topic,
      partition,
      offset: position,
      lag: highWatermark < 0 ? -1 : Math.max(0, highWatermark - position),
    }));
  }

  /** Ends the iteration. */
  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#wake();
  }

  /**
   * Batches as they come, of all partitions mixed, each partition in order.
   * @throws KafkaError when a node refuses for good, Unreachable when none could be reached in time.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ConsumedBatch, void, undefined> {
    try {
      await this.start();
      for (;;) {
        const batch = this.#found.shift();
        if (batch !== undefined) {
          this.#foundBytes -= batch.bytes;
          if (this.#stalled && this.#foundBytes < this.#options.fetchBytes / 2) this.#advance();
          yield batch;
          continue;
        }
        if (this.#failure !== null) throw this.#failure;
        if (this.#closed || this.#isAtEnd) return;
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wanted = resolve;
        this.#advance();
        await promise;
      }
    } finally {
      this.close();
    }
  }

  get #isAtEnd(): boolean {
    for (const { end, position } of this.#readings.values()) {
      if (end === null || position < end) return false;
    }
    return true;
  }

  #wake(): void {
    this.#wanted?.();
    this.#wanted = null;
  }

  async #begin(): Promise<void> {
    const wanted = new Map<string, { topic: string; partition: number; from: StartAt }>();
    for (const { topic, partition, from = "earliest" } of this.#assignments) {
      const metadata = await this.#network.topic(topic);
      const all = metadata.partitions.map((each) => each.partition);
      for (const each of partition === undefined ? all : [partition]) {
        wanted.set(keyOf({ topic, partition: each }), { topic, partition: each, from });
      }
    }
    const readings = [...wanted.values()];
    const at = (timestamp: number): Promise<readonly FoundOffset[]> =>
      listOffsets(
        this.#network,
        readings.map(({ topic, partition }) => ({ topic, partition, timestamp })),
      );
    const [starts, ends] = await Promise.all([at(Time.earliest), at(Time.latest)]);
    const timed = readings.flatMap(({ topic, partition, from }) =>
      typeof from === "object" && "timestamp" in from
        ? [{ topic, partition, timestamp: from.timestamp }]
        : [],
    );
    const found = timed.length > 0 ? await listOffsets(this.#network, timed) : [];
    const byTime = new Map(timed.map((query, index) => [keyOf(query), found[index]?.offset ?? -1]));
    readings.forEach(({ topic, partition, from }, index) => {
      const start = starts[index]?.offset ?? 0;
      const end = ends[index]?.offset ?? 0;
      const key = keyOf({ topic, partition });
      const late = byTime.get(key) ?? -1;
      this.#readings.set(key, {
        topic,
        partition,
        position: positionOf(from, start, end, late < 0 ? end : late),
        end: this.#options.untilEnd ? end : null,
        highWatermark: end,
        busy: false,
        failures: 0,
        notBefore: 0,
      });
    });
  }

  /** Fetches from every leader that has something to give and is not asked already. */
  #advance(): void {
    this.#place().catch((error: unknown) => this.#fail(error));
  }

  async #place(): Promise<void> {
    if (this.#closed || this.#failure !== null) return;
    this.#stalled = this.#foundBytes >= this.#options.fetchBytes;
    if (this.#stalled) return;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    const byLeader = new Map<number, Reading[]>();
    for (const reading of this.#readings.values()) {
      if (reading.busy || (reading.end !== null && reading.position >= reading.end)) continue;
      if (reading.notBefore > now) {
        next = Math.min(next, reading.notBefore);
        continue;
      }
      const leader = await this.#leader(reading);
      if (leader === null) {
        next = Math.min(next, reading.notBefore);
        continue;
      }
      // Another turn may have taken it while this one waited.
      if (reading.busy) continue;
      const others = byLeader.get(leader);
      if (others === undefined) byLeader.set(leader, [reading]);
      else others.push(reading);
    }
    for (const [leader, readings] of byLeader) {
      if (this.#fetching.has(leader)) continue;
      this.#fetching.add(leader);
      for (const reading of readings) reading.busy = true;
      this.#fetch(leader, readings)
        .catch((error: unknown) => this.#retry(readings, error))
        .finally(() => {
          this.#fetching.delete(leader);
          for (const reading of readings) reading.busy = false;
          this.#wake();
          this.#advance();
        });
    }
    if (next < Number.POSITIVE_INFINITY && this.#timer === null) {
      this.#timer = setTimeout(
        () => {
          this.#timer = null;
          this.#advance();
        },
        Math.max(1, next - now),
      );
    }
  }

  /** Null: there is none at the moment, or nobody could be asked. */
  async #leader(reading: Reading): Promise<number | null> {
    try {
      return await leaderOf(this.#network, reading);
    } catch (error) {
      if (!this.#isPassing(error)) throw error;
      this.#pause(reading);
      return null;
    }
  }

  /** It may go by itself, and has not lasted too long. */
  #isPassing(error: unknown): boolean {
    if (!(error instanceof Unreachable) && !(error instanceof KafkaError && error.retriable)) {
      return false;
    }
    const now = performance.now();
    if (this.#troubleSince === 0) this.#troubleSince = now;
    return now - this.#troubleSince <= this.#options.retryMs;
  }

  async #fetch(leader: number, readings: readonly Reading[]): Promise<void> {
    const connection = await this.#network.node(leader, "fetch");
    const version = connection.versionOf(apis.Fetch, 12);
    const { maxWaitMs, fetchBytes, partitionBytes } = this.#options;
    const byTopic = Map.groupBy(readings, ({ topic }) => topic);
    const answer = await connection.request(
      apis.Fetch,
      version,
      {
        clusterId: null,
        replicaId: none,
        replicaState: { replicaId: none, replicaEpoch: -1 },
        maxWaitMs,
        minBytes: 1,
        maxBytes: fetchBytes,
        isolationLevel: 0,
        sessionId: 0,
        sessionEpoch: -1,
        topics: [...byTopic].map(([topic, each]) => ({
          topic,
          topicId: noTopicId,
          partitions: each.map(({ partition, position }) => ({
            partition: partitionIndex(partition),
            currentLeaderEpoch: none,
            fetchOffset: offsetId(position),
            lastFetchedEpoch: none,
            logStartOffset: none,
            partitionMaxBytes: partitionBytes,
            replicaDirectoryId: noTopicId,
            highWatermark: null,
          })),
        })),
        forgottenTopicsData: [],
        rackId: "",
      },
      maxWaitMs,
    );
    if (answer.errorCode !== ErrorCode.NONE) throw new KafkaError(answer.errorCode, "fetch");
    this.#troubleSince = 0;
    for (const { topic, partitions } of answer.responses) {
      for (const partition of partitions) {
        const reading = this.#readings.get(keyOf({ topic, partition: partition.partitionIndex }));
        if (reading !== undefined) await this.#take(reading, partition);
      }
    }
  }

  async #take(reading: Reading, answer: PartitionAnswer): Promise<void> {
    const { errorCode: code } = answer;
    if (code === ErrorCode.NONE) {
      reading.failures = 0;
      reading.highWatermark = answer.highWatermark;
      if (answer.records !== null) this.#read(reading, answer.records);
      return;
    }
    const key = keyOf(reading);
    if (code === ErrorCode.OFFSET_OUT_OF_RANGE && this.#options.onOutOfRange !== "throw") {
      const timestamp = Time[this.#options.onOutOfRange];
      const { topic, partition } = reading;
      const [found] = await listOffsets(this.#network, [{ topic, partition, timestamp }]);
      reading.position = found?.offset ?? reading.position;
    } else if (isRetriable(code)) {
      if (isStale(code)) this.#network.forget(reading.topic);
      this.#pause(reading);
    } else {
      const words = `offset ${reading.position} cannot be read`;
      throw new KafkaError(code, key, words, false);
    }
  }

  /** Whole batches; what is cut short at the end comes again with the next answer. */
  #read(reading: Reading, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (bytes.length - at >= batchHeaderBytes) {
      const size = batchBytes(view, at);
      if (size < batchHeaderBytes || at + size > bytes.length) break;
      const next = batchBaseOffset(view, at) + batchLastOffsetDelta(view, at) + 1;
      const isControl = (batchAttributes(view, at) & Attribute.control) !== 0;
      if (!isControl && next > reading.position) this.#keep(reading, view, bytes, at, size);
      reading.position = Math.max(reading.position, next);
      at += size;
    }
    if (at === 0 && bytes.length > 0) {
      throw new DamagedBatch(`${keyOf(reading)}: what lies at ${reading.position} is no batch`);
    }
  }

  #keep(reading: Reading, view: DataView, bytes: Uint8Array, at: number, size: number): void {
    const place = `${keyOf(reading)} at offset ${batchBaseOffset(view, at)}`;
    if (batchMagicOf(view, at) !== batchMagic) {
      throw new DamagedBatch(`${place}: a batch of a format before Kafka 0.11`);
    }
    if (batchCrc(view, at) !== crc32c(bytes, at + 21, at + size)) {
      throw new DamagedBatch(`${place}: the checksum of the batch is wrong`);
    }
    const attributes = batchAttributes(view, at);
    const section = bytes.subarray(at + batchHeaderBytes, at + size);
    const opened = openSection(section, attributes & Attribute.codecMask);
    const appendTime = (attributes & Attribute.logAppendTime) !== 0;
    const all = readRecords(
      opened,
      0,
      opened.length,
      batchRecordsCount(view, at),
      batchBaseOffset(view, at),
      batchBaseTimestamp(view, at),
      appendTime ? batchMaxTimestamp(view, at) : null,
    );
    if (all instanceof DecodeRefusal) throw new DamagedBatch(`${place}: a record is malformed`);
    const { position, end } = reading;
    const outside = (offset: number): boolean =>
      offset < position || (end !== null && offset >= end);
    const first = all[0];
    const last = all.at(-1);
    if (first === undefined || last === undefined) return;
    const whole = !outside(first.offset) && !outside(last.offset);
    const records = whole ? all : all.filter(({ offset }) => !outside(offset));
    if (records.length === 0) return;
    const { topic, partition, highWatermark } = reading;
    this.#found.push({ topic, partition, records, highWatermark, bytes: size });
    this.#foundBytes += size;
  }

  #pause(reading: Reading): void {
    reading.notBefore = performance.now() + backoffMs(reading.failures);
    reading.failures += 1;
  }

  /** A fetch failed as a whole. */
  #retry(readings: readonly Reading[], error: unknown): void {
    if (!this.#isPassing(error)) {
      this.#fail(error);
      return;
    }
    for (const reading of readings) {
      this.#network.forget(reading.topic);
      this.#pause(reading);
    }
  }

  #fail(error: unknown): void {
    if (!this.#closed) this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#wake();
  }
}

function positionOf(from: StartAt, start: number, end: number, atTime: number): number {
  if (from === "earliest") return start;
  if (from === "latest") return end;
  if ("offset" in from) return from.offset;
  if ("last" in from) return Math.max(start, end - from.last);
  return atTime;
}
