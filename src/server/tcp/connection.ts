// One Kafka connection: frames in, calls to the node, answers out in request order.
//
// As in Kafka, a request starts when the one before it was answered, so that it sees what that has
// done. Only a Produce may follow Produces that still wait for the disk: they are as many as the
// limits allow, and each stands for itself.
//
// Reads pause while the next request has to wait, while the connection has its limit of requests or
// bytes in flight, while its output is not taken, and while the disk takes no more; nothing is
// dropped and nothing grows without a bound.

import type { Socket } from "bun";
import { assert } from "../../core/base/assert.ts";
import {
  connectionBytesInFlightMax,
  connectionRequestsMax,
  frameOverheadBytes,
  responseBytesMax,
} from "../../core/base/limits.ts";
import type { Call } from "../../core/base/node_contract.ts";
import type { ProduceRequest } from "../../../proto/kafka/00_produce.ts";
import { type AnyApi, apiOf } from "../../wire/apis.ts";
import { decodeRequest } from "../../wire/codec.ts";
import { decodeRequestHeader, encodeResponseFrame } from "../../wire/frame.ts";
import { isRefused } from "../../wire/refusal.ts";
import { Writer } from "../../wire/writer.ts";
import { factsOf } from "../batch_facts.ts";
import type { Host } from "../host.ts";
import { type AssemblyPool, FrameCutter, type FrameSink } from "./frame_cutter.ts";
import { Output } from "./output.ts";

/** Carries its connection once that is made. */
export type KafkaSocket = Socket<KafkaConnection | undefined>;

const produceKey = 0;
const apiVersionsKey = 18;
const noFacts = new Float64Array(0);

export class KafkaConnection implements FrameSink {
  readonly id: number;
  readonly #host: Host;
  readonly #socket: KafkaSocket;
  readonly #cutter: FrameCutter;
  readonly #output: Output;
  readonly #advertised: { readonly host: string; readonly port: number };
  readonly #peer: string;
  /** Order of the next request, and of the next answer to leave. */
  #asked = 0;
  #answered = 0;
  /** The last request was no Produce: nothing starts before it is answered. */
  #alone = false;
  /** Answers that wait for an earlier one, encoded. */
  readonly #early = new Map<number, Uint8Array>();
  #bytesInFlight = 0;
  readonly #frameBytes = new Map<number, number>();
  #paused = false;
  #closed = false;
  #finishing = false;
  /** Monotonic ms of the last byte received, and of the first byte of a frame that is not whole. */
  lastActive: number;
  partialSince = -1;
  /** What the peer had taken when it was looked at last, and since when that has not changed. */
  #taken = 0;
  #takenAt: number;

  constructor(
    host: Host,
    socket: KafkaSocket,
    pool: AssemblyPool,
    advertised: { host: string; port: number } | null,
    bytesMax: number,
  ) {
    this.#host = host;
    this.#socket = socket;
    this.#cutter = new FrameCutter(this, pool, bytesMax);
    this.#output = new Output(socket, host.owed);
    this.#advertised = advertised ?? {
      host: plainAddress(socket.localAddress),
      port: socket.localPort,
    };
    this.#peer = plainAddress(socket.remoteAddress);
    this.id = host.addConnection(this);
    this.lastActive = host.now();
    this.#takenAt = this.lastActive;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** How long the peer has taken nothing of what waits for it; looked at now and then. */
  stalledMs(now: number): number {
    if (this.#output.pending === 0 || this.#output.taken !== this.#taken) {
      this.#taken = this.#output.taken;
      this.#takenAt = now;
    }
    return now - this.#takenAt;
  }

  /** The node stops: no further request starts. */
  finish(): void {
    this.#finishing = true;
  }

  /** Records are on their way to the disk, or the answer for them on its way to the peer. */
  get owes(): boolean {
    if (this.#closed) return false;
    return this.#output.pending > 0 || (this.#asked > this.#answered && !this.#alone);
  }

  received(chunk: Uint8Array): void {
    this.#host.work();
    this.lastActive = this.#host.now();
    this.#host.counters.bytesIn += chunk.byteLength;
    // Plain from here on: `slice` of a Buffer would not copy.
    this.#cutter.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#settle();
  }

  /** The socket takes bytes again. */
  drained(): void {
    this.#output.flush();
    this.resume();
  }

  /** Goes on where the cutter stopped, if what stopped it is over. */
  resume(): void {
    if (this.#closed || !this.#cutter.stopped) return;
    this.#cutter.resume();
    this.#settle();
  }

  ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cutter.release();
    this.#early.clear();
    this.#output.release();
    this.#host.removeConnection(this);
  }

  /** Closes for a reason that is counted and logged. */
  close(reason: string): void {
    if (this.#closed) return;
    this.#host.refused(reason, this.#peer);
    this.#output.flush();
    this.#socket.end();
    this.ended();
  }

  accepts(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#closed || this.#finishing) return false;
    const isProduce = bytes[start] === 0 && bytes[start + 1] === produceKey;
    const inFlight = this.#asked - this.#answered;
    if (inFlight > 0 && (this.#alone || !isProduce)) return false;
    if (inFlight >= connectionRequestsMax) return false;
    if (this.#bytesInFlight > 0 && this.#bytesInFlight + (end - start) > connectionBytesInFlightMax)
      return false;
    if (this.#output.pending > this.#host.outputMax) return false;
    // The smallest batches cost as much again in frame headers as they are long.
    if (isProduce && !this.#host.takes(2 * (end - start) + frameOverheadBytes)) {
      this.#host.waitForDisk(this);
      return false;
    }
    return true;
  }

  badLength(length: number): void {
    this.close(length > 0 ? "request larger than the limit" : "request length below 1");
  }

  frame(bytes: Uint8Array, start: number, end: number): void {
    if (this.#closed) return;
    const header = decodeRequestHeader(bytes, start, end);
    if (isRefused(header)) return this.close("malformed request header");
    const { api } = header;
    if (api === null) return this.close("unknown API key");
    const future = api.key === apiVersionsKey && header.apiVersion > api.versions[1];
    if (!header.versionKnown && !future) return this.close("unsupported API version");
    let body = bytes;
    let from = header.bodyStart;
    let to = end;
    if (api.key !== produceKey) {
      // Only a produce is done with its bytes when the step returns.
      body = bytes.slice(from, to);
      from = 0;
      to = body.byteLength;
    }
    // ApiVersions in a version of the future: its body cannot be read and need not be.
    const version = header.versionKnown ? header.apiVersion : 0;
    const request = decodeRequest(api, version, body, from, header.versionKnown ? to : from);
    if (isRefused(request)) return this.close(`malformed ${api.name} request: ${request.refusal}`);
    const order = this.#asked;
    this.#asked += 1;
    this.#alone = api.key !== produceKey;
    this.#bytesInFlight += end - start;
    this.#frameBytes.set(order, end - start);
    this.#host.counters.requests += 1;
    this.#host.request({
      connection: this.id,
      order,
      apiKey: api.key,
      version: header.apiVersion,
      correlationId: header.correlationId,
      clientId: header.clientId,
      host: this.#advertised.host,
      port: this.#advertised.port,
      peer: this.#peer,
      request,
      facts:
        api.key === produceKey
          ? factsOf(this.#host, request as unknown as ProduceRequest, body) // proof: decoded by that table
          : noFacts,
    });
  }

  /** `null` answers nothing (acks=0) but gives the request's turn away. */
  answer(call: Call, response: unknown): void {
    if (this.#closed) return;
    const api = apiOf(call.apiKey);
    assert(api !== undefined, "an answered API has a table");
    const inTurn = call.order === this.#answered;
    const writer = inTurn ? this.#output.writer() : new Writer(1024);
    if (response !== null && !encode(writer, api, call, response))
      return this.close("answer larger than the limit");
    if (inTurn) {
      this.#turn(call.order);
      this.#releaseEarly();
    } else {
      this.#early.set(call.order, writer.written());
    }
    this.#host.dirty(this);
  }

  /** Hands what was encoded to the socket. Called once per event, after all answers of it. */
  flush(): void {
    if (this.#closed) return;
    this.#output.flush();
    this.resume();
  }

  #turn(order: number): void {
    this.#answered += 1;
    this.#bytesInFlight -= this.#frameBytes.get(order) ?? 0;
    this.#frameBytes.delete(order);
  }

  #releaseEarly(): void {
    while (this.#early.size > 0) {
      const next = this.#early.get(this.#answered);
      if (next === undefined) return;
      this.#early.delete(this.#answered);
      if (next.byteLength > 0) this.#output.append(next);
      this.#turn(this.#answered);
    }
  }

  #settle(): void {
    if (this.#closed) return;
    this.partialSince =
      this.#cutter.partial && !this.#cutter.stopped
        ? this.partialSince < 0
          ? this.lastActive
          : this.partialSince
        : -1;
    if (this.#cutter.stopped === this.#paused) return;
    this.#paused = this.#cutter.stopped;
    if (this.#paused) this.#socket.pause();
    else this.#socket.resume();
  }
}

/** False: the answer is longer than any may be. */
function encode(writer: Writer, api: AnyApi, call: Call, response: unknown): boolean {
  // An answer to an ApiVersions of the future is in v0 form.
  const version = call.version > api.versions[1] ? 0 : call.version;
  const value = response as Readonly<Record<string, unknown>>; // proof: the API's file made it for this table
  return encodeResponseFrame(api, version, call.correlationId, writer, value, responseBytesMax);
}

/** IPv4 addresses of a dual-stack socket come mapped into IPv6. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
