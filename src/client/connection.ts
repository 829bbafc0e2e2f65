// One connection to one node: requests go out in order and are not waited for one by one; answers
// come back in the same order. The connection negotiates versions (ApiVersions) before it is handed
// out. A late answer ends it, since no later one could come before that.

import { assert } from "../core/base/assert.ts";
import { ErrorCode } from "../core/base/error_code.ts";
import { responseBytesMax } from "../core/base/limits.ts";
import type { Api, Fields, Struct } from "../../proto/schema.ts";
import { type AnyApi, apis } from "../wire/apis.ts";
import { decodeResponse } from "../wire/codec.ts";
import {
  decodeResponseHeader,
  encodeRequestFrame,
  frameHeadBytes,
  frameSize,
} from "../wire/frame.ts";
import { DecodeRefusal } from "../wire/refusal.ts";
import { Writer } from "../wire/writer.ts";
import { KafkaError, Unreachable } from "./failures.ts";

export interface ConnectionOptions {
  /** Named in the requests, for whoever looks at the node's logs. */
  readonly clientId: string;
  readonly connectTimeoutMs: number;
  /** Until an answer must be there, beside what the node was asked to wait. */
  readonly requestTimeoutMs: number;
  /** Of Bun's `connect`: true, or certificates; false = cleartext. */
  readonly tls: boolean | Bun.TLSOptions;
}

/** Requests that one connection has under way at most; more wait for an answer. */
const requestsInFlightMax = 64;
/** Deadlines are looked at this often. */
const sweepMs = 250;
const softwareName = "pyralog-bun";
const softwareVersion = "0.1.0";

interface Waiting {
  readonly api: AnyApi;
  readonly version: number;
  readonly correlationId: number;
  readonly deadline: number;
  readonly take: (bytes: Uint8Array, version: number, bodyStart: number) => void;
  readonly fail: (error: Error) => void;
}

export class Connection {
  readonly address: string;
  readonly #options: ConnectionOptions;
  readonly #input = new FrameCutter();
  readonly #output: Uint8Array[] = [];
  /** In the order in which they were sent. */
  readonly #waiting: Waiting[] = [];
  readonly #turns: (() => void)[] = [];
  readonly #forOutput: (() => void)[] = [];
  #socket: Bun.Socket | null = null;
  #versions: ReadonlyMap<number, readonly [min: number, max: number]> = new Map();
  #correlationId = 0;
  #lost: Error | null = null;
  #sweep: Timer | null = null;

  private constructor(address: string, options: ConnectionOptions) {
    this.address = address;
    this.#options = options;
  }

  /** Connects and learns which versions the node speaks. */
  static async open(address: string, options: ConnectionOptions): Promise<Connection> {
    const connection = new Connection(address, options);
    try {
      await connection.#connect();
      await connection.#negotiate();
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  get lost(): boolean {
    return this.#lost !== null;
  }

  /** Requests without an answer. */
  get inFlight(): number {
    return this.#waiting.length;
  }

  close(): void {
    this.#fail(new Unreachable(this.address, "closed by this side"));
  }

  /**
   * The newest version of `api` that both sides speak, at most `cap`.
   * @throws KafkaError UNSUPPORTED_VERSION when there is none.
   */
  versionOf(api: AnyApi, cap = api.versions[1]): number {
    const spoken = this.#versions.get(api.key);
    const version = Math.min(cap, api.versions[1], spoken?.[1] ?? -1);
    if (spoken === undefined || version < Math.max(api.versions[0], spoken[0])) {
      throw new KafkaError(ErrorCode.UNSUPPORTED_VERSION, `${api.name} at ${this.address}`);
    }
    return version;
  }

  /**
   * One request and its answer. `waitMs`: what the node may take on top, as in a long poll.
   * @throws Unreachable when there is no answer; the outcome is then unknown.
   */
  async request<Q extends Fields, R extends Fields>(
    api: Api<Q, R>,
    version: number,
    value: Struct<Q>,
    waitMs = 0,
  ): Promise<Struct<R>> {
    while (this.#waiting.length >= requestsInFlightMax && this.#lost === null) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#turns.push(resolve);
      await promise;
    }
    return this.#ask(api, version, value, waitMs);
  }

  /** Produce with acks=0, which has no answer. Resolves when the system has taken the bytes. */
  async tell<Q extends Fields, R extends Fields>(
    api: Api<Q, R>,
    version: number,
    value: Struct<Q>,
  ): Promise<void> {
    this.#needAlive();
    this.#send(api, version, value);
    while (this.#output.length > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#forOutput.push(resolve);
      await promise;
    }
    this.#needAlive();
  }

  #needAlive(): void {
    if (this.#lost !== null) throw this.#lost;
  }

  #ask<Q extends Fields, R extends Fields>(
    api: Api<Q, R>,
    version: number,
    value: Struct<Q>,
    waitMs: number,
  ): Promise<Struct<R>> {
    const { promise, resolve, reject } = Promise.withResolvers<Struct<R>>();
    if (this.#lost !== null) {
      reject(this.#lost);
      return promise;
    }
    const correlationId = this.#send(api, version, value);
    this.#waiting.push({
      api: api as AnyApi, // proof: only its key, name and header are used, which no type variable touches
      version,
      correlationId,
      deadline: performance.now() + this.#options.requestTimeoutMs + waitMs,
      take: (bytes, spoken, bodyStart) => {
        const answer = decodeResponse(api, spoken, bytes, bodyStart, bytes.length);
        if (answer instanceof DecodeRefusal) {
          const error = new Unreachable(
            this.address,
            `sent an answer to ${api.name} that makes no sense`,
          );
          reject(error);
          this.#fail(error);
        } else {
          resolve(answer);
        }
      },
      fail: reject,
    });
    return promise;
  }

  #send<Q extends Fields, R extends Fields>(
    api: Api<Q, R>,
    version: number,
    value: Struct<Q>,
  ): number {
    this.#correlationId = (this.#correlationId + 1) % 0x7fffffff;
    // Its bytes are handed over to the socket, so each request has a writer of its own.
    const writer = new Writer(256);
    encodeRequestFrame(api, version, this.#correlationId, this.#options.clientId, writer, value);
    this.#output.push(writer.written());
    this.#flush();
    return this.#correlationId;
  }

  #flush(): void {
    const socket = this.#socket;
    if (socket === null) return;
    for (;;) {
      const first = this.#output[0];
      if (first === undefined) {
        for (const taken of this.#forOutput.splice(0)) taken();
        return;
      }
      const taken = Math.max(0, socket.write(first));
      if (taken < first.length) {
        this.#output[0] = first.subarray(taken);
        return;
      }
      this.#output.shift();
    }
  }

  async #connect(): Promise<void> {
    const { address } = this;
    const { connectTimeoutMs, tls } = this.#options;
    const parsed = parseAddress(address);
    if (parsed === null) throw new Unreachable(address, "it is no address");
    const { host, port } = parsed;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new Unreachable(address, `no connection within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    const { promise: secured, resolve: secure, reject: insecure } = Promise.withResolvers<void>();
    if (tls === false) secure();
    const opening = Bun.connect({
      hostname: host,
      port,
      ...(tls === false ? {} : { tls }),
      socket: {
        binaryType: "uint8array",
        data: (_, chunk) => this.#take(chunk),
        drain: () => this.#flush(),
        close: () => this.#fail(new Unreachable(address, "the node closed the connection")),
        error: (_, error) => this.#fail(new Unreachable(address, error.message)),
        connectError: () => {},
        handshake: (_, success, error) => {
          if (success && error === null) secure();
          else insecure(new Unreachable(address, error?.message ?? "the TLS handshake failed"));
        },
      },
    });
    try {
      const socket = await Promise.race([opening, late]);
      this.#socket = socket;
      await Promise.race([secured, late]);
      socket.setNoDelay(true);
    } catch (error) {
      opening.then((socket) => socket.terminate()).catch(() => {});
      if (error instanceof Unreachable) throw error;
      throw new Unreachable(address, reasonOf(error));
    } finally {
      clearTimeout(timer);
      late.catch(() => {});
      secured.catch(() => {});
    }
    this.#sweep = setInterval(() => this.#expire(), sweepMs);
  }

  async #negotiate(): Promise<void> {
    const asked = {
      clientSoftwareName: softwareName,
      clientSoftwareVersion: softwareVersion,
      clusterId: null,
      nodeId: -1 as const,
    };
    let answer = await this.#ask(apis.ApiVersions, 3, asked, 0);
    // A node that does not know the version answers in the form of v0, with its ranges.
    if (answer.errorCode === ErrorCode.UNSUPPORTED_VERSION) {
      answer = await this.#ask(apis.ApiVersions, 0, asked, 0);
    }
    if (answer.errorCode !== ErrorCode.NONE) {
      throw new KafkaError(answer.errorCode, `ApiVersions at ${this.address}`);
    }
    this.#versions = new Map(
      answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [
        apiKey,
        [minVersion, maxVersion] as const,
      ]),
    );
  }

  #take(chunk: Uint8Array): void {
    this.#input.push(chunk);
    for (;;) {
      const frame = this.#input.next();
      if (frame === null) return;
      if (frame === "wrong") {
        this.#fail(new Unreachable(this.address, "does not speak the Kafka protocol"));
        return;
      }
      this.#answer(frame);
    }
  }

  #answer(frame: Uint8Array): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      this.#fail(new Unreachable(this.address, "sent an answer that nobody asked for"));
      return;
    }
    this.#turns.shift()?.();
    let version = waiting.version;
    // The one answer whose form may differ from what was asked: see #negotiate.
    if (waiting.api === apis.ApiVersions && frame[5] === ErrorCode.UNSUPPORTED_VERSION) version = 0;
    const header = decodeResponseHeader(waiting.api, version, frame, 0, frame.length);
    if (header instanceof DecodeRefusal || header.correlationId !== waiting.correlationId) {
      const error = new Unreachable(this.address, "sent an answer out of order");
      waiting.fail(error);
      this.#fail(error);
      return;
    }
    waiting.take(frame, version, header.bodyStart);
  }

  #expire(): void {
    const first = this.#waiting[0];
    if (first === undefined || performance.now() < first.deadline) return;
    this.#fail(new Unreachable(this.address, `no answer to ${first.api.name} in time`));
  }

  #fail(error: Error): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#socket?.terminate();
    this.#output.length = 0;
    for (const waiting of this.#waiting.splice(0)) waiting.fail(error);
    for (const turn of this.#turns.splice(0)) turn();
    for (const taken of this.#forOutput.splice(0)) taken();
  }
}

/** Cuts what arrives into frames, each in bytes of its own: views of an answer stay valid. */
class FrameCutter {
  readonly #head = new Uint8Array(frameHeadBytes);
  #headFilled = 0;
  #body: Uint8Array | null = null;
  #bodyFilled = 0;
  #chunk: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): void {
    assert(this.#chunk.length === 0, "a chunk is used up before the next one");
    this.#chunk = chunk;
  }

  /** The next whole frame without its length; null: more bytes are needed. */
  next(): Uint8Array | "wrong" | null {
    while (this.#chunk.length > 0) {
      if (this.#body === null) {
        this.#headFilled += this.#fill(this.#head, this.#headFilled);
        if (this.#headFilled < frameHeadBytes) return null;
        const size = frameSize(this.#head, 0, frameHeadBytes, responseBytesMax);
        if (size < frameHeadBytes + 4) {
          this.#chunk = this.#chunk.subarray(this.#chunk.length);
          return "wrong";
        }
        this.#body = new Uint8Array(size - frameHeadBytes);
        this.#bodyFilled = 0;
        this.#headFilled = 0;
      }
      this.#bodyFilled += this.#fill(this.#body, this.#bodyFilled);
      if (this.#bodyFilled < this.#body.length) return null;
      const frame = this.#body;
      this.#body = null;
      return frame;
    }
    return null;
  }

  #fill(target: Uint8Array, filled: number): number {
    const count = Math.min(target.length - filled, this.#chunk.length);
    target.set(this.#chunk.subarray(0, count), filled);
    this.#chunk = this.#chunk.subarray(count);
    return count;
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "ECONNREFUSED") return "nobody listens there";
  if (code === "ENOTFOUND" || code === "DNS_ENOTFOUND") return "there is no such host";
  return error instanceof Error ? error.message : String(error);
}

/** `host:port`, an IPv6 host in brackets; without a port Kafka's 9092. Null: it is no address. */
export function parseAddress(
  address: string,
): { readonly host: string; readonly port: number } | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+)(?::([0-9]{1,5}))?$/.exec(address);
  const port = Number(match?.[2] ?? 9092);
  if (match === null || port < 1 || port > 65_535) return null;
  return { host: (match[1] ?? "").replace(/^\[(.*)\]$/, "$1"), port };
}
