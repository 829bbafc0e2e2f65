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
import type {
  HeadersOutcome,
  OpenedPartition,
  ReadOutcome,
  ReadPart,
  ReadStatus,
  SidecarOutcome,
} from "../../src/core/base/node_contract.ts";
import { Attribute } from "../../src/core/base/facts.ts";
import {
  batchAttributes,
  batchHeaderBytes,
  batchMaxTimestamp,
  batchProducerId,
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

interface StoredSidecar {
  readonly at: Offset;
  readonly state: Uint8Array;
  readonly ticket: number;
}

interface Stream {
  batches: StoredBatch[];
  sidecars: StoredSidecar[];
  logStart: number;
  /** The log start that a power cut cannot take back. */
  durableStart: number;
}

const none = new Uint8Array(0);
const frameBytes = 64;
const sidecarHeadBytes = 16;
/** Small, so that a load takes several. */
const headersPerPage = 3;

export class MemoryDisk {
  /** By topic id and partition, as a real store keeps them. */
  #streams = new Map<string, Stream>();
  readonly #bound = new Map<Slot, Stream>();
  /** Bytes of reads whose step is not over. */
  readonly #views: Uint8Array[] = [];
  readonly #keys = new Map<Slot, string>();
  #tail = 0;
  durable = 0;
  /** Has no room to forget what was deleted. */
  full = false;
  readonly ringBytes: number;
  /** Headers that were read, by their first offsets. */
  readonly headersRead: number[] = [];
  /** What reads of sidecars and of headers answer: tests of bad disks set them. */
  sidecarStatus: ReadStatus = "ok";
  headersStatus: ReadStatus = "ok";

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
        sidecars: stream.sidecars.filter((sidecar) => sidecar.ticket <= kept),
      });
    }
    return next;
  }

  /** Where a power cut may end the log. */
  ticketsBeyondDurable(): readonly number[] {
    const ends = new Set<number>([this.durable]);
    for (const { batches, sidecars } of this.#streams.values())
      for (const frame of [...batches, ...sidecars])
        if (frame.ticket > this.durable) ends.add(frame.ticket);
    return [...ends];
  }

  open(slot: Slot, key: string): OpenedPartition {
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      stream = { batches: [], sidecars: [], logStart: 0, durableStart: 0 };
      this.#streams.set(key, stream);
    }
    this.#bound.set(slot, stream);
    this.#keys.set(slot, key);
    const last = stream.batches.at(-1);
    return {
      logStart: offset(stream.logStart),
      end: offset(Math.max(last?.end ?? 0, stream.logStart)),
      epoch: last?.epoch ?? -1,
      maxTimestamp: Math.max(-1, ...stream.batches.map((batch) => batch.maxTimestamp)),
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

  sidecar(slot: Slot, at: Offset, state: Uint8Array): void {
    this.#tail += frameBytes + Math.ceil((sidecarHeadBytes + state.byteLength) / 8) * 8;
    assert(this.credit >= 0, "a sidecar stays within the credit");
    const { sidecars } = this.#streamOf(slot);
    sidecars.push({ at, state: new Uint8Array(state), ticket: this.#tail });
  }

  readSidecar(slot: Slot): SidecarOutcome {
    const stream = this.#bound.get(slot);
    const newest = stream?.sidecars.at(-1);
    if (stream === undefined || this.sidecarStatus !== "ok" || newest === undefined) {
      const absent = this.sidecarStatus === "ok" ? "absent" : this.sidecarStatus;
      return { status: stream === undefined ? "failed" : absent, at: offset(0), state: none };
    }
    return { status: "ok", at: newest.at, state: this.#view(newest.state.slice()) };
  }

  readHeaders(slot: Slot, from: Offset, limit: Offset): HeadersOutcome {
    const stream = this.#bound.get(slot);
    const failed = stream === undefined ? "failed" : this.headersStatus;
    if (stream === undefined || failed !== "ok")
      return { status: failed, headers: none, nextOffset: failed === "damaged" ? limit : from };
    if (from < stream.logStart) return { status: "out-of-range", headers: none, nextOffset: from };
    const page: Uint8Array[] = [];
    for (const batch of stream.batches) {
      if (batch.base < from || batch.end > limit) continue;
      const header = batch.bytes.subarray(0, batchHeaderBytes);
      const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
      if (batchProducerId(view, 0) < 0) continue;
      if ((batchAttributes(view, 0) & Attribute.control) !== 0) continue;
      this.headersRead.push(batch.base);
      page.push(header);
      if (page.length < headersPerPage) continue;
      const headers = this.#view(new Uint8Array(Buffer.concat(page)));
      return { status: "ok", headers, nextOffset: offset(batch.end) };
    }
    const headers = this.#view(new Uint8Array(Buffer.concat(page)));
    return { status: "ok", headers, nextOffset: limit };
  }

  /** The newest sidecar becomes other bytes, of a version that nobody knows yet, or goes. */
  harmSidecars(harm: "newer" | "gone"): void {
    for (const stream of this.#streams.values()) {
      const newest = stream.sidecars.at(-1);
      if (harm === "gone") stream.sidecars = [];
      else if (newest !== undefined) newest.state[0] = 2;
    }
  }

  read(part: ReadPart, bytesMax: number, first: boolean): ReadOutcome {
    const stream = this.#streamOf(part.slot);
    if (part.offset < stream.logStart)
      return { status: "out-of-range", records: none, nextOffset: part.offset };
    const parts: Uint8Array[] = [];
    let stored = false;
    let bytes = 0;
    let next: number = part.offset;
    for (const batch of stream.batches) {
      if (batch.end <= part.offset) continue;
      if (batch.base >= part.limit) break;
      stored = true;
      if (batch.end > part.limit) break;
      if (bytes + batch.bytes.byteLength > bytesMax && !(first && bytes === 0)) break;
      parts.push(batch.bytes);
      bytes += batch.bytes.byteLength;
      next = batch.end;
    }
    return {
      status: stored ? "ok" : "absent",
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

  lookup(
    slot: Slot,
    by: "timestamp" | "max-timestamp",
    value: number,
    from: Offset,
    limit: Offset,
  ): ReadOutcome {
    const stream = this.#streamOf(slot);
    const first = Math.max(from, stream.logStart);
    const below = stream.batches.filter((batch) => batch.end > first && batch.end <= limit);
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

  /** Batches that end at or below `end` are gone though nobody trimmed them: a fault. */
  lose(slot: Slot, end: number): void {
    const stream = this.#streamOf(slot);
    stream.batches = stream.batches.filter((batch) => batch.end > end);
  }

  trim(slot: Slot, at: Offset): void {
    const stream = this.#streamOf(slot);
    stream.logStart = Math.max(stream.logStart, at);
  }

  remove(slot: Slot): void {
    const key = this.#keys.get(slot);
    this.#bound.delete(slot);
    this.#keys.delete(slot);
    if (key !== undefined && !this.full) this.#streams.delete(key);
  }

  /** Everything at once, where a real disk takes many steps. */
  sweep(owns: (key: string) => boolean): void {
    if (this.full) return;
    for (const key of this.#streams.keys()) if (!owns(key)) this.#streams.delete(key);
  }

  get keys(): readonly string[] {
    return [...this.#streams.keys()];
  }

  bytesOf(slot: Slot): number {
    const { batches, logStart } = this.#streamOf(slot);
    const live = batches.filter((batch) => batch.end > logStart);
    return live.reduce((sum, batch) => sum + batch.bytes.byteLength, 0);
  }

  #streamOf(slot: Slot): Stream {
    const stream = this.#bound.get(slot);
    assert(stream !== undefined, "the partition was opened");
    return stream;
  }
}
