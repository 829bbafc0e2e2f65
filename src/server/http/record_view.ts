// A stored record as people and programs read it. Text that is JSON is shown as it was stored, other
// text as a string, and bytes that are no text as base64 in `valueBase64` and `keyBase64`.

import { Type } from "@sinclair/typebox";
import { jsonDepthMax } from "../../core/base/limits.ts";
import type { StoredRecord } from "../../wire/records.ts";
import { JsonScan } from "./json_text.ts";
import { headerSchema } from "./record_text.ts";
import { isoTime, offsetSchema, partitionSchema, timeSchema } from "./schemas.ts";

export const formatSchema = Type.Union(
  [Type.Literal("auto"), Type.Literal("text"), Type.Literal("base64")],
  { description: "auto (default) shows JSON as JSON; text shows characters; base64 shows bytes." },
);
export type Format = "auto" | "text" | "base64";

export const viewSchema = Type.Object({
  partition: partitionSchema,
  offset: offsetSchema,
  timestamp: Type.Union([timeSchema, Type.Null()]),
  key: Type.Optional(Type.Unknown()),
  keyBase64: Type.Optional(Type.String()),
  value: Type.Optional(Type.Unknown()),
  valueBase64: Type.Optional(Type.String()),
  headers: Type.Optional(Type.Array(headerSchema)),
});

export interface Formats {
  readonly keyFormat?: Format;
  readonly valueFormat?: Format;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const scan = new JsonScan();

/** One line of JSON. */
export function viewOf(partition: number, record: StoredRecord, formats: Formats): string {
  const time = isoTime(record.timestamp);
  const when = time === null ? "null" : `"${time}"`;
  const key = member("key", record.key, formats.keyFormat ?? "auto");
  const value = member("value", record.value, formats.valueFormat ?? "auto");
  const { headers, offset } = record;
  const shown = headers.length === 0 ? "" : `,"headers":[${headers.map(headerOf).join(",")}]`;
  return `{"partition":${partition},"offset":${offset},"timestamp":${when},${key},${value}${shown}}`;
}

function headerOf({ key, value }: StoredRecord["headers"][number]): string {
  return `{"key":${JSON.stringify(key)},${member("value", value, "text")}}`;
}

function member(name: string, bytes: Uint8Array | null, format: Format): string {
  if (bytes === null) return `"${name}":null`;
  const text = format === "base64" ? null : textOf(bytes);
  if (text === null) return `"${name}Base64":"${Buffer.from(bytes).toString("base64")}"`;
  if (format === "auto" && isJson(text, bytes)) return `"${name}":${inOneLine(text)}`;
  return `"${name}":${JSON.stringify(text)}`;
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

function isJson(text: string, bytes: Uint8Array): boolean {
  // Most text that is no JSON is told apart by its first character.
  if (!/^[\s]*[-{["0-9tfn]/.test(text)) return false;
  if (scan.reset(bytes).nesting() > jsonDepthMax) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Line breaks of a JSON text lie between its tokens: inside a string they are escaped. */
function inOneLine(text: string): string {
  return text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]/g, " ") : text;
}
