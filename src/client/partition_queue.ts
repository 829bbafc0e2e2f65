// Records of one partition on their way to its leader, in batches. A batch gets its sequence when it
// is closed; it goes out in order, at most `batchesInFlightMax` at once, so that the leader, which
// remembers as many, can tell a repeated batch from a new one. After a failure nothing new goes out
// until every answer is in: what failed then goes first, in the order of its sequences.

import { assert } from "../core/base/assert.ts";
import { stampProducer } from "../wire/batch.ts";
import { buildBatch, type NewRecord } from "../wire/records.ts";
import { type Compression, compressBatch } from "./compression.ts";

/** Kafka's bound for idempotent producers: the leader remembers five batches of each. */
export const batchesInFlightMax = 5;
/** Header of a batch. */
const batchOverheadBytes = 61;
/** Length, attributes, deltas and counts of a record, at most. */
const recordOverheadBytes = 24;

/** Told once per record: where it went, or why it did not. */
export type Acknowledge = (error: Error | null, offset: number, timestamp: number) => void;

export interface Identity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export const noIdentity: Identity = { producerId: -1, producerEpoch: -1 };

export function recordBytes(record: NewRecord): number {
  let bytes = recordOverheadBytes + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const { key, value } of record.headers ?? []) {
    bytes += key.length * 3 + (value?.length ?? 0) + 10;
  }
  return bytes;
}

export interface Batch {
  readonly records: readonly NewRecord[];
  readonly acknowledge: readonly (Acknowledge | null)[];
  /** Estimate that was taken from the producer's room. */
  readonly reserved: number;
  readonly since: number;
  /** As it goes out; its producer and sequence are stamped anew when they change. */
  bytes: Uint8Array;
  sequence: number;
  attempts: number;
  /** It was sent and may have been appended, as far as is known. */
  doubtful: boolean;
}

export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  #records: NewRecord[] = [];
  #acknowledge: (Acknowledge | null)[] = [];
  #openBytes = 0;
  #openSince = 0;
  /** Closed batches that are not under way, by sequence. */
  readonly #ready: Batch[] = [];
  readonly #inFlight: Batch[] = [];
  #identity: Identity;
  #nextSequence = 0;
  /** A batch has failed: what is under way is waited for. */
  #draining = false;
  /** First sequence that was given up and is not taken over yet; -1 = none. */
  #gap = -1;
  /** The next attempt is not before this time. */
  notBefore = 0;

  constructor(topic: string, partition: number, identity: Identity) {
    this.topic = topic;
    this.partition = partition;
    this.#identity = identity;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0 && this.#ready.length === 0 && this.#inFlight.length === 0;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** The oldest record that is not acknowledged; null when there is none. */
  get oldest(): number | null {
    const batch = this.#inFlight[0] ?? this.#ready[0];
    if (batch !== undefined) return batch.since;
    return this.#records.length === 0 ? null : this.#openSince;
  }

  /** When the open batch shall be closed though it is not full; null without one. */
  openUntil(lingerMs: number): number | null {
    return this.#records.length === 0 ? null : this.#openSince + lingerMs;
  }

  /** True: the record did not fit into the open batch, which is closed now. */
  add(
    record: NewRecord,
    /** `recordBytes` of it. */
    size: number,
    acknowledge: Acknowledge | null,
    limits: { readonly batchBytes: number; readonly compression: Compression },
    nowMs: number,
  ): boolean {
    const full =
      this.#records.length > 0 && this.#openBytes + size > limits.batchBytes - batchOverheadBytes;
    if (full) this.seal(limits.compression);
    if (this.#records.length === 0) this.#openSince = nowMs;
    this.#records.push(record);
    this.#acknowledge.push(acknowledge);
    this.#openBytes += size;
    return full;
  }

  /** Closes the open batch. */
  seal(compression: Compression): void {
    if (this.#records.length === 0) return;
    const sequence = this.#nextSequence;
    this.#nextSequence = sequenceAfter(sequence, this.#records.length);
    this.#ready.push(
      this.#close(
        this.#records,
        this.#acknowledge,
        { reserved: this.#openBytes, since: this.#openSince, sequence },
        compression,
      ),
    );
    this.#records = [];
    this.#acknowledge = [];
    this.#openBytes = 0;
  }

  #close(
    records: readonly NewRecord[],
    acknowledge: readonly (Acknowledge | null)[],
    about: Pick<Batch, "reserved" | "since" | "sequence">,
    compression: Compression,
  ): Batch {
    const { sequence } = about;
    const baseSequence = this.#identity.producerId >= 0 ? sequence : -1;
    const bytes = buildBatch(records, { ...this.#identity, baseSequence });
    return {
      ...about,
      records,
      acknowledge,
      bytes: compressBatch(bytes, compression),
      attempts: 0,
      doubtful: false,
    };
  }

  /** The next batch to send, now under way; null when there is none or the turn is another's. */
  take(nowMs: number): Batch | null {
    if (this.#draining || nowMs < this.notBefore) return null;
    if (this.#inFlight.length >= batchesInFlightMax) return null;
    const batch = this.#ready.shift();
    if (batch === undefined) return null;
    this.#inFlight.push(batch);
    batch.attempts += 1;
    return batch;
  }

  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  /** Nothing before it has failed or is under way: a sequence that is wrong is wrong by itself. */
  isExpected(batch: Batch): boolean {
    return !this.#draining && this.#inFlight[0] === batch;
  }

  /** Acknowledged. */
  done(batch: Batch): void {
    this.#leave(batch);
  }

  /** Shall be sent again, after those before it. `doubtful`: it may have been appended. */
  again(batch: Batch, doubtful: boolean, notBefore: number): void {
    this.#draining = true;
    batch.doubtful = doubtful;
    this.notBefore = Math.max(this.notBefore, notBefore);
    this.#back(batch);
    this.#leave(batch);
  }

  /**
   * Refused for its size, and not appended: shall be sent again as two, whose records have the
   * sequences that they had.
   */
  split(batch: Batch, compression: Compression): void {
    this.#draining = true;
    const { records, acknowledge, sequence, since } = batch;
    const middle = Math.ceil(records.length / 2);
    assert(middle < records.length, "a batch that is split has two records");
    const parts = [[0, middle] as const, [middle, records.length] as const];
    for (const [from, to] of parts) {
      const first = sequenceAfter(sequence, from);
      const [some, tell] = [records.slice(from, to), acknowledge.slice(from, to)];
      const reserved = some.reduce((sum, record) => sum + recordBytes(record), 0);
      const about = { reserved, since, sequence: first };
      this.#back(this.#close(some, tell, about, compression));
    }
    this.#leave(batch);
  }

  /**
   * Given up, and not appended: its sequences go to those behind it. What is under way behind it is
   * refused by the leader, since a sequence is missing, and comes back.
   */
  refused(batch: Batch): void {
    this.#draining = true;
    this.#missing(batch.sequence);
    this.#leave(batch);
  }

  /** Batches that wait since `before`; they are given up, and were not appended unless doubtful. */
  expire(before: number): readonly Batch[] {
    const expired = this.#ready.filter((batch) => batch.since < before);
    if (expired.length === 0) return expired;
    const rest = this.#ready.filter((batch) => batch.since >= before);
    this.#ready.splice(0, this.#ready.length, ...rest);
    for (const batch of expired) this.#missing(batch.sequence);
    if (this.#inFlight.length > 0) this.#draining = true;
    this.#settle();
    return expired;
  }

  /** Batches that wait and may have been appended: under a new identity they might be doubled. */
  takeDoubtful(): readonly Batch[] {
    const doubtful = this.#ready.filter((batch) => batch.doubtful);
    const rest = this.#ready.filter((batch) => !batch.doubtful);
    this.#ready.splice(0, this.#ready.length, ...rest);
    return doubtful;
  }

  /** A new producer: sequences begin at 0. Nothing is under way. */
  identify(identity: Identity): void {
    assert(this.#inFlight.length === 0, "a producer changes when nothing is under way");
    this.#identity = identity;
    this.#gap = -1;
    this.#renumber(0);
  }

  #renumber(first: number): void {
    let sequence = first;
    for (const batch of this.#ready) {
      batch.sequence = sequence;
      if (this.#identity.producerId >= 0) {
        const { producerId, producerEpoch } = this.#identity;
        stampProducer(batch.bytes, producerId, producerEpoch, sequence);
      }
      sequence = sequenceAfter(sequence, batch.records.length);
    }
    this.#nextSequence = sequence;
  }

  #back(batch: Batch): void {
    let at = 0;
    while (at < this.#ready.length && isBefore(this.#ready[at]?.sequence ?? 0, batch.sequence)) {
      at += 1;
    }
    this.#ready.splice(at, 0, batch);
  }

  #leave(batch: Batch): void {
    const at = this.#inFlight.indexOf(batch);
    assert(at >= 0, "a batch leaves once");
    this.#inFlight.splice(at, 1);
    this.#settle();
  }

  #missing(sequence: number): void {
    if (this.#gap === -1 || isBefore(sequence, this.#gap)) this.#gap = sequence;
  }

  #settle(): void {
    if (this.#inFlight.length > 0) return;
    this.#draining = false;
    if (this.#gap < 0) return;
    // What waits in front of the gap keeps its sequences.
    const first = this.#ready[0]?.sequence ?? this.#gap;
    this.#renumber(isBefore(first, this.#gap) ? first : this.#gap);
    this.#gap = -1;
  }
}

const sequences = 0x80000000;

/** Sequences wrap at 2^31, as in Kafka. */
export function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % sequences;
}

function isBefore(a: number, b: number): boolean {
  const ahead = (b - a + sequences) % sequences;
  return ahead > 0 && ahead < sequences / 2;
}
