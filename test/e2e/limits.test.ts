// Limits of the Kafka door: what is beyond them costs its own connection, is counted, and is told in
// the log.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { BodyWriter } from "../../bench/kafka_client.ts";
import { apiVersions, code, createTopic, latest, listOffset } from "../harness/apis.ts";
import { Connection } from "../harness/connection.ts";
import { alone, findCoordinator, offsetCommit } from "../harness/groups.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";

const connectionsMax = 3;
const metadataBytesMax = 32_000;
const requestBytesMax = 8 * 1024 * 1024;
let server: Server;

beforeAll(async () => {
  server = await Server.start({
    node: { "replication.durability": "os" },
    kafka: {
      "max.connections": connectionsMax,
      "socket.request.max.bytes": requestBytesMax,
      "offset.metadata.max.bytes": metadataBytesMax,
    },
  });
});

afterAll(async () => {
  await server.dispose();
});

test("door: max.connections holds, in words, until somebody leaves", async () => {
  const open = () => Connection.open(server.address);
  const taken = await Promise.all(Array.from({ length: connectionsMax }, open));
  for (const each of taken) expect((await apiVersions(each)).size).toBeGreaterThan(20);
  const refused = await open();
  await refused.whenClosed();
  for (const each of taken) expect((await apiVersions(each)).size).toBeGreaterThan(20);
  await until("the refusal is in the log", () => server.logTail().includes("connections-refused"));
  taken[0]?.close();
  await until("there is room for another one", async () => {
    const next = await open();
    const served = await apiVersions(next).then(
      () => true,
      () => false,
    );
    next.close();
    return served;
  });
  for (const each of taken) each.close();
});

async function connected(): Promise<Connection> {
  let found: Connection | undefined;
  await until("a connection is free", async () => {
    const next = await Connection.open(server.address);
    const served = await apiVersions(next).then(
      () => true,
      () => false,
    );
    if (served) found = next;
    return served;
  });
  if (found === undefined) throw new Error("no connection");
  return found;
}

test("door: socket.request.max.bytes holds", async () => {
  const own = await connected();
  own.raw(new BodyWriter().int32(requestBytesMax + 1).done());
  await own.whenClosed();
});

/** OffsetFetch v8: everything that these groups have committed. */
async function offsetsOf(connection: Connection, groups: readonly string[]): Promise<number> {
  const body = new BodyWriter().int8(groups.length + 1);
  for (const group of groups) {
    body.int8(group.length + 1).raw(Buffer.from(group));
    body.int8(0).int8(0); // all topics; no tags
  }
  return (await connection.requestFlexible(9, 8, body.int8(0).int8(0))).remaining;
}

test("door: an answer beyond the limit closes its connection, one below it is given", async () => {
  const own = await connected();
  const partitions = 400;
  await createTopic(own, "wide", { partitions });
  await until("the group has a coordinator", async () => (await findCoordinator(own, "g")) === 0);
  const commits = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    offset: 1,
    metadata: "m".repeat(metadataBytesMax),
  }));
  const groups = Array.from({ length: 8 }, (_, each) => `group-${each}`);
  for (const group of groups) {
    const codes = await offsetCommit(own, alone(group), "wide", commits.slice(0, 200));
    for (const [key, each] of await offsetCommit(own, alone(group), "wide", commits.slice(200)))
      codes.set(key, each);
    expect([...new Set(codes.values())]).toEqual([code.none]);
  }
  expect(await offsetsOf(own, groups.slice(0, 2))).toBeGreaterThan(
    2 * partitions * metadataBytesMax,
  );
  const beyond = await offsetsOf(own, groups).then(
    () => "answered",
    () => "closed",
  );
  expect(beyond).toBe("closed");
  const next = await connected();
  expect((await listOffset(next, "wide", 0, latest)).offset).toBe(0);
  next.close();
}, 60_000);
