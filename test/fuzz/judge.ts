// What a client may expect for its bytes: answers in the order of its frames, each of which decodes
// in the version that was asked for and holds no error that Kafka does not know, or a closed
// connection.

import type { FieldSpec } from "../../proto/schema.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { requestBytesMax } from "../../src/core/base/limits.ts";
import type { AnyApi } from "../../src/wire/apis.ts";
import { decodeRequest, decodeResponse } from "../../src/wire/codec.ts";
import { decodeRequestHeader, decodeResponseHeader } from "../../src/wire/frame.ts";
import { elementOf, fixedBytes, isLive, membersOf } from "../../src/wire/layout.ts";
import { isRefused } from "../../src/wire/refusal.ts";
import type { Vocabulary } from "./vocabulary.ts";

export class Finding extends Error {
  override readonly name = "Finding";
}

/** A request that was sent, as far as its answer depends on it. */
interface Asked {
  readonly api: AnyApi;
  readonly version: number;
  readonly correlationId: number;
  readonly mute: boolean;
}

const known = new Set<number>(Object.values(ErrorCode));
known.delete(ErrorCode.UNKNOWN_SERVER_ERROR);

const produceKey = 0;
const apiVersionsKey = 18;

/** What one decoded request holds: array elements, and bytes of text. */
function sizesOf(field: FieldSpec, version: number, value: unknown): number {
  if (value === null || fixedBytes(field) > 0) return 0;
  if (typeof value === "string") return value.length;
  if (field.kind === "array") {
    const elements = value as readonly unknown[]; // proof: decoded by this table
    const element = elementOf(field);
    let sum = elements.length;
    for (const one of elements) sum += sizesOf(element, version, one);
    return sum;
  }
  if (field.kind !== "struct") return 0;
  const struct = value as Readonly<Record<string, unknown>>; // proof: decoded by this table
  let sum = 0;
  for (const [name, member] of membersOf(field)) {
    if (isLive(member, version)) sum += sizesOf(member, version, struct[name]);
  }
  return sum;
}

export class Judge {
  readonly #vocabulary: Vocabulary;
  /** Bytes that are not a whole frame yet, on either side. */
  #sent = new Uint8Array(0);
  #got = new Uint8Array(0);
  readonly #asked: Asked[] = [];
  /** The node has to close: a length out of bounds, an unknown key, bytes that do not decode. */
  #doomed = false;
  answers = 0;
  errors = 0;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Nothing is owed: every frame has its answer. */
  get quiet(): boolean {
    return !this.#doomed && this.#asked.every((asked) => asked.mute);
  }
  /** Bytes of a frame that is not whole. */
  get pending(): number {
    return this.#sent.length;
  }
  /** The first request without an answer. */
  get owed(): string {
    return this.#asked.find((asked) => !asked.mute)?.api.name ?? "nothing";
  }

  sent(chunk: Uint8Array): void {
    const bytes = this.#sent.length === 0 ? chunk : Buffer.concat([this.#sent, chunk]);
    let at = 0;
    while (!this.#doomed && bytes.length - at >= 4) {
      const length = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getInt32(0);
      if (length <= 0 || length > requestBytesMax) {
        this.#doomed = true;
      } else {
        if (bytes.length - at < 4 + length) break;
        this.#frame(bytes.subarray(at + 4, at + 4 + length));
        at += 4 + length;
      }
    }
    this.#sent = bytes.slice(at);
  }

  #frame(frame: Uint8Array): void {
    const header = decodeRequestHeader(frame, 0, frame.length);
    if (isRefused(header) || header.api === null) {
      this.#doomed = true;
      return;
    }
    const { api, apiVersion, correlationId, versionKnown, bodyStart } = header;
    const future = api.key === apiVersionsKey && apiVersion > api.versions[1];
    if (!versionKnown && !future) {
      this.#doomed = true;
      return;
    }
    if (!versionKnown) {
      this.#asked.push({ api, version: 0, correlationId, mute: false });
      return;
    }
    const request = decodeRequest(api, apiVersion, frame, bodyStart, frame.length);
    if (isRefused(request)) {
      this.#doomed = true;
      return;
    }
    if (sizesOf(api.request.root.spec, apiVersion, request) > frame.length) {
      throw new Finding(`${api.name} v${apiVersion}: more elements and text than bytes`);
    }
    // proof: decoded by the table of Produce where the key says so
    const mute = api.key === produceKey && (request as { readonly acks?: unknown }).acks === 0;
    this.#asked.push({ api, version: apiVersion, correlationId, mute });
  }

  got(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const bytes = this.#got.length === 0 ? chunk : Buffer.concat([this.#got, chunk]);
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getInt32(0);
      if (length < 4) throw new Finding(`an answer of ${length} bytes`);
      if (bytes.length - at < 4 + length) break;
      this.#answer(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    this.#got = bytes.slice(at);
  }

  /** A node that is done with a Produce of acks=0 says nothing; or it closes. */
  #skipMute(): void {
    while (this.#asked[0]?.mute === true) this.#asked.shift();
  }

  #answer(frame: Uint8Array): void {
    this.#skipMute();
    const asked = this.#asked.shift();
    if (asked === undefined) throw new Finding("an answer that nobody asked for");
    const { api, version } = asked;
    const name = `${api.name} v${version}`;
    const header = decodeResponseHeader(api, version, frame, 0, frame.length);
    if (isRefused(header)) throw new Finding(`${name}: the answer's header does not decode`);
    if (header.correlationId !== asked.correlationId) {
      throw new Finding(`${name}: the answer to another request`);
    }
    const response = decodeResponse(api, version, frame, header.bodyStart, frame.length);
    if (isRefused(response)) throw new Finding(`${name}: the answer does not decode`);
    this.answers += 1;
    if (this.#judge(api.response.root.spec, version, response, name)) this.errors += 1;
    this.#vocabulary.learn(api.response.root.spec, version, response, "");
  }

  /** True when an error code is among the values. */
  #judge(field: FieldSpec, version: number, value: unknown, name: string): boolean {
    let found = false;
    if (value === null) return false;
    if (field.kind === "array") {
      const element = elementOf(field);
      if (element.kind !== "struct") return false;
      const elements = value as readonly unknown[]; // proof: decoded by this table
      for (const each of elements) found = this.#judge(element, version, each, name) || found;
      return found;
    }
    if (field.kind !== "struct") return false;
    const struct = value as Readonly<Record<string, unknown>>; // proof: decoded by this table
    for (const [member, spec] of membersOf(field)) {
      if (!isLive(spec, version)) continue;
      if (member === "errorCode") {
        const code = Number(struct[member]);
        if (!known.has(code)) throw new Finding(`${name}: error code ${code}`);
        found ||= code !== ErrorCode.NONE;
      } else if (spec.kind === "struct" || spec.kind === "array") {
        found = this.#judge(spec, version, struct[member], name) || found;
      }
    }
    return found;
  }

  /** The node has closed, for a reason that is right only where something was wrong. */
  closed(slow: boolean): void {
    // What a slow peer has not taken when its connection is closed is gone.
    if (this.#got.length > 0 && !slow) throw new Finding("closed in the middle of an answer");
    const muted = this.#asked.some((asked) => asked.mute);
    if (!this.#doomed && !muted) throw new Finding("closed after requests that were all in order");
  }
}
