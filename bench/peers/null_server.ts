// The null broker: cuts frames, reads request headers, walks every Produce request down to each batch
// header, acknowledges, and keeps nothing. What one client reaches here is the most that it could
// reach with any broker on this machine. For consumers it serves the largest batch that a topic
// was sent, over and over, at ascending offsets without end.
//
//   bun bench/peers/null_server.ts [PORT]     prints `listening HOST:PORT`, ends on SIGTERM

const requestKey = {
  produce: 0,
  fetch: 1,
  listOffsets: 2,
  metadata: 3,
  apiVersions: 18,
  createTopics: 19,
  deleteTopics: 20,
  initProducerId: 22,
} as const;

/** Lowest and highest version by key. All but Produce 9+ and ApiVersions 3 are non-flexible. */
const advertised: readonly (readonly [number, number, number])[] = [
  [requestKey.produce, 3, 10],
  [requestKey.fetch, 4, 4],
  [requestKey.listOffsets, 1, 1],
  [requestKey.metadata, 0, 4],
  [requestKey.apiVersions, 0, 3],
  [requestKey.createTopics, 2, 2],
  [requestKey.deleteTopics, 1, 1],
  [requestKey.initProducerId, 0, 1],
];

const unsupportedVersion = 35;
const unknownTopicOrPartition = 3;
const partitionsDefault = 1;
const batchHeaderBytes = 61;
/** What a consumer sees as the end of every partition that was produced to. */
const endlessOffset = 2 ** 40;

/** A batch that a topic was sent, repeated to `blockBytesMin`, ready to be copied into an answer. */
interface Template {
  readonly block: Buffer;
  readonly batchBytes: number;
  readonly recordCount: number;
}
const blockBytesMin = 1024 * 1024;

interface Topic {
  readonly partitionCount: number;
  /** Records acknowledged so far, by partition. */
  readonly produced: Float64Array;
  /** Replaced only by a batch of twice the size, so that it costs a producer nothing. */
  template: Template | undefined;
}

const topics = new Map<string, Topic>();

function topicOf(name: string, partitionCount = partitionsDefault): Topic {
  const known = topics.get(name);
  if (known !== undefined) return known;
  const made: Topic = {
    partitionCount,
    produced: new Float64Array(partitionCount),
    template: undefined,
  };
  topics.set(name, made);
  return made;
}

function templateOf(batch: Buffer): Template {
  const copies = Math.max(1, Math.ceil(blockBytesMin / batch.length));
  const block = Buffer.concat(Array.from({ length: copies }, () => batch));
  return { block, batchBytes: batch.length, recordCount: batch.readInt32BE(57) };
}

/** One client: bytes of the request that is not complete yet, and answers not sent yet. */
class Connection {
  /** Frames that span chunks are put together here; reused, so its pages stay warm. */
  #partial = Buffer.allocUnsafe(2 * 1024 * 1024);
  #partialSize = 0;
  #out = Buffer.allocUnsafe(64 * 1024);
  #outSize = 0;
  #outSent = 0;
  // Cursor into the frame that is being read.
  #frame: Buffer = this.#partial;
  #at = 0;
  #end = 0;

  receive(socket: Bun.Socket<Connection>, chunk: Buffer): void {
    let start = 0;
    while (this.#partialSize > 0 && start < chunk.length) start = this.#complete(chunk, start);
    while (chunk.length - start >= 4) {
      const end = start + 4 + chunk.readInt32BE(start);
      if (end > chunk.length) break;
      this.#answer(chunk, start + 4, end);
      start = end;
    }
    if (start < chunk.length && this.#partialSize === 0) this.#keep(chunk, start, chunk.length);
    this.send(socket);
  }

  /** Moves bytes of `chunk` into the unfinished frame and answers it when it is whole. */
  #complete(chunk: Buffer, start: number): number {
    let next = start;
    if (this.#partialSize < 4) {
      next = Math.min(chunk.length, start + 4 - this.#partialSize);
      this.#keep(chunk, start, next);
      if (this.#partialSize < 4) return next;
    }
    const total = 4 + this.#partial.readInt32BE(0);
    const stop = Math.min(chunk.length, next + total - this.#partialSize);
    this.#keep(chunk, next, stop);
    if (this.#partialSize === total) {
      this.#partialSize = 0;
      this.#answer(this.#partial, 4, total);
    }
    return stop;
  }

  #keep(chunk: Buffer, start: number, stop: number): void {
    const needed = this.#partialSize + stop - start;
    if (needed > this.#partial.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#partial.length * 2));
      this.#partial.copy(larger, 0, 0, this.#partialSize);
      this.#partial = larger;
    }
    chunk.copy(this.#partial, this.#partialSize, start, stop);
    this.#partialSize = needed;
  }

  send(socket: Bun.Socket<Connection>): void {
    while (this.#outSent < this.#outSize) {
      const taken = socket.write(this.#out, this.#outSent, this.#outSize - this.#outSent);
      if (taken <= 0) return;
      this.#outSent += taken;
    }
    this.#outSent = 0;
    this.#outSize = 0;
  }

  #answer(frame: Buffer, start: number, end: number): void {
    this.#frame = frame;
    this.#at = start;
    this.#end = end;
    const key = this.#int16();
    const version = this.#int16();
    const correlationId = this.#int32();
    this.#skipString(); // client id
    const sizeAt = this.#outSize;
    this.#putInt32(0);
    this.#putInt32(correlationId);
    const silent = this.#respond(key, version);
    if (silent) this.#outSize = sizeAt;
    else this.#out.writeInt32BE(this.#outSize - sizeAt - 4, sizeAt);
  }

  /** Writes the response body. True when this request gets no answer. */
  #respond(key: number, version: number): boolean {
    switch (key) {
      case requestKey.produce:
        return version >= 9 ? this.#produceFlexible(version) : this.#produce(version);
      case requestKey.fetch:
        return this.#fetch();
      case requestKey.listOffsets:
        return this.#listOffsets();
      case requestKey.metadata:
        return this.#metadata(version);
      case requestKey.apiVersions:
        return this.#apiVersions(version);
      case requestKey.createTopics:
        return this.#createTopics();
      case requestKey.deleteTopics:
        return this.#deleteTopics();
      case requestKey.initProducerId:
        return this.#initProducerId();
      default:
        throw new Error(`the null broker does not know request ${key}`);
    }
  }

  // Produce: the answer has the order of the request, so both are walked together.

  #produce(version: number): boolean {
    this.#skipString(); // transactional id
    const acks = this.#int16();
    this.#take(4); // timeout
    const topicCount = this.#copyInt32();
    for (let index = 0; index < topicCount; index += 1) {
      const size = this.#copyInt16();
      const topic = this.#copyTopic(size);
      const partitionCount = this.#copyInt32();
      for (let each = 0; each < partitionCount; each += 1) {
        const partition = this.#copyInt32();
        const bytes = this.#int32();
        this.#putAcknowledgement(version, topic, partition, bytes);
        if (version >= 8) {
          this.#putInt32(0); // record errors
          this.#putInt16(-1); // error message
        }
      }
    }
    this.#putInt32(0); // throttle time
    return acks === 0;
  }

  #produceFlexible(version: number): boolean {
    this.#skipTags(); // of the request header
    this.#putInt8(0); // of the response header
    this.#take(Math.max(0, this.#varint() - 1)); // transactional id
    const acks = this.#int16();
    this.#take(4); // timeout
    const topicCount = this.#copyVarint() - 1;
    for (let index = 0; index < topicCount; index += 1) {
      const size = this.#copyVarint() - 1;
      const topic = this.#copyTopic(size);
      const partitionCount = this.#copyVarint() - 1;
      for (let each = 0; each < partitionCount; each += 1) {
        const partition = this.#copyInt32();
        const bytes = this.#varint() - 1;
        this.#putAcknowledgement(version, topic, partition, bytes);
        this.#putInt8(1); // record errors: none
        this.#putInt8(0); // error message: null
        this.#skipTags();
        this.#putInt8(0);
      }
      this.#skipTags();
      this.#putInt8(0);
    }
    this.#putInt32(0); // throttle time
    this.#putInt8(0);
    return acks === 0;
  }

  /** Walks the batches of one partition and writes error code, base offset and the times after it. */
  #putAcknowledgement(version: number, topic: Topic, partition: number, bytes: number): void {
    const frame = this.#frame;
    const stop = this.#at + bytes;
    let count = 0;
    while (stop - this.#at >= batchHeaderBytes) {
      const size = 12 + frame.readInt32BE(this.#at + 8);
      if (size < batchHeaderBytes || this.#at + size > stop || frame[this.#at + 16] !== 2) break;
      count += frame.readInt32BE(this.#at + 57);
      if (size >= 2 * (topic.template?.batchBytes ?? 0)) {
        topic.template = templateOf(frame.subarray(this.#at, this.#at + size));
      }
      this.#at += size;
    }
    if (this.#at !== stop) throw new Error("records are not a row of batches of format 2");
    const base = topic.produced[partition];
    if (base !== undefined) topic.produced[partition] = base + count;
    this.#putInt16(base === undefined ? unknownTopicOrPartition : 0);
    this.#putInt64(base ?? -1);
    this.#putInt64(-1); // log append time
    if (version >= 5) this.#putInt64(0); // log start offset
  }

  #fetch(): boolean {
    this.#take(4 + 4 + 4 + 4 + 1); // replica, wait, minimum, maximum, isolation
    this.#putInt32(0); // throttle time
    const topicCount = this.#copyInt32();
    for (let index = 0; index < topicCount; index += 1) {
      const size = this.#copyInt16();
      const topic = this.#copyTopic(size);
      const partitionCount = this.#copyInt32();
      for (let each = 0; each < partitionCount; each += 1) {
        this.#copyInt32();
        const offset = this.#int64();
        const bytesMax = this.#int32();
        this.#putInt16(0);
        this.#putInt64(endlessOffset); // high watermark
        this.#putInt64(endlessOffset); // last stable offset
        this.#putInt32(-1); // aborted transactions
        this.#putBatches(topic.template, offset, bytesMax);
      }
    }
    return false;
  }

  /** Whole batches up to `bytesMax`, at least one, from the one that holds `offset` on. */
  #putBatches(template: Template | undefined, offset: number, bytesMax: number): void {
    if (template === undefined) return this.#putInt32(0);
    const { block, batchBytes, recordCount } = template;
    const fit = Math.max(1, Math.floor(Math.min(bytesMax, block.length) / batchBytes));
    this.#putInt32(fit * batchBytes);
    const start = this.#reserve(fit * batchBytes);
    block.copy(this.#out, start, 0, fit * batchBytes);
    let base = offset - (offset % recordCount);
    for (let each = 0; each < fit; each += 1) {
      writeInt64(this.#out, start + each * batchBytes, base);
      base += recordCount;
    }
  }

  #listOffsets(): boolean {
    this.#take(4); // replica
    const topicCount = this.#copyInt32();
    for (let index = 0; index < topicCount; index += 1) {
      const size = this.#copyInt16();
      const topic = this.#copyTopic(size);
      const partitionCount = this.#copyInt32();
      for (let each = 0; each < partitionCount; each += 1) {
        const partition = this.#copyInt32();
        const earliest = this.#int64() === -2;
        this.#putInt16(0);
        this.#putInt64(-1); // timestamp
        this.#putInt64(earliest ? 0 : (topic.produced[partition] ?? 0));
      }
    }
    return false;
  }

  #metadata(version: number): boolean {
    const count = this.#int32();
    const all = count < 0 || (count === 0 && version === 0);
    const asked = all ? [...topics.keys()] : Array.from({ length: count }, () => this.#string());
    if (version >= 3) this.#putInt32(0); // throttle time
    this.#putInt32(1);
    this.#putInt32(1); // node id
    this.#putString(listener.hostname);
    this.#putInt32(listener.port);
    if (version >= 1) this.#putInt16(-1); // rack
    if (version >= 2) this.#putString("null");
    if (version >= 1) this.#putInt32(1); // controller
    this.#putInt32(asked.length);
    for (const name of asked) {
      this.#putInt16(0);
      this.#putString(name);
      if (version >= 1) this.#putInt8(0); // internal
      const { partitionCount } = topicOf(name);
      this.#putInt32(partitionCount);
      for (let partition = 0; partition < partitionCount; partition += 1) {
        this.#putInt16(0);
        this.#putInt32(partition);
        // leader, one replica, one in-sync replica
        for (const value of [1, 1, 1, 1, 1]) this.#putInt32(value);
      }
    }
    return false;
  }

  #apiVersions(version: number): boolean {
    const known = version <= 3;
    const flexible = version === 3;
    this.#putInt16(known ? 0 : unsupportedVersion);
    if (flexible) this.#putVarint(advertised.length + 1);
    else this.#putInt32(advertised.length);
    for (const [key, lowest, highest] of advertised) {
      this.#putInt16(key);
      this.#putInt16(lowest);
      this.#putInt16(highest);
      if (flexible) this.#putInt8(0);
    }
    if (known && version >= 1) this.#putInt32(0); // throttle time
    if (flexible) this.#putInt8(0);
    return false;
  }

  #createTopics(): boolean {
    this.#putInt32(0); // throttle time
    const count = this.#copyInt32();
    for (let index = 0; index < count; index += 1) {
      const name = this.#string();
      topicOf(name, this.#int32());
      this.#take(2); // replication factor
      if (this.#int32() !== 0) throw new Error("the null broker takes no replica assignment");
      const configs = this.#int32() * 2; // keys and values
      for (let each = 0; each < configs; each += 1) this.#skipString();
      this.#putString(name);
      this.#putInt16(0);
      this.#putInt16(-1); // error message
    }
    return false;
  }

  #deleteTopics(): boolean {
    this.#putInt32(0); // throttle time
    const count = this.#copyInt32();
    for (let index = 0; index < count; index += 1) {
      const name = this.#string();
      topics.delete(name);
      this.#putString(name);
      this.#putInt16(0);
    }
    return false;
  }

  #initProducerId(): boolean {
    this.#putInt32(0); // throttle time
    this.#putInt16(0);
    this.#putInt64(1); // producer id
    this.#putInt16(0); // producer epoch
    return false;
  }

  /** Passes over `count` bytes of the request and returns where they start. */
  #take(count: number): number {
    const at = this.#at;
    if (count < 0 || at + count > this.#end) throw new Error("the request ends early");
    this.#at = at + count;
    return at;
  }

  #int16(): number {
    return this.#frame.readInt16BE(this.#take(2));
  }

  #int32(): number {
    return this.#frame.readInt32BE(this.#take(4));
  }

  #int64(): number {
    const high = this.#int32();
    return high * 2 ** 32 + (this.#int32() >>> 0);
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#frame[this.#take(1)] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error("a varint is longer than five bytes");
  }

  #string(): string {
    const size = Math.max(0, this.#int16());
    const at = this.#take(size);
    return this.#frame.toString("latin1", at, at + size);
  }

  /** Null counts as empty. */
  #skipString(): void {
    this.#take(Math.max(0, this.#int16()));
  }

  #skipTags(): void {
    const count = this.#varint();
    for (let index = 0; index < count; index += 1) {
      this.#varint();
      this.#take(this.#varint());
    }
  }

  #copyInt16(): number {
    const value = this.#int16();
    this.#putInt16(value);
    return value;
  }

  #copyInt32(): number {
    const value = this.#int32();
    this.#putInt32(value);
    return value;
  }

  #copyVarint(): number {
    const value = this.#varint();
    this.#putVarint(value);
    return value;
  }

  /** Copies the bytes of a topic's name into the answer; its length is there already. */
  #copyTopic(size: number): Topic {
    const at = this.#take(size);
    this.#frame.copy(this.#out, this.#reserve(size), at, at + size);
    return topicOf(this.#frame.toString("latin1", at, at + size));
  }

  #reserve(count: number): number {
    const start = this.#outSize;
    if (start + count > this.#out.length) {
      const larger = Buffer.allocUnsafe(Math.max(start + count, this.#out.length * 2));
      this.#out.copy(larger, 0, 0, start);
      this.#out = larger;
    }
    this.#outSize = start + count;
    return start;
  }

  #putInt8(value: number): void {
    const at = this.#reserve(1);
    this.#out[at] = value;
  }

  #putInt16(value: number): void {
    const at = this.#reserve(2);
    this.#out.writeInt16BE(value, at);
  }

  #putInt32(value: number): void {
    const at = this.#reserve(4);
    this.#out.writeInt32BE(value, at);
  }

  #putInt64(value: number): void {
    const at = this.#reserve(8);
    writeInt64(this.#out, at, value);
  }

  #putVarint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#putInt8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.#putInt8(rest);
  }

  #putString(value: string): void {
    this.#putInt16(value.length);
    const at = this.#reserve(value.length);
    this.#out.write(value, at, "latin1");
  }
}

function writeInt64(buffer: Buffer, at: number, value: number): void {
  buffer.writeInt32BE(Math.floor(value / 2 ** 32), at);
  buffer.writeInt32BE(value | 0, at + 4);
}

const listener = Bun.listen<Connection>({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 0),
  socket: {
    open(socket) {
      socket.data = new Connection();
      socket.setNoDelay(true);
    },
    data(socket, chunk) {
      try {
        socket.data.receive(socket, chunk);
      } catch (error) {
        console.error(String(error));
        socket.end();
      }
    },
    drain(socket) {
      socket.data.send(socket);
    },
  },
});

process.on("SIGTERM", () => process.exit(0));
console.log(`listening ${listener.hostname}:${listener.port}`);
