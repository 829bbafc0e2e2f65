// A raw Kafka client in the few, old, non-flexible versions that a bench needs: is the node there,
// make a topic, produce one record, where does a partition end. Independent of the product's codecs
// on purpose, so that it also runs against peers and cannot share a bug with what it measures.

const apiKey = {
  produce: 0,
  fetch: 1,
  listOffsets: 2,
  metadata: 3,
  apiVersions: 18,
  createTopics: 19,
  deleteTopics: 20,
} as const;

const noError = 0;
const topicExists = 36;
const partitionsPerRequest = 500;
const fetchBytesMax = 16 * 2 ** 20;
const fetchPartitionBytesMax = 2 ** 20;
const batchHeaderBytes = 61;
export const latestTimestamp = -1;
export const earliestTimestamp = -2;

/** Big-endian request body, grown by doubling. */
export class BodyWriter {
  #buffer = Buffer.alloc(512);
  #size = 0;

  #reserve(count: number): number {
    const start = this.#size;
    if (start + count > this.#buffer.length) {
      this.#buffer = Buffer.concat([this.#buffer], Math.max(start + count, start * 2));
    }
    this.#size = start + count;
    return start;
  }

  int8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeInt32BE(value, at);
    return this;
  }

  int64(value: number): this {
    return this.int32(Math.floor(value / 2 ** 32)).int32(value | 0);
  }

  /** Null is length -1. */
  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value);
    return this.int16(bytes.length).raw(bytes);
  }

  bytes(value: Uint8Array): this {
    return this.int32(value.length).raw(value);
  }

  raw(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }
}

export class BodyReader {
  readonly #buffer: Buffer;
  #position = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  int8(): number {
    this.#position += 1;
    return this.#buffer.readInt8(this.#position - 1);
  }

  int16(): number {
    this.#position += 2;
    return this.#buffer.readInt16BE(this.#position - 2);
  }

  int32(): number {
    this.#position += 4;
    return this.#buffer.readInt32BE(this.#position - 4);
  }

  int64(): number {
    const high = this.int32();
    return high * 2 ** 32 + (this.int32() >>> 0);
  }

  string(): string | null {
    const size = this.int16();
    if (size < 0) return null;
    this.#position += size;
    return this.#buffer.toString("utf8", this.#position - size, this.#position);
  }

  /** Empty for null. The bytes stay valid: the answer's buffer is used once. */
  bytes(): Buffer {
    const size = Math.max(0, this.int32());
    this.#position += size;
    return this.#buffer.subarray(this.#position - size, this.#position);
  }

  /** Reads a count and calls `each` that often. */
  array<T>(each: () => T): T[] {
    const count = this.int32();
    const found: T[] = [];
    for (let index = 0; index < count; index += 1) found.push(each());
    return found;
  }
}

export interface TopicMetadata {
  readonly errorCode: number;
  readonly name: string | null;
  /** Leader of each partition that has one, by partition number; -1 = none. */
  readonly leaders: readonly number[];
}

export class KafkaClient {
  /** Set once, before the client is handed out. */
  #socket: Bun.Socket | undefined;
  readonly #waiting = new Map<
    number,
    { resolve: (body: Buffer) => void; reject: (error: Error) => void }
  >();
  #received: Buffer = Buffer.alloc(0);
  #unsent: Buffer = Buffer.alloc(0);
  #correlationId = 0;

  static async connect(address: string): Promise<KafkaClient> {
    const { hostname, port } = parseAddress(address);
    const client = new KafkaClient();
    client.#socket = await Bun.connect({
      hostname,
      port,
      socket: {
        data: (_, chunk) => client.#take(chunk),
        drain: () => client.#flush(),
        close: () => client.#fail(new Error(`${address} closed the connection`)),
        error: (_, error) => client.#fail(error),
      },
    });
    return client;
  }

  close(): void {
    this.#socket?.end();
  }

  request(key: number, version: number, body: Uint8Array): Promise<BodyReader> {
    this.#correlationId += 1;
    const id = this.#correlationId;
    const header = new BodyWriter().int16(key).int16(version).int32(id).string("bench").done();
    const frame = new BodyWriter()
      .int32(header.length + body.length)
      .raw(header)
      .raw(body)
      .done();
    this.#unsent = Buffer.concat([this.#unsent, frame]);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#waiting.set(id, { resolve, reject });
    this.#flush();
    return promise.then((answer) => new BodyReader(answer));
  }

  #flush(): void {
    if (this.#unsent.length === 0) return;
    const taken = this.#socket?.write(this.#unsent, 0, this.#unsent.length) ?? 0;
    if (taken > 0) this.#unsent = this.#unsent.subarray(taken);
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0);
      if (this.#received.length < end) return;
      const id = this.#received.readInt32BE(4);
      const body = this.#received.subarray(8, end);
      this.#received = this.#received.subarray(end);
      this.#waiting.get(id)?.resolve(body);
      this.#waiting.delete(id);
    }
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  /** Advertised versions by key. */
  async apiVersions(): Promise<ReadonlyMap<number, readonly [number, number]>> {
    const answer = await this.request(apiKey.apiVersions, 0, new Uint8Array(0));
    const code = answer.int16();
    if (code !== noError) throw new Error(`ApiVersions answered error ${code}`);
    return new Map(
      answer.array(() => {
        const key = answer.int16();
        const lowest = answer.int16();
        return [key, [lowest, answer.int16()]] as const;
      }),
    );
  }

  /** Metadata v4 of the named topics, without creating them. An empty list asks for the nodes only. */
  async metadata(topics: readonly string[]): Promise<{ nodes: string[]; topics: TopicMetadata[] }> {
    const body = new BodyWriter().int32(topics.length);
    for (const topic of topics) body.string(topic);
    const answer = await this.request(apiKey.metadata, 4, body.int8(0).done());
    answer.int32(); // throttle time
    const nodes = answer.array(() => {
      answer.int32();
      const host = answer.string();
      const port = answer.int32();
      answer.string(); // rack
      return `${host}:${port}`;
    });
    answer.string(); // cluster id
    answer.int32(); // controller
    return { nodes, topics: answer.array(() => readTopicMetadata(answer)) };
  }

  /** Creates the topic where it does not exist, then waits until every partition has a leader. */
  async createTopic(
    name: string,
    partitions: number,
    configs: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const { errorCode, words } = await this.requestTopic(name, partitions, configs);
    if (errorCode !== noError && errorCode !== topicExists) {
      throw new Error(`CreateTopics ${name} answered error ${errorCode}: ${words}`);
    }
    const deadline = performance.now() + 30_000;
    while (!(await this.#led(name, partitions))) {
      if (performance.now() > deadline) throw new Error(`${name} has no leaders after 30 s`);
      await Bun.sleep(10);
    }
  }

  /** CreateTopics v2 for one topic, without waiting for leaders. */
  async requestTopic(
    name: string,
    partitions: number,
    configs: Readonly<Record<string, string>> = {},
  ): Promise<{ errorCode: number; words: string | null }> {
    const body = new BodyWriter().int32(1).string(name).int32(partitions).int16(1).int32(0);
    body.int32(Object.keys(configs).length);
    for (const [key, value] of Object.entries(configs)) body.string(key).string(value);
    const answer = await this.request(apiKey.createTopics, 2, body.int32(30_000).int8(0).done());
    answer.int32(); // throttle time
    const [created] = answer.array(() => {
      answer.string();
      const errorCode = answer.int16();
      return { errorCode, words: answer.string() };
    });
    if (created === undefined) throw new Error("CreateTopics answered without the topic");
    return created;
  }

  /** Metadata may name a leader before that node knows it (Kafka): so ask the leader as well. */
  async #led(topic: string, partitions: number): Promise<boolean> {
    const [found] = (await this.metadata([topic])).topics;
    const leaders = found?.leaders ?? [];
    if (leaders.length !== partitions || leaders.some((leader) => leader < 0)) return false;
    const { errorCodes } = await this.#offsets(topic, partitions, latestTimestamp);
    return errorCodes.every((code) => code === noError);
  }

  async deleteTopic(name: string): Promise<void> {
    const body = new BodyWriter().int32(1).string(name).int32(30_000).done();
    const answer = await this.request(apiKey.deleteTopics, 1, body);
    answer.int32(); // throttle time
    for (const [, code] of answer.array(() => [answer.string(), answer.int16()] as const)) {
      if (code !== noError) throw new Error(`DeleteTopics ${name} answered error ${code}`);
    }
  }

  /** Produce v7, acks = all. Returns the error code and the base offset. */
  async produce(
    topic: string,
    partition: number,
    batch: Uint8Array,
  ): Promise<{ errorCode: number; baseOffset: number }> {
    const [result] = await this.#produce(topic, [partition], batch);
    if (result === undefined) throw new Error("Produce answered without a partition");
    return result;
  }

  /** The same batch to each partition 0..partitions-1, some hundred in a request. */
  async produceEach(topic: string, partitions: number, batch: Uint8Array): Promise<void> {
    for (const part of chunks(partitions)) {
      const failed = (await this.#produce(topic, part, batch)).find(
        ({ errorCode }) => errorCode !== noError,
      );
      if (failed !== undefined) throw new Error(`Produce answered error ${failed.errorCode}`);
    }
  }

  async #produce(
    topic: string,
    partitions: readonly number[],
    batch: Uint8Array,
  ): Promise<{ errorCode: number; baseOffset: number }[]> {
    const body = new BodyWriter().string(null).int16(-1).int32(30_000);
    body.int32(1).string(topic).int32(partitions.length);
    for (const partition of partitions) body.int32(partition).bytes(batch);
    const answer = await this.request(apiKey.produce, 7, body.done());
    const [found] = answer.array(() => {
      answer.string();
      return answer.array(() => {
        answer.int32();
        const errorCode = answer.int16();
        const baseOffset = answer.int64();
        answer.int64(); // log append time
        answer.int64(); // log start offset
        return { errorCode, baseOffset };
      });
    });
    return found ?? [];
  }

  /**
   * Batches of each partition 0..partitions-1 from its start to its end, as many as it has. Fails on a
   * partition that does not answer up to its high watermark.
   */
  async countBatches(topic: string, partitions: number): Promise<number> {
    let total = 0;
    for (const part of chunks(partitions)) {
      let open = part.map((partition) => ({ partition, offset: 0 }));
      while (open.length > 0) {
        const fetched = await this.#fetch(topic, open);
        const progressed = open.flatMap(({ partition, offset }) => {
          const found = fetched.get(partition);
          if (found === undefined) return [];
          const { batches, nextOffset } = batchesIn(found.records, offset);
          total += batches;
          return nextOffset < found.end ? [{ partition, offset: nextOffset }] : [];
        });
        const moved = progressed.some(({ offset }, index) => offset > (open[index]?.offset ?? 0));
        if (!moved && progressed.length === open.length) {
          throw new Error(`Fetch of ${topic} brings nothing of ${open.length} partitions`);
        }
        open = progressed;
      }
    }
    return total;
  }

  /** Fetch v4: what one request brings of each partition, and where the partition ends. */
  async #fetch(
    topic: string,
    wants: readonly { readonly partition: number; readonly offset: number }[],
  ): Promise<ReadonlyMap<number, { readonly records: Buffer; readonly end: number }>> {
    const body = new BodyWriter().int32(-1).int32(1000).int32(1).int32(fetchBytesMax).int8(0);
    body.int32(1).string(topic).int32(wants.length);
    for (const { partition, offset } of wants) {
      body.int32(partition).int64(offset).int32(fetchPartitionBytesMax);
    }
    const answer = await this.request(apiKey.fetch, 4, body.done());
    answer.int32(); // throttle time
    const found = new Map<number, { records: Buffer; end: number }>();
    answer.array(() => {
      answer.string();
      answer.array(() => {
        const partition = answer.int32();
        const errorCode = answer.int16();
        if (errorCode !== noError) throw new Error(`Fetch ${topic} answered error ${errorCode}`);
        const end = answer.int64();
        answer.int64(); // last stable offset
        answer.array(() => [answer.int64(), answer.int64()]); // aborted transactions
        found.set(partition, { records: answer.bytes(), end });
      });
    });
    return found;
  }

  /** Offset of each partition 0..partitions-1 at `timestamp`. */
  async listOffsets(topic: string, partitions: number, timestamp: number): Promise<number[]> {
    const { offsets, errorCodes } = await this.#offsets(topic, partitions, timestamp);
    const code = errorCodes.find((found) => found !== noError);
    if (code !== undefined) throw new Error(`ListOffsets ${topic} answered error ${code}`);
    return offsets;
  }

  /** ListOffsets v1; both lists are indexed by partition. */
  async #offsets(
    topic: string,
    partitions: number,
    timestamp: number,
  ): Promise<{ offsets: number[]; errorCodes: number[] }> {
    const body = new BodyWriter().int32(-1).int32(1).string(topic).int32(partitions);
    for (let index = 0; index < partitions; index += 1) body.int32(index).int64(timestamp);
    const answer = await this.request(apiKey.listOffsets, 1, body.done());
    const offsets: number[] = [];
    const errorCodes: number[] = [];
    answer.array(() => {
      answer.string();
      answer.array(() => {
        const partition = answer.int32();
        errorCodes[partition] = answer.int16();
        answer.int64(); // timestamp
        offsets[partition] = answer.int64();
      });
    });
    return { offsets, errorCodes };
  }
}

/** Partitions 0..count-1 in portions that one request takes well. */
function chunks(count: number): number[][] {
  const portions: number[][] = [];
  for (let first = 0; first < count; first += partitionsPerRequest) {
    const size = Math.min(partitionsPerRequest, count - first);
    portions.push(Array.from({ length: size }, (_, index) => first + index));
  }
  return portions;
}

/** Whole batches at the start of `records`; a batch that is cut off at the end does not count. */
export function batchesIn(
  records: Buffer,
  offset: number,
): { readonly batches: number; readonly nextOffset: number } {
  let batches = 0;
  let nextOffset = offset;
  for (let start = 0; start + batchHeaderBytes <= records.length; ) {
    const end = start + 12 + records.readInt32BE(start + 8);
    if (end > records.length) break;
    batches += 1;
    nextOffset = Number(records.readBigInt64BE(start)) + records.readInt32BE(start + 23) + 1;
    start = end;
  }
  return { batches, nextOffset };
}

function readTopicMetadata(answer: BodyReader): TopicMetadata {
  const errorCode = answer.int16();
  const name = answer.string();
  answer.int8(); // internal
  const leaders: number[] = [];
  answer.array(() => {
    answer.int16(); // error code of the partition
    const partition = answer.int32();
    leaders[partition] = answer.int32();
    answer.array(() => answer.int32()); // replicas
    answer.array(() => answer.int32()); // in-sync replicas
  });
  return { errorCode, name, leaders };
}

export function parseAddress(address: string): { hostname: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { hostname: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}

/** The node answers ApiVersions and Metadata: it is ready in the sense of a client. */
export async function answers(address: string): Promise<true | undefined> {
  let client: KafkaClient | undefined;
  try {
    client = await KafkaClient.connect(address);
    await client.apiVersions();
    const { nodes } = await client.metadata([]);
    return nodes.length > 0 ? true : undefined;
  } catch {
    return undefined; // refused or closed: not ready yet; the caller has a deadline
  } finally {
    client?.close();
  }
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0x82f63b78 : 0);
  return value >>> 0;
});

/** CRC-32C (Castagnoli), reflected, polynomial 0x1EDC6F41 (RFC 3720 B.4). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}

/** RecordBatch v2 with one record without key and headers. */
export function singleRecordBatch(value: Uint8Array, timestamp: number): Buffer {
  const size = zigZag(value.length);
  // attributes, timestamp delta, offset delta, null key (zig-zag -1 = 1), value, no headers
  const body = Buffer.concat([Buffer.from([0, 0, 0, 1]), size, value, Buffer.from([0])]);
  const record = Buffer.concat([zigZag(body.length), body]);
  const checked = new BodyWriter()
    .int16(0) // attributes
    .int32(0) // last offset delta
    .int64(timestamp)
    .int64(timestamp)
    .int64(-1) // producer id
    .int16(-1) // producer epoch
    .int32(-1) // base sequence
    .int32(1) // record count
    .raw(record)
    .done();
  // batch length counts from the leader epoch on: epoch 4 + magic 1 + crc 4
  const batch = new BodyWriter()
    .int64(0)
    .int32(checked.length + 9)
    .int32(-1)
    .int8(2);
  return batch
    .int32(crc32c(checked) | 0)
    .raw(checked)
    .done();
}

function zigZag(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value * 2;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
