// A raw Kafka connection that judges while it carries: answers must come in request order, and a
// closed connection fails everything that still waits. Independent of the product's codecs, so that
// a judge cannot share a mistake with what it judges.

import { connect, type Socket } from "node:net";
import { BodyWriter } from "../../bench/kafka_client.ts";

/** The peer closed or the connection broke: the outcome of what was in flight is unknown. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** Its answer always has a header without tags, so that any client can read it. */
const apiVersionsKey = 18;

interface Waiting {
  readonly correlationId: number;
  readonly resolve: (body: Reader) => void;
  readonly reject: (error: Error) => void;
}

export class Connection {
  readonly #socket: Socket;
  /** In the order in which they were sent. */
  readonly #waiting: Waiting[] = [];
  readonly #chunks: Buffer[] = [];
  #chunkBytes = 0;
  #lastCorrelationId = 0;
  #lost: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("close", () => this.#fail(new ConnectionLost("the server closed the connection")));
    socket.on("error", (error: Error) => this.#fail(new ConnectionLost(error.message)));
  }

  static open(address: string): Promise<Connection> {
    const colon = address.lastIndexOf(":");
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon));
    socket.setNoDelay(true);
    socket.once("error", (error: Error) => reject(new ConnectionLost(error.message)));
    socket.once("connect", () => resolve(new Connection(socket)));
    return promise;
  }

  get lost(): boolean {
    return this.#lost !== undefined;
  }

  close(): void {
    this.#socket.destroy();
    this.#fail(new ConnectionLost("closed by this side"));
  }

  /** Header v1 (key, version, correlation id, client id), for every non-flexible version. */
  request(key: number, version: number, body: BodyWriter): Promise<Reader> {
    const { promise, resolve, reject } = Promise.withResolvers<Reader>();
    if (this.#lost !== undefined) {
      reject(this.#lost);
      return promise;
    }
    const correlationId = this.#send(key, version, body.done());
    this.#waiting.push({ correlationId, resolve, reject });
    return promise;
  }

  /** Header v2: tags behind the client id. Only ApiVersions answers without tags in the header. */
  async requestFlexible(key: number, version: number, body: BodyWriter): Promise<Reader> {
    const tagged = new BodyWriter().int8(0).raw(body.done());
    const answer = await this.request(key, version, tagged);
    if (key !== apiVersionsKey) {
      const tags = answer.tags();
      if (tags.size > 0) throw new Error(`${tags.size} tags in the header of an answer`);
    }
    return answer;
  }

  /** Produce with acks=0 has no answer. */
  tell(key: number, version: number, body: BodyWriter): void {
    if (this.#lost !== undefined) throw this.#lost;
    this.#send(key, version, body.done());
  }

  /** Bytes as they are, for what a well-behaved client never sends. */
  raw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Resolves when the server closed the connection. */
  whenClosed(): Promise<void> {
    if (this.#lost !== undefined) return Promise.resolve();
    return new Promise((resolve) => this.#socket.once("close", () => resolve()));
  }

  #send(key: number, version: number, body: Uint8Array): number {
    this.#lastCorrelationId += 1;
    const header = new BodyWriter();
    header.int16(key).int16(version).int32(this.#lastCorrelationId).string("pyralog-judge");
    const head = header.done();
    const size = new BodyWriter().int32(head.length + body.length).done();
    this.#socket.write(Buffer.concat([size, head, body]));
    return this.#lastCorrelationId;
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    while (this.#chunkBytes >= 4) {
      const first = this.#joined(4);
      const end = 4 + first.readInt32BE(0);
      if (this.#chunkBytes < end) return;
      const all = this.#joined(end);
      this.#chunks[0] = all.subarray(end);
      this.#chunkBytes -= end;
      this.#answer(all.subarray(4, end));
    }
  }

  /** The first chunk, grown to at least `size` bytes. The caller knows that they are there. */
  #joined(size: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= size) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks.splice(0, this.#chunks.length, all);
    return all;
  }

  #answer(frame: Buffer): void {
    const waiting = this.#waiting.shift();
    const correlationId = frame.readInt32BE(0);
    if (waiting === undefined) {
      this.#fail(new Error(`an answer with correlation id ${correlationId} that nobody asked for`));
    } else if (waiting.correlationId !== correlationId) {
      const error = new Error(
        `answer ${correlationId} came where ${waiting.correlationId} was due`,
      );
      waiting.reject(error);
      this.#fail(error);
    } else {
      waiting.resolve(new Reader(frame.subarray(4)));
    }
  }

  #fail(error: Error): void {
    this.#lost ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }
}

/** Big-endian reader of an answer's body. */
export class Reader {
  readonly #buffer: Buffer;
  #position = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get remaining(): number {
    return this.#buffer.length - this.#position;
  }

  #advance(count: number): number {
    const start = this.#position;
    this.#position += count;
    return start;
  }

  int8(): number {
    return this.#buffer.readInt8(this.#advance(1));
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#advance(4));
  }

  int64(): number {
    const high = this.int32();
    return high * 2 ** 32 + this.#buffer.readUInt32BE(this.#advance(4));
  }

  /** Unsigned varint, as in flexible versions. */
  unsigned(): number {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = this.#buffer.readUInt8(this.#advance(1));
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  }

  /** Zig-zag varint, as in records. */
  varint(): number {
    const value = this.unsigned();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  take(count: number): Buffer {
    if (count > this.remaining)
      throw new RangeError(`${count} bytes asked, ${this.remaining} left`);
    const start = this.#advance(count);
    return this.#buffer.subarray(start, start + count);
  }

  nullableString(): string | null {
    const size = this.int16();
    return size < 0 ? null : this.take(size).toString("utf8");
  }

  string(): string {
    const value = this.nullableString();
    if (value === null) throw new TypeError("null where a string is due");
    return value;
  }

  nullableBytes(): Buffer | null {
    const size = this.int32();
    return size < 0 ? null : this.take(size);
  }

  /** A null array reads as an empty one. */
  array<T>(each: () => T): T[] {
    const count = this.int32();
    const found: T[] = [];
    for (let index = 0; index < count; index += 1) found.push(each());
    return found;
  }

  /** Flexible versions: count + 1, 0 = null. */
  compactArray<T>(each: () => T): T[] {
    const count = this.unsigned() - 1;
    const found: T[] = [];
    for (let index = 0; index < count; index += 1) found.push(each());
    return found;
  }

  compactString(): string | null {
    const size = this.unsigned() - 1;
    return size < 0 ? null : this.take(size).toString("utf8");
  }

  /** Tag section of a flexible structure: numbers and bytes, ascending. */
  tags(): Map<number, Buffer> {
    const found = new Map<number, Buffer>();
    const count = this.unsigned();
    for (let index = 0; index < count; index += 1) {
      const tag = this.unsigned();
      found.set(tag, this.take(this.unsigned()));
    }
    return found;
  }
}
