// Idempotent producers over kills of the process: a retry of what was answered before gets its old
// offset, and the start that leads there does not read the log.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { code, createTopic, initProducerId, produce } from "../harness/apis.ts";
import { encodeBatch } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";

const testMsMax = 120_000;
const mebibyte = 1 << 20;
/** What a partition may have behind its newest sidecar, and as much for everything else. */
const readBytesMax = 16 * mebibyte;
const batches = 48;

let server: Server;
let connection: Connection;

beforeAll(async () => {
  server = await Server.start();
  connection = await Connection.open(server.address);
}, testMsMax);

afterAll(async () => {
  connection?.close();
  await server?.dispose();
}, testMsMax);

/** Bytes that the process has asked the system to read, from whatever file (proc_pid_io(5)). */
function bytesRead(): number {
  const found = /^rchar: (\d+)$/m.exec(readFileSync(`/proc/${server.pid}/io`, "latin1"));
  if (found?.[1] === undefined) throw new Error("the system does not say what was read");
  return Number(found[1]);
}

function batchOf(id: number, sequence: number): Buffer {
  const value = Buffer.alloc(mebibyte - 1000, sequence);
  const record = { key: null, value, timestamp: Date.now() };
  return encodeBatch([record], { producer: { id, epoch: 0, sequence } });
}

async function restart(): Promise<void> {
  connection.close();
  await server.kill9();
  await server.start();
  connection = await Connection.open(server.address);
}

/** The offset of a batch, once the partition is open. */
async function offsetOf(topic: string, batch: Buffer): Promise<number> {
  let offset = -1;
  await until("the batch is taken", async () => {
    const answer = await produce(connection, topic, 0, batch);
    offset = answer.baseOffset;
    return answer.error === code.none;
  });
  return offset;
}

test(
  "a retry after kill -9 gets its old offset, and the log was not read for it",
  async () => {
    expect(await createTopic(connection, "kept", {})).toMatchObject({ error: code.none });
    const producer = await initProducerId(connection);
    const late = await initProducerId(connection);
    for (let i = 0; i < batches; i += 1)
      expect(await offsetOf("kept", batchOf(producer.id, i))).toBe(i);
    for (let life = 0; life < 2; life += 1) {
      await restart();
      const before = bytesRead();
      // Once from the sidecar, once from the sidecar and the header behind it.
      expect(await offsetOf("kept", batchOf(producer.id, batches - 1))).toBe(batches - 1);
      expect(await offsetOf("kept", batchOf(producer.id, batches - 4))).toBe(batches - 4);
      expect(await offsetOf("kept", batchOf(late.id, 0))).toBe(batches);
      const gap = await produce(connection, "kept", 0, batchOf(producer.id, batches + 1));
      expect(gap.error).toBe(45); // OUT_OF_ORDER_SEQUENCE_NUMBER
      expect(bytesRead() - before).toBeLessThan(readBytesMax);
    }
  },
  testMsMax,
);
