import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  BodyReader,
  BodyWriter,
  earliestTimestamp,
  KafkaClient,
  latestTimestamp,
  parseAddress,
  singleRecordBatch,
} from "../kafka_client.ts";
import { start } from "./null.ts";
import type { Peer } from "./peer.ts";

const key = { produce: 0, fetch: 1, apiVersions: 18 };

/** Frames as they come from one connection, to which bytes are written in pieces as they are. */
class RawConnection {
  #received = Buffer.alloc(0);
  #wake: () => void = () => {};
  #socket: Bun.Socket | undefined;
  #closed = false;

  async open(address: string): Promise<this> {
    this.#socket = await Bun.connect({
      ...parseAddress(address),
      socket: {
        open: (socket) => void socket.setNoDelay(true),
        data: (_, chunk) => {
          this.#received = Buffer.concat([this.#received, chunk]);
          this.#wake();
        },
        close: () => {
          this.#closed = true;
          this.#wake();
        },
      },
    });
    return this;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let start = 0;
    while (start < bytes.length) {
      start += Math.max(0, this.#socket?.write(bytes, start, bytes.length - start) ?? 0);
      await Bun.sleep(0); // lets the bytes out, so that the pieces arrive as pieces
    }
  }

  /** The next frame without its size; null when the server has closed the connection. */
  async read(): Promise<BodyReader | null> {
    for (;;) {
      const size = this.#received.length < 4 ? 0 : this.#received.readInt32BE(0);
      if (size > 0 && this.#received.length >= 4 + size) {
        const frame = this.#received.subarray(4, 4 + size);
        this.#received = this.#received.subarray(4 + size);
        return new BodyReader(frame);
      }
      if (this.#closed) return null;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  end(): void {
    this.#socket?.end();
  }
}

function frame(api: number, version: number, id: number, body: Uint8Array): Buffer {
  const header = new BodyWriter().int16(api).int16(version).int32(id).string("test").done();
  return new BodyWriter()
    .int32(header.length + body.length)
    .raw(header)
    .raw(body)
    .done();
}

function produceBody(acks: number, topic: string, partition: number, records: Uint8Array): Buffer {
  const body = new BodyWriter().string(null).int16(acks).int32(1000).int32(1).string(topic);
  return body.int32(1).int32(partition).bytes(records).done();
}

const batch = singleRecordBatch(Buffer.from("value"), 1_700_000_000_000);

describe("null broker", () => {
  let peer: Peer;
  let client: KafkaClient;
  beforeAll(async () => {
    peer = await start();
    client = await KafkaClient.connect(peer.address);
  });
  afterAll(async () => {
    client.close();
    await peer.stop();
  });

  test("null broker: offsets count the records that came, by partition", async () => {
    await client.createTopic("counts", 3);
    const two = Buffer.concat([batch, batch]);
    expect(await client.produce("counts", 1, batch)).toEqual({ errorCode: 0, baseOffset: 0 });
    expect(await client.produce("counts", 1, two)).toEqual({ errorCode: 0, baseOffset: 1 });
    expect(await client.produce("counts", 2, batch)).toEqual({ errorCode: 0, baseOffset: 0 });
    expect(await client.listOffsets("counts", 3, latestTimestamp)).toEqual([0, 3, 1]);
    expect(await client.listOffsets("counts", 3, earliestTimestamp)).toEqual([0, 0, 0]);
  });

  test("null broker: a partition that the topic does not have is error 3", async () => {
    await client.createTopic("narrow", 1);
    expect(await client.produce("narrow", 1, batch)).toEqual({ errorCode: 3, baseOffset: -1 });
  });

  test("null broker: requests may be cut anywhere and may come many at a time", async () => {
    await client.createTopic("cut", 1);
    const raw = await new RawConnection().open(peer.address);
    // larger than any chunk that a socket delivers at once
    const large = singleRecordBatch(Buffer.alloc(3_000_000, 7), 1_700_000_000_000);
    const small = (id: number) => frame(key.produce, 7, id, produceBody(-1, "cut", 0, batch));
    const stream = Buffer.concat([
      small(1),
      frame(key.produce, 7, 2, produceBody(-1, "cut", 0, large)),
      small(3),
      small(4),
    ]);
    const cuts = [0, 1, 3, 4, 5, 40, small(1).length + 2, 1_000_000, 2_999_999, stream.length];
    for (const [index, cut] of cuts.slice(1).entries()) {
      await raw.write(stream.subarray(cuts[index], cut));
    }
    for (const [index, id] of [1, 2, 3, 4].entries()) {
      const answer = await raw.read();
      expect(answer?.int32()).toBe(id);
      expect([answer?.int32(), answer?.string(), answer?.int32()]).toEqual([1, "cut", 1]);
      expect([answer?.int32(), answer?.int16(), answer?.int64()]).toEqual([0, 0, index]);
    }
    raw.end();
  });

  test("null broker: acks 0 gets no answer, an unknown ApiVersions version error 35", async () => {
    const raw = await new RawConnection().open(peer.address);
    await raw.write(frame(key.produce, 7, 1, produceBody(0, "silent", 0, batch)));
    await raw.write(frame(key.apiVersions, 99, 2, new Uint8Array(0)));
    const answer = await raw.read();
    expect(answer?.int32()).toBe(2);
    expect(answer?.int16()).toBe(35);
    raw.end();
  });

  test("null broker: records that are no row of batches end the connection", async () => {
    const raw = await new RawConnection().open(peer.address);
    const broken = produceBody(-1, "broken", 0, batch.subarray(0, batch.length - 1));
    await raw.write(frame(key.produce, 7, 1, broken));
    expect(await raw.read()).toBeNull();
  });

  test("null broker: a consumer gets the largest batch again and again at rising offsets", async () => {
    await client.createTopic("endless", 1);
    await client.produce("endless", 0, batch);
    const asked = new BodyWriter().int32(-1).int32(100).int32(1).int32(1_000_000).int8(0);
    asked
      .int32(1)
      .string("endless")
      .int32(1)
      .int32(0)
      .int64(41)
      .int32(2 * batch.length + 1);
    const answer = await client.request(key.fetch, 4, asked.done());
    expect([answer.int32(), answer.int32(), answer.string()]).toEqual([0, 1, "endless"]);
    expect([answer.int32(), answer.int32(), answer.int16()]).toEqual([1, 0, 0]);
    expect([answer.int64(), answer.int64()]).toEqual([2 ** 40, 2 ** 40]);
    expect([answer.int32(), answer.int32()]).toEqual([-1, 2 * batch.length]);
    for (const offset of [41, 42]) {
      expect(answer.int64()).toBe(offset);
      for (let skipped = 8; skipped < batch.length; skipped += 1) answer.int8();
    }
  });
});
