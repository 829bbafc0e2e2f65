// Cuts length-prefixed request frames out of the chunks of one socket. A frame that lies whole in a
// chunk is a view of it; one that spans chunks is assembled in a pooled buffer. A chunk that is cut
// is given back at once. So a steady flow of large frames touches the same memory again and again,
// where waiting for the collector costs a page fault for every 4 KiB received.

import { requestBytesMax } from "../../core/base/limits.ts";

/** Buffers for frames that span chunks, shared by all connections of a listener. */
export class AssemblyPool {
  readonly #free: Uint8Array[] = [];
  #bytes = 0;

  /** A buffer of at least `atLeast` bytes, larger where one is at hand; a small one is made to fit. */
  take(atLeast: number): Uint8Array {
    if (atLeast < pooledBytesMin) return new Uint8Array(atLeast);
    for (let i = this.#free.length - 1; i >= 0; i -= 1) {
      const buffer = this.#free[i];
      if (buffer === undefined || buffer.byteLength < atLeast) continue;
      this.#free.splice(i, 1);
      this.#bytes -= buffer.byteLength;
      return buffer;
    }
    // A plain array over the memory: `slice` of a Buffer would not copy.
    return new Uint8Array(Buffer.allocUnsafeSlow(roundUp(atLeast)).buffer);
  }

  give(buffer: Uint8Array): void {
    if (buffer.byteLength < pooledBytesMin) return;
    if (this.#bytes + buffer.byteLength > pooledBytesMax || this.#free.length >= pooledBuffersMax)
      return;
    this.#free.push(buffer);
    this.#bytes += buffer.byteLength;
  }
}

const pooledBytesMax = 32 * 1024 * 1024;
const pooledBuffersMax = 64;
/** Below it a buffer is of its frame alone: thousands of peers may send a byte each and wait. */
const pooledBytesMin = 64 * 1024;
const givenBackBytesMin = 16 * 1024;
/** First size of a buffer for a frame whose bytes have not arrived yet. */
const assemblyBytesMin = 64;

function roundUp(bytes: number): number {
  let size = pooledBytesMin;
  while (size < bytes) size *= 2;
  return size;
}

export interface FrameSink {
  /** False: not now. The frame is kept and the cutter stops until `resume`. */
  accepts(bytes: Uint8Array, start: number, end: number): boolean;
  /** One frame without its length prefix. The bytes are valid during the call only. */
  frame(bytes: Uint8Array, start: number, end: number): void;
  /** The length prefix is senseless; the connection must be closed. */
  badLength(length: number): void;
}

export class FrameCutter {
  readonly #sink: FrameSink;
  readonly #pool: AssemblyPool;
  readonly #bytesMax: number;
  /** Bytes of a frame that spans chunks, its prefix included; null between frames. */
  #assembly: Uint8Array | null = null;
  #filled = 0;
  /** Bytes of the whole frame with its prefix; 0 = the prefix is not complete. */
  #wanted = 0;
  /** What is left of chunks that came while stopped. */
  #rest: Uint8Array[] = [];
  #stopped = false;

  constructor(sink: FrameSink, pool: AssemblyPool, bytesMax = requestBytesMax) {
    this.#sink = sink;
    this.#pool = pool;
    this.#bytesMax = bytesMax;
  }

  get stopped(): boolean {
    return this.#stopped;
  }
  /** True in the middle of a frame: the sender owes bytes. */
  get partial(): boolean {
    return this.#assembly !== null;
  }

  /** The chunk, which is all that lies in its memory, is the cutter's from now on. */
  push(chunk: Uint8Array): void {
    if (this.#stopped) {
      this.#rest.push(chunk);
      return;
    }
    this.#cut(chunk);
  }

  resume(): void {
    this.#stopped = false;
    if (this.#wanted > 0 && this.#filled === this.#wanted) this.#deliver();
    while (!this.#stopped) {
      const next = this.#rest.shift();
      if (next === undefined) return;
      this.#cut(next);
    }
  }

  release(): void {
    if (this.#assembly !== null) this.#pool.give(this.#assembly);
    this.#assembly = null;
    this.#rest = [];
  }

  #cut(chunk: Uint8Array): void {
    let at = this.#assembly === null ? 0 : this.#fill(chunk);
    while (!this.#stopped && at < chunk.byteLength) at = this.#next(chunk, at);
    if (at < chunk.byteLength) this.#rest.unshift(chunk.subarray(at));
    else giveBack(chunk);
  }

  /** Takes the frame that starts at `at`, or its start; returns where the next one starts. */
  #next(chunk: Uint8Array, at: number): number {
    const left = chunk.byteLength - at;
    const length = left < 4 ? 0 : lengthAt(chunk, at);
    if (left >= 4 && (length <= 0 || length > this.#bytesMax)) {
      this.#refuse(length);
      return chunk.byteLength;
    }
    const end = at + 4 + length;
    if (left < 4 || end > chunk.byteLength) {
      this.#begin(chunk, at, left < 4 ? 0 : 4 + length);
      return chunk.byteLength;
    }
    if (!this.#sink.accepts(chunk, at + 4, end)) {
      this.#stopped = true;
      return at;
    }
    this.#sink.frame(chunk, at + 4, end);
    return end;
  }

  #refuse(length: number): void {
    this.#stopped = true;
    this.#sink.badLength(length);
  }

  /** Keeps the start of a frame that goes on in the next chunk. */
  #begin(chunk: Uint8Array, at: number, wanted: number): void {
    const have = chunk.byteLength - at;
    // A sender may name a large frame and send nothing: the buffer grows with what arrives.
    const buffer = this.#pool.take(
      Math.min(Math.max(wanted, 4), Math.max(have * 2, assemblyBytesMin)),
    );
    buffer.set(chunk.subarray(at), 0);
    this.#assembly = buffer;
    this.#filled = have;
    this.#wanted = wanted;
  }

  /** Adds to the frame under assembly; returns how much of the chunk it took. */
  #fill(chunk: Uint8Array): number {
    let at = 0;
    if (this.#wanted === 0) {
      const missing = Math.min(4 - this.#filled, chunk.byteLength);
      this.#append(chunk, 0, missing);
      at = missing;
      if (this.#filled < 4) return at;
      const length = this.#assembly === null ? 0 : lengthAt(this.#assembly, 0);
      if (length <= 0 || length > this.#bytesMax) {
        this.#refuse(length);
        return chunk.byteLength;
      }
      this.#wanted = 4 + length;
    }
    const take = Math.min(this.#wanted - this.#filled, chunk.byteLength - at);
    this.#append(chunk, at, take);
    at += take;
    if (this.#filled === this.#wanted) this.#deliver();
    return at;
  }

  /** The frame under assembly is complete. */
  #deliver(): void {
    const whole = this.#assembly;
    const end = this.#wanted;
    if (whole === null) return;
    if (!this.#sink.accepts(whole, 4, end)) {
      this.#stopped = true;
      return;
    }
    this.#assembly = null;
    this.#filled = 0;
    this.#wanted = 0;
    this.#sink.frame(whole, 4, end);
    this.#pool.give(whole);
  }

  #append(chunk: Uint8Array, at: number, count: number): void {
    let buffer = this.#assembly;
    if (buffer === null) return;
    if (this.#filled + count > buffer.byteLength) {
      const wanted = Math.max(this.#wanted, 4);
      const larger = this.#pool.take(
        Math.min(wanted, Math.max((this.#filled + count) * 2, assemblyBytesMin)),
      );
      larger.set(buffer.subarray(0, this.#filled), 0);
      this.#pool.give(buffer);
      this.#assembly = larger;
      buffer = larger;
    }
    buffer.set(count === chunk.byteLength ? chunk : chunk.subarray(at, at + count), this.#filled);
    this.#filled += count;
  }
}

/** Frees the memory of a chunk now; a small one is left to the collector, which costs less. */
function giveBack(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer.byteLength < givenBackBytesMin || !(buffer instanceof ArrayBuffer)) return;
  buffer.transfer(0);
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}
