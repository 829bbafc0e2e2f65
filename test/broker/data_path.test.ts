// Produce of the shipping broker, on disks in memory: every check of a batch and what it answers,
// idempotence over restarts.

import { describe, expect, test } from "bun:test";
import type { ProduceResponse } from "../../proto/kafka/00_produce.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { stampCrc } from "../../src/wire/batch.ts";
import { buildBatch } from "../../src/wire/records.ts";
import {
  bases,
  batchOf,
  createTopic,
  fetched,
  produced,
  produceRequest,
  record,
  withTopic,
} from "./data_asks.ts";

describe("broker: produce", () => {
  test("batches get dense offsets per partition and are answered when durable", () => {
    const node = withTopic();
    node.autoSync = false;
    const call = node.send("Produce", 9, produceRequest(batchOf(["a", "b"])));
    node.settle();
    node.sync();
    node.settle();
    expect(node.answerTo<ProduceResponse>(call)?.topics[0]?.partitions[0]).toMatchObject({
      errorCode: 0,
      baseOffset: 0,
    });
    const second = node.send("Produce", 9, produceRequest(batchOf(["c"])));
    node.settle();
    expect(node.answerTo(second)).toBeUndefined();
    node.sync();
    node.settle();
    expect(node.answerTo<ProduceResponse>(second)?.topics[0]?.partitions[0]?.baseOffset).toBe(
      2 as never,
    );
  });

  const flip = (batch: Uint8Array, at: number, value: number, crc = true): Uint8Array => {
    batch[at] = value;
    if (crc) stampCrc(batch, new DataView(batch.buffer), 0);
    return batch;
  };

  const cases: readonly (readonly [
    string,
    () => Uint8Array | null,
    Parameters<typeof produceRequest>[1] & { version?: number },
    number,
  ])[] = [
    ["no batch", () => null, {}, ErrorCode.INVALID_RECORD],
    ["an empty batch", () => new Uint8Array(0), {}, ErrorCode.INVALID_RECORD],
    ["magic 1", () => flip(batchOf(["a"]), 16, 1), {}, ErrorCode.INVALID_RECORD],
    [
      "two batches",
      () => new Uint8Array(Buffer.concat([batchOf(["a"]), batchOf(["b"])])),
      {},
      ErrorCode.INVALID_RECORD,
    ],
    [
      "zstd below v7",
      () => flip(batchOf(["a"]), 22, 4),
      { version: 6 },
      ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
    ],
    [
      "a transactional batch without transactional id",
      () => batchOf(["a"], { attributes: 16 }),
      {},
      ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ],
    ["acks 2", () => batchOf(["a"]), { acks: 2 }, ErrorCode.INVALID_REQUIRED_ACKS],
    [
      "an unknown topic",
      () => batchOf(["a"]),
      { name: "nope" },
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ],
    [
      "an unknown partition",
      () => batchOf(["a"]),
      { index: 2 },
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ],
    ["base offset 5", () => batchOf(["a"], { baseOffset: 5 }), {}, ErrorCode.INVALID_RECORD],
    ["a wrong CRC", () => flip(batchOf(["aaaa"]), 70, 0x55, false), {}, ErrorCode.CORRUPT_MESSAGE],
    ["a length that lies", () => flip(batchOf(["a"]), 11, 200), {}, ErrorCode.CORRUPT_MESSAGE],
    ["gzip that is none", () => flip(batchOf(["a"]), 22, 1), {}, ErrorCode.INVALID_RECORD],
    ["codec 7", () => flip(batchOf(["a"]), 22, 7), {}, ErrorCode.INVALID_RECORD],
    ["a control batch", () => batchOf(["a"], { attributes: 32 }), {}, ErrorCode.INVALID_RECORD],
    [
      "a producer id without sequence",
      () => batchOf(["a"], { producerId: 4, producerEpoch: 0, baseSequence: -1 }),
      {},
      ErrorCode.INVALID_RECORD,
    ],
    ["a count that lies", () => flip(batchOf(["a", "b"]), 60, 3), {}, ErrorCode.INVALID_RECORD],
    [
      "timestamp type LogAppendTime",
      () => batchOf(["a"], { attributes: 8 }),
      {},
      ErrorCode.INVALID_TIMESTAMP,
    ],
    [
      "a timestamp two hours ahead",
      () => batchOf(["a"], {}, 1_700_000_000_000 + 7_200_000),
      {},
      ErrorCode.INVALID_TIMESTAMP,
    ],
  ];
  for (const [what, batch, over, code] of cases) {
    test(`is refused with Kafka's code, and nothing is appended (${what} -> ${code})`, () => {
      const node = withTopic();
      expect(produced(node, batch(), over)?.errorCode).toBe(code);
      expect(produced(node, batchOf(["good"]))).toMatchObject({ errorCode: 0, baseOffset: 0 });
    });
  }

  test("a partition without offsets left refuses, and does not assert", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const { partitions, image } = node.node.broker;
    const slot = image.topicByName("t")?.slotOf(0);
    if (slot === undefined) throw new Error("the topic has a partition");
    partitions.assign(slot, Number.MAX_SAFE_INTEGER - 1, 0);
    expect(produced(node, batchOf(["b"]))?.errorCode).toBe(ErrorCode.INVALID_RECORD);
  });

  test("limits of the topic hold (max.message.bytes, segment.bytes, min.insync.replicas)", () => {
    const node = withTopic({}, [{ name: "max.message.bytes", value: "100" }]);
    expect(produced(node, batchOf(["x".repeat(200)]))?.errorCode).toBe(ErrorCode.MESSAGE_TOO_LARGE);
    createTopic(node, "insync", 1, [{ name: "min.insync.replicas", value: "2" }]);
    expect(produced(node, batchOf(["x"]), { name: "insync" })?.errorCode).toBe(
      ErrorCode.NOT_ENOUGH_REPLICAS,
    );
    expect(produced(node, batchOf(["x"]), { name: "insync", acks: 1 })?.errorCode).toBe(0);
  });

  test("a record without key on a compacted topic refuses the batch and names each such record", () => {
    const node = withTopic({}, [{ name: "cleanup.policy", value: "compact" }]);
    const batch = new Uint8Array(
      buildBatch([record("a"), record("b", 1, null), record("c"), record("d", 1, null)]),
    );
    const result = produced(node, batch);
    expect(result?.errorCode).toBe(ErrorCode.INVALID_RECORD);
    expect(result?.recordErrors.map((each) => each.batchIndex)).toEqual([1, 3]);
    expect(result?.errorMessage).not.toBeNull();
  });

  test("LogAppendTime stamps the stored batch and the answer", () => {
    const node = withTopic({}, [{ name: "message.timestamp.type", value: "LogAppendTime" }]);
    expect(produced(node, batchOf(["a"], {}, 5))?.logAppendTimeMs).toBe(node.wall);
    const stored = fetched(node, 0)?.records;
    expect(stored?.byteLength).toBeGreaterThan(0);
  });

  test("acks=0 has no answer, and an error closes the connection", () => {
    const node = withTopic();
    const call = node.send("Produce", 9, produceRequest(batchOf(["a"]), { acks: 0 }));
    node.settle();
    expect(node.answers.find((answer) => answer.call === call)?.response).toBeNull();
    node.send("Produce", 9, produceRequest(batchOf(["a"]), { acks: 0, name: "nope" }), 77);
    node.settle();
    expect(node.closed.map((each) => each.connection)).toEqual([77]);
  });

  test("an idempotent retry gets its first offset, a gap is refused, also after a restart", () => {
    let node = withTopic();
    const send = (sequence: number, epoch = 0) =>
      produced(
        node,
        batchOf(["a", "b"], { producerId: 9, producerEpoch: epoch, baseSequence: sequence }),
      );
    expect(send(0)?.baseOffset).toBe(0 as never);
    expect(send(2)?.baseOffset).toBe(2 as never);
    expect(send(0)).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect(send(9)?.errorCode).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
    node = node.powerCut();
    expect(send(2)).toMatchObject({ errorCode: 0, baseOffset: 2 });
    expect(send(4)?.baseOffset).toBe(4 as never);
    expect(send(0, 1)?.baseOffset).toBe(6 as never);
    expect(send(6, 0)?.errorCode).toBe(ErrorCode.INVALID_PRODUCER_EPOCH);
  });

  test("a duplicate of a batch that is still on its way waits for it", () => {
    const node = withTopic();
    produced(node, batchOf(["open"]));
    node.autoSync = false;
    const batch = () => batchOf(["a"], { producerId: 3, producerEpoch: 0, baseSequence: 0 });
    const first = node.send("Produce", 9, produceRequest(batch()));
    const again = node.send("Produce", 9, produceRequest(batch()));
    node.settle();
    expect(node.answerTo(first)).toBeUndefined();
    expect(node.answerTo(again)).toBeUndefined();
    node.sync();
    node.settle();
    expect(node.answerTo<ProduceResponse>(first)?.topics[0]?.partitions[0]?.baseOffset).toBe(
      1 as never,
    );
    expect(node.answerTo<ProduceResponse>(again)?.topics[0]?.partitions[0]?.baseOffset).toBe(
      1 as never,
    );
  });

  test("what was acknowledged is there after a power cut, what was not may be gone", () => {
    let node = withTopic();
    produced(node, batchOf(["kept"]));
    node.autoSync = false;
    const lost = node.send("Produce", 9, produceRequest(batchOf(["lost"])));
    node.settle();
    expect(node.answerTo(lost)).toBeUndefined();
    node = node.powerCut();
    expect(bases(fetched(node, 0)?.records)).toEqual([0]);
    expect(produced(node, batchOf(["next"]))?.baseOffset).toBe(1 as never);
  });
});
