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

export class Output {
  readonly #socket: Socket<unknown>;
  #writer: Writer | null = null;
  /** Bytes of the writer that the socket has taken. */
  #sent = 0;

  constructor(socket: Socket<unknown>) {
    this.#socket = socket;
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
      if (taken > 0) this.#sent += taken;
    }
    if (this.#sent < writer.position) return;
    this.#writer = null;
    if (writer.bytes.byteLength <= pooledBytesMax && pool.length < poolMax) pool.push(writer);
  }
}
