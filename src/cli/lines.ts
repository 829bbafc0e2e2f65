// Records as lines of text: NDJSON, in and out, without loss. Keys and values that are UTF-8 stand as
// text (`key`, `value`), others as base64 (`keyBase64`, `valueBase64`).

import type { Bytes, ConsumedRecord } from "../client/client.ts";
import { CommandError, CommandExit } from "./failure.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Null: the bytes are no UTF-8. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null; // TextDecoder throws for nothing else
  }
}

/** Text, or what can be shown of other bytes: their hexadecimal digits. */
export function shown(bytes: Uint8Array | null): string {
  if (bytes === null) return "";
  return textOf(bytes) ?? `0x${Buffer.from(bytes).toString("hex")}`;
}

function member(name: string, bytes: Uint8Array | null): Readonly<Record<string, string | null>> {
  if (bytes === null) return { [name]: null };
  const text = textOf(bytes);
  return text === null
    ? { [`${name}Base64`]: Buffer.from(bytes).toString("base64") }
    : { [name]: text };
}

export function lineOf(topic: string, partition: number, record: ConsumedRecord): string {
  const { offset, timestamp, key, value, headers } = record;
  return JSON.stringify({
    topic,
    partition,
    offset,
    timestamp,
    ...member("key", key),
    ...member("value", value),
    ...(headers.length === 0
      ? {}
      : { headers: headers.map((each) => ({ name: each.key, ...member("value", each.value) })) }),
  });
}

export interface LineRecord {
  readonly key: Bytes;
  readonly value: Bytes;
  readonly headers: readonly (readonly [name: string, value: Bytes])[];
  readonly partition: number | null;
  readonly timestamp: number | null;
}

const known = new Set([
  ...["topic", "partition", "offset", "timestamp", "headers"],
  ...["key", "keyBase64", "value", "valueBase64"],
]);

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws CommandError that names the line. */
export function recordOf(line: string, place: string): LineRecord {
  const fail = (words: string): never => {
    throw new CommandError(
      CommandExit.failed,
      `${place}: ${words}`,
      'a line looks like {"key":"k","value":"v"}; see: pyralog export --help',
    );
  };
  const bytesOf = (table: Readonly<Record<string, unknown>>, name: string): Bytes => {
    const text = table[name];
    const base64 = table[`${name}Base64`];
    if (base64 === undefined) {
      if (text === undefined || text === null) return null;
      return typeof text === "string" ? text : fail(`"${name}" is no text`);
    }
    const usable = typeof base64 === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(base64);
    return usable ? Buffer.from(base64, "base64") : fail(`"${name}Base64" is no base64`);
  };
  const wholeOf = (table: Readonly<Record<string, unknown>>, name: string): number | null => {
    const value = table[name];
    if (value === undefined || value === null) return null;
    const usable = typeof value === "number" && Number.isSafeInteger(value) && value >= -1;
    return usable ? value : fail(`"${name}" is no whole number`);
  };
  let table: unknown = null;
  try {
    table = JSON.parse(line);
  } catch (error) {
    fail(`no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isTable(table)) return fail("no JSON object");
  for (const name of Object.keys(table)) if (!known.has(name)) fail(`unknown member "${name}"`);
  const headers: unknown = table["headers"] ?? [];
  if (!Array.isArray(headers)) return fail('"headers" is no list');
  return {
    key: bytesOf(table, "key"),
    value: bytesOf(table, "value"),
    headers: headers.map((each: unknown) => {
      if (!isTable(each)) return fail("a header is no object");
      const { name } = each;
      return typeof name === "string"
        ? [name, bytesOf(each, "value")]
        : fail("a header has no name");
    }),
    partition: wholeOf(table, "partition"),
    timestamp: wholeOf(table, "timestamp"),
  };
}

/** Lines of a stream without their ends; the last one may lack it. Empty ones are left out. */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void = () => {},
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    onBytes(chunk.length);
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}
