// Producer ids, leader epochs and deleted records, on disks in memory.

import { describe, expect, test } from "bun:test";
import type { DeleteRecordsResponse } from "../../proto/kafka/21_delete_records.ts";
import type { InitProducerIdResponse } from "../../proto/kafka/22_init_producer_id.ts";
import type { OffsetForLeaderEpochResponse } from "../../proto/kafka/23_offset_for_leader_epoch.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { OneNode } from "../sim/one_node.ts";
import { ask, versionsOf, create, withTopics, produce } from "./admin_asks.ts";

describe("broker: producer ids, epochs and deleted records", () => {
  function init(
    node: OneNode,
    version: number,
    over: Record<string, unknown> = {},
  ): InitProducerIdResponse {
    return ask(node, "InitProducerId", version, {
      transactionalId: null,
      transactionTimeoutMs: 1000,
      producerId: -1,
      producerEpoch: -1,
      ...over,
    });
  }

  for (const version of versionsOf("InitProducerId")) {
    test(`every producer gets an id of its own at epoch 0 (v${version})`, () => {
      const node = new OneNode();
      const ids = [0, 1, 2].map(() => init(node, version));
      expect(ids.map((each) => [each.errorCode, each.producerId, each.producerEpoch])).toEqual([
        [0, 0, 0],
        [0, 1, 0],
        [0, 2, 0],
      ] as never);
    });
  }

  test("ids come in blocks of 1000 and are not given again after a power cut", () => {
    const node = new OneNode();
    const seen = new Set<number>();
    for (let i = 0; i < 1500; i += 1) seen.add(Number(init(node, 4).producerId));
    expect(seen.size).toBe(1500);
    expect(init(node.powerCut(), 4).producerId).toBe(2000 as never);
  });

  test("many at once share one block, each with its own id", () => {
    const node = new OneNode();
    node.autoSync = false;
    const request = {
      transactionalId: null,
      transactionTimeoutMs: 0,
      producerId: -1,
      producerEpoch: -1,
    };
    const calls = Array.from({ length: 1200 }, () => node.send("InitProducerId", 4, request));
    node.settle();
    for (let i = 0; i < 2; i += 1) {
      node.sync();
      node.settle();
    }
    const ids = calls.map((call) => node.answerTo<InitProducerIdResponse>(call)?.producerId);
    expect(new Set(ids).size).toBe(1200);
    expect(ids.includes(undefined)).toBe(false);
  });

  const refused: readonly (readonly [string, Record<string, unknown>, number])[] = [
    ["transactions are off", { transactionalId: "tx" }, ErrorCode.UNSUPPORTED_VERSION],
    ["an empty transactional id", { transactionalId: "" }, ErrorCode.INVALID_REQUEST],
    ["an id without epoch", { producerId: 5 }, ErrorCode.INVALID_REQUEST],
    ["an epoch without id", { producerEpoch: 5 }, ErrorCode.INVALID_REQUEST],
  ];
  for (const [why, over, code] of refused) {
    test(`no id is given (${why})`, () => {
      expect(init(new OneNode(), 4, over)).toMatchObject({ errorCode: code, producerId: -1 });
    });
  }

  test("an id with its epoch gets a new id, as in Kafka", () => {
    expect(init(new OneNode(), 3, { producerId: 5, producerEpoch: 2 })).toMatchObject({
      errorCode: 0,
      producerId: 0,
      producerEpoch: 0,
    });
  });

  function epochEnd(
    node: OneNode,
    epoch: number,
    version = 4,
    current = -1,
    topic = "t",
    partition = 0,
  ) {
    const request = {
      replicaId: -1,
      topics: [
        { topic, partitions: [{ partition, currentLeaderEpoch: current, leaderEpoch: epoch }] },
      ],
    };
    const [answer] =
      ask<OffsetForLeaderEpochResponse>(node, "OffsetForLeaderEpoch", version, request).topics[0]
        ?.partitions ?? [];
    return [answer?.errorCode, answer?.leaderEpoch, answer?.endOffset];
  }

  for (const version of versionsOf("OffsetForLeaderEpoch")) {
    test(`an epoch ends where the next one starts; the open one at the log end (v${version})`, () => {
      let node = withTopics();
      produce(node, "t", 0, 3);
      node = node.powerCut();
      produce(node, "t", 0, 2);
      node = node.powerCut().powerCut();
      expect(epochEnd(node, 1, version)).toEqual([0, 1, 3] as never);
      expect(epochEnd(node, 2, version)).toEqual([0, 2, 5] as never);
      expect(epochEnd(node, 3, version)).toEqual([0, 2, 5] as never);
      expect(epochEnd(node, 4, version)).toEqual([0, 4, 5] as never);
      expect(epochEnd(node, 9, version)).toEqual([0, -1, -1] as never);
    });
  }

  test("an older and a newer leader than ours, and a partition that is none", () => {
    const node = withTopics().powerCut();
    expect(epochEnd(node, 1, 4, 1)).toEqual([ErrorCode.FENCED_LEADER_EPOCH, -1, -1] as never);
    expect(epochEnd(node, 1, 4, 3)).toEqual([ErrorCode.UNKNOWN_LEADER_EPOCH, -1, -1] as never);
    expect(epochEnd(node, 1, 4, 2)).toEqual([0, 1, 0] as never);
    expect(epochEnd(node, 1, 4, -1, "t", 3)).toEqual([
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      -1,
      -1,
    ] as never);
    expect(epochEnd(node, 1, 4, -1, "none")).toEqual([
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      -1,
      -1,
    ] as never);
  });

  function deleteRecords(
    node: OneNode,
    topic: string,
    offsets: Record<number, number>,
    version = 2,
  ): unknown[] {
    const partitions = Object.entries(offsets).map(([index, offset]) => ({
      partitionIndex: Number(index),
      offset,
    }));
    const request = { topics: [{ name: topic, partitions }], timeoutMs: 1000 };
    const answers =
      ask<DeleteRecordsResponse>(node, "DeleteRecords", version, request).topics[0]?.partitions ??
      [];
    return answers.map((each) => [each.errorCode, each.lowWatermark]);
  }

  for (const version of versionsOf("DeleteRecords")) {
    test(`the log start rises to the offset, or to the high watermark by -1 (v${version})`, () => {
      const node = withTopics();
      for (const index of [0, 1]) produce(node, "t", index, 5);
      expect(deleteRecords(node, "t", { 0: 3, 1: -1, 2: -1 }, version)).toEqual([
        [0, 3],
        [0, 5],
        [0, 0],
      ]);
      expect(deleteRecords(node, "t", { 0: 2 }, version)).toEqual([[0, 3]]);
      const again = node.powerCut();
      expect(deleteRecords(again, "t", { 0: 0, 1: 0 }, version)).toEqual([
        [0, 3],
        [0, 5],
      ]);
    });
  }

  test("offsets out of range, partitions and topics that are none or delete nothing", () => {
    const node = withTopics();
    create(node, [{ name: "keys", configs: [{ name: "cleanup.policy", value: "compact" }] }]);
    produce(node, "t", 0, 5);
    const { OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION, POLICY_VIOLATION } = ErrorCode;
    expect(deleteRecords(node, "t", { 0: 6 })).toEqual([[OFFSET_OUT_OF_RANGE, -1]]);
    expect(deleteRecords(node, "t", { 0: -2 })).toEqual([[OFFSET_OUT_OF_RANGE, -1]]);
    expect(deleteRecords(node, "t", { 3: 0 })).toEqual([[UNKNOWN_TOPIC_OR_PARTITION, -1]]);
    expect(deleteRecords(node, "none", { 0: 0 })).toEqual([[UNKNOWN_TOPIC_OR_PARTITION, -1]]);
    expect(deleteRecords(node, "keys", { 0: 0 })).toEqual([[POLICY_VIOLATION, -1]]);
  });
});
