// Metadata records in and out of record batches. A record of the log stands at an index: the base
// offset of its batch plus its place in it. proto/records/metadata.ts has the layout of a value.

import { assert } from "../core/base/assert.ts";
import { Fact, factStride } from "../core/base/facts.ts";
import type { Fields, Message, Struct } from "../../proto/schema.ts";
import {
  type MetadataKind,
  type MetadataRecord,
  metadataTables,
} from "../../proto/records/metadata.ts";
import { batchBytes, batchHeaderBytes, checkBatch } from "./batch.ts";
import { decodeMessage, encodeMessage } from "./codec.ts";
import { hasVersion } from "./layout.ts";
import { Reader } from "./reader.ts";
import { buildBatch, type NewRecord, readBatch } from "./records.ts";
import { type DecodeRefusal, isRefused, refusalOf, refuse } from "./refusal.ts";
import { Writer } from "./writer.ts";

const frameVersion = 1;

interface Table {
  readonly kind: MetadataKind;
  readonly type: number;
  readonly message: Message<Fields>;
}

const tableByKind = new Map<MetadataKind, Table>();
const tableByType = new Map<number, Table>();
for (const [name, { type, table }] of Object.entries(metadataTables)) {
  const kind = name as MetadataKind; // proof: a key of metadataTables
  const message = table as Message<Fields>; // proof: a table of some fields
  const entry = { kind, type, message };
  assert(!tableByType.has(type), "a type number names one table");
  tableByKind.set(kind, entry);
  tableByType.set(type, entry);
}

/** One batch with its CRC. `base` = index of the first record; 0 in snapshots. */
export function encodeMetadata(
  records: readonly MetadataRecord[],
  base: number,
  timestamp: number,
): Uint8Array<ArrayBuffer> {
  const values: NewRecord[] = [];
  for (const record of records) values.push({ key: null, value: encodeValue(record), timestamp });
  return buildBatch(values, { baseOffset: base, leaderEpoch: 0 });
}

function encodeValue(record: MetadataRecord): Uint8Array {
  const table = tableByKind.get(record.kind);
  assert(table !== undefined, "every kind has a table");
  const version = table.message.versions[1];
  const writer = new Writer(128);
  writer.bytes[0] = frameVersion;
  writer.position = writer.uvarint(writer.uvarint(1, table.type), version);
  const fields = record as unknown as Struct<Fields>; // proof: its kind names the table
  encodeMessage(table.message, version, writer, fields);
  return writer.written();
}

const facts = new Float64Array(factStride);

/**
 * Hands every record of the batches to `each`, in order. A refusal means that the bytes are damaged
 * or newer than this reader; records before it have been handed out.
 */
export function readMetadata(
  batches: Uint8Array,
  each: (record: MetadataRecord, index: number) => void,
): DecodeRefusal | null {
  const view = new DataView(batches.buffer, batches.byteOffset, batches.byteLength);
  for (let start = 0; start < batches.length; ) {
    if (batches.length - start < batchHeaderBytes) return refuse("truncated");
    const end = start + batchBytes(view, start);
    if (end > batches.length || end - start < batchHeaderBytes) return refuse("truncated");
    checkBatch(batches, start, end, facts, 0);
    if (facts[Fact.flaws] !== 0) return refuse("truncated");
    const records = readBatch(batches, start, end);
    if (isRefused(records)) return records;
    for (const { offset, value } of records) {
      const record = value === null ? refuse("null") : decodeValue(value);
      if (isRefused(record)) return record;
      each(record, offset);
    }
    start = end;
  }
  return null;
}

const reader = new Reader();

function decodeValue(value: Uint8Array): MetadataRecord | DecodeRefusal {
  if (value[0] !== frameVersion) return refuse("version");
  reader.reset(value);
  let type = 0;
  let version = 0;
  try {
    type = reader.uvarint(1, value.length);
    version = reader.uvarint(reader.position, value.length);
  } catch (error) {
    return refusalOf(error);
  }
  const table = tableByType.get(type);
  if (table === undefined || !hasVersion(table.message, version)) return refuse("version");
  const body = decodeMessage(table.message, version, value, reader.position);
  if (isRefused(body)) return body;
  return { ...body, kind: table.kind } as unknown as MetadataRecord; // proof: its table
}
