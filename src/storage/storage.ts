// The one door to the Zig library: opens a data directory, and wraps its two stores. Every argument
// is asserted here, because bun:ffi coerces silently; every result is read from structs whose layout
// is generated from the Zig declarations.
//
// Calls never block on a disk, except opening and closing a directory. What a Zig thread reports is
// fetched by `poll`, after one coalesced wake; Zig never calls back with bytes.

import { assert } from "../core/base/assert.ts";
import { factStride } from "../core/base/facts.ts";
import type { LeaderEpoch, Offset, PartitionIndex, Ticket, TopicId } from "../core/base/ids.ts";
import { partitionIndex, ticket, topicId } from "../core/base/ids.ts";
import { JSCallback } from "bun:ffi";
import { layouts, Status } from "./abi.gen.ts";
import { type Library, library } from "./library.ts";
import { bytesOfId, idOfBytes } from "./topic_id_bytes.ts";

export { resolveLibrary } from "./load.ts";
export { Status } from "./abi.gen.ts";

export const CompletionKind = {
  read: 1,
  lookup: 2,
  headers: 3,
  trim_due: 4,
  snapshot: 5,
  damage: 6,
  sidecar: 7,
} as const;

/** `file` of damage: the sorted directory of the segment, and not the segment itself. */
export const damagedDirectory = 1;
/** `slot` of a completion that has no bytes. */
const slotNone = 0xffffffff;
const completionsPerPoll = 256;
/** Ids that one call of `listStreams` looks at. */
const streamsPerPage = 256;
const noBytes = new Uint8Array(0);

export interface DirectoryOptions {
  readonly segmentBytes: number;
  readonly ringBytes: number;
  readonly indexInterval: number;
  readonly enableMmap: boolean;
  readonly flushIntervalMs: number;
  readonly retentionCheckMs: number;
  /** 0: sealed segments are not read again. */
  readonly scrubBytesPerSecond: number;
}

export type BootKind = "first" | "clean" | "process-crash" | "power-cut" | "failed-sync";
const bootKinds: readonly BootKind[] = [
  "first",
  "clean",
  "process-crash",
  "power-cut",
  "failed-sync",
];

export interface Opened {
  readonly bootKind: BootKind;
  readonly starts: number;
  readonly logTail: number;
  readonly damagedRanges: number;
  readonly tornBytes: number;
  readonly diskId: string;
  readonly clusterId: string;
}

export interface OpenFailure {
  readonly status: keyof typeof Status;
  readonly lockPid: number;
  readonly words: string;
}

export interface StreamEntry {
  readonly stream: number;
  readonly epoch: number;
  readonly logStart: number;
  readonly end: number;
  readonly highWatermark: number;
  readonly maxTimestamp: number;
}

export interface StreamName {
  readonly stream: number;
  readonly topic: TopicId;
  readonly partition: PartitionIndex;
}

export interface ReadAnswer {
  readonly status: number;
  readonly bytes: number;
  readonly nextOffset: number;
}

export interface Completion {
  readonly kind: number;
  readonly status: number;
  readonly request: number;
  readonly slot: number;
  readonly stream: number;
  readonly bytes: number;
  readonly firstOffset: number;
  readonly nextOffset: number;
  readonly position: number;
  readonly segment: number;
  /** Of damage: which file of the segment, and the place in it. */
  readonly file: number;
  readonly fileOffset: number;
}

export interface Progress {
  readonly written: Ticket;
  readonly durable: Ticket;
  readonly credit: number;
  readonly diskState: number;
  readonly failure: number;
  readonly more: boolean;
  readonly completions: readonly Completion[];
}

/** Metadata is small: 16 MiB segments, and a ring that holds several of its largest batches. */
const metaSegmentBytes = 16 * 1024 * 1024;
const metaRingBytes = 16 * 1024 * 1024;
const streamsMax = 1 << 20;
const readers = 2;
const readSlots = 64;
const readSlotBytes = 1024 * 1024;
const fillMibPerSecond = 256;
const flagMmap = 1;

function u32(value: number): number {
  assert(Number.isInteger(value), "a u32 argument is an integer");
  assert(value >= 0 && value <= 0xffffffff, "a u32 argument fits");
  return value;
}

function whole(value: number): number {
  assert(Number.isSafeInteger(value), "an f64 argument is a safe integer");
  return value;
}

/** One data directory: lock, identity, boot record and the stores `log` and `meta`. */
export class Directory {
  readonly log: Store;
  readonly meta: Store;
  readonly opened: Opened;
  readonly #library: Library;
  readonly #handle: number;

  /** Blocks while both stores recover; its cost does not depend on the size of the log. */
  static open(
    libraryPath: string,
    path: string,
    options: DirectoryOptions,
  ): Directory | OpenFailure {
    const lib = library(libraryPath);
    const input = optionsStruct(options);
    const out = new Uint8Array(new ArrayBuffer(layouts.Opened.size));
    const name = Buffer.from(path, "utf8");
    const status = lib.pyralog_dir_open(name, name, input, out);
    const view = new DataView(out.buffer);
    if (status !== Status.ok) return openFailure(status, view);
    return new Directory(lib, view);
  }

  private constructor(lib: Library, view: DataView) {
    const at = layouts.Opened;
    this.#library = lib;
    this.#handle = view.getUint32(at.dir, true);
    this.log = new Store(lib, view.getUint32(at.log, true));
    this.meta = new Store(lib, view.getUint32(at.meta, true));
    this.opened = {
      bootKind: bootKinds[view.getUint32(at.boot_kind, true)] ?? "power-cut",
      starts: view.getFloat64(at.starts, true),
      logTail: view.getFloat64(at.log_tail, true),
      damagedRanges: view.getUint32(at.damaged_ranges, true),
      tornBytes: view.getUint32(at.torn_bytes, true),
      diskId: idOfBytes(view, at.disk_id),
      clusterId: idOfBytes(view, at.cluster_id),
    };
  }

  /** Drains and joins every Zig thread; `clean` leaves the mark that makes the next start quick. */
  close(clean: boolean): void {
    this.log.detach();
    this.#library.pyralog_dir_close(this.#handle, clean ? 1 : 0);
  }
}

function optionsStruct(options: DirectoryOptions): Uint8Array {
  const at = layouts.OpenOptions;
  const bytes = new Uint8Array(new ArrayBuffer(at.size));
  const view = new DataView(bytes.buffer);
  view.setFloat64(at.log_segment_bytes, whole(options.segmentBytes), true);
  view.setFloat64(at.meta_segment_bytes, metaSegmentBytes, true);
  view.setFloat64(at.log_ring_bytes, whole(options.ringBytes), true);
  view.setFloat64(at.meta_ring_bytes, metaRingBytes, true);
  view.setUint32(at.streams_max, streamsMax, true);
  view.setUint32(at.index_interval, u32(options.indexInterval), true);
  view.setUint32(at.readers, readers, true);
  view.setUint32(at.read_slots, readSlots, true);
  view.setUint32(at.read_slot_bytes, readSlotBytes, true);
  view.setUint32(at.flags, options.enableMmap ? flagMmap : 0, true);
  view.setUint32(at.flush_interval_ms, u32(options.flushIntervalMs), true);
  view.setUint32(at.fill_bytes_per_s_mib, fillMibPerSecond, true);
  view.setUint32(at.retention_check_ms, u32(options.retentionCheckMs), true);
  view.setUint32(at.scrub_bytes_per_s, u32(options.scrubBytesPerSecond), true);
  return bytes;
}

function openFailure(status: number, view: DataView): OpenFailure {
  const at = layouts.Opened;
  const name = statusName(status);
  const segment = view.getUint32(at.error_segment, true);
  const position = view.getFloat64(at.error_position, true);
  const number = view.getInt32(at.error_number, true);
  const place = `segment ${segment}, position ${position}`;
  const words =
    name === "format"
      ? `has an unknown newer or foreign format (${place})`
      : name === "damaged_directory"
        ? `has a damaged identity or boot record (${place})`
        : `${name}, error ${number}, ${place}`;
  return { status: name, lockPid: view.getUint32(at.lock_pid, true), words };
}

function statusName(status: number): keyof typeof Status {
  for (const [name, value] of Object.entries(Status)) {
    if (value === status) return name as keyof typeof Status; // proof: a key of Status
  }
  return "invalid";
}

/** One store. A handle may be used by the thread that attached, and by no other. */
export class Store {
  readonly handle: number;
  readonly #library: Library;
  readonly #out = new Uint8Array(new ArrayBuffer(256));
  readonly #view = new DataView(this.#out.buffer);
  readonly #completions = new Uint8Array(
    new ArrayBuffer(completionsPerPoll * layouts.Completion.size),
  );
  readonly #completionView = new DataView(this.#completions.buffer);
  #wake: JSCallback | null = null;

  constructor(lib: Library, handle: number) {
    this.#library = lib;
    this.handle = u32(handle);
  }

  /** The handle that another thread opened, by the path that it loaded. */
  static of(libraryPath: string, handle: number): Store {
    return new Store(library(libraryPath), handle);
  }

  /** `wake` runs on this thread's loop after progress; it is expected to poll. */
  attach(wake: () => void): void {
    assert(this.#wake === null, "a store is attached once");
    // A wake may be on its way while the store is detached.
    const run = (): void => {
      if (this.#wake !== null) wake();
    };
    this.#wake = new JSCallback(run, { args: [], returns: "void", threadsafe: true });
    const { ptr } = this.#wake;
    assert(ptr !== null, "the wake has an address");
    this.#must(this.#library.pyralog_store_attach(this.handle, ptr), "the store can be attached");
  }

  detach(): void {
    if (this.#wake === null) return;
    this.#library.pyralog_store_detach(this.handle);
    this.#wake.close();
    this.#wake = null;
  }

  poll(): Progress {
    const { handle } = this;
    this.#must(
      this.#library.pyralog_store_poll(handle, this.#out, this.#completions, this.#completions),
      "a store can be polled",
    );
    const view = this.#view;
    const at = layouts.Poll;
    const count = view.getUint32(at.completions, true);
    const completions: Completion[] = [];
    for (let i = 0; i < count; i += 1)
      completions.push(this.#completion(i * layouts.Completion.size));
    return {
      written: ticket(view.getFloat64(at.written, true)),
      durable: ticket(view.getFloat64(at.durable, true)),
      credit: view.getFloat64(at.credit, true),
      diskState: view.getUint32(at.disk_state, true),
      failure:
        view.getUint32(at.disk_state, true) === 2 ? view.getInt32(at.failure, true) || -1 : 0,
      more: view.getUint32(at.more, true) !== 0,
      completions,
    };
  }

  #completion(start: number): Completion {
    const view = this.#completionView;
    const at = layouts.Completion;
    return {
      kind: view.getUint32(start + at.kind, true),
      status: view.getInt32(start + at.status, true),
      request: view.getUint32(start + at.request, true),
      slot: view.getUint32(start + at.slot, true),
      stream: view.getUint32(start + at.stream, true),
      bytes: view.getUint32(start + at.bytes, true),
      firstOffset: view.getFloat64(start + at.first_offset, true),
      nextOffset: view.getFloat64(start + at.next_offset, true),
      position: view.getFloat64(start + at.position, true),
      segment: view.getUint32(start + at.segment, true),
      file: view.getUint32(start + at.file, true),
      fileOffset: view.getUint32(start + at.file_offset, true),
    };
  }

  /** Null when the stream table is full or the store has failed. */
  openStream(topic: TopicId, partition: PartitionIndex): StreamEntry | null {
    const id = bytesOfId(topic);
    const status = this.#library.pyralog_stream_open(
      this.handle,
      id,
      id,
      u32(partition),
      this.#out,
    );
    if (status !== Status.ok) return null;
    const view = this.#view;
    const at = layouts.StreamEntry;
    return {
      stream: view.getUint32(at.stream, true),
      epoch: view.getUint32(at.epoch, true),
      logStart: view.getFloat64(at.log_start, true),
      end: view.getFloat64(at.end, true),
      highWatermark: view.getFloat64(at.high_watermark, true),
      maxTimestamp: view.getFloat64(at.max_timestamp, true),
    };
  }

  /** The live streams among the ids from `from` on; `next` = where to go on, 0 at the end. */
  listStreams(from: number): { readonly streams: readonly StreamName[]; readonly next: number } {
    const { size, ...at } = layouts.StreamName;
    const names = new Uint8Array(new ArrayBuffer(streamsPerPage * size));
    const status = this.#library.pyralog_stream_list(
      this.handle,
      u32(from),
      names,
      names,
      this.#out,
    );
    this.#must(status, "streams can be listed");
    const view = new DataView(names.buffer);
    const count = this.#view.getUint32(layouts.StreamPage.count, true);
    const streams: StreamName[] = [];
    for (let start = 0; start < count * size; start += size) {
      streams.push({
        stream: view.getUint32(start + at.stream, true),
        topic: topicId(idOfBytes(view, start + at.topic_id)),
        partition: partitionIndex(view.getUint32(start + at.partition, true)),
      });
    }
    return { streams, next: this.#view.getUint32(layouts.StreamPage.next, true) };
  }

  /** Bytes of the frames that hold its live batches, as of the last look of retention. */
  streamBytes(stream: number): number {
    const status = this.#library.pyralog_stream_entry(this.handle, u32(stream), this.#out);
    this.#must(status, "a known stream is described");
    return this.#view.getFloat64(layouts.StreamEntry.bytes, true);
  }

  configureStream(stream: number, retentionMs: number, retentionBytes: number): void {
    this.#must(
      this.#library.pyralog_stream_configure(
        this.handle,
        u32(stream),
        whole(retentionMs),
        whole(retentionBytes),
      ),
      "a known stream is configured",
    );
  }

  /** False: there is no room for the frame that says so now; ask again. */
  deleteStream(stream: number): boolean {
    const status = this.#library.pyralog_stream_delete(this.handle, u32(stream));
    this.#stateFrame(status);
    return status === Status.ok;
  }

  append(
    stream: number,
    epoch: LeaderEpoch,
    base: Offset,
    count: number,
    highWatermark: Offset,
    logAppendTime: number,
    sync: boolean,
    batch: Uint8Array,
  ): Ticket {
    const status = this.#library.pyralog_append(
      this.handle,
      u32(stream),
      u32(epoch),
      sync ? 1 : 0,
      u32(count),
      whole(base),
      whole(highWatermark),
      whole(logAppendTime),
      batch,
      batch,
      this.#out,
    );
    assert(status === Status.ok, "an append within the credit is taken");
    return ticket(this.#view.getFloat64(layouts.Appended.ticket, true));
  }

  /** Within the credit, as an append. A store that has failed is told of by the next poll. */
  sidecar(stream: number, at: Offset, state: Uint8Array): void {
    const status = this.#library.pyralog_sidecar(
      this.handle,
      u32(stream),
      whole(at),
      state,
      state,
      this.#out,
    );
    const expected = status === Status.ok || status === Status.failed;
    assert(expected, "a sidecar within the credit is taken");
  }

  trim(stream: number, at: Offset): void {
    this.#stateFrame(this.#library.pyralog_trim(this.handle, u32(stream), whole(at), this.#out));
  }

  /** A trim that finds no room, or a store that has failed, is told again after the next start. */
  #stateFrame(status: number): void {
    const expected =
      status === Status.ok ||
      status === Status.full ||
      status === Status.disk_full ||
      status === Status.failed;
    assert(expected, "a state frame names a known stream");
  }

  /** Copies whole batches from the ring into `destination` at `position`. */
  read(
    stream: number,
    from: Offset,
    limit: Offset,
    bytesMax: number,
    first: boolean,
    destination: Uint8Array,
    position: number,
  ): ReadAnswer {
    const room = position === 0 ? destination : destination.subarray(position);
    const status = this.#library.pyralog_read(
      this.handle,
      u32(stream),
      whole(from),
      whole(limit),
      u32(bytesMax),
      first ? 1 : 0,
      room,
      room,
      this.#out,
    );
    const at = layouts.ReadResult;
    return {
      status,
      bytes: this.#view.getUint32(at.bytes, true),
      nextOffset: this.#view.getFloat64(at.next_offset, true),
    };
  }

  readLater(
    request: number,
    stream: number,
    from: Offset,
    limit: Offset,
    bytesMax: number,
    first: boolean,
  ): number {
    return this.#library.pyralog_read_later(
      this.handle,
      u32(request),
      u32(stream),
      whole(from),
      whole(limit),
      u32(bytesMax),
      first ? 1 : 0,
    );
  }

  /**
   * `by`: 0 = first batch whose highest timestamp is at or above `value`, 1 = highest timestamp; of
   * the batches that hold an offset from `from` on.
   */
  lookupLater(
    request: number,
    stream: number,
    by: 0 | 1,
    value: number,
    from: Offset,
    limit: Offset,
  ): number {
    return this.#library.pyralog_lookup_later(
      this.handle,
      u32(request),
      u32(stream),
      by,
      whole(value),
      whole(from),
      whole(limit),
    );
  }

  sidecarLater(request: number, stream: number): number {
    return this.#library.pyralog_sidecar_later(this.handle, u32(request), u32(stream));
  }

  /** One page of headers of batches with a producer id. */
  headersLater(request: number, stream: number, from: Offset, limit: Offset): number {
    return this.#library.pyralog_headers_later(
      this.handle,
      u32(request),
      u32(stream),
      whole(from),
      whole(limit),
    );
  }

  /** The bytes of a completion, in memory of their own; the slot is free again. */
  takeSlot(slot: number, bytes: number): Uint8Array {
    if (slot === slotNone) return noBytes;
    const taken = bytes === 0 ? noBytes : new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
    this.#must(
      this.#library.pyralog_slot_take(this.handle, u32(slot), taken, taken),
      "a completed slot is taken once",
    );
    return taken;
  }

  snapshotWrite(request: number, index: number, bytes: Uint8Array): number {
    return this.#library.pyralog_snapshot_write(
      this.handle,
      u32(request),
      whole(index),
      bytes,
      bytes,
    );
  }

  /** The newest valid snapshot; null when there is none. */
  snapshotRead(): { readonly index: number; readonly bytes: Uint8Array } | null {
    let destination = noBytes;
    let status = this.#library.pyralog_snapshot_open(
      this.handle,
      this.#out,
      destination,
      destination,
    );
    if (status === Status.not_found) return null;
    const at = layouts.Snapshot;
    const size = this.#view.getFloat64(at.bytes, true);
    if (status === Status.too_small) {
      destination = new Uint8Array(size);
      status = this.#library.pyralog_snapshot_open(
        this.handle,
        this.#out,
        destination,
        destination,
      );
    }
    if (status !== Status.ok)
      throw new StorageError(status, "the metadata snapshot cannot be read");
    return { index: this.#view.getFloat64(at.index, true), bytes: destination.subarray(0, size) };
  }

  /** Facts of `count` batches; `ranges` holds position and length of each within `bytes`. */
  checkBatches(bytes: Uint8Array, ranges: Uint32Array, count: number, facts: Float64Array): void {
    assert(count * 2 <= ranges.length, "every batch has a range");
    assert(count * factStride <= facts.length, "every batch has room for its facts");
    const used = ranges.subarray(0, count * 2);
    const found = facts.subarray(0, count * factStride);
    const status = this.#library.pyralog_batches_check(bytes, bytes, used, used, found, found);
    assert(status === Status.ok, "ranges lie within the bytes");
  }

  stats(): Readonly<Record<string, number>> {
    this.#must(this.#library.pyralog_store_stats(this.handle, this.#out), "a store has stats");
    const found: Record<string, number> = {};
    for (const [name, at] of Object.entries(layouts.Stats)) {
      if (name === "size" || name.startsWith("reserved")) continue;
      found[name] =
        name in statsU32 ? this.#view.getUint32(at, true) : this.#view.getFloat64(at, true);
    }
    return found;
  }

  #must(status: number, message: string): void {
    if (status !== Status.ok) throw new StorageError(status, message);
  }
}

const statsU32: Readonly<Record<string, true>> = {
  segments_live: true,
  segments_free: true,
  streams: true,
  read_queue: true,
  segments_unsealed: true,
  files_foreign: true,
};

/** A status that the caller could not expect. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(`${message}: ${statusName(status)}`);
    this.status = status;
  }
}

type Unpack = Library["pyralog_lz4_decompress"];

/** First guess of what unpacks; grown until the limit. */
const unpackRatio = 4;

function unpack(run: Unpack, packed: Uint8Array, bytesMax: number): Uint8Array | null {
  const out = new Uint8Array(new ArrayBuffer(layouts.ByteCount.size));
  const view = new DataView(out.buffer);
  if (packed.byteLength === 0) return null;
  for (
    let size = Math.min(bytesMax, packed.byteLength * unpackRatio);
    ;
    size = Math.min(bytesMax, size * unpackRatio)
  ) {
    const destination = new Uint8Array(Buffer.allocUnsafeSlow(Math.max(1, size)).buffer);
    const status = run(packed, packed, destination, destination, out);
    if (status === Status.ok)
      return destination.subarray(0, view.getUint32(layouts.ByteCount.bytes, true));
    if (status !== Status.too_small || size >= bytesMax) return null;
  }
}

/** Null when the bytes do not unpack or pass `bytesMax`. */
export function lz4Decompress(packed: Uint8Array, bytesMax: number): Uint8Array | null {
  return unpack(library().pyralog_lz4_decompress, packed, bytesMax);
}

export function snappyDecompress(packed: Uint8Array, bytesMax: number): Uint8Array | null {
  return unpack(library().pyralog_snappy_decompress, packed, bytesMax);
}
