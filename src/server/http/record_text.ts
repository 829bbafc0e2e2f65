// A record as JSON: `{ key, value, headers, partition, timestamp }`. A string is stored as its
// characters, any other JSON value as the bytes that the client wrote, so that no number loses a
// digit. Bytes that are no text go as base64 in `valueBase64` and `keyBase64`.

import { type Static, Type } from "@sinclair/typebox";
import { jsonDepthMax } from "../../core/base/limits.ts";
import type { NewRecord, RecordHeader } from "../../wire/records.ts";
import { parseShallow, parseText, tooDeep } from "./body.ts";
import { JsonScan, known } from "./json_text.ts";
import { Problem } from "./problems.ts";
import { exactly } from "./routes.ts";
import { partitionSchema, timeSchema } from "./schemas.ts";
import { Shape } from "./shape.ts";

const anyJson = "A string is stored as its characters, any other JSON as it is written.";
const base64 = Type.String({ pattern: "^[A-Za-z0-9+/]*={0,2}$" });

export const headerSchema = exactly({
  key: Type.String(),
  value: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  valueBase64: Type.Optional(base64),
});

export const recordSchema = exactly({
  key: Type.Optional(Type.Unknown({ description: `${anyJson} null or absent: no key.` })),
  keyBase64: Type.Optional(base64),
  value: Type.Optional(Type.Unknown({ description: `${anyJson} null is a tombstone.` })),
  valueBase64: Type.Optional(base64),
  headers: Type.Optional(Type.Array(headerSchema, { maxItems: 1000 })),
  partition: Type.Optional(partitionSchema),
  timestamp: Type.Optional(timeSchema),
});

export interface SentRecord extends NewRecord {
  /** Null: by its key, or any. */
  readonly partition: number | null;
}

type Parsed = Static<typeof recordSchema>;

const shape = new Shape(recordSchema);
const names = known(["value", "key", "partition", "timestamp", "headers"]);
const encoder = new TextEncoder();
const quote = 0x22;
const backslash = 0x5c;

/** Reads one record after the other; keys and values may be views of what it reads. */
export class RecordReader {
  readonly #scan = new JsonScan(names);
  #bytes: Uint8Array = new Uint8Array(0);
  #keyStart = -1;
  #keyEnd = -1;
  #valueStart = -1;
  #valueEnd = -1;

  /**
   * `outside`: levels of the text around the record. `what` names it in a problem. `text` is what
   * the bytes say, where the caller knows it.
   */
  read(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    wall: number,
    outside: number,
    what: string,
    text: string | null = null,
  ): SentRecord {
    this.#bytes = bytes;
    this.#keyStart = -1;
    this.#valueStart = -1;
    this.#scan.reset(bytes, start, end).members(this.#visit);
    if (this.#scan.depth + outside > jsonDepthMax) throw tooDeep();
    const whole = text === null ? parseShallow(bytes, start, end) : parseText(text);
    const parsed = shape.read(whole, what);
    const { value, valueBase64 } = parsed;
    if ((value === undefined) === (valueBase64 === undefined)) {
      throw new Problem(
        "validation",
        `${what} needs value or valueBase64, and not both. Send "value": null for a tombstone.`,
        { pointer: "/value" },
      );
    }
    if (parsed.key !== undefined && parsed.keyBase64 !== undefined) {
      throw new Problem("validation", `${what} has two keys. Send key or keyBase64.`, {
        pointer: "/key",
      });
    }
    return {
      key:
        parsed.keyBase64 === undefined
          ? this.#stored(parsed.key, this.#keyStart, this.#keyEnd)
          : Buffer.from(parsed.keyBase64, "base64"),
      value:
        valueBase64 === undefined
          ? this.#stored(value, this.#valueStart, this.#valueEnd)
          : Buffer.from(valueBase64, "base64"),
      headers: headersOf(parsed),
      timestamp: parsed.timestamp === undefined ? wall : timeOf(parsed.timestamp, what),
      partition: parsed.partition ?? null,
    };
  }

  /** A field, so that a record makes no closure. */
  readonly #visit = (name: string, start: number, end: number): void => {
    if (name === "value") {
      this.#valueStart = start;
      this.#valueEnd = end;
    } else if (name === "key") {
      this.#keyStart = start;
      this.#keyEnd = end;
    }
  };

  #stored(value: unknown, start: number, end: number): Uint8Array | null {
    if (value === undefined || value === null) return null;
    const bytes = this.#bytes;
    if (bytes[start] !== quote) return bytes.subarray(start, end);
    const isPlain = !bytes.subarray(start, end).includes(backslash);
    if (isPlain || typeof value !== "string") return bytes.subarray(start + 1, end - 1);
    return encoder.encode(wellFormed(value));
  }
}

/** JSON can say half of a surrogate pair; UTF-8 cannot. */
function wellFormed(text: string): string {
  if (text.isWellFormed()) return text;
  const next = "Send it as base64 in valueBase64.";
  throw new Problem("validation", `a string has a lone surrogate, which is no character. ${next}`);
}

function headersOf({ headers }: Parsed): readonly RecordHeader[] {
  if (headers === undefined) return [];
  return headers.map(({ key, value, valueBase64 }) => {
    const packed = valueBase64 === undefined ? null : Buffer.from(valueBase64, "base64");
    const plain = typeof value === "string" ? encoder.encode(wellFormed(value)) : packed;
    return { key: wellFormed(key), value: plain };
  });
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i;

/** Milliseconds since 1970 of an RFC 3339 time. */
export function timeOf(text: string, what: string): number {
  const ms = rfc3339.test(text) ? Date.parse(text) : Number.NaN;
  if (ms >= 0) return ms;
  throw new Problem(
    "validation",
    `${what}: "${text}" is no time since 1970. Write it as 2026-01-02T03:04:05.678Z.`,
    { pointer: "/timestamp" },
  );
}
