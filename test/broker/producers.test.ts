// Idempotent producers over restarts of the shipping broker, on disks in memory: what a load reads,
// who waits for it and in what order, and what happens when it fails.

import { describe, expect, test } from "bun:test";
import type { ProduceResponse } from "../../proto/kafka/00_produce.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import { producerLoadRetryMs, producerLoadsMax } from "../../src/core/base/limits.ts";
import { buildBatch } from "../../src/wire/records.ts";
import { OneNode } from "../sim/one_node.ts";

const mebibyte = 1 << 20;

function withTopic(kafka: Record<string, string> = {}, partitions = 1): OneNode {
  const node = new OneNode(kafka);
  const topic = { name: "t", numPartitions: partitions, replicationFactor: -1 };
  node.ask("CreateTopics", 7, {
    topics: [{ ...topic, assignments: [], configs: [] }],
    timeoutMs: 1000,
    validateOnly: false,
  });
  return node;
}

/** One record; `producer` < 0: not idempotent. */
function batchOf(producer: number, sequence: number, bytes = 10, epoch = 0): Uint8Array {
  const record = { key: null, value: new Uint8Array(bytes), timestamp: 1_600_000_000_000 };
  const from = { producerId: producer, producerEpoch: epoch, baseSequence: sequence };
  return new Uint8Array(buildBatch([record], producer < 0 ? {} : from));
}

function send(node: OneNode, records: Uint8Array, over: { index?: number; connection?: number }) {
  const { index = 0, connection = 1 } = over;
  const topic = { name: "t", topicId: noTopicId, partitions: [{ index, records }] };
  const request = { transactionalId: null, acks: -1, timeoutMs: 1000, topics: [topic] };
  return node.send("Produce", 9, request, connection);
}

function answerTo(node: OneNode, call: ReturnType<typeof send>) {
  return node.answerTo<ProduceResponse>(call)?.topics[0]?.partitions[0];
}

function produce(node: OneNode, records: Uint8Array, index = 0) {
  const call = send(node, records, { index });
  node.settle();
  const result = answerTo(node, call);
  return result?.errorCode === 0 ? Number(result.baseOffset) : -(result?.errorCode ?? 0);
}

/** Nine batches of a mebibyte by producer 7, and what they make the node write. */
function withSidecar(kafka: Record<string, string> = {}): OneNode {
  const node = withTopic(kafka);
  for (let i = 0; i < 9; i += 1) expect(produce(node, batchOf(7, i, mebibyte - 200))).toBe(i);
  return node;
}

describe("broker: producers over a restart", () => {
  test("a partition that is opened reads nothing, nor does a batch without a producer id", () => {
    let node = withTopic();
    for (let i = 0; i < 7; i += 1) produce(node, batchOf(7, i));
    node = node.powerCut();
    node.held = [];
    for (let i = 0; i < 10; i += 1) node.tick(10);
    expect(produce(node, batchOf(-1, -1))).toBe(7);
    expect(node.held).toEqual([]);
    expect(node.disk.headersRead).toEqual([]);
  });

  test("a partition that never had a batch has no producers to load", () => {
    const node = withTopic();
    node.held = [];
    expect(produce(node, batchOf(7, 0))).toBe(0);
    expect(node.held).toEqual([]);
  });

  test("headers say it all where no sidecar was written", () => {
    let node = withTopic();
    for (let i = 0; i < 7; i += 1) produce(node, batchOf(7, i));
    produce(node, batchOf(-1, -1));
    node = node.powerCut();
    expect(produce(node, batchOf(7, 6))).toBe(6);
    expect(produce(node, batchOf(7, 9))).toBe(-ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(produce(node, batchOf(7, 7))).toBe(8);
    expect(node.disk.headersRead).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test("a sidecar says it all of the batches before it, and no header is read", () => {
    let node = withSidecar();
    node = node.powerCut();
    expect(produce(node, batchOf(7, 8, mebibyte - 200))).toBe(8);
    expect(produce(node, batchOf(7, 3, mebibyte - 200))).toBe(
      -ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    );
    expect(produce(node, batchOf(7, 9))).toBe(9);
    expect(node.disk.headersRead).toEqual([]);
  });

  test("a sidecar and the headers behind it are one state", () => {
    let node = withSidecar();
    produce(node, batchOf(-1, -1));
    produce(node, batchOf(8, 0));
    produce(node, batchOf(7, 9));
    produce(node, batchOf(7, 0, 10, 1));
    node = node.powerCut();
    expect(produce(node, batchOf(8, 0))).toBe(10);
    expect(produce(node, batchOf(7, 0, 10, 1))).toBe(12);
    expect(produce(node, batchOf(7, 10))).toBe(-ErrorCode.INVALID_PRODUCER_EPOCH);
    expect(node.disk.headersRead).toEqual([10, 11, 12]);
  });

  for (const harm of ["newer", "gone", "damaged", "failed"] as const) {
    test(`without a sidecar that can be read all headers are (${harm})`, () => {
      let node = withSidecar();
      node = node.powerCut();
      if (harm === "damaged" || harm === "failed") node.disk.sidecarStatus = harm;
      else node.disk.harmSidecars(harm);
      expect(produce(node, batchOf(7, 8, mebibyte - 200))).toBe(8);
      expect(node.disk.headersRead).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    });
  }

  test("a producer is forgotten by when it was last seen, also over a restart", () => {
    const kafka = { "producer.id.expiration.ms": "60000" };
    let node = withSidecar(kafka);
    node = node.powerCut();
    node.tick(61_000);
    expect(produce(node, batchOf(7, 3, mebibyte - 200))).toBe(9);
    node = withTopic(kafka);
    produce(node, batchOf(7, 0));
    node = node.powerCut();
    node.tick(61_000);
    // Nobody knows when it was seen: its own timestamp is no proof that it is gone.
    expect(produce(node, batchOf(7, 0))).toBe(0);
  });
});

describe("broker: batches that wait for producers", () => {
  function restarted(): OneNode {
    let node = withTopic({}, 12);
    for (let index = 0; index < 12; index += 1) {
      for (let i = 0; i < 4; i += 1) produce(node, batchOf(7, i), index);
    }
    node = node.powerCut();
    node.held = [];
    return node;
  }

  test("go in the order in which they came, whoever sent them", () => {
    const node = restarted();
    const calls = [
      send(node, batchOf(7, 4), {}),
      send(node, batchOf(-1, -1), {}),
      send(node, batchOf(7, 5), {}),
      send(node, batchOf(8, 0), { connection: 2 }),
      send(node, batchOf(-1, -1), { connection: 2 }),
      send(node, batchOf(7, 4), { connection: 3 }),
    ];
    node.settle();
    const late = send(node, batchOf(-1, -1), { connection: 4 });
    node.settle();
    expect([...calls, late].map((call) => answerTo(node, call))).toEqual(
      new Array(7).fill(undefined),
    );
    node.release();
    const offsets = [...calls, late].map((call) => Number(answerTo(node, call)?.baseOffset));
    expect(offsets).toEqual([4, 5, 6, 7, 8, 4, 9]);
  });

  test("hold up no other partition, and few load at a time", () => {
    const node = restarted();
    const calls = Array.from({ length: 12 }, (_, index) => send(node, batchOf(7, 3), { index }));
    node.settle();
    expect(node.held).toHaveLength(producerLoadsMax);
    expect(produce(node, batchOf(-1, -1), 11)).toBe(-0);
    node.release();
    expect(calls.map((call) => Number(answerTo(node, call)?.baseOffset))).toEqual(
      new Array(12).fill(3),
    );
  });

  test("are refused when the load fails, but for those without a producer id", () => {
    const node = restarted();
    node.disk.headersStatus = "failed";
    const first = send(node, batchOf(7, 3), {});
    const plain = send(node, batchOf(-1, -1), {});
    node.settle();
    node.release();
    expect(answerTo(node, first)?.errorCode).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(Number(answerTo(node, plain)?.baseOffset)).toBe(4);
    node.disk.headersStatus = "ok";
    expect(produce(node, batchOf(7, 3))).toBe(-ErrorCode.KAFKA_STORAGE_ERROR);
    node.tick(producerLoadRetryMs);
    expect(produce(node, batchOf(7, 3))).toBe(3);
  });

  test("go on where a batch is damaged: what lay there is nobody's any more", () => {
    const node = restarted();
    node.disk.headersStatus = "damaged";
    const call = send(node, batchOf(7, 9), {});
    node.settle();
    node.release();
    expect(answerTo(node, call)?.errorCode).toBe(ErrorCode.NONE);
    expect(Number(answerTo(node, call)?.baseOffset)).toBe(4);
  });

  test("are refused when their topic goes, and what was read of it counts for nothing", () => {
    const node = restarted();
    const calls = [0, 1].map((index) => send(node, batchOf(7, 4), { index }));
    node.settle();
    node.ask("DeleteTopics", 4, { topicNames: ["t"], topics: [], timeoutMs: 1000 }, 9);
    expect(calls.map((call) => answerTo(node, call)?.errorCode)).toEqual([
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]);
    node.release();
    expect(node.disk.headersRead).toEqual([]);
  });
});

describe("broker: batches that meet no room", () => {
  const large = 4 * mebibyte;

  /** The ring takes what is small and not what is large, until it is synced. */
  function crowded(): OneNode {
    const node = withTopic({ "message.max.bytes": String(8 * mebibyte) });
    node.autoSync = false;
    while (node.disk.credit > large) {
      send(node, batchOf(-1, -1, large - mebibyte), {});
      node.settle();
    }
    return node;
  }

  test("keep their place: what is behind the first batch of a producer waits for it", () => {
    const node = crowded();
    const first = send(node, batchOf(7, 0, large), {});
    const second = send(node, batchOf(7, 1), {});
    const other = send(node, batchOf(8, 1), {});
    node.settle();
    expect(answerTo(node, first)?.errorCode).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(answerTo(node, second)?.errorCode).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    node.autoSync = true;
    node.settle();
    expect(answerTo(node, other)?.errorCode).toBe(0);
    expect(produce(node, batchOf(7, 1))).toBe(-ErrorCode.KAFKA_STORAGE_ERROR);
    const at = Number(answerTo(node, other)?.baseOffset);
    expect(produce(node, batchOf(7, 0, large))).toBe(at + 1);
    expect(produce(node, batchOf(7, 1))).toBe(at + 2);
    expect(produce(node, batchOf(7, 0, large))).toBe(at + 1);
  });

  test("give their place up when the producer begins again with another epoch", () => {
    const node = crowded();
    const first = send(node, batchOf(7, 0, large), {});
    node.settle();
    expect(answerTo(node, first)?.errorCode).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    node.autoSync = true;
    node.settle();
    expect(produce(node, batchOf(7, 0, 10, 1))).toBeGreaterThan(0);
    expect(produce(node, batchOf(7, 1, 10, 1))).toBeGreaterThan(0);
    expect(produce(node, batchOf(7, 0, large))).toBe(-ErrorCode.INVALID_PRODUCER_EPOCH);
  });

  test("keep their place on a full disk, and longer than producers are looked through", () => {
    const node = withTopic();
    node.node.step({ kind: "disk-state", takesWrites: false }, node);
    expect(produce(node, batchOf(7, 0))).toBe(-ErrorCode.KAFKA_STORAGE_ERROR);
    node.tick(600_000);
    node.node.step({ kind: "disk-state", takesWrites: true }, node);
    expect(produce(node, batchOf(7, 1))).toBe(-ErrorCode.KAFKA_STORAGE_ERROR);
    expect(produce(node, batchOf(7, 0))).toBe(0);
    expect(produce(node, batchOf(7, 1))).toBe(1);
  });
});
