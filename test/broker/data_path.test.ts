// Produce, fetch and offsets of the shipping broker, on disks in memory: every check of a batch and
// what it answers, idempotence over restarts, long polls, sessions.

import { describe, expect, test } from "bun:test";
import type { FetchRequest, FetchResponse } from "../../proto/kafka/01_fetch.ts";
import type { ListOffsetsResponse } from "../../proto/kafka/02_list_offsets.ts";
import type { ProduceResponse } from "../../proto/kafka/00_produce.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import { fetchWaitMsMax } from "../../src/core/base/limits.ts";
import { batchBaseOffset, batchBytes, stampCrc } from "../../src/wire/batch.ts";
import { type BatchOptions, buildBatch, type NewRecord } from "../../src/wire/records.ts";
import { OneNode } from "../sim/one_node.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function record(value: string, timestamp = 1_700_000_000_000, key: string | null = "k"): NewRecord {
  return { key: key === null ? null : text(key), value: text(value), timestamp };
}

function batchOf(
  values: readonly string[],
  options: BatchOptions = {},
  timestamp?: number,
): Uint8Array {
  return new Uint8Array(
    buildBatch(
      values.map((value) => record(value, timestamp)),
      options,
    ),
  );
}

function withTopic(
  kafka: Record<string, string> = {},
  configs: readonly { name: string; value: string }[] = [],
): OneNode {
  const node = new OneNode(kafka);
  createTopic(node, "t", 2, configs);
  return node;
}

function createTopic(
  node: OneNode,
  name: string,
  partitions: number,
  configs: readonly { name: string; value: string }[] = [],
): void {
  node.ask("CreateTopics", 7, {
    topics: [{ name, numPartitions: partitions, replicationFactor: -1, assignments: [], configs }],
    timeoutMs: 1000,
    validateOnly: false,
  });
  node.settle();
}

function produceRequest(
  records: Uint8Array | null,
  over: { name?: string; index?: number; acks?: number; transactionalId?: string | null } = {},
) {
  const { name = "t", index = 0, acks = -1, transactionalId = null } = over;
  return {
    transactionalId,
    acks,
    timeoutMs: 1000,
    topics: [{ name, topicId: noTopicId, partitions: [{ index, records }] }],
  };
}

function produced(
  node: OneNode,
  records: Uint8Array | null,
  over: Parameters<typeof produceRequest>[1] & { version?: number } = {},
) {
  const response = node.ask<ProduceResponse>(
    "Produce",
    over.version ?? 9,
    produceRequest(records, over),
  );
  return response?.topics[0]?.partitions[0];
}

function fetchRequest(
  offset: number,
  over: Partial<FetchRequest> & { index?: number; epoch?: number; name?: string } = {},
) {
  const { index = 0, epoch = -1, name = "t", ...rest } = over;
  return {
    clusterId: null,
    replicaId: -1,
    replicaState: { replicaId: -1, replicaEpoch: -1 },
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 1 << 20,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [
      {
        topic: name,
        topicId: noTopicId,
        partitions: [
          {
            partition: index,
            currentLeaderEpoch: epoch,
            fetchOffset: offset,
            lastFetchedEpoch: -1,
            logStartOffset: -1,
            partitionMaxBytes: 1 << 20,
            replicaDirectoryId: noTopicId,
            highWatermark: null,
          },
        ],
      },
    ],
    forgottenTopicsData: [],
    rackId: "",
    ...rest,
  };
}

function fetched(node: OneNode, offset: number, over: Parameters<typeof fetchRequest>[1] = {}) {
  return node.ask<FetchResponse>("Fetch", 12, fetchRequest(offset, over))?.responses[0]
    ?.partitions[0];
}

function bases(records: Uint8Array | null | undefined): number[] {
  const found: number[] = [];
  if (records === null || records === undefined) return found;
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  for (let at = 0; at < records.byteLength; at += batchBytes(view, at))
    found.push(batchBaseOffset(view, at));
  return found;
}

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
    partitions.assign(slot, Number.MAX_SAFE_INTEGER - 1, 0, 0);
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

describe("broker: fetch", () => {
  test("an offset inside a batch brings the whole batch", () => {
    const node = withTopic();
    produced(node, batchOf(["a", "b", "c"]));
    produced(node, batchOf(["d"]));
    expect(bases(fetched(node, 1)?.records)).toEqual([0, 3]);
    expect(bases(fetched(node, 3)?.records)).toEqual([3]);
  });

  test("the first batch comes even above max_bytes", () => {
    const node = withTopic();
    produced(node, batchOf(["x".repeat(500)]));
    produced(node, batchOf(["y"]));
    expect(bases(fetched(node, 0, { maxBytes: 10 })?.records)).toEqual([0]);
  });

  test("offsets below the log start or above the end are out of range, the end itself is empty", () => {
    const node = withTopic();
    produced(node, batchOf(["a", "b"]));
    expect(fetched(node, 3)?.errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
    expect(fetched(node, 2)).toMatchObject({ errorCode: 0, highWatermark: 2 });
    expect(fetched(node, 2)?.records?.byteLength).toBe(0);
    expect(fetched(node, 0, { index: 9 })?.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  });

  test("a long poll is woken by the high watermark, not by the append", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const poll = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 60_000 }));
    node.settle();
    expect(node.answerTo(poll)).toBeUndefined();
    node.autoSync = false;
    node.send("Produce", 9, produceRequest(batchOf(["b"])));
    node.settle();
    expect(node.answerTo(poll)).toBeUndefined();
    node.sync();
    node.settle();
    expect(bases(node.answerTo<FetchResponse>(poll)?.responses[0]?.partitions[0]?.records)).toEqual(
      [1],
    );
  });

  test("a long poll ends at max_wait with every partition it named", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const poll = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 100 }));
    node.settle();
    node.tick(90);
    expect(node.answerTo(poll)).toBeUndefined();
    node.tick(20);
    expect(node.answerTo<FetchResponse>(poll)?.responses[0]?.partitions).toHaveLength(1);
  });

  test("a long poll leaves nothing behind when its connection goes, and is bounded", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const gone = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 0x7fffffff }), 41);
    node.settle();
    expect(node.node.broker.fetches.busyConnections).toBe(1);
    node.disconnect(41);
    expect(node.node.broker.fetches.busyConnections).toBe(0);
    produced(node, batchOf(["b"]));
    expect(node.answers.some((answer) => answer.call === gone)).toBe(false);
    const long = node.send("Fetch", 12, fetchRequest(2, { maxWaitMs: 0x7fffffff }));
    node.settle();
    node.tick(fetchWaitMsMax - 100);
    expect(node.answerTo(long)).toBeUndefined();
    node.tick(200);
    expect(node.answerTo(long)).toBeDefined();
  });

  test("min_bytes waits for that many bytes", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const size = batchOf(["b"]).byteLength;
    const poll = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 60_000, minBytes: size * 2 }));
    produced(node, batchOf(["b"]));
    expect(node.answerTo(poll)).toBeUndefined();
    produced(node, batchOf(["c"]));
    expect(bases(node.answerTo<FetchResponse>(poll)?.responses[0]?.partitions[0]?.records)).toEqual(
      [1, 2],
    );
  });

  test("a session tells only what changed (KIP-227)", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const full = node.ask<FetchResponse>("Fetch", 12, fetchRequest(0, { sessionEpoch: 0 }));
    expect(full?.sessionId).toBeGreaterThan(0);
    const next = (epoch: number, offset: number | null) =>
      node.ask<FetchResponse>("Fetch", 12, {
        ...fetchRequest(offset ?? 0, { sessionId: full?.sessionId ?? 0, sessionEpoch: epoch }),
        ...(offset === null ? { topics: [] } : {}),
      });
    expect(next(1, 1)?.responses).toEqual([]);
    produced(node, batchOf(["b"]));
    expect(bases(next(2, null)?.responses[0]?.partitions[0]?.records)).toEqual([1]);
    expect(next(2, null)?.errorCode).toBe(ErrorCode.INVALID_FETCH_SESSION_EPOCH);
    expect(
      node.ask<FetchResponse>("Fetch", 12, fetchRequest(0, { sessionId: 12345, sessionEpoch: 4 }))
        ?.errorCode,
    ).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  });

  test("leader epochs: newer is unknown, one before the restart is fenced", () => {
    let node = withTopic();
    produced(node, batchOf(["a"]));
    expect(fetched(node, 0, { epoch: 1 })?.errorCode).toBe(0);
    expect(fetched(node, 0, { epoch: 2 })?.errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
    node = node.powerCut();
    expect(fetched(node, 0, { epoch: 1 })?.errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    expect(fetched(node, 0, { epoch: 2 })?.errorCode).toBe(0);
  });

  test("a long poll on a deleted topic is answered", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const poll = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 60_000 }));
    node.settle();
    node.ask("DeleteTopics", 4, { topics: [], topicNames: ["t"], timeoutMs: 1000 });
    expect(node.answerTo<FetchResponse>(poll)?.responses[0]?.partitions[0]?.errorCode).toBe(
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    );
  });
});

describe("broker: list offsets", () => {
  test("special times and times of records", () => {
    const node = withTopic();
    produced(node, new Uint8Array(buildBatch([record("a", 1000), record("b", 3000)])));
    produced(
      node,
      new Uint8Array(buildBatch([record("c", 2000), record("d", 5000), record("e", 4000)])),
    );
    const at = (timestamp: number, version = 9) =>
      node.ask<ListOffsetsResponse>("ListOffsets", version, {
        replicaId: -1,
        isolationLevel: 0,
        topics: [
          { name: "t", partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }] },
        ],
        timeoutMs: 0,
      })?.topics[0]?.partitions[0];
    expect(at(-1)).toMatchObject({ errorCode: 0, offset: 5 });
    expect(at(-2)).toMatchObject({ errorCode: 0, offset: 0 });
    expect(at(-3)).toMatchObject({ errorCode: 0, offset: 3, timestamp: 5000 });
    expect(at(-3, 6)?.errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION);
    expect(at(-4)).toMatchObject({ errorCode: 0, offset: 0 });
    expect(at(-5)).toMatchObject({ errorCode: 0, offset: -1 });
    expect(at(2500)).toMatchObject({ offset: 1, timestamp: 3000 });
    expect(at(3001)).toMatchObject({ offset: 3, timestamp: 5000 });
    expect(at(6000)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  });
});
