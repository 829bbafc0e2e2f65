// The client library against a real node: what it writes others read, what it asks it understands,
// and no record is lost, doubled or out of order when connections break or the node is killed.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { rejectionOf } from "../harness/rejection.ts";
import {
  Client,
  KafkaError,
  partitionOfKey,
  Time,
  Unreachable,
  WrongUse,
} from "../../src/client/client.ts";
import { kcat } from "../harness/kcat.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";

let server: Server;
let client: Client;
const text = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : new TextDecoder().decode(bytes);

beforeAll(async () => {
  server = await Server.start();
  client = new Client({ bootstrap: [server.address] });
});

afterAll(async () => {
  await client.close();
  await server.dispose();
});

async function readAll(topic: string, reader = client): Promise<string[][]> {
  const { partitions } = await reader.admin.topic(topic);
  const found: string[][] = partitions.map(() => []);
  for await (const batch of reader.consumer([{ topic }], { untilEnd: true })) {
    for (const { value, offset } of batch.records) {
      expect(offset).toBe(found[batch.partition]?.length ?? -1);
      found[batch.partition]?.push(text(value) ?? "");
    }
  }
  return found;
}

test("client: a record comes back as it was sent, with key, headers and time", async () => {
  await client.admin.createTopic({ name: "whole", partitions: 3 });
  const producer = client.producer();
  const sent = await producer.send({
    topic: "whole",
    key: "c-42",
    value: '{"id":12345678901234567890,"x":1.0}',
    headers: [
      ["trace", "ü"],
      ["none", null],
    ],
    timestamp: 1_700_000_000_123,
  });
  expect(sent).toMatchObject({ topic: "whole", offset: 0, timestamp: 1_700_000_000_123 });
  const seen = [];
  for await (const batch of client.consumer([{ topic: "whole" }], { untilEnd: true })) {
    expect(batch.partition).toBe(sent.partition);
    seen.push(...batch.records);
  }
  expect(seen).toHaveLength(1);
  const [record] = seen;
  expect(text(record?.key ?? null)).toBe("c-42");
  expect(text(record?.value ?? null)).toBe('{"id":12345678901234567890,"x":1.0}');
  expect(record?.timestamp).toBe(1_700_000_000_123);
  expect(record?.headers.map(({ key, value }) => [key, text(value)])).toEqual([
    ["trace", "ü"],
    ["none", null],
  ]);
});

for (const compression of ["none", "gzip", "zstd"] as const) {
  test(`client: kcat reads what it wrote (${compression})`, async () => {
    const topic = `kcat-${compression}`;
    await client.admin.createTopic({ name: topic, partitions: 4 });
    const producer = client.producer({ compression });
    const sent = await Promise.all(
      Array.from({ length: 2000 }, (_, i) =>
        producer.send({ topic, key: `key-${i % 50}`, value: `value-${i}` }),
      ),
    );
    const format = ["-C", "-e", "-q", "-f", "%p\\t%o\\t%k\\t%s\\n"];
    const printed = await kcat(server.address, ["-t", topic, ...format]);
    const rows = printed.toString().trimEnd().split("\n");
    const expected = sent.map(
      ({ partition, offset }, i) => `${partition}\t${offset}\tkey-${i % 50}\tvalue-${i}`,
    );
    expect(rows.toSorted()).toEqual(expected.toSorted());
  });
}

test("client: a key lies where librdkafka puts it with Kafka's partitioner", async () => {
  await client.admin.createTopic({ name: "keys", partitions: 7 });
  const keys = Array.from({ length: 200 }, (_, i) => `${"k".repeat(i % 9)}${i}`);
  const args = ["-t", "keys", "-P", "-K:", "-X", "topic.partitioner=murmur2_random"];
  await kcat(server.address, args, keys.map((key) => `${key}:v\n`).join(""));
  let seen = 0;
  for await (const batch of client.consumer([{ topic: "keys" }], { untilEnd: true })) {
    for (const { key } of batch.records) {
      expect(partitionOfKey(key ?? new Uint8Array(0), 7)).toBe(batch.partition);
      seen += 1;
    }
  }
  expect(seen).toBe(keys.length);
});

for (const codec of ["snappy", "lz4", "gzip", "zstd"] as const) {
  test(`client: reads what librdkafka compressed (${codec})`, async () => {
    const topic = `from-kcat-${codec}`;
    await client.admin.createTopic({ name: topic, partitions: 1 });
    const lines = Array.from({ length: 3000 }, (_, i) => `line ${i} ${"ab".repeat(i % 40)}`);
    await kcat(server.address, ["-t", topic, "-P", "-z", codec], `${lines.join("\n")}\n`);
    expect(await readAll(topic)).toEqual([lines]);
  });
}

test("client: records keep their order in a partition through many batches", async () => {
  await client.admin.createTopic({ name: "order", partitions: 2 });
  const producer = client.producer({ batchBytes: 2000, lingerMs: 0 });
  const count = 5000;
  for (let i = 0; i < count; i += 1) {
    producer.enqueue({ topic: "order", partition: i % 2, value: `${i}` });
    if (i % 100 === 0) await producer.room();
  }
  await producer.flush();
  const [even, odd] = await readAll("order");
  expect(even).toEqual(Array.from({ length: count / 2 }, (_, i) => `${2 * i}`));
  expect(odd).toEqual(Array.from({ length: count / 2 }, (_, i) => `${2 * i + 1}`));
});

test("client: a node that is killed and comes back has each record once, in order", async () => {
  const own = await Server.start();
  try {
    await using mine = new Client({ bootstrap: [own.address], requestTimeoutMs: 10_000 });
    await mine.admin.createTopic({ name: "killed", partitions: 2 });
    const producer = mine.producer({ batchBytes: 1000, lingerMs: 0 });
    const count = 6000;
    let acknowledged = 0;
    const failures: Error[] = [];
    const send = (i: number): void =>
      producer.enqueue({ topic: "killed", partition: i % 2, value: `${i}` }, (error) => {
        if (error === null) acknowledged += 1;
        else failures.push(error);
      });
    for (let i = 0; i < count; i += 1) {
      send(i);
      if (i % 50 === 0) await Bun.sleep(0);
      if (i === 2000 || i === 4000) {
        await until("some are acknowledged", () => acknowledged > i / 4);
        await own.kill9();
        await own.start();
      }
    }
    await producer.flush();
    expect(failures).toEqual([]);
    expect(acknowledged).toBe(count);
    const [even, odd] = await readAll("killed", mine);
    expect(even).toEqual(Array.from({ length: count / 2 }, (_, i) => `${2 * i}`));
    expect(odd).toEqual(Array.from({ length: count / 2 }, (_, i) => `${2 * i + 1}`));
  } finally {
    await own.dispose();
  }
}, 120_000);

test("client: a consumer that follows goes on when its node is killed and comes back", async () => {
  const own = await Server.start();
  const mine = new Client({ bootstrap: [own.address], retryMs: 60_000 });
  try {
    await mine.admin.createTopic({ name: "followed", partitions: 2 });
    const producer = mine.producer();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { records } of mine.consumer([{ topic: "followed" }])) {
        seen.push(...records.map(({ value }) => text(value) ?? ""));
        if (seen.length === 30) return;
      }
    })();
    for (let life = 0; life < 3; life += 1) {
      for (let i = 0; i < 10; i += 1) {
        await producer.send({ topic: "followed", key: `${i}`, value: `${life}-${i}` });
      }
      await until("they are read", () => seen.length === 10 * (life + 1));
      if (life === 2) break;
      await own.kill9();
      await own.start();
    }
    await reading;
    expect(new Set(seen).size).toBe(30);
  } finally {
    await mine.close();
    await own.dispose();
  }
}, 120_000);

test("client: a refused record fails alone, those around it arrive", async () => {
  await client.admin.createTopic({
    name: "small",
    partitions: 1,
    configs: { "max.message.bytes": "1000" },
  });
  const producer = client.producer({ lingerMs: 0, batchBytes: 500 });
  const sends = Array.from({ length: 20 }, (_, i) =>
    producer.send({ topic: "small", value: i === 7 ? "x".repeat(2000) : `${i}` }).then(
      () => "ok",
      (error: unknown) => (error instanceof KafkaError ? error.codeName : String(error)),
    ),
  );
  const outcomes = await Promise.all(sends);
  expect(outcomes.filter((each) => each !== "ok")).toEqual(["MESSAGE_TOO_LARGE"]);
  expect(outcomes[7]).toBe("MESSAGE_TOO_LARGE");
  const [all] = await readAll("small");
  expect(all).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`).filter((each) => each !== "7"));
});

test("client: batches that are too large for a topic are split until only records are", async () => {
  const configs = { "max.message.bytes": "1000" };
  await client.admin.createTopic({ name: "split", partitions: 1, configs });
  const producer = client.producer();
  const values = Array.from({ length: 300 }, (_, i) => `${i} ${"x".repeat(i % 60)}`);
  values[150] = "y".repeat(1500);
  const outcomes = await Promise.all(
    values.map((value) =>
      producer.send({ topic: "split", value }).then(
        () => "ok",
        (error: unknown) => (error instanceof KafkaError ? error.codeName : String(error)),
      ),
    ),
  );
  expect(outcomes[150]).toBe("MESSAGE_TOO_LARGE");
  expect(outcomes.filter((each) => each === "ok")).toHaveLength(299);
  expect(await readAll("split")).toEqual([values.filter((_, i) => i !== 150)]);
});

test("client: without acknowledgements, or with the leader's alone, records arrive too", async () => {
  await client.admin.createTopic({ name: "acks", partitions: 1 });
  for (const acks of ["leader", "none"] as const) {
    const producer = client.producer({ acks });
    const sent = await producer.send({ topic: "acks", value: acks });
    expect(sent.offset).toBe(acks === "none" ? -1 : 0);
    await producer.close();
  }
  await until("both are there", async () => (await readAll("acks"))[0]?.length === 2);
  expect(await readAll("acks")).toEqual([["leader", "none"]]);
});

test("client: begins at the end, at an offset, at a time and at the last n", async () => {
  await client.admin.createTopic({ name: "where", partitions: 1 });
  const producer = client.producer();
  for (let i = 0; i < 10; i += 1) {
    await producer.send({ topic: "where", value: `${i}`, timestamp: 1000 + i });
  }
  const from = async (start: Parameters<Client["consumer"]>[0][0]["from"]): Promise<string[]> => {
    const found: string[] = [];
    const assignment = start === undefined ? { topic: "where" } : { topic: "where", from: start };
    for await (const { records } of client.consumer([assignment], { untilEnd: true })) {
      found.push(...records.map(({ value }) => text(value) ?? ""));
    }
    return found;
  };
  expect(await from({ offset: 7 })).toEqual(["7", "8", "9"]);
  expect(await from({ timestamp: 1008 })).toEqual(["8", "9"]);
  expect(await from({ timestamp: 5000 })).toEqual([]);
  expect(await from({ last: 1 })).toEqual(["9"]);
  expect(await from("latest")).toEqual([]);
  expect(await from("earliest")).toHaveLength(10);

  const tail = client.consumer([{ topic: "where", from: "latest" }]);
  await tail.start();
  await producer.send({ topic: "where", value: "new" });
  for await (const { records } of tail) {
    expect(records.map(({ value, offset }) => [text(value), offset])).toEqual([["new", 10]]);
    break;
  }
});

test("client: trimmed records are an error, or the reader goes on where it was told", async () => {
  await client.admin.createTopic({ name: "trimmed", partitions: 1 });
  const producer = client.producer();
  for (let i = 0; i < 5; i += 1) await producer.send({ topic: "trimmed", value: `${i}` });
  expect(await client.admin.deleteRecords("trimmed", 0, 3)).toBe(3);
  const [start] = await client.admin.offsets([
    { topic: "trimmed", partition: 0, timestamp: Time.earliest },
  ]);
  expect(start?.offset).toBe(3);
  const read = async (onOutOfRange: "throw" | "earliest"): Promise<number[]> => {
    const offsets: number[] = [];
    const reader = client.consumer([{ topic: "trimmed", from: { offset: 1 } }], {
      untilEnd: true,
      onOutOfRange,
    });
    for await (const { records } of reader) offsets.push(...records.map(({ offset }) => offset));
    return offsets;
  };
  expect(await read("earliest")).toEqual([3, 4]);
  expect((await rejectionOf(read("throw"))).message).toContain("OFFSET_OUT_OF_RANGE");
});

test("client: topics are made, grown, configured, described and deleted", async () => {
  const { admin } = client;
  const made = await admin.createTopic({ name: "life", partitions: 2, replicas: 1 });
  expect(made).toMatchObject({ name: "life", partitions: 2, replicas: 1 });
  expect((await rejectionOf(admin.createTopic({ name: "life" }))).message).toContain(
    "TOPIC_ALREADY_EXISTS",
  );
  await admin.addPartitions("life", 5);
  expect((await admin.topic("life")).partitions).toHaveLength(5);
  await admin.configureTopic("life", { "retention.ms": "12345" });
  const setting = async (): Promise<unknown> =>
    (await admin.topicConfigs("life")).find(({ name }) => name === "retention.ms");
  expect(await setting()).toMatchObject({ value: "12345", source: "topic" });
  await admin.configureTopic("life", { "retention.ms": null });
  expect(await setting()).toMatchObject({ value: "604800000", source: "default" });
  const sizes = await admin.sizes("life");
  expect(sizes.map(({ partition }) => partition).sort()).toEqual([0, 1, 2, 3, 4]);
  await admin.deleteTopic("life");
  expect((await rejectionOf(admin.topic("life"))).message).toContain("UNKNOWN_TOPIC_OR_PARTITION");
  expect((await rejectionOf(admin.deleteTopic("life"))).message).toContain(
    "UNKNOWN_TOPIC_OR_PARTITION",
  );
});

test("client: groups are listed, described with lag, and deleted", async () => {
  const { admin } = client;
  await admin.createTopic({ name: "grouped", partitions: 2 });
  const producer = client.producer();
  for (let i = 0; i < 6; i += 1) {
    await producer.send({ topic: "grouped", partition: i % 2, value: `${i}` });
  }
  await admin.groups.commit("readers", [
    { topic: "grouped", partition: 0, offset: 1 },
    { topic: "grouped", partition: 1, offset: 3 },
  ]);
  expect((await admin.groups.list()).map(({ group }) => group)).toContain("readers");
  expect(await admin.groups.describe("readers")).toMatchObject({ state: "Empty", members: [] });
  const lag = await admin.groups.lag("readers");
  expect(
    lag.map(({ partition, offset, end, lag: behind }) => [partition, offset, end, behind]),
  ).toEqual([
    [0, 1, 3, 2],
    [1, 3, 3, 0],
  ]);
  await admin.groups.delete("readers");
  expect((await rejectionOf(admin.groups.describe("readers"))).message).toContain(
    "GROUP_ID_NOT_FOUND",
  );
});

test("client: an unknown topic, a wrong partition and a dead address are told at once", async () => {
  const producer = client.producer();
  expect((await rejectionOf(producer.send({ topic: "nowhere", value: "x" }))).message).toContain(
    "UNKNOWN_TOPIC_OR_PARTITION",
  );
  await client.admin.createTopic({ name: "one", partitions: 1 });
  const wrong = producer.send({ topic: "one", partition: 3, value: "x" });
  expect(await rejectionOf(wrong)).toBeInstanceOf(WrongUse);
  const dead = new Client({ bootstrap: ["127.0.0.1:1"], retryMs: 0 });
  expect(await rejectionOf(dead.admin.cluster())).toBeInstanceOf(Unreachable);
  await dead.close();
  expect(() => new Client({ bootstrap: ["nonsense:port"] })).toThrow(WrongUse);
});
