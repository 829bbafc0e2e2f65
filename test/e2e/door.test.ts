// The Kafka door against senders that do not keep the protocol: each closes its own connection and
// costs its neighbours nothing.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { BodyWriter } from "../../bench/kafka_client.ts";
import { apiVersions, createTopic, listOffset, produce } from "../harness/apis.ts";
import { stampCrc } from "../../src/wire/batch.ts";
import { encodeBatch } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { Server } from "../harness/server.ts";

let server: Server;
let good: Connection;

beforeAll(async () => {
  server = await Server.start();
  good = await Connection.open(server.address);
});

afterAll(async () => {
  good.close();
  await server.dispose();
});

async function goodIsServed(): Promise<void> {
  expect((await apiVersions(good)).size).toBeGreaterThan(20);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** length | key | version | correlation id | client id | body. */
function frame(key: number, version: number, body: Buffer): Buffer {
  const header = Buffer.alloc(10);
  header.writeInt16BE(key, 0);
  header.writeInt16BE(version, 2);
  header.writeInt32BE(7, 4);
  header.writeInt16BE(-1, 8);
  return Buffer.concat([int32(header.length + body.length), header, body]);
}

const metadataKey = 3;
const produceKey = 0;
const hostile: readonly (readonly [string, Buffer])[] = [
  ["a length of 0", int32(0)],
  ["a negative length", int32(-5)],
  ["a length above the limit", int32(16 * 1024 * 1024 + 1)],
  ["a frame shorter than a header", Buffer.concat([int32(3), Buffer.alloc(3)])],
  ["an unknown API", frame(998, 0, Buffer.alloc(0))],
  ["a version of the future", frame(metadataKey, 99, Buffer.alloc(0))],
  ["a negative version", frame(metadataKey, -1, Buffer.alloc(0))],
  ["a version that Kafka 4 removed", frame(produceKey, 2, Buffer.alloc(16))],
  ["a body cut short", frame(metadataKey, 4, Buffer.from([0, 0]))],
  ["a count far above the bytes", frame(metadataKey, 4, int32(0x7fffffff))],
  [
    "a client id longer than the frame",
    Buffer.concat([int32(10), Buffer.from([0, 18, 0, 0, 0, 0, 0, 1, 0x7f, 0xff])]),
  ],
  ["a TLS greeting", Buffer.from("16030100c8010000c40303", "hex")],
  ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
];

for (const [what, bytes] of hostile) {
  test(`door: closes the connection, and no other (${what})`, async () => {
    const own = await Connection.open(server.address);
    own.raw(bytes);
    await own.whenClosed();
    await goodIsServed();
  });
}

test("door: a frame that never ends holds no one else up", async () => {
  const slow = await Connection.open(server.address);
  slow.raw(int32(1000));
  const dripping = await Connection.open(server.address);
  const answered = dripping.request(18, 0, new BodyWriter());
  await answered;
  await goodIsServed();
  slow.close();
  dripping.close();
});

test("door: a thousand pipelined requests are all answered, in order, beyond the limit in flight", async () => {
  const own = await Connection.open(server.address);
  const answers = await Promise.all(
    Array.from({ length: 1000 }, () => own.request(18, 0, new BodyWriter())),
  );
  expect(answers).toHaveLength(1000);
  own.close();
});

test("door: two hundred idle connections cost the good one nothing", async () => {
  const idle = await Promise.all(
    Array.from({ length: 200 }, () => Connection.open(server.address)),
  );
  await goodIsServed();
  for (const connection of idle) connection.close();
});

test("door: more bytes than the staging ring takes are held back, not dropped", async () => {
  await createTopic(good, "burst", { partitions: 1 });
  const batch = encodeBatch([
    { key: null, value: Buffer.alloc(900_000, 7), timestamp: Date.now() },
  ]);
  const senders = await Promise.all(
    Array.from({ length: 4 }, () => Connection.open(server.address)),
  );
  const sent = senders.flatMap((sender) =>
    Array.from({ length: 40 }, () => produce(sender, "burst", 0, batch)),
  );
  const results = await Promise.all(sent);
  expect(results.every((result) => result.error === 0)).toBe(true);
  expect(new Set(results.map((result) => result.baseOffset)).size).toBe(160);
  expect((await listOffset(good, "burst", 0, -1)).offset).toBe(160);
  for (const sender of senders) sender.close();
});

test("door: a compressed batch that claims more records than it holds hands out no offset", async () => {
  await createTopic(good, "claims", { partitions: 1 });
  const honest = encodeBatch([{ key: null, value: Buffer.from("x"), timestamp: Date.now() }]);
  const claiming = Buffer.from(honest);
  claiming.writeUInt8(1, 22); // gzip, which these records are not
  claiming.writeInt32BE(0x7ffffffe, 23);
  claiming.writeInt32BE(0x7fffffff, 57);
  stampCrc(claiming, new DataView(claiming.buffer, claiming.byteOffset, claiming.byteLength), 0);
  expect((await produce(good, "claims", 0, claiming)).error).toBe(87);
  expect(await produce(good, "claims", 0, honest)).toEqual({ error: 0, baseOffset: 0 });
});

test("door: a batch of equal records that packs to almost nothing is taken", async () => {
  await createTopic(good, "equal", { partitions: 1 });
  const records = Array.from({ length: 20_000 }, () => ({
    key: null,
    value: Buffer.alloc(0),
    timestamp: 1_700_000_000_000,
  }));
  const batch = encodeBatch(records, { codec: "zstd" });
  expect(batch.byteLength).toBeLessThan(records.length * 7);
  expect((await produce(good, "equal", 0, batch)).error).toBe(0);
  expect((await listOffset(good, "equal", 0, -1)).offset).toBe(20_000);
});
