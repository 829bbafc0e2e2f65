// The data thread's disk: performs the storage effects on the Zig store and turns what its threads
// report into inputs. Bytes in the staging ring are read at once; everything else goes to the reader
// threads and comes back through a poll. A batch that was looked up may be small and open to many
// megabytes: one is answered per turn of the event loop, so that everybody else has turns between.

import { assert } from "../../core/base/assert.ts";
import {
  type LeaderEpoch,
  offset,
  type Offset,
  type PartitionIndex,
  type Slot,
  type Ticket,
  type TopicId,
} from "../../core/base/ids.ts";
import { diskRequestsQueuedMax, lookupsAtOnceMax } from "../../core/base/limits.ts";
import type { Input, ReadOutcome, ReadPart, ReadStatus } from "../../core/base/node_contract.ts";
import {
  type Completion,
  CompletionKind,
  type ReadAnswer,
  Status,
  type Store,
} from "../../storage/storage.ts";
import { openBatch } from "./open_batch.ts";

const noBytes = new Uint8Array(0);
const streamNone = 0xffffffff;
const firstStream = 1;
/** First size of the buffer that reads from the ring are copied into. */
const readBufferBytes = 2 * 1024 * 1024;

/** One `read` effect until all of its parts are there. */
class ReadJob {
  readonly request: number;
  readonly outcomes: (ReadOutcome | null)[];
  open = 0;
  constructor(request: number, count: number) {
    this.request = request;
    this.outcomes = new Array<ReadOutcome | null>(count).fill(null);
  }
}

type Pending =
  | { readonly kind: "read"; readonly job: ReadJob; readonly at: number; readonly offset: Offset }
  | { readonly kind: "lookup"; readonly request: number }
  | { readonly kind: "sidecar" | "headers"; readonly slot: Slot };

/** A request that found all reader slots taken, or all places of look-ups; tried again. */
interface Queued {
  readonly pending: Pending;
  readonly submit: (request: number) => number;
}

/** A look-up with the batch that it brought. */
interface FoundBatch {
  readonly request: number;
  readonly batch: Uint8Array;
}

export interface DiskSink {
  input(input: Input): void;
  /** The disk is full, or takes writes again. */
  space(takesWrites: boolean): void;
  /** The disk has made progress and everything was fed in. */
  progressed(): void;
  /** A sync or write failed: nothing more may be acknowledged by this process. */
  failed(number: number): void;
  /** Once for each place. Null: nobody has opened the partition. */
  damaged(completion: Completion, slot: Slot | null): void;
}

/** Places of damage that are remembered as told. */
const placesToldMax = 4096;

export class Disk {
  readonly #store: Store;
  #sink: DiskSink | null = null;
  #streams = new Uint32Array(64).fill(streamNone);
  /** Slot by stream id, for what the store reports on its own. */
  readonly #slots = new Map<number, Slot>();
  readonly #pending = new Map<number, Pending>();
  #queued: Queued[] = [];
  /** Places of damage that the sink knows of. */
  readonly #told = new Set<string>();
  /** Look-ups that wait for one of their places, apart: nothing else waits behind them. */
  #queuedLookups: Queued[] = [];
  /** Look-ups that are submitted and not answered. */
  #lookups = 0;
  /** Those of them whose batch is there; while there are any, a turn of the event loop is due. */
  readonly #found: FoundBatch[] = [];
  /** Where the sweep stands; 0: none is under way. */
  #sweepFrom = 0;
  /** There may be streams that nobody owns: always after a start. */
  #unswept = true;
  #nextRequest = 1;
  #buffer = new Uint8Array(readBufferBytes);
  #takesWrites = true;

  constructor(store: Store) {
    this.#store = store;
  }

  /** From now on progress is reported. */
  attach(sink: DiskSink): void {
    this.#sink = sink;
    this.#store.attach(() => this.poll());
    this.poll();
  }

  /** Takes over what the Zig threads have done since the last call. */
  poll(): void {
    const sink = this.#sink;
    if (sink === null) return;
    for (let more = true; more; ) {
      const progress = this.#store.poll();
      more = progress.more;
      if (progress.failure !== 0) return sink.failed(progress.failure);
      const takesWrites = progress.diskState === 0;
      if (takesWrites !== this.#takesWrites) {
        this.#takesWrites = takesWrites;
        sink.input({ kind: "disk-state", takesWrites });
        sink.space(takesWrites);
      }
      sink.input({
        kind: "appended",
        written: progress.written,
        durable: progress.durable,
        credit: progress.credit,
      });
      for (const completion of progress.completions) this.#complete(completion, sink);
    }
    this.#retryQueued();
    sink.progressed();
  }

  checkBatches(frame: Uint8Array, ranges: Uint32Array, count: number, facts: Float64Array): void {
    this.#store.checkBatches(frame, ranges, count, facts);
  }

  open(slot: Slot, topic: TopicId, partition: PartitionIndex): void {
    const entry = this.#store.openStream(topic, partition);
    if (entry === null) {
      this.#input({ kind: "opened", slot, partition: null });
      return;
    }
    this.#bind(slot, entry.stream);
    const { epoch, maxTimestamp } = entry;
    this.#input({
      kind: "opened",
      slot,
      partition: {
        logStart: offset(entry.logStart),
        end: offset(entry.end),
        epoch,
        maxTimestamp,
      },
    });
  }

  sidecar(slot: Slot, at: Offset, state: Uint8Array): void {
    this.#store.sidecar(this.#streamOf(slot), at, state);
  }

  readSidecar(slot: Slot): void {
    const stream = this.#streamOf(slot);
    this.#submit({ kind: "sidecar", slot }, (id) => this.#store.sidecarLater(id, stream));
  }

  readHeaders(slot: Slot, from: Offset, limit: Offset): void {
    const stream = this.#streamOf(slot);
    this.#submit({ kind: "headers", slot }, (id) =>
      this.#store.headersLater(id, stream, from, limit),
    );
  }

  append(
    slot: Slot,
    epoch: LeaderEpoch,
    base: Offset,
    count: number,
    highWatermark: Offset,
    logAppendTime: number,
    sync: boolean,
    batch: Uint8Array,
  ): Ticket {
    return this.#store.append(
      this.#streamOf(slot),
      epoch,
      base,
      count,
      highWatermark,
      logAppendTime,
      sync,
      batch,
    );
  }

  read(request: number, parts: readonly ReadPart[], bytesMax: number): void {
    const job = new ReadJob(request, parts.length);
    let left = bytesMax;
    let filled = 0;
    job.open = 1;
    for (const [at, part] of parts.entries()) {
      if ((this.#streams[part.slot] ?? streamNone) === streamNone) {
        // Deleted by the step that asked for the read.
        job.outcomes[at] = { status: "failed", records: noBytes, nextOffset: part.offset };
        continue;
      }
      const first = at === 0;
      const limit = Math.min(part.bytesMax, left);
      if (limit <= 0 && !first) {
        job.outcomes[at] = { status: "ok", records: noBytes, nextOffset: part.offset };
        continue;
      }
      const answer = this.#readRing(part, Math.max(limit, 0), first, filled);
      if (answer.status === Status.cold) {
        this.#readLater(job, at, part, Math.max(limit, 1), first);
        left -= limit;
        continue;
      }
      job.outcomes[at] = this.#outcome(part, answer, filled);
      filled += answer.bytes;
      left -= answer.bytes;
    }
    if (job.open > 1) this.#keepOwn(job);
    this.#partDone(job);
  }

  lookup(
    request: number,
    slot: Slot,
    by: "timestamp" | "max-timestamp",
    value: number,
    from: Offset,
    limit: Offset,
  ): void {
    const stream = this.#streamOf(slot);
    this.#submit({ kind: "lookup", request }, (id) =>
      this.#store.lookupLater(id, stream, by === "timestamp" ? 0 : 1, value, from, limit),
    );
  }

  trim(slot: Slot, at: Offset): void {
    this.#store.trim(this.#streamOf(slot), at);
  }

  retain(slot: Slot, retentionMs: number, retentionBytes: number): void {
    this.#store.configureStream(this.#streamOf(slot), retentionMs, retentionBytes);
  }

  remove(slot: Slot): void {
    const stream = this.#streams[slot] ?? streamNone;
    if (stream !== streamNone) {
      this.#slots.delete(stream);
      this.#streams[slot] = streamNone;
      if (this.#store.deleteStream(stream)) return;
    }
    this.#unswept = true;
  }

  sweep(owns: (topic: TopicId, partition: PartitionIndex) => boolean): void {
    if (this.#sweepFrom === 0) {
      if (!this.#unswept) return;
      this.#unswept = false;
      this.#sweepFrom = firstStream;
    }
    const page = this.#store.listStreams(this.#sweepFrom);
    for (const { stream, topic, partition } of page.streams) {
      // A full disk has no room for it now: the same page again.
      if (!owns(topic, partition) && !this.#store.deleteStream(stream)) return;
    }
    this.#sweepFrom = page.next;
  }

  bytesOf(slot: Slot): number {
    return this.#store.streamBytes(this.#streamOf(slot));
  }

  #readRing(part: ReadPart, bytesMax: number, first: boolean, filled: number): ReadAnswer {
    const stream = this.#streamOf(part.slot);
    let answer = this.#store.read(
      stream,
      part.offset,
      part.limit,
      bytesMax,
      first,
      this.#buffer,
      filled,
    );
    if (
      answer.status === Status.too_small ||
      (answer.status === Status.ok && answer.bytes > this.#buffer.byteLength - filled)
    ) {
      this.#growBuffer(filled, answer.bytes);
      answer = this.#store.read(
        stream,
        part.offset,
        part.limit,
        bytesMax,
        first,
        this.#buffer,
        filled,
      );
    }
    return answer;
  }

  #growBuffer(filled: number, more: number): void {
    let size = this.#buffer.byteLength;
    while (size < filled + more) size *= 2;
    const larger = new Uint8Array(size);
    larger.set(this.#buffer.subarray(0, filled));
    this.#buffer = larger;
  }

  #outcome(part: ReadPart, answer: ReadAnswer, filled: number): ReadOutcome {
    const status = readStatus(answer.status);
    if (status !== "ok") return { status, records: noBytes, nextOffset: part.offset };
    return {
      status,
      records: answer.bytes === 0 ? noBytes : this.#buffer.subarray(filled, filled + answer.bytes),
      nextOffset: answer.bytes === 0 ? part.offset : offset(answer.nextOffset),
    };
  }

  #readLater(job: ReadJob, at: number, part: ReadPart, bytesMax: number, first: boolean): void {
    job.open += 1;
    const stream = this.#streamOf(part.slot);
    this.#submit({ kind: "read", job, at, offset: part.offset }, (id) =>
      this.#store.readLater(id, stream, part.offset, part.limit, bytesMax, first),
    );
  }

  /** Parts that were read from the ring outlive the shared buffer when others are still to come. */
  #keepOwn(job: ReadJob): void {
    for (const [at, outcome] of job.outcomes.entries()) {
      if (outcome === null || outcome.records.byteLength === 0) continue;
      job.outcomes[at] = { ...outcome, records: outcome.records.slice() };
    }
  }

  #partDone(job: ReadJob): void {
    job.open -= 1;
    if (job.open > 0) return;
    const parts = job.outcomes.map((outcome) => {
      assert(outcome !== null, "every part of a read has an outcome");
      return outcome;
    });
    this.#input({ kind: "read-done", request: job.request, parts });
  }

  #submit(pending: Pending, submit: (request: number) => number): void {
    const queued = pending.kind === "lookup" ? this.#queuedLookups : this.#queued;
    if (queued.length === 0 && this.#trySubmit(pending, submit)) return;
    // Producers are loaded for few partitions at a time: they wait in any case.
    const ofClient = pending.kind === "read" || pending.kind === "lookup";
    if (ofClient && queued.length >= diskRequestsQueuedMax)
      return this.#finish(pending, "failed", noBytes, null);
    queued.push({ pending, submit });
  }

  /** False when all reader slots are taken, or all places of look-ups. */
  #trySubmit(pending: Pending, submit: (request: number) => number): boolean {
    const ofLookup = pending.kind === "lookup";
    if (ofLookup && this.#lookups >= lookupsAtOnceMax) return false;
    const id = this.#nextRequest;
    const status = submit(id);
    if (status === Status.busy) return false;
    this.#nextRequest = id === 0xffffffff ? 1 : id + 1;
    if (status !== Status.ok) this.#finish(pending, readStatus(status), noBytes, null);
    else {
      this.#pending.set(id, pending);
      if (ofLookup) this.#lookups += 1;
    }
    return true;
  }

  #retryQueued(): void {
    this.#queued = this.#retried(this.#queued);
    this.#queuedLookups = this.#retried(this.#queuedLookups);
  }

  /** What is left of the queue. */
  #retried(queued: Queued[]): Queued[] {
    let done = 0;
    for (const next of queued) {
      if (!this.#trySubmit(next.pending, next.submit)) break;
      done += 1;
    }
    return done === 0 ? queued : queued.slice(done);
  }

  #complete(completion: Completion, sink: DiskSink): void {
    switch (completion.kind) {
      case CompletionKind.trim_due: {
        const slot = this.#slots.get(completion.stream);
        if (slot !== undefined)
          sink.input({ kind: "trim-due", slot, offset: offset(completion.nextOffset) });
        return;
      }
      case CompletionKind.damage:
        return this.#tellDamage(completion, sink);
      case CompletionKind.read:
      case CompletionKind.lookup:
      case CompletionKind.headers:
      case CompletionKind.sidecar:
        return this.#completeRequest(completion);
      default:
        return;
    }
  }

  #tellDamage(completion: Completion, sink: DiskSink): void {
    const { stream, segment, file, fileOffset } = completion;
    const place = `${stream} ${segment} ${file} ${fileOffset}`;
    if (this.#told.has(place) || this.#told.size >= placesToldMax) return;
    this.#told.add(place);
    sink.damaged(completion, this.#slots.get(completion.stream) ?? null);
  }

  #completeRequest(completion: Completion): void {
    const pending = this.#pending.get(completion.request);
    assert(pending !== undefined, "a completion answers one request");
    this.#pending.delete(completion.request);
    const status = readStatus(completion.status);
    const taken = this.#store.takeSlot(completion.slot, completion.bytes);
    const bytes = status === "ok" ? taken : noBytes;
    if (pending.kind === "lookup") {
      if (bytes.byteLength > 0) return this.#openLater(pending.request, bytes);
      this.#lookups -= 1;
    }
    this.#finish(pending, status, bytes, completion);
  }

  #openLater(request: number, batch: Uint8Array): void {
    this.#found.push({ request, batch });
    if (this.#found.length === 1) setImmediate(() => this.#openNext());
  }

  /** One turn of the event loop: one look-up is answered, and its place is given away. */
  #openNext(): void {
    const next = this.#found.shift();
    assert(next !== undefined, "a turn is due while a batch is to be opened");
    if (this.#found.length > 0) setImmediate(() => this.#openNext());
    this.#lookups -= 1;
    const records = openBatch(next.batch);
    const outcome: ReadOutcome = {
      status: records === null ? "damaged" : "ok",
      records: records ?? noBytes,
      nextOffset: offset(0),
    };
    this.#input({ kind: "looked-up", request: next.request, outcome });
    this.#retryQueued();
    this.#sink?.progressed();
  }

  /** `bytes` of a look-up are none: what it brings is opened first, and that has its own turn. */
  #finish(
    pending: Pending,
    status: ReadStatus,
    bytes: Uint8Array,
    completion: Completion | null,
  ): void {
    switch (pending.kind) {
      case "read": {
        const next =
          bytes.byteLength > 0 && completion !== null
            ? offset(completion.nextOffset)
            : pending.offset;
        pending.job.outcomes[pending.at] = { status, records: bytes, nextOffset: next };
        return this.#partDone(pending.job);
      }
      case "lookup": {
        const outcome: ReadOutcome = { status, records: bytes, nextOffset: offset(0) };
        return this.#input({ kind: "looked-up", request: pending.request, outcome });
      }
      case "sidecar": {
        const { slot } = pending;
        const at = offset(completion?.firstOffset ?? 0);
        return this.#input({ kind: "sidecar-read", slot, outcome: { status, at, state: bytes } });
      }
      case "headers": {
        const { slot } = pending;
        const nextOffset = offset(completion?.nextOffset ?? 0);
        const outcome = { status, headers: bytes, nextOffset };
        return this.#input({ kind: "headers-read", slot, outcome });
      }
    }
  }

  #bind(slot: Slot, stream: number): void {
    if (slot >= this.#streams.length) {
      let capacity = this.#streams.length;
      while (capacity <= slot) capacity *= 2;
      const wider = new Uint32Array(capacity).fill(streamNone);
      wider.set(this.#streams);
      this.#streams = wider;
    }
    this.#streams[slot] = stream;
    this.#slots.set(stream, slot);
  }

  #streamOf(slot: Slot): number {
    const stream = this.#streams[slot] ?? streamNone;
    assert(stream !== streamNone, "the partition was opened in the store");
    return stream;
  }

  #input(input: Input): void {
    assert(this.#sink !== null, "the disk has a sink");
    this.#sink.input(input);
  }
}

/** An I/O error is never "no data". */
function readStatus(status: number): ReadStatus {
  switch (status) {
    case Status.ok:
      return "ok";
    case Status.absent:
      return "absent";
    case Status.out_of_range:
      return "out-of-range";
    case Status.damaged:
      return "damaged";
    default:
      return "failed";
  }
}
