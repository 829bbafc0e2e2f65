// What the disk holds of topics that are gone: deleted when there is room, or after the next start.

import { expect, test } from "bun:test";
import type { FetchResponse } from "../../proto/kafka/01_fetch.ts";
import type { Effects } from "../../src/core/base/node_contract.ts";
import { DataNode } from "../../src/core/node/node.ts";
import { buildBatch } from "../../src/wire/records.ts";
import { OneNode } from "../sim/one_node.ts";

const tickMs = 10;

function withTopics(): OneNode {
  const node = new OneNode();
  const topics = ["kept", "gone"].map((name) => ({
    name,
    numPartitions: 3,
    replicationFactor: -1,
    assignments: [],
    configs: [],
  }));
  node.ask("CreateTopics", 7, { topics, timeoutMs: 1000, validateOnly: false });
  node.tick(tickMs);
  for (const { name } of topics) {
    const record = { timestamp: 1, key: null, value: new TextEncoder().encode(name), headers: [] };
    const records = new Uint8Array(buildBatch([record]));
    const partitions = [{ index: 0, records }];
    node.ask("Produce", 9, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topics: [{ name, partitions }],
    });
  }
  expect(node.disk.keys).toHaveLength(6);
  return node;
}

function remove(node: OneNode): void {
  node.ask("DeleteTopics", 5, { topicNames: ["gone"], topics: [], timeoutMs: 1000 });
  expect(node.node.broker.image.topicByName("gone")).toBeUndefined();
}

function expectKept(node: OneNode): void {
  const id = node.node.broker.image.topicByName("kept")?.id ?? "";
  expect(node.disk.keys.toSorted()).toEqual([0, 1, 2].map((partition) => `${id}/${partition}`));
  const partition = { partition: 0, fetchOffset: 0, partitionMaxBytes: 1000, logStartOffset: -1 };
  const fetched = node.ask<FetchResponse>("Fetch", 11, {
    replicaId: -1,
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 1000,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [{ topic: "kept", partitions: [{ ...partition, currentLeaderEpoch: -1 }] }],
    forgottenTopicsData: [],
    rackId: "",
  });
  expect(fetched?.responses[0]?.partitions[0]?.records?.byteLength).toBeGreaterThan(0);
}

test("broker: a deletion that found a full disk is done when there is room", () => {
  const node = withTopics();
  node.disk.full = true;
  remove(node);
  node.tick(tickMs);
  expect(node.disk.keys).toHaveLength(6);
  node.disk.full = false;
  node.tick(tickMs);
  expectKept(node);
});

test("broker: a deletion that the process did not live to do is done after the next start", () => {
  let node = withTopics();
  node.disk.full = true;
  remove(node);
  node = node.powerCut();
  expect(node.disk.keys).toHaveLength(6);
  node.tick(tickMs);
  expectKept(node);
});

test("broker: nothing is deleted before the metadata of this life is there", () => {
  const { settings } = new OneNode();
  const node = new DataNode(settings);
  let sweeps = 0;
  const effects = { sweep: () => (sweeps += 1) } as unknown as Effects; // proof: a tick without metadata asks for nothing else
  node.step({ kind: "tick", now: 1, wall: 1 }, effects);
  expect(sweeps).toBe(0);
});
