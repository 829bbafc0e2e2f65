// The codec of all messages: compiles a table's text for one version when that version is first
// used, and guards the doors. Decoding foreign bytes ends in a value or in a refusal, never in an
// exception; a value of ours that cannot be encoded is a bug and fails an assertion.
//
// A decoded message has all members of its table, in table order, whatever the version; views
// (`bytes`, `records`) point into the bytes that were decoded. Bytes behind the message are not
// looked at, as in Kafka.

import { assert, AssertionError } from "../core/base/assert.ts";
import { noTopicId } from "../core/base/ids.ts";
import type { Api, Fields, Message, Struct } from "../../proto/schema.ts";
import { decoderText } from "./compile_decode.ts";
import { encoderText } from "./compile_encode.ts";
import { type AnyMessage, checkTable, hasVersion, isFlexible } from "./layout.ts";
import { Reader } from "./reader.ts";
import { type DecodeRefusal, fail, refusalOf, refuse } from "./refusal.ts";
import { readString, readUuid, writeUuid } from "./text.ts";
import { Writer } from "./writer.ts";

type Decode = (reader: Reader, start: number, end: number) => unknown;
type Encode = (writer: Writer, value: unknown) => void;

interface Codec {
  decode: Decode | null;
  encode: Encode | null;
}

/** A codec per version, counted from the message's first version. */
const codecs = new Map<AnyMessage, readonly Codec[]>();

function codecOf(message: AnyMessage, version: number): Codec {
  let versions = codecs.get(message);
  if (versions === undefined) {
    checkTable(message);
    const count = message.versions[1] - message.versions[0] + 1;
    versions = Array.from({ length: count }, () => ({ decode: null, encode: null }));
    codecs.set(message, versions);
  }
  const codec = versions[version - message.versions[0]];
  assert(codec !== undefined, "the message has the version");
  return codec;
}

/** The program text of a codec, named as in a stack trace. */
export function codecText(
  message: AnyMessage,
  version: number,
  direction: "decode" | "encode",
): string {
  assert(hasVersion(message, version), "the message has the version");
  const name = `${message.name}.v${version}`;
  const flexible = isFlexible(message, version);
  const root = message.root.spec;
  const text =
    direction === "decode"
      ? decoderText(root, version, flexible)
      : encoderText(name, root, version, flexible);
  return `"use strict";\nreturn ${text}\n//# sourceURL=${name}.${direction}`;
}

function bug(message: string): never {
  throw new AssertionError(message);
}

const noBytes = new Uint8Array(0);

function compileDecode(message: AnyMessage, version: number): Decode {
  const text = codecText(message, version, "decode");
  const make = new Function("fail", "readString", "readUuid", "noBytes", "noTopicId", text);
  return make(fail, readString, readUuid, noBytes, noTopicId) as Decode; // proof: decoderText
}

function compileEncode(message: AnyMessage, version: number): Encode {
  const text = codecText(message, version, "encode");
  const make = new Function("bug", "writeUuid", "noTopicId", text);
  return make(bug, writeUuid, noTopicId) as Encode; // proof: encoderText
}

const reader = new Reader();

/** Elements that a trusted side's message may have: as many as its bytes can hold. */
const unlimited = Number.MAX_SAFE_INTEGER;

function decode<F extends Fields>(
  message: Message<F>,
  version: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  elementsMax?: number,
): Struct<F> | DecodeRefusal {
  assert(start >= 0 && start <= end, "a message starts before it ends");
  assert(end <= bytes.length, "a message ends within its bytes");
  const codec = codecOf(message, version);
  const run = (codec.decode ??= compileDecode(message, version));
  reader.reset(bytes, elementsMax);
  try {
    return run(reader, start, end) as Struct<F>; // proof: the text is made from this table
  } catch (error) {
    return refusalOf(error);
  }
}

/** Appends the message at the writer's position. The version must be one of the table's. */
export function encodeMessage<F extends Fields>(
  message: Message<F>,
  version: number,
  writer: Writer,
  value: Struct<F>,
): void {
  const codec = codecOf(message, version);
  const run = (codec.encode ??= compileEncode(message, version));
  run(writer, value);
}

/** A message that this cluster wrote, in a version of its table. */
export function decodeMessage<F extends Fields>(
  message: Message<F>,
  version: number,
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): Struct<F> | DecodeRefusal {
  return decode(message, version, bytes, start, end, unlimited);
}

/** A client's request, whose version the caller has found to be in the table. */
export function decodeRequest<Q extends Fields, R extends Fields>(
  api: Api<Q, R>,
  version: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): Struct<Q> | DecodeRefusal {
  return decode(api.request, version, bytes, start, end);
}

export function encodeRequest<Q extends Fields, R extends Fields>(
  api: Api<Q, R>,
  version: number,
  writer: Writer,
  value: Struct<Q>,
): void {
  encodeMessage(api.request, version, writer, value);
}

export function decodeResponse<Q extends Fields, R extends Fields>(
  api: Api<Q, R>,
  version: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): Struct<R> | DecodeRefusal {
  return decode(api.response, version, bytes, start, end, unlimited);
}

export function encodeResponse<Q extends Fields, R extends Fields>(
  api: Api<Q, R>,
  version: number,
  writer: Writer,
  value: Struct<R>,
): void {
  encodeMessage(api.response, version, writer, value);
}

/** A record of ours: an int16 version, then the message in that version, in bytes of its own. */
export function encodeVersioned<F extends Fields>(
  message: Message<F>,
  version: number,
  value: Struct<F>,
): Uint8Array {
  const writer = new Writer(128);
  writer.view.setInt16(0, version);
  writer.position = 2;
  encodeMessage(message, version, writer, value);
  return writer.written();
}

/** The int16 version that starts a record's key or value; -1 when there are no two bytes. */
export function versionOf(bytes: Uint8Array): number {
  return bytes.length < 2 ? -1 : ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
}

/**
 * The reverse of `encodeVersioned`. Versions that the table does not have are refused; above its
 * last one they are read as the last where the table says so.
 */
export function decodeVersioned<F extends Fields>(
  message: Message<F>,
  bytes: Uint8Array,
): Struct<F> | DecodeRefusal {
  let version = versionOf(bytes);
  if (version > message.versions[1] && version < 0x8000 && message.forward) {
    version = message.versions[1];
  }
  if (!hasVersion(message, version)) return refuse("version");
  return decode(message, version, bytes, 2, bytes.length);
}
