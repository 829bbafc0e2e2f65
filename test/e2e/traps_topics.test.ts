// What other new brokers got wrong about topics, records and offsets, each as a test of its own.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { BodyWriter } from "../../bench/kafka_client.ts";
import {
  alterConfigs,
  apiVersions,
  brokerResource,
  code,
  createPartitions,
  createTopic,
  deleteRecords,
  deleteTopic,
  describeConfigs,
  earliest,
  fetchPartition,
  latest,
  listOffset,
  metadata,
  produce,
  topicResource,
  type TopicOptions,
} from "../harness/apis.ts";
import { encodeBatch, readBatches, readRecords, type NewRecord } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { kcat } from "../harness/kcat.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";
import { apiVersionsFlexible, fetchFlexible, produceFlexible } from "./flexible.ts";

const testMsMax = 120_000;
const defaultPartitions = 3;
let server: Server;
let connection: Connection;

beforeAll(async () => {
  server = await Server.start({
    kafka: {
      "num.partitions": defaultPartitions,
      "auto.create.topics.enable": true,
      "group.initial.rebalance.delay.ms": 0,
    },
  });
  connection = await Connection.open(server.address);
}, testMsMax);

afterAll(async () => {
  connection?.close();
  await server?.stop();
  await server?.dispose();
}, testMsMax);

async function topic(name: string, options: TopicOptions = {}): Promise<string> {
  const made = await createTopic(connection, name, options);
  expect(made).toMatchObject({ error: code.none });
  await whenAnswering(name, options.partitions ?? 1);
  return name;
}

async function whenAnswering(name: string, partitions: number): Promise<void> {
  await until(`${name} answers`, async () => {
    for (let index = 0; index < partitions; index += 1) {
      if ((await listOffset(connection, name, index, latest)).error !== code.none) return false;
    }
    return true;
  });
}

const now = Date.now();

function record(value: string | null, timestamp = now, key: string | null = "k"): NewRecord {
  return {
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestamp,
  };
}

/** One record that makes the batch exactly so many bytes. */
function batchOf(bytes: number): Buffer {
  const sized = (size: number): Buffer => encodeBatch([record("x".repeat(size))]);
  let size = bytes - 61;
  while (sized(size).length > bytes) size -= 1;
  expect(sized(size)).toHaveLength(bytes);
  return sized(size);
}

test("metadata: creates a topic where the client allows it, and only there", async () => {
  const [refused] = await metadata(connection, ["not-made"], false);
  expect(refused?.error).toBe(code.unknownTopicOrPartition);
  await until("the topic is there", async () => {
    const [made] = await metadata(connection, ["made-by-metadata"], true);
    return made?.error === code.none && made.partitions.length === defaultPartitions;
  });
  await whenAnswering("made-by-metadata", defaultPartitions);
  const [still] = await metadata(connection, ["not-made"], false);
  expect(still?.error).toBe(code.unknownTopicOrPartition);
});

test("metadata: a name that cannot be a topic is refused with its own code", async () => {
  for (const name of ["bad/name", "bad name", "x".repeat(250), ".", ".."]) {
    const [state] = await metadata(connection, [name], true);
    expect(state?.error).toBe(17); // INVALID_TOPIC_EXCEPTION
  }
});

test("configs: append and subtract change a list, and only a list", async () => {
  const name = await topic("listed");
  const policy = async (): Promise<string | null | undefined> => {
    const found = await describeConfigs(connection, topicResource, name, ["cleanup.policy"]);
    return found.configs.get("cleanup.policy")?.value;
  };
  expect(await policy()).toBe("delete");
  const change = (operation: "append" | "subtract", key: string, value: string) =>
    alterConfigs(connection, topicResource, name, [[key, operation, value]]);
  expect(await change("append", "cleanup.policy", "compact")).toMatchObject({ error: code.none });
  expect((await policy())?.split(",").toSorted()).toEqual(["compact", "delete"]);
  expect(await change("subtract", "cleanup.policy", "delete")).toMatchObject({ error: code.none });
  expect(await policy()).toBe("compact");
  expect(await change("append", "retention.ms", "5")).toMatchObject({ error: code.invalidConfig });
  const unknown = await change("append", "no.such.config", "5");
  expect(unknown.error).not.toBe(code.none);
  // And the broker is as good as before.
  const keyed = encodeBatch([record("after")]);
  expect((await produce(connection, name, 0, keyed)).error).toBe(code.none);
});

test("configs: all of them are described, with where their value comes from", async () => {
  const name = await topic("described", { configs: { "retention.ms": "86400000" } });
  const { error, configs } = await describeConfigs(connection, topicResource, name, null);
  expect(error).toBe(code.none);
  expect(configs.size).toBeGreaterThan(20);
  expect(configs.get("retention.ms")).toEqual({ value: "86400000", source: 1 });
  expect(configs.get("cleanup.policy")).toEqual({ value: "delete", source: 5 });
  expect(configs.get("max.message.bytes")?.value).toBe("1048588");
  // 2^63-1 with every digit.
  expect(configs.get("flush.messages")?.value).toBe("9223372036854775807");
  const one = await describeConfigs(connection, topicResource, name, ["segment.bytes"]);
  expect([...one.configs.keys()]).toEqual(["segment.bytes"]);
  const missing = await describeConfigs(connection, topicResource, "no-such-topic", null);
  expect(missing.error).toBe(code.unknownTopicOrPartition);
  const id = await brokerId();
  const broker = await describeConfigs(connection, brokerResource, id, null);
  expect(broker.error).toBe(code.none);
  expect(broker.configs.get("num.partitions")?.value).toBe(String(defaultPartitions));
});

async function brokerId(): Promise<string> {
  const name = await topic("whose");
  const [state] = await metadata(connection, [name]);
  return String(state?.partitions[0]?.leader);
}

for (const codec of ["none", "gzip", "zstd"] as const) {
  test(`fetch: an offset inside a batch brings the whole batch (${codec})`, async () => {
    const name = await topic(`inside-${codec}`);
    const count = 10;
    for (const run of ["a", "b"]) {
      const records = Array.from({ length: count }, (_, index) => record(`${run}${index}`));
      expect((await produce(connection, name, 0, encodeBatch(records, { codec }))).error).toBe(0);
    }
    for (let offset = 0; offset < 2 * count; offset += 1) {
      const found = await fetchPartition(connection, name, 0, offset);
      expect(found.error).toBe(code.none);
      const [first] = readBatches(found.bytes);
      if (!first) throw new Error(`nothing at ${offset}`);
      expect(first.baseOffset).toBe(offset < count ? 0 : count);
      expect(readRecords(first).map((each) => each.offset)).toContain(offset);
    }
    const end = await fetchPartition(connection, name, 0, 2 * count);
    expect({ error: end.error, size: end.bytes.length }).toEqual({ error: code.none, size: 0 });
    const beyond = await fetchPartition(connection, name, 0, 2 * count + 1);
    expect(beyond.error).toBe(code.offsetOutOfRange);
    const shown = await kcat(server.address, ["-C", "-t", name, "-o", "7", "-e", "-f", "%o "]);
    const offsets = Array.from({ length: 2 * count - 7 }, (_, index) => index + 7);
    expect(shown.toString()).toBe(offsets.map((offset) => `${offset} `).join(""));
  });
}

test("fetch: a batch larger than the client's limit comes whole", async () => {
  const name = await topic("large-first");
  const batch = batchOf(200_000);
  await produce(connection, name, 0, batch);
  const found = await fetchPartition(connection, name, 0, 0, { partitionMaxBytes: 10 });
  expect(readBatches(found.bytes)).toHaveLength(1);
});

test("produce: max.message.bytes counts the whole batch and not one byte more passes", async () => {
  const name = await topic("limited", { configs: { "max.message.bytes": "1000" } });
  expect((await produce(connection, name, 0, batchOf(1000))).error).toBe(code.none);
  expect((await produce(connection, name, 0, batchOf(1001))).error).toBe(code.messageTooLarge);
  expect((await listOffset(connection, name, 0, latest)).offset).toBe(1);
  const usual = await topic("usual-limit");
  expect((await produce(connection, usual, 0, batchOf(1_048_588))).error).toBe(code.none);
  expect((await produce(connection, usual, 0, batchOf(1_048_589))).error).toBe(
    code.messageTooLarge,
  );
});

test("produce: a flipped bit is refused, and the partition goes on", async () => {
  const name = await topic("flipped");
  const flipped = encodeBatch([record("right")]);
  flipped[flipped.length - 2] = (flipped.at(-2) ?? 0) ^ 4;
  expect((await produce(connection, name, 0, flipped)).error).toBe(code.corruptMessage);
  const right = await produce(connection, name, 0, encodeBatch([record("right")]));
  expect(right).toEqual({ error: code.none, baseOffset: 0 });
});

test("produce: a record without a key does not enter a compacted topic", async () => {
  const name = await topic("compacted", { configs: { "cleanup.policy": "compact" } });
  const mixed = encodeBatch([record("keyed"), record("keyless", now, null)]);
  expect((await produce(connection, name, 0, mixed)).error).toBe(code.invalidRecord);
  const zipped = encodeBatch([record("keyless", now, null)], { codec: "gzip" });
  expect((await produce(connection, name, 0, zipped)).error).toBe(code.invalidRecord);
  const keyed = await produce(connection, name, 0, encodeBatch([record("keyed"), record(null)]));
  expect(keyed).toEqual({ error: code.none, baseOffset: 0 });
  // Turned into a compacted topic later, it judges the same.
  const later = await topic("compacted-later");
  const keyless = encodeBatch([record("keyless", now, null)]);
  expect((await produce(connection, later, 0, keyless)).error).toBe(code.none);
  await alterConfigs(connection, topicResource, later, [["cleanup.policy", "set", "compact"]]);
  await until("the change has arrived", async () => {
    return (await produce(connection, later, 0, keyless)).error === code.invalidRecord;
  });
});

test("offsets: times are answered by the first record that is not older", async () => {
  const name = await topic("times");
  for (const start of [1000, 2000, 3000]) {
    const records = [0, 100, 200].map((step) => record(`at ${step}`, now - 10_000 + start + step));
    await produce(connection, name, 0, encodeBatch(records));
  }
  const at = async (time: number): Promise<number> =>
    (await listOffset(connection, name, 0, now - 10_000 + time)).offset;
  expect(await at(0)).toBe(0);
  expect(await at(1000)).toBe(0);
  expect(await at(1001)).toBe(1); // within a batch
  expect(await at(1200)).toBe(2);
  expect(await at(1201)).toBe(3); // between two batches
  expect(await at(3200)).toBe(8);
  const beyond = await listOffset(connection, name, 0, now - 10_000 + 3201);
  expect(beyond).toEqual({ error: code.none, timestamp: -1, offset: -1 });
  expect((await listOffset(connection, name, 0, earliest)).offset).toBe(0);
  expect((await listOffset(connection, name, 0, latest)).offset).toBe(9);
  const asked = ["-Q", "-t", `${name}:0:${now - 10_000 + 2050}`];
  expect((await kcat(server.address, asked)).toString()).toContain("offset 4");
});

test("offsets: a time is answered by a record that was not deleted out of its batch", async () => {
  const name = await topic("times-trimmed");
  const start = now - 10_000;
  for (const steps of [[0, 500, 200], [300], [600]]) {
    const records = steps.map((step) => record(`at ${step}`, start + step));
    await produce(connection, name, 0, encodeBatch(records));
  }
  expect((await deleteRecords(connection, name, 0, 2)).error).toBe(code.none);
  const at = async (time: number): Promise<number> =>
    (await listOffset(connection, name, 0, start + time)).offset;
  expect(await at(0)).toBe(2);
  expect(await at(250)).toBe(3);
  expect(await at(400)).toBe(4);
  expect(await at(700)).toBe(-1);
});

test("partitions: more of them are made, and every request gets its result", async () => {
  const name = await topic("growing", { partitions: 2 });
  const grown = await createPartitions(connection, name, 5);
  expect(grown.map(({ name: each, error }) => [each, error])).toEqual([[name, code.none]]);
  await until("all five are known", async () => {
    const [state] = await metadata(connection, [name]);
    return state?.partitions.length === 5;
  });
  await whenAnswering(name, 5);
  const batch = encodeBatch([record("new")]);
  expect((await produce(connection, name, 4, batch)).error).toBe(code.none);
  const invalid = 37; // INVALID_PARTITIONS
  expect((await createPartitions(connection, name, 5)).map(({ error }) => error)).toEqual([
    invalid,
  ]);
  expect((await createPartitions(connection, name, 1)).map(({ error }) => error)).toEqual([
    invalid,
  ]);
  const [unknown] = await createPartitions(connection, "no-such-topic", 3);
  expect(unknown?.error).toBe(code.unknownTopicOrPartition);
});

test("topics: a deleted topic is gone and a new one of its name shares nothing", async () => {
  const name = await topic("again");
  await produce(connection, name, 0, encodeBatch([record("old"), record("old")]));
  expect((await createTopic(connection, name)).error).toBe(code.topicAlreadyExists);
  expect(await deleteTopic(connection, name)).toBe(code.none);
  await until("it is gone", async () => {
    return (await metadata(connection, [name]))[0]?.error === code.unknownTopicOrPartition;
  });
  await topic(name);
  expect((await listOffset(connection, name, 0, latest)).offset).toBe(0);
  const produced = await produce(connection, name, 0, encodeBatch([record("new")]));
  expect(produced).toEqual({ error: code.none, baseOffset: 0 });
  const found = await fetchPartition(connection, name, 0, 0);
  const values = readBatches(found.bytes).flatMap(readRecords);
  expect(values.map((each) => String(each.value))).toEqual(["new"]);
});

test("records: deleted up to an offset, they are gone for good", async () => {
  const name = await topic("shortened");
  await produce(connection, name, 0, encodeBatch([record("0"), record("1"), record("2")]));
  expect(await deleteRecords(connection, name, 0, 1)).toEqual({ error: code.none, logStart: 1 });
  expect((await listOffset(connection, name, 0, earliest)).offset).toBe(1);
  expect((await fetchPartition(connection, name, 0, 0)).error).toBe(code.offsetOutOfRange);
  expect((await fetchPartition(connection, name, 0, 1)).error).toBe(code.none);
  expect((await deleteRecords(connection, name, 0, 4)).error).toBe(code.offsetOutOfRange);
  // -1 = up to the high watermark
  expect(await deleteRecords(connection, name, 0, -1)).toEqual({ error: code.none, logStart: 3 });
  const next = await produce(connection, name, 0, encodeBatch([record("3")]));
  expect(next).toEqual({ error: code.none, baseOffset: 3 });
});

test("wire: an unknown version of ApiVersions is answered in the oldest form", async () => {
  const own = await Connection.open(server.address);
  const answer = await own.request(18, 99, new BodyWriter().int8(0));
  expect(answer.int16()).toBe(35); // UNSUPPORTED_VERSION
  const ranges = answer.array(() => [answer.int16(), answer.int16(), answer.int16()]);
  const range = (await apiVersions(own)).get(18);
  expect(ranges).toContainEqual([18, ...(range ?? [])]);
  own.close();
});

test("wire: Produce is advertised from 0, or old librdkafka stops compressing", async () => {
  expect((await apiVersions(connection)).get(0)?.[0]).toBe(0);
  const own = await Connection.open(server.address);
  const body = new BodyWriter().int16(1).int32(1000).int32(0);
  own.request(0, 2, body).catch(() => {});
  await own.whenClosed();
});

test("wire: a request that nobody knows closes its connection and no other", async () => {
  const own = await Connection.open(server.address);
  own.request(999, 0, new BodyWriter()).catch(() => {});
  await own.whenClosed();
  const large = await Connection.open(server.address);
  large.raw(Buffer.from([0x7f, 0xff, 0xff, 0xff]));
  await large.whenClosed();
  expect((await apiVersions(connection)).size).toBeGreaterThan(20);
});

test("wire: an error under acks=0 closes the connection, and success says nothing", async () => {
  const name = await topic("unanswered");
  const own = await Connection.open(server.address);
  const body = (to: string): BodyWriter =>
    new BodyWriter()
      .string(null)
      .int16(0)
      .int32(1000)
      .int32(1)
      .string(to)
      .int32(1)
      .int32(0)
      .bytes(encodeBatch([record("quiet")]));
  own.tell(0, 7, body(name));
  // The next answer on this connection is the one to the next request.
  await until("it is in the log", async () => {
    return (await listOffset(own, name, 0, latest)).offset === 1;
  });
  own.tell(0, 7, body("no-such-topic-and-acks-0"));
  await own.whenClosed();
});

test("wire: pipelined requests are answered in their order", async () => {
  const name = await topic("pipelined");
  const own = await Connection.open(server.address);
  // The connection fails on an answer out of turn; the first two wait longer than the others.
  const wait = { maxWaitMs: 200, minBytes: 1 };
  const answers = await Promise.all([
    fetchPartition(own, name, 0, 0, wait),
    fetchPartition(own, name, 0, 0, wait),
    produce(own, name, 0, encodeBatch([record("third")])),
    listOffset(own, name, 0, latest),
    apiVersions(own),
  ]);
  const [first, second, third, fourth] = answers;
  for (const answer of [first, second, third, fourth]) expect(answer.error).toBe(code.none);
  own.close();
});

test("wire: tagged fields of later versions are not sent", async () => {
  const name = await topic("tagged");
  const batch = encodeBatch([record("value")]);
  const produced = await produceFlexible(connection, name, batch);
  expect(produced.error).toBe(code.none);
  const missing = await produceFlexible(connection, "no-such-topic-either", batch);
  expect(missing.error).toBe(code.unknownTopicOrPartition);
  for (const { top, partition } of [produced, missing]) {
    expect([...top.keys(), ...partition.keys()]).toEqual([]); // the leader hint came with v10
  }
  for (const offset of [0, 1, 99]) {
    const fetched = await fetchFlexible(connection, name, offset);
    expect(fetched.error).toBe(offset === 99 ? code.offsetOutOfRange : code.none);
    expect([...fetched.top.keys()]).toEqual([]); // node end points came with v16
    expect([...fetched.partition.keys()].filter((tag) => tag > 2)).toEqual([]);
  }
});

test("wire: old parsers of ApiVersions see no feature that starts at 0", async () => {
  const third = await apiVersionsFlexible(connection, 3);
  expect(third.error).toBe(code.none);
  expect(third.keys).toContain(18);
  expect([...third.tags.keys()].filter((tag) => tag > 3)).toEqual([]);
  expect(third.supported.filter((feature) => feature.min < 1)).toEqual([]);
  const fourth = await apiVersionsFlexible(connection, 4);
  expect(fourth.keys.toSorted()).toEqual(third.keys.toSorted());
});

test(
  "restart: topics, configs, log starts and records are as before, after a stop and after a kill",
  async () => {
    const name = await topic("kept", { partitions: 2, configs: { "retention.ms": "777000" } });
    await produce(connection, name, 1, encodeBatch([record("a"), record("b"), record("c")]));
    await deleteRecords(connection, name, 1, 1);
    for (const goDown of [() => server.stop(), () => server.kill9()]) {
      connection.close();
      await goDown();
      await server.start();
      connection = await Connection.open(server.address);
      await whenAnswering(name, 2);
      const found = await describeConfigs(connection, topicResource, name, ["retention.ms"]);
      expect(found.configs.get("retention.ms")?.value).toBe("777000");
      expect((await listOffset(connection, name, 1, latest)).offset).toBe(3);
      expect((await listOffset(connection, name, 1, earliest)).offset).toBe(1);
      const { bytes } = await fetchPartition(connection, name, 1, 1);
      const values = readBatches(bytes).flatMap(readRecords);
      expect(values.map((each) => String(each.value))).toEqual(["a", "b", "c"]);
    }
  },
  testMsMax,
);
