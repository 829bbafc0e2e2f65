// Records as the users of this library see them, on their way in and out.

import type { NewRecord, RecordHeader } from "../wire/records.ts";

/** Text is sent as UTF-8; null is Kafka's null: no key, or a tombstone. */
export type Bytes = string | Uint8Array | null;

/** A record to produce. */
export interface OutgoingRecord {
  readonly topic: string;
  /** Records of one key go to one partition, in order. */
  readonly key?: Bytes;
  readonly value: Bytes;
  /** Pairs, such as `Object.entries({ trace: "1" })`. */
  readonly headers?: Iterable<readonly [name: string, value: Bytes]>;
  /** By default the key decides, or without one the producer. */
  readonly partition?: number;
  /** Milliseconds since 1970; by default the time of the call. */
  readonly timestamp?: number;
}

/** A record that was read. Key, value and header values are views of the answer that brought them. */
export interface ConsumedRecord {
  readonly offset: number;
  /** Milliseconds since 1970; -1 = none. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

const encoder = new TextEncoder();

export function bytesOf(value: Bytes | undefined): Uint8Array | null {
  if (value === undefined || value === null) return null;
  return typeof value === "string" ? encoder.encode(value) : value;
}

export function newRecord(record: OutgoingRecord): NewRecord {
  const key = bytesOf(record.key);
  const value = bytesOf(record.value);
  const timestamp = record.timestamp ?? Date.now();
  if (record.headers === undefined) return { key, value, timestamp };
  const headers = Array.from(record.headers, ([name, content]) => ({
    key: name,
    value: bytesOf(content),
  }));
  return { key, value, timestamp, headers };
}
