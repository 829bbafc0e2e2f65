// ListOffsets of the shipping broker, on disks in memory.

import { describe, expect, test } from "bun:test";
import type { ListOffsetsResponse } from "../../proto/kafka/02_list_offsets.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { buildBatch } from "../../src/wire/records.ts";
import type { OneNode } from "../sim/one_node.ts";
import { listed, produced, record, withTopic } from "./data_asks.ts";

describe("broker: list offsets", () => {
  test("special times and times of records", () => {
    const node = withTopic();
    produced(node, new Uint8Array(buildBatch([record("a", 1000), record("b", 3000)])));
    produced(
      node,
      new Uint8Array(buildBatch([record("c", 2000), record("d", 5000), record("e", 4000)])),
    );
    const at = (timestamp: number, version?: number) => listed(node, timestamp, version);
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

  const deleteBelow = (node: OneNode, offset: number): void => {
    const partitions = [{ partitionIndex: 0, offset }];
    node.ask("DeleteRecords", 2, { topics: [{ name: "t", partitions }], timeoutMs: 1000 });
  };
  const append = (node: OneNode, ...times: readonly number[]): void => {
    const records = times.map((time) => record("v", time));
    produced(node, new Uint8Array(buildBatch(records)));
  };

  test("a record that was deleted out of its batch is not answered for its time", () => {
    const node = withTopic();
    append(node, 1000, 5000, 2000);
    append(node, 3000, 3500);
    append(node, 6000);
    deleteBelow(node, 2);
    expect(listed(node, -2)).toMatchObject({ errorCode: 0, offset: 2 });
    // In the rest of the batch, in the next one, in one behind it, nowhere.
    expect(listed(node, 500)).toMatchObject({ errorCode: 0, offset: 2, timestamp: 2000 });
    expect(listed(node, 2500)).toMatchObject({ errorCode: 0, offset: 3, timestamp: 3000 });
    expect(listed(node, 4000)).toMatchObject({ errorCode: 0, offset: 5, timestamp: 6000 });
    expect(listed(node, 7000)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  });

  test("the highest timestamp is that of a record which is there", () => {
    const node = withTopic();
    append(node, 1000, 5000, 4000);
    append(node, 3000, 3500);
    deleteBelow(node, 1);
    expect(listed(node, -3)).toMatchObject({ errorCode: 0, offset: 1, timestamp: 5000 });
    deleteBelow(node, 2);
    expect(listed(node, -3)).toMatchObject({ errorCode: 0, offset: 2, timestamp: 4000 });
    append(node, 4000, 4500);
    expect(listed(node, -3)).toMatchObject({ errorCode: 0, offset: 6, timestamp: 4500 });
    deleteBelow(node, 7);
    expect(listed(node, -3)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  });

  test("a partition that is named twice is refused, the others are answered", () => {
    const node = withTopic();
    append(node, 1000);
    const asked = (...indexes: readonly number[]) => ({
      name: "t",
      partitions: indexes.map((partitionIndex) => ({
        partitionIndex,
        currentLeaderEpoch: -1,
        timestamp: -1,
      })),
    });
    const answer = node.ask<ListOffsetsResponse>("ListOffsets", 9, {
      replicaId: -1,
      isolationLevel: 0,
      topics: [asked(0, 1), asked(1)],
      timeoutMs: 0,
    });
    expect(answer?.topics.map((topic) => topic.partitions.map((each) => each.errorCode))).toEqual([
      [ErrorCode.NONE, ErrorCode.INVALID_REQUEST],
      [ErrorCode.INVALID_REQUEST],
    ]);
  });
});
