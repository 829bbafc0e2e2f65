// Requests that a client sends one behind the other without waiting: each sees what those before it
// on the connection have done, as in Kafka.

import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  code,
  createTopic,
  deleteRecords,
  earliest,
  fetchPartition,
  latest,
  listOffset,
  metadata,
  produce,
  produceBody,
} from "../harness/apis.ts";
import { encodeBatch } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { Server } from "../harness/server.ts";

let server: Server;
let connection: Connection;

beforeAll(async () => {
  server = await Server.start();
  connection = await Connection.open(server.address);
});

afterAll(async () => {
  connection.close();
  await server.dispose();
});

const batch = (): Uint8Array =>
  encodeBatch([{ key: null, value: Buffer.from("v"), timestamp: Date.now() }]);
const rounds = 20;

test("door: the end behind a produce is the end after it, however many are in flight", async () => {
  await createTopic(connection, "ends", { partitions: 1 });
  for (let round = 1; round <= rounds; round += 1) {
    const [first, second, end, fetched] = await Promise.all([
      produce(connection, "ends", 0, batch()),
      produce(connection, "ends", 0, batch(), 1),
      listOffset(connection, "ends", 0, latest),
      fetchPartition(connection, "ends", 0, 2 * round - 1),
    ]);
    expect([first.error, second.error]).toEqual([code.none, code.none]);
    expect(end.offset).toBe(2 * round);
    expect(fetched.bytes.byteLength).toBeGreaterThan(0);
  }
});

test("door: the end behind a produce without an answer is the end after it", async () => {
  await createTopic(connection, "untold", { partitions: 1 });
  for (let round = 1; round <= rounds; round += 1) {
    connection.tell(0, 7, produceBody("untold", 0, batch(), 0));
    expect((await listOffset(connection, "untold", 0, latest)).offset).toBe(round);
  }
});

test("door: what was created and deleted is so for the next request", async () => {
  const [, described] = await Promise.all([
    createTopic(connection, "new", { partitions: 3 }),
    metadata(connection, ["new"]),
  ]);
  expect(described[0]?.partitions).toHaveLength(3);
  const [, , , start] = await Promise.all([
    produce(connection, "new", 0, batch()),
    produce(connection, "new", 0, batch()),
    deleteRecords(connection, "new", 0, 1),
    listOffset(connection, "new", 0, earliest),
  ]);
  expect(start.offset).toBe(1);
});
