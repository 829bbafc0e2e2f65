// Produce, fetch and list-offsets requests as the tests of the broker send them.

import type { FetchRequest, FetchResponse } from "../../proto/kafka/01_fetch.ts";
import type { ListOffsetsResponse } from "../../proto/kafka/02_list_offsets.ts";
import type { ProduceResponse } from "../../proto/kafka/00_produce.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import { batchBaseOffset, batchBytes } from "../../src/wire/batch.ts";
import { type BatchOptions, buildBatch, type NewRecord } from "../../src/wire/records.ts";
import { OneNode } from "../sim/one_node.ts";

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export function record(
  value: string,
  timestamp = 1_700_000_000_000,
  key: string | null = "k",
): NewRecord {
  return { key: key === null ? null : text(key), value: text(value), timestamp };
}

export function batchOf(
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

export function withTopic(
  kafka: Record<string, string> = {},
  configs: readonly { name: string; value: string }[] = [],
): OneNode {
  const node = new OneNode(kafka);
  createTopic(node, "t", 2, configs);
  return node;
}

export function createTopic(
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

export function produceRequest(
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

export function produced(
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

export function fetchRequest(
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

export function fetched(
  node: OneNode,
  offset: number,
  over: Parameters<typeof fetchRequest>[1] = {},
) {
  return node.ask<FetchResponse>("Fetch", 12, fetchRequest(offset, over))?.responses[0]
    ?.partitions[0];
}

export function bases(records: Uint8Array | null | undefined): number[] {
  const found: number[] = [];
  if (records === null || records === undefined) return found;
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  for (let at = 0; at < records.byteLength; at += batchBytes(view, at))
    found.push(batchBaseOffset(view, at));
  return found;
}

/** ListOffsets of one partition of "t". */
export function listed(node: OneNode, timestamp: number, version = 9) {
  return node.ask<ListOffsetsResponse>("ListOffsets", version, {
    replicaId: -1,
    isolationLevel: 0,
    topics: [{ name: "t", partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }] }],
    timeoutMs: 0,
  })?.topics[0]?.partitions[0];
}
