// Readers at the end of partitions that are being written, and readers that start over from the
// beginning: whatever moves underneath (the tail cache, segments, the disk), every batch is whole,
// its checksum holds and no offset is missing.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { code, createTopic, fetchPartition, latest, listOffset, produce } from "../harness/apis.ts";
import { encodeBatch, readBatches } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";
import { Random } from "../chaos/payload.ts";

const mebibytes = Number(process.env["PYRALOG_E2E_MB"] ?? "8") * 8;
const testMsMax = 120_000 + mebibytes * 5_000;
const topic = "tail";
const partitions = 4;
const inFlight = 4;

let server: Server;

beforeAll(async () => {
  server = await Server.start({ node: { "storage.segment_max_size": 16 * 1024 * 1024 } });
  const connection = await Connection.open(server.address);
  expect((await createTopic(connection, topic, { partitions })).error).toBe(code.none);
  await until("every partition answers", async () => {
    for (let index = 0; index < partitions; index += 1) {
      if ((await listOffset(connection, topic, index, latest)).error !== code.none) return false;
    }
    return true;
  });
  connection.close();
}, testMsMax);

afterAll(async () => {
  await server?.stop();
  await server?.dispose();
}, testMsMax);

class Writers {
  written = 0;
  done = false;
  /** By partition: records acknowledged. */
  readonly ends = new Array<number>(partitions).fill(0);

  async run(bytes: number): Promise<void> {
    const each = Array.from({ length: partitions }, (_, index) => this.#write(index, bytes));
    await Promise.all(each).finally(() => {
      this.done = true;
    });
  }

  async #write(partition: number, bytes: number): Promise<void> {
    const connection = await Connection.open(server.address);
    const random = new Random(1, partition);
    // A few batches of very different sizes, sent over and over.
    const batches = [1, 7, 100, 900].map((size, index) => {
      const records = Array.from({ length: size }, () => {
        const value = Buffer.alloc(random.below(1200), `${partition} ${random.word()} `);
        return { key: null, value, timestamp: Date.now() };
      });
      return { size, bytes: encodeBatch(records, { codec: index % 2 === 0 ? "none" : "zstd" }) };
    });
    const flying = new Set<Promise<void>>();
    while (this.written < bytes) {
      const batch = batches[random.below(batches.length)];
      if (!batch) throw new Error("no batch");
      this.written += batch.bytes.length;
      const sent = produce(connection, topic, partition, batch.bytes).then(({ error }) => {
        expect(error).toBe(code.none);
        this.ends[partition] = (this.ends[partition] ?? 0) + batch.size;
        flying.delete(sent);
      });
      flying.add(sent);
      if (flying.size >= inFlight) await Promise.race(flying);
    }
    await Promise.all(flying);
    connection.close();
  }
}

/**
 * Follows a partition, or starts over whenever it reaches the end (`again`), until the writers are
 * done and everything was read. Returns faults.
 */
async function follow(partition: number, writers: Writers, again: boolean): Promise<string[]> {
  const connection = await Connection.open(server.address);
  const faults: string[] = [];
  for (let position = 0; faults.length < 5; ) {
    const doneBefore = writers.done;
    const found = await fetchPartition(connection, topic, partition, position, {
      maxWaitMs: 50,
      minBytes: 1,
      partitionMaxBytes: 3 * 1024 * 1024,
    });
    if (found.error !== code.none) faults.push(`error ${found.error} at ${position}`);
    try {
      const batches = readBatches(found.bytes);
      for (const batch of batches) {
        if (!batch.crcHolds) faults.push(`checksum of the batch at ${batch.baseOffset}`);
        if (batch.baseOffset !== position) faults.push(`${batch.baseOffset}, due is ${position}`);
        position = batch.lastOffset + 1;
      }
      if (batches.length === 0 && found.bytes.length > 0) faults.push(`no batch in the answer`);
    } catch (error) {
      faults.push(`at ${position}: ${String(error)}`);
    }
    if (doneBefore && position === writers.ends[partition]) break;
    if (again && position >= found.highWatermark && !doneBefore) position = 0;
  }
  connection.close();
  return faults;
}

test(
  `fetch: readers at the tail and from the start get whole batches only (${mebibytes} MiB)`,
  async () => {
    const writers = new Writers();
    const all = Array.from({ length: partitions }, (_, partition) => partition);
    const readers = all.flatMap((partition) => [
      follow(partition, writers, false),
      follow(partition, writers, partition === 0),
    ]);
    await writers.run(mebibytes * 2 ** 20);
    const faults = (await Promise.all(readers)).flat();
    expect(faults).toEqual([]);
  },
  testMsMax,
);
