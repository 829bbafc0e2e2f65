// A disk in memory with the behaviour that the data node relies on: it stamps copies, hands out
// tickets, and becomes durable only when it is told to. `crash` keeps what was durable.

import { assert } from "../../src/core/base/assert.ts";
import {
  type LeaderEpoch,
  offset,
  type Offset,
  type Slot,
  type Ticket,
  ticket,
} from "../../src/core/base/ids.ts";
import type { OpenedPartition, ReadOutcome, ReadPart } from "../../src/core/base/node_contract.ts";
import {
  batchHeaderBytes,
  batchMaxTimestamp,
  stampAppendTime,
  stampBatch,
} from "../../src/wire/batch.ts";

interface StoredBatch {
  readonly base: number;
  readonly end: number;
  readonly epoch: number;
  readonly bytes: Uint8Array;
  readonly maxTimestamp: number;
  readonly ticket: number;
}

interface Stream {
  batches: StoredBatch[];
  logStart: number;
  /** The log start that a power cut cannot take back. */
  durableStart: number;
}

const none = new Uint8Array(0);
const frameBytes = 64;

export class MemoryDisk {
  /** By topic id and partition, as a real store keeps them. */
  #streams = new Map<string, Stream>();
  readonly #bound = new Map<Slot, Stream>();
  /** Bytes of reads whose step is not over. */
  readonly #views: Uint8Array[] = [];
  #tail = 0;
  durable = 0;
  readonly ringBytes: number;

  constructor(ringBytes = 64 * 1024 * 1024) {
    this.ringBytes = ringBytes;
  }

  get tail(): Ticket {
    return ticket(this.#tail);
  }
  get credit(): number {
    return this.ringBytes - (this.#tail - this.durable);
  }

  sync(): void {
    this.durable = this.#tail;
    for (const stream of this.#streams.values()) {
      stream.durableStart = stream.logStart;
      stream.batches = stream.batches.filter((batch) => batch.end > stream.logStart);
    }
  }

  /**
   * What a process that starts now finds after a power cut: the log is one sequence, so a prefix that
   * ends at `kept`, which is at or behind what was durable.
   */
  afterPowerCut(kept: number = this.durable): MemoryDisk {
    assert(kept >= this.durable && kept <= this.#tail, "what was durable is kept");
    const next = new MemoryDisk(this.ringBytes);
    next.#tail = kept;
    next.durable = kept;
    for (const [key, stream] of this.#streams) {
      next.#streams.set(key, {
        logStart: stream.durableStart,
        durableStart: stream.durableStart,
        batches: stream.batches.filter((batch) => batch.ticket <= kept),
      });
    }
    return next;
  }

  /** Where a power cut may end the log. */
  ticketsBeyondDurable(): readonly number[] {
    const ends = new Set<number>([this.durable]);
    for (const { batches } of this.#streams.values())
      for (const batch of batches) if (batch.ticket > this.durable) ends.add(batch.ticket);
    return [...ends];
  }

  open(slot: Slot, key: string): OpenedPartition {
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      stream = { batches: [], logStart: 0, durableStart: 0 };
      this.#streams.set(key, stream);
    }
    this.#bound.set(slot, stream);
    const last = stream.batches.at(-1);
    const headers = stream.batches.map((batch) => batch.bytes.subarray(0, batchHeaderBytes));
    return {
      logStart: offset(stream.logStart),
      end: offset(Math.max(last?.end ?? 0, stream.logStart)),
      epoch: last?.epoch ?? -1,
      bytes: stream.batches.reduce((sum, batch) => sum + batch.bytes.byteLength, 0),
      maxTimestamp: Math.max(-1, ...stream.batches.map((batch) => batch.maxTimestamp)),
      producerHeaders: new Uint8Array(Buffer.concat(headers)),
    };
  }

  append(
    slot: Slot,
    epoch: LeaderEpoch,
    base: Offset,
    count: number,
    logAppendTime: number,
    batch: Uint8Array,
  ): Ticket {
    const stream = this.#streamOf(slot);
    const bytes = new Uint8Array(batch);
    const view = new DataView(bytes.buffer);
    stampBatch(view, 0, base, epoch);
    if (logAppendTime >= 0) stampAppendTime(bytes, view, 0, logAppendTime);
    this.#tail += frameBytes + Math.ceil(bytes.byteLength / 8) * 8;
    assert(this.credit >= 0, "an append stays within the credit");
    stream.batches.push({
      base,
      end: base + count,
      epoch,
      bytes,
      maxTimestamp: batchMaxTimestamp(view, 0),
      ticket: this.#tail,
    });
    return ticket(this.#tail);
  }

  read(part: ReadPart, bytesMax: number, first: boolean): ReadOutcome {
    const stream = this.#streamOf(part.slot);
    if (part.offset < stream.logStart)
      return { status: "out-of-range", records: none, nextOffset: part.offset };
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let next: number = part.offset;
    for (const batch of stream.batches) {
      if (batch.end <= part.offset) continue;
      if (batch.base >= part.limit || batch.end > part.limit) break;
      if (bytes + batch.bytes.byteLength > bytesMax && !(first && bytes === 0)) break;
      parts.push(batch.bytes);
      bytes += batch.bytes.byteLength;
      next = batch.end;
    }
    return {
      status: "ok",
      records: bytes === 0 ? none : this.#view(new Uint8Array(Buffer.concat(parts))),
      nextOffset: offset(next),
    };
  }

  #view(bytes: Uint8Array): Uint8Array {
    this.#views.push(bytes);
    return bytes;
  }

  /** The step that a read was for is over: whoever still looks at its bytes sees rubbish. */
  forgetViews(): void {
    for (const view of this.#views) view.fill(0xdb);
    this.#views.length = 0;
  }

  lookup(slot: Slot, by: "timestamp" | "max-timestamp", value: number, limit: Offset): ReadOutcome {
    const below = this.#streamOf(slot).batches.filter(
      (batch) => batch.end <= limit && batch.end > this.#streamOf(slot).logStart,
    );
    const found =
      by === "timestamp"
        ? below.find((batch) => batch.maxTimestamp >= value)
        : below.reduce<StoredBatch | undefined>(
            (best, batch) =>
              best === undefined || batch.maxTimestamp > best.maxTimestamp ? batch : best,
            undefined,
          );
    return { status: "ok", records: found?.bytes ?? none, nextOffset: offset(found?.end ?? 0) };
  }

  trim(slot: Slot, at: Offset): void {
    const stream = this.#streamOf(slot);
    stream.logStart = Math.max(stream.logStart, at);
  }

  remove(slot: Slot): void {
    const stream = this.#bound.get(slot);
    this.#bound.delete(slot);
    for (const [key, each] of this.#streams) if (each === stream) this.#streams.delete(key);
  }

  #streamOf(slot: Slot): Stream {
    const stream = this.#bound.get(slot);
    assert(stream !== undefined, "the partition was opened");
    return stream;
  }
}
