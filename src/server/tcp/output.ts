// What a connection has to say and the socket has not taken yet. Answers are encoded one behind the
// other into a pooled writer and leave by one write per event; a connection that is silent holds no
// buffer.

import type { Socket } from "bun";
import { Writer } from "../../wire/writer.ts";

const writerBytesMin = 16 * 1024;
/** Larger writers are given to the collector instead of the pool. */
const pooledBytesMax = 2 * 1024 * 1024;
const poolMax = 64;
const pool: Writer[] = [];

/** Memory of all outputs that wait for their sockets. */
export interface Owed {
  bytes: number;
}

export class Output {
  readonly #socket: Socket<unknown>;
  readonly #owed: Owed;
  #writer: Writer | null = null;
  /** Bytes of the writer that the socket has taken. */
  #sent = 0;
  /** What of `#owed` is this output's. */
  #held = 0;
  /** Bytes that the socket has taken altogether. */
  taken = 0;

  constructor(socket: Socket<unknown>, owed: Owed) {
    this.#socket = socket;
    this.#owed = owed;
  }

  /** Bytes that wait for the socket. */
  get pending(): number {
    return this.#writer === null ? 0 : this.#writer.position - this.#sent;
  }

  /** Where the next answer is encoded. */
  writer(): Writer {
    if (this.#writer === null) {
      this.#writer = pool.pop() ?? new Writer(writerBytesMin);
      this.#writer.reset();
      this.#sent = 0;
    }
    return this.#writer;
  }

  append(bytes: Uint8Array): void {
    const writer = this.writer();
    writer.reserve(writer.position, bytes.byteLength);
    writer.bytes.set(bytes, writer.position);
    writer.position += bytes.byteLength;
  }

  flush(): void {
    const writer = this.#writer;
    if (writer === null) return;
    const left = writer.position - this.#sent;
    if (left > 0) {
      const taken = this.#socket.write(writer.bytes, this.#sent, left);
      if (taken > 0) {
        this.#sent += taken;
        this.taken += taken;
      }
    }
    if (this.#sent < writer.position) return this.#hold(writer.bytes.byteLength);
    this.#hold(0);
    this.#writer = null;
    if (writer.bytes.byteLength <= pooledBytesMax && pool.length < poolMax) pool.push(writer);
  }

  /** The connection is over: nobody waits for what is left. */
  release(): void {
    this.#hold(0);
    this.#writer = null;
  }

  #hold(bytes: number): void {
    this.#owed.bytes += bytes - this.#held;
    this.#held = bytes;
  }
}
