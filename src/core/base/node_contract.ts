// What goes into the data thread's node and what comes out of it: the one contract between the pure
// core and whoever carries it (the server, the simulator).
//
// Effects are calls on a sink instead of objects in a list, so that an append costs no allocation.
// A sink performs or queues them; it never calls back into the node before the step has returned.

import type { Command, Outcome } from "./commands.ts";
import type {
  LeaderEpoch,
  MetadataIndex,
  Offset,
  PartitionIndex,
  Slot,
  Ticket,
  TopicId,
} from "./ids.ts";

/** One request of one client, whichever door it came through. Frozen after its creation. */
export interface Call<Q = unknown, R = unknown> {
  /** Number of the connection, unique while the process lives. */
  readonly connection: number;
  /** Position of the request on its connection; answers leave in this order. */
  readonly order: number;
  readonly apiKey: number;
  readonly version: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  /** Address of the listener as the client used it: what Metadata tells it to come back to. */
  readonly host: string;
  readonly port: number;
  /** Address of the client, for DescribeGroups and logs. */
  readonly peer: string;
  readonly request: Q;
  /**
   * Facts of the record batches of a Produce, in wire order, `factStride` numbers a batch (see
   * facts.ts); empty for any other API. Valid during the step that brings the call.
   */
  readonly facts: Float64Array;
  /** Of a Produce: refused with code 1 unless the partition ends here. Absent: wherever it ends. */
  readonly expectedEnd?: Offset;
  /** Never set; ties the call to the type of its response. */
  readonly response?: R;
}

export interface ReadPart {
  readonly slot: Slot;
  /** First offset wanted; the batch that contains it is returned whole. */
  readonly offset: Offset;
  /** Exclusive: no batch at or above it is returned (the high watermark, or the LSO). */
  readonly limit: Offset;
  readonly bytesMax: number;
}

export type ReadStatus =
  | "ok"
  /** Nothing is stored between offset and limit. */
  | "absent"
  | "out-of-range"
  /** The bytes are damaged and no other copy is known; never "no data". */
  | "damaged"
  /** An I/O error, or no room to read now; retriable. */
  | "failed";

export interface ReadOutcome {
  readonly status: ReadStatus;
  /** Whole batches, contiguous; a view that is valid during the step that brings it. */
  readonly records: Uint8Array;
  /** Where the next read goes on; equals the offset asked for when `records` is empty. */
  readonly nextOffset: Offset;
}

/** What a store knows of a partition when it is opened. */
export interface OpenedPartition {
  readonly logStart: Offset;
  /** Log end offset. */
  readonly end: Offset;
  /** Highest epoch among the stored frames; -1 when there are none. */
  readonly epoch: number;
  readonly maxTimestamp: number;
}

/** The newest sidecar of a partition. `absent`, `damaged`: its batches have to say it all. */
export interface SidecarOutcome {
  readonly status: ReadStatus;
  /** The state is that of the batches below; meaningless without one. */
  readonly at: Offset;
  readonly state: Uint8Array;
}

/** A page of batch headers. */
export interface HeadersOutcome {
  readonly status: ReadStatus;
  /** 61 bytes each, as served, in the order of offsets; all of them carry a producer id. */
  readonly headers: Uint8Array;
  /** Where the next page starts: above the offset asked for, and the limit when this is the last. */
  readonly nextOffset: Offset;
}

export type Input =
  /** Every 10 ms. `now` = monotonic ms, `wall` = Unix ms (timestamps and retention only). */
  | { readonly kind: "tick"; readonly now: number; readonly wall: number }
  | { readonly kind: "request"; readonly call: Call }
  /** The connection is gone; nothing more may be answered on it. */
  | { readonly kind: "closed"; readonly connection: number }
  /** Progress of the local disk: tickets that are written, tickets that are durable, bytes it takes. */
  | {
      readonly kind: "appended";
      readonly written: Ticket;
      readonly durable: Ticket;
      readonly credit: number;
    }
  | { readonly kind: "opened"; readonly slot: Slot; readonly partition: OpenedPartition | null }
  | { readonly kind: "read-done"; readonly request: number; readonly parts: readonly ReadOutcome[] }
  | { readonly kind: "looked-up"; readonly request: number; readonly outcome: ReadOutcome }
  | { readonly kind: "sidecar-read"; readonly slot: Slot; readonly outcome: SidecarOutcome }
  | { readonly kind: "headers-read"; readonly slot: Slot; readonly outcome: HeadersOutcome }
  /** The disk takes no new bytes (full), or does again. */
  | { readonly kind: "disk-state"; readonly takesWrites: boolean }
  /** Retention found that everything below `offset` may go. */
  | { readonly kind: "trim-due"; readonly slot: Slot; readonly offset: Offset }
  /** Outcome of a proposal; it arrives after the metadata of its index has been applied here. */
  | { readonly kind: "proposed"; readonly request: number; readonly outcome: Outcome }
  /** Committed metadata, to be applied in order: one Kafka record batch per index range. */
  | { readonly kind: "metadata"; readonly batches: Uint8Array };

export interface Effects {
  /**
   * Stages one batch on the local disk and returns its ticket. The sink copies the bytes before it
   * returns and stamps base offset and epoch (and `logAppendTime` unless it is -1) into the copy.
   * Allowed only within the credit of the last `appended` input minus what was appended since.
   */
  append(
    slot: Slot,
    epoch: LeaderEpoch,
    base: Offset,
    count: number,
    highWatermark: Offset,
    logAppendTime: number,
    sync: boolean,
    batch: Uint8Array,
  ): Ticket;
  /**
   * Stages the producer state that all batches below `at` amount to, behind them in the log. It takes
   * credit as a batch does, no offset, and no sync: whoever waits for one does not wait for this.
   */
  sidecar(slot: Slot, at: Offset, state: Uint8Array): void;
  /** Opens the partition in the store, whatever lies in it, at the same cost; answered by `opened`. */
  open(slot: Slot, topic: TopicId, partition: PartitionIndex): void;
  /** Reads the newest sidecar; answered by `sidecar-read`. One such read a partition at a time. */
  readSidecar(slot: Slot): void;
  /**
   * Reads headers of batches that start at or above `from`, of producers that are idempotent;
   * answered by `headers-read`. One such read a partition at a time.
   */
  readHeaders(slot: Slot, from: Offset, limit: Offset): void;
  /** Reads whole batches; answered by one `read-done` with the parts in the same order. */
  read(request: number, parts: readonly ReadPart[], bytesMax: number): void;
  /**
   * Finds one batch that holds an offset from `from` on and lies below `limit`: the first whose
   * highest timestamp is at or above `value` ("timestamp"), or the first with the highest timestamp
   * ("max-timestamp"). Answered by `looked-up`.
   */
  lookup(
    request: number,
    slot: Slot,
    by: "timestamp" | "max-timestamp",
    value: number,
    from: Offset,
    limit: Offset,
  ): void;
  /** Everything below `offset` is dead; nothing below it will be read again. */
  trim(slot: Slot, offset: Offset): void;
  /** Limits that the store's retention compares with; -1 = none. */
  retain(slot: Slot, retentionMs: number, retentionBytes: number): void;
  /** The topic is gone: the partition's bytes are dead and the slot is never used again. */
  remove(slot: Slot): void;
  /**
   * One bounded step through the partitions that the disk holds: those that nobody owns are
   * deleted. What `remove` could not delete goes here (a full disk, a partition that was not open),
   * and what a process left that ended between the commit of a deletion and the deletion.
   */
  sweep(owns: (topic: TopicId, partition: PartitionIndex) => boolean): void;
  /** Bytes that the disk keeps of an opened partition; they follow a trim with a delay. */
  bytesOf(slot: Slot): number;
  /** Hands a command to the control thread; answered by `proposed`. */
  propose(request: number, command: Command): void;
  reply(call: Call, response: unknown): void;
  /** Closes the connection without an answer. */
  close(connection: number, reason: string): void;
  /** `event` is a literal; fields are flat. */
  log(
    level: "debug" | "info" | "warn" | "error",
    event: string,
    fields: Readonly<Record<string, string | number>>,
  ): void;
}

export type { MetadataIndex };
