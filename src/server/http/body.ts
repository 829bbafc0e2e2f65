// Bodies of bounded length. What is too long is read on for a while and thrown away, because a client
// on HTTP/2 sees no answer to a request that it is still sending.

import {
  bodyDrainTimes,
  frameMsMax,
  httpBodiesBytesMax,
  jsonBytesMax,
  jsonDepthMax,
} from "../../core/base/limits.ts";
import { JsonScan } from "./json_text.ts";
import { busy, Problem } from "./problems.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const none = new Uint8Array(0);

/** The media type without its parameters; empty when there is none. */
export function mediaTypeOf(request: Request): string {
  const header = request.headers.get("content-type") ?? "";
  const end = header.indexOf(";");
  return (end < 0 ? header : header.slice(0, end)).trim().toLowerCase();
}

/** The problem that names what the route takes instead. */
export function wrongMediaType(given: string, wanted: readonly string[]): Problem {
  const was = given === "" ? "there is no content type" : `content type ${given} is not taken here`;
  const first = wanted[0] ?? "";
  const rest = wanted.length > 1 ? ` (or ${wanted.slice(1).join(", ")})` : "";
  return new Problem(
    "unsupported-media-type",
    `${was}. Send it with: curl -H 'content-type: ${first}'${rest}`,
    {},
    { "accept-post": wanted.join(", ") },
  );
}

export function wantMediaType(request: Request, wanted: readonly string[]): void {
  const given = mediaTypeOf(request);
  if (!wanted.includes(given)) throw wrongMediaType(given, wanted);
}

/** Memory of the bodies of all requests together. */
export class BodyMemory {
  #bytes = 0;

  /** The problem is thrown when there is none left. */
  reserve(bytes: number): void {
    if (this.#bytes + bytes > httpBodiesBytesMax) throw busy();
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/**
 * Runs `use` with the whole body, of at most `bytesMax`, which has to come within `msMax`: a body
 * that drips would hold its memory from others.
 */
export async function withBody<T>(
  memory: BodyMemory,
  request: Request,
  bytesMax: number,
  use: (body: Uint8Array<ArrayBuffer>) => T | Promise<T>,
  msMax = frameMsMax,
): Promise<T> {
  const told = request.headers.get("content-length");
  const length = told === null ? bytesMax : Number(told);
  if (length > bytesMax) {
    await drain(request, bytesMax);
    throw tooLarge(bytesMax);
  }
  memory.reserve(length);
  try {
    const reading = told === null ? gathered(request, bytesMax) : whole(request);
    return await use(await inTime(reading, msMax));
  } finally {
    memory.release(length);
  }
}

async function inTime<T>(reading: Promise<T>, msMax: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const words = `the body was not whole within ${msMax} ms. Send it faster, or in parts.`;
    reject(new Problem("slow-body", words));
  }, msMax);
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function whole(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  return request.body === null ? none : new Uint8Array(await request.arrayBuffer());
}

async function gathered(request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  if (request.body === null) return none;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.byteLength;
    if (length <= bytesMax) chunks.push(chunk);
    else if (length > bytesMax * bodyDrainTimes) break;
  }
  if (length > bytesMax) throw tooLarge(bytesMax);
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body;
}

async function drain(request: Request, bytesMax: number): Promise<void> {
  if (request.body === null) return;
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.byteLength;
    if (length > bytesMax * bodyDrainTimes) return;
  }
}

function tooLarge(bytesMax: number): Problem {
  return new Problem(
    "body-too-large",
    `the body is longer than ${bytesMax} bytes. Send it in parts, or many records as application/x-ndjson, which has no limit.`,
    { bytesMax },
  );
}

/** The text of `bytes[start..end)` and what it means; judged for depth before it is parsed. */
export function parseJson(bytes: Uint8Array, start = 0, end = bytes.byteLength): unknown {
  if (new JsonScan().reset(bytes, start, end).nesting() > jsonDepthMax) throw tooDeep();
  return parseShallow(bytes, start, end);
}

/** Of a text whose depth was looked at. */
export function parseShallow(bytes: Uint8Array, start: number, end: number): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes.subarray(start, end));
  } catch {
    throw new Problem("malformed-json", "the text is not UTF-8. Encode it as UTF-8.");
  }
  return parseText(text);
}

export function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const words = error instanceof Error ? error.message.replace("JSON Parse error: ", "") : "";
    throw new Problem("malformed-json", `the JSON text is malformed: ${words}. Correct it.`);
  }
}

/** The text of ASCII, where a byte is a character; null for anything else. */
export function asciiOf(bytes: Uint8Array): string | null {
  try {
    const text = decoder.decode(bytes);
    return text.length === bytes.byteLength ? text : null;
  } catch {
    return null;
  }
}

export function tooDeep(): Problem {
  return new Problem(
    "validation",
    `the JSON text is nested deeper than ${jsonDepthMax} levels. Send it as application/octet-stream, which is not looked into.`,
    { depthMax: jsonDepthMax },
  );
}

export const jsonMedia = ["application/json"];

/** A JSON body as a value; its media type is judged. */
export function jsonBody(memory: BodyMemory, request: Request): Promise<unknown> {
  wantMediaType(request, jsonMedia);
  return withBody(memory, request, jsonBytesMax, (body) => parseJson(body));
}
