// What was promised and what was found: the history of a run and the checker over it. Pure: no
// socket, no file, no clock, so that planted faults can prove that it sees each kind.
//
// Law of a partition, at every reading after any fault:
// - a record that was acknowledged, or that a consumer was given, is at its offset, byte for byte;
// - a record whose outcome is unknown is there once or not at all, whole and in sending order;
// - a record that was refused is not there, and one that was not found after its sender was gone
//   does not turn up later;
// - offsets are dense from the log start offset to the high watermark, and the log start offset is
//   not above what a trim asked for.
// Law of a committed offset: it is the last acknowledged one, or a later one of unknown outcome.

import type { StoredRecord } from "../harness/batch.ts";
import { sequenceOf, type Source } from "./payload.ts";

export interface Faults {
  /** Acknowledged or seen records that are not there. */
  lost: number;
  /** Records with other bytes than were sent, or another record than before at an offset. */
  wrong: number;
  /** Offsets between the log start offset and the high watermark that hold nothing. */
  gaps: number;
  /** Records that are there twice. */
  duplicated: number;
  /** Records behind one that was sent later. */
  reordered: number;
  /** Committed offsets that went back or vanished. */
  committedLost: number;
  /** Well-formed requests that were refused for good. */
  refused: number;
}

export function noFaults(): Faults {
  return {
    lost: 0,
    wrong: 0,
    gaps: 0,
    duplicated: 0,
    reordered: 0,
    committedLost: 0,
    refused: 0,
  };
}

/** Words about the first faults; the counts say the rest. */
const wordsMax = 20;

export class Verdict {
  readonly faults = noFaults();
  readonly words: string[] = [];

  fault(kind: keyof Faults, words: string, count = 1): void {
    if (count === 0) return;
    this.faults[kind] += count;
    if (this.words.length < wordsMax) this.words.push(`${kind}: ${words}`);
  }

  get clean(): boolean {
    return Object.values(this.faults).every((count) => count === 0);
  }
}

export interface SentBatch {
  readonly first: number;
  readonly count: number;
}

/** One reading of a partition, from its log start offset on. */
export interface Reading {
  readonly logStart: number;
  readonly highWatermark: number;
  readonly records: readonly StoredRecord[];
}

type Outcome = "unknown" | "refused" | "absent" | "placed";

export class PartitionHistory {
  readonly source: Source;
  readonly #verdict: Verdict;
  /** By sequence number. */
  readonly #outcomes: Outcome[] = [];
  /** Sequence number by offset, where it is known. */
  readonly #placed = new Map<number, number>();
  readonly #offsetOf = new Map<number, number>();
  #unanswered: SentBatch[] = [];
  /** Highest log start offset that was ever asked for. */
  trimAsked = 0;
  acked = 0;

  constructor(source: Source, verdict: Verdict) {
    this.source = source;
    this.#verdict = verdict;
  }

  get #name(): string {
    return `${this.source.topic}/${this.source.partition}`;
  }

  /** Batches without an answer, in sending order; an idempotent producer sends them again. */
  get unanswered(): readonly SentBatch[] {
    return this.#unanswered;
  }

  get unknown(): number {
    return this.#unanswered.reduce((sum, batch) => sum + batch.count, 0);
  }

  /** Call before the bytes leave: from then on the records may be in the log. */
  sending(count: number): SentBatch {
    const batch = { first: this.#outcomes.length, count };
    for (let index = 0; index < count; index += 1) this.#outcomes.push("unknown");
    this.#unanswered.push(batch);
    return batch;
  }

  /**
   * After a reading with no request under way: what got no answer, will not be sent again and was
   * not found must never turn up.
   */
  giveUp(): void {
    for (const batch of this.#unanswered) {
      for (let index = batch.first; index < batch.first + batch.count; index += 1) {
        if (this.#outcomes[index] === "unknown") this.#outcomes[index] = "absent";
      }
    }
    this.#unanswered = [];
  }

  #answered(batch: SentBatch): void {
    this.#unanswered = this.#unanswered.filter((each) => each.first !== batch.first);
  }

  acknowledged(batch: SentBatch, baseOffset: number): void {
    this.#answered(batch);
    this.acked += batch.count;
    for (let index = 0; index < batch.count; index += 1) {
      this.#place(baseOffset + index, batch.first + index);
    }
  }

  refusedForGood(batch: SentBatch, words: string): void {
    this.#answered(batch);
    this.#verdict.fault("refused", `${this.#name} batch at ${batch.first}: ${words}`);
    this.#outcomes.fill("refused", batch.first, batch.first + batch.count);
  }

  /** From now on the record at `offset` is known. */
  #place(offset: number, sequence: number): void {
    const before = this.#placed.get(offset);
    const elsewhere = this.#offsetOf.get(sequence);
    if (before !== undefined && before !== sequence) {
      this.#verdict.fault("wrong", `${this.#name}@${offset} was ${before}, now ${sequence}`);
    } else if (elsewhere !== undefined && elsewhere !== offset) {
      this.#verdict.fault("duplicated", `${this.#name} ${sequence} at ${elsewhere} and ${offset}`);
    } else if (this.#outcomes[sequence] === undefined) {
      this.#verdict.fault("wrong", `${this.#name}@${offset} is ${sequence}, which was never sent`);
    } else if (this.#outcomes[sequence] === "refused" || this.#outcomes[sequence] === "absent") {
      const words = `${this.#name}@${offset} is ${sequence}, which was ${this.#outcomes[sequence]}`;
      this.#verdict.fault("wrong", words);
    } else {
      this.#outcomes[sequence] = "placed";
      this.#placed.set(offset, sequence);
      this.#offsetOf.set(sequence, offset);
    }
  }

  /** A record that a reader was given. Returns its sequence number where the bytes are right. */
  seen(stored: StoredRecord): number | undefined {
    const sequence = sequenceOf(this.source, stored);
    if (typeof sequence === "string") {
      this.#verdict.fault("wrong", `${this.#name}@${stored.offset}: ${sequence}`);
      return undefined;
    }
    this.#place(stored.offset, sequence);
    return sequence;
  }

  /** A reading of everything there is. */
  check(reading: Reading): void {
    const { logStart, highWatermark, records } = reading;
    if (logStart > this.trimAsked) {
      const words = `${this.#name} starts at ${logStart}, asked was ${this.trimAsked}`;
      this.#verdict.fault("gaps", words, logStart - this.trimAsked);
    }
    const present = new Set<number>();
    let due = logStart;
    let lastSequence = -1;
    for (const stored of records) {
      if (stored.offset !== due) {
        const words = `${this.#name} ${due} is due, ${stored.offset} is there`;
        this.#verdict.fault("gaps", words, Math.max(1, stored.offset - due));
      }
      due = stored.offset + 1;
      present.add(stored.offset);
      const sequence = this.seen(stored);
      if (sequence === undefined) continue;
      if (sequence <= lastSequence) {
        const words = `${this.#name}@${stored.offset} is ${sequence}, behind ${lastSequence}`;
        this.#verdict.fault("reordered", words);
      }
      lastSequence = sequence;
    }
    if (due < highWatermark) {
      const words = `${this.#name} ends at ${due}, the high watermark is ${highWatermark}`;
      this.#verdict.fault("gaps", words, highWatermark - due);
    }
    this.#checkNothingLost(present);
  }

  #checkNothingLost(present: ReadonlySet<number>): void {
    const missing: number[] = [];
    for (const [offset, sequence] of this.#placed) {
      if (present.has(offset)) continue;
      // A lost record counts once; what lies below a trim is gone as asked.
      this.#placed.delete(offset);
      this.#offsetOf.delete(sequence);
      if (offset >= this.trimAsked) missing.push(offset);
    }
    const [first] = missing;
    if (first === undefined) return;
    const words = `${this.#name} ${missing.length} records from ${first} to ${missing.at(-1)}`;
    this.#verdict.fault("lost", words, missing.length);
  }
}

/** Committed offsets of one group and partition. */
export class CommitHistory {
  readonly #name: string;
  readonly #verdict: Verdict;
  #acknowledged = -1;
  #attempts: number[] = [];
  acked = 0;

  constructor(name: string, verdict: Verdict) {
    this.#name = name;
    this.#verdict = verdict;
  }

  /** The acknowledged offset, -1 = none. */
  get position(): number {
    return this.#acknowledged;
  }

  sending(offset: number): void {
    this.#attempts.push(offset);
  }

  acknowledged(offset: number): void {
    this.acked += 1;
    this.#acknowledged = offset;
    // What was sent before cannot come back any more; one connection keeps the order.
    this.#attempts = this.#attempts.slice(this.#attempts.indexOf(offset) + 1);
  }

  /** What OffsetFetch says, -1 = nothing. It is the truth from now on. */
  check(offset: number, metadata: string | null): void {
    const allowed = offset === this.#acknowledged || this.#attempts.includes(offset);
    if (!allowed) {
      const words = `${this.#name} has ${offset}, acknowledged is ${this.#acknowledged}`;
      this.#verdict.fault("committedLost", words);
    } else if (offset >= 0 && metadata !== commitMetadata(offset)) {
      this.#verdict.fault("wrong", `${this.#name} metadata "${metadata}" at ${offset}`);
    }
    this.#acknowledged = offset;
    this.#attempts = [];
  }
}

/** The metadata string that goes with a committed offset. */
export function commitMetadata(offset: number): string {
  return `position ${offset}`;
}
