// Frames and headers: int32 length, header, body. A flexible version has request header v2 and
// response header v1 (a tagged section each), any other version request header v1 and response
// header v0. The answer to ApiVersions always has header v0, since the client cannot know yet which
// versions it may expect. The client id stays an int16-length string in both request headers.

import { assert } from "../core/base/assert.ts";
import { messageBytesMax } from "../core/base/limits.ts";
import type { Api, Fields, Struct } from "../../proto/schema.ts";
import { type AnyApi, apiOf } from "./apis.ts";
import { encodeMessage } from "./codec.ts";
import { Reader } from "./reader.ts";
import { type DecodeRefusal, fail, refusalOf } from "./refusal.ts";
import { readString } from "./text.ts";
import { type Writer, WriterFull } from "./writer.ts";

const apiVersionsKey = 18;
/** Bytes of the length that starts a frame. */
export const frameHeadBytes = 4;

/**
 * Size of the frame at `start` with its head: 0 while the head itself is not complete, -1 when the
 * length is below 1 or above `bytesMax`, so that the connection is to be closed.
 */
export function frameSize(bytes: Uint8Array, start: number, end: number, bytesMax: number): number {
  if (end - start < frameHeadBytes) return 0;
  const high = ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0);
  const low = ((bytes[start + 2] ?? 0) << 8) | (bytes[start + 3] ?? 0);
  const length = (high << 16) | low | 0;
  if (length < 1 || length > bytesMax) return -1;
  return frameHeadBytes + length;
}

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  /** The table, when there is one for the key. */
  readonly api: AnyApi | null;
  /** The table has the version: the body may be decoded. */
  readonly versionKnown: boolean;
  /** Where the body starts; without meaning unless `versionKnown`. */
  readonly bodyStart: number;
}

const reader = new Reader();

/** `start`: behind the frame's head. */
export function decodeRequestHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
): RequestHeader | DecodeRefusal {
  reader.reset(bytes);
  try {
    return requestHeader(bytes, start, end);
  } catch (error) {
    return refusalOf(error);
  }
}

function requestHeader(bytes: Uint8Array, start: number, end: number): RequestHeader {
  const view = reader.view;
  if (end - start < 10) fail("truncated");
  const apiKey = view.getInt16(start);
  const apiVersion = view.getInt16(start + 2);
  const correlationId = view.getInt32(start + 4);
  const length = view.getInt16(start + 8);
  let at = start + 10;
  let clientId: string | null = null;
  if (length >= 0) {
    if (length > end - at) fail("truncated");
    clientId = readString(bytes, at, length);
    at += length;
  }
  const api = apiOf(apiKey) ?? null;
  const versionKnown =
    api !== null && apiVersion >= api.versions[0] && apiVersion <= api.versions[1];
  if (versionKnown && apiVersion >= api.flexible) at = reader.skipTags(at, end);
  return { apiKey, apiVersion, correlationId, clientId, api, versionKnown, bodyStart: at };
}

export interface ResponseHeader {
  readonly correlationId: number;
  readonly bodyStart: number;
}

export function decodeResponseHeader(
  api: AnyApi,
  version: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): ResponseHeader | DecodeRefusal {
  reader.reset(bytes);
  try {
    if (end - start < 4) fail("truncated");
    const correlationId = reader.view.getInt32(start);
    const tagged = hasResponseTags(api, version);
    return { correlationId, bodyStart: tagged ? reader.skipTags(start + 4, end) : start + 4 };
  } catch (error) {
    return refusalOf(error);
  }
}

function hasResponseTags(api: Pick<AnyApi, "key" | "flexible">, version: number): boolean {
  return version >= api.flexible && api.key !== apiVersionsKey;
}

/**
 * Appends a whole frame: length, response header, body. False: it is longer than `bytesMax`; nothing
 * was appended, and no more memory than that was taken.
 */
export function encodeResponseFrame<Q extends Fields, R extends Fields>(
  api: Api<Q, R>,
  version: number,
  correlationId: number,
  writer: Writer,
  value: Struct<R>,
  bytesMax = messageBytesMax,
): boolean {
  const start = writer.position;
  writer.limit = Math.min(messageBytesMax, start + bytesMax);
  try {
    appendResponseFrame(api, version, correlationId, writer, value);
  } catch (error) {
    if (!(error instanceof WriterFull)) throw error;
    writer.position = start;
    return false;
  } finally {
    writer.limit = messageBytesMax;
  }
  // Room that the writer had from before is no reason to make an exception.
  if (writer.position - start <= bytesMax) return true;
  writer.position = start;
  return false;
}

function appendResponseFrame<Q extends Fields, R extends Fields>(
  api: Api<Q, R>,
  version: number,
  correlationId: number,
  writer: Writer,
  value: Struct<R>,
): void {
  const start = writer.position;
  const tagged = hasResponseTags(api, version);
  writer.reserve(start, 9);
  writer.view.setInt32(start + 4, correlationId);
  writer.bytes[start + 8] = 0;
  writer.position = start + (tagged ? 9 : 8);
  encodeMessage(api.response, version, writer, value);
  endFrame(writer, start);
}

/** Appends a whole frame: length, request header, body. */
export function encodeRequestFrame<Q extends Fields, R extends Fields>(
  api: Api<Q, R>,
  version: number,
  correlationId: number,
  clientId: string | null,
  writer: Writer,
  value: Struct<Q>,
): void {
  const start = writer.position;
  writer.reserve(start, 15);
  writer.view.setInt16(start + 4, api.key);
  writer.view.setInt16(start + 6, version);
  writer.view.setInt32(start + 8, correlationId);
  let at = start + 12;
  if (clientId === null) {
    writer.view.setInt16(at, -1);
    at += 2;
  } else {
    at = writer.string(at, clientId);
  }
  if (version >= api.flexible) {
    writer.reserve(at, 1);
    writer.bytes[at] = 0;
    at += 1;
  }
  writer.position = at;
  encodeMessage(api.request, version, writer, value);
  endFrame(writer, start);
}

function endFrame(writer: Writer, start: number): void {
  const length = writer.position - start - frameHeadBytes;
  assert(length > 0, "a frame holds at least its header");
  writer.view.setInt32(start, length);
}
