// Partitions that nobody owns, and the bytes of those that somebody does, on a real store.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  leaderEpoch,
  offset,
  type PartitionIndex,
  partitionIndex,
  slot,
  type TopicId,
  topicId,
} from "../../core/base/ids.ts";
import type { Input } from "../../core/base/node_contract.ts";
import { Directory, resolveLibrary } from "../../storage/storage.ts";
import { buildBatch } from "../../wire/records.ts";
import { Disk } from "./disk.ts";

const topics = [1, 2].map((n) => topicId(Buffer.alloc(16, n).toString("base64url")));
const [kept, gone] = topics as [TopicId, TopicId]; // proof: two lines above
/** More than a few steps of the sweep. */
const partitionsPerTopic = 700;
const batch = new Uint8Array(
  buildBatch([{ timestamp: 1, key: null, value: new Uint8Array(500), headers: [] }]),
);

let path: string;
let library: string;

beforeAll(() => {
  path = mkdtempSync(join(tmpdir(), "pyralog-disk-"));
  const resolved = resolveLibrary(path);
  if (resolved.kind !== "found") throw new Error(resolved.tried.join("\n"));
  library = resolved.path;
});

afterAll(() => rmSync(path, { recursive: true }));

interface Opened {
  readonly directory: Directory;
  readonly disk: Disk;
  readonly inputs: Input[];
}

function open(name: string): Opened {
  const directory = Directory.open(library, join(path, name), {
    segmentBytes: 1024 * 1024,
    ringBytes: 1024 * 1024,
    indexInterval: 4096,
    enableMmap: false,
    flushIntervalMs: 1000,
    retentionCheckMs: 10,
    scrubBytesPerSecond: 0,
  });
  if (!(directory instanceof Directory)) throw new Error(directory.words);
  const disk = new Disk(directory.log);
  const inputs: Input[] = [];
  disk.attach({
    input: (input) => inputs.push(input),
    space: () => {},
    progressed: () => {},
    failed: (number) => {
      throw new Error(`the disk failed: ${number}`);
    },
    damaged: () => {
      throw new Error("the disk is damaged");
    },
  });
  return { directory, disk, inputs };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

function append({ disk }: Opened, at: number, base: number): void {
  disk.append(slot(at), leaderEpoch(1), offset(base), 1, offset(base), -1, true, batch);
}

const ownsKept = (topic: TopicId, partition: PartitionIndex): boolean =>
  topic === kept && partition < partitionsPerTopic;

function sweepAll({ disk, directory }: Opened, streams: number): void {
  const steps = Math.ceil((2 * partitionsPerTopic) / 256);
  for (let step = 0; step < steps; step += 1) disk.sweep(ownsKept);
  expect(directory.log.stats()["streams"]).toBe(streams);
}

test("disk: a sweep deletes what nobody owns, over all steps, and nothing else", async () => {
  let node = open("sweep");
  for (let index = 0; index < partitionsPerTopic; index += 1) {
    node.disk.open(slot(2 * index), kept, partitionIndex(index));
    node.disk.open(slot(2 * index + 1), gone, partitionIndex(index));
  }
  append(node, 0, 0);
  append(node, 1, 0);
  // Nothing of it is told to this life: as if the process had ended before.
  node.directory.close(true);
  node = open("sweep");
  expect(node.directory.log.stats()["streams"]).toBe(2 * partitionsPerTopic);
  sweepAll(node, partitionsPerTopic);
  node.directory.close(true);
  node = open("sweep");
  sweepAll(node, partitionsPerTopic);
  node.disk.open(slot(0), kept, partitionIndex(0));
  await until(() => node.inputs.some((input) => input.kind === "opened"));
  const opened = node.inputs.find((input) => input.kind === "opened");
  expect(opened?.kind === "opened" && opened.partition?.end).toBe(offset(1));
  // A partition that goes without having been opened in this life.
  node.disk.remove(slot(5));
  for (let step = 0; step < 10; step += 1) node.disk.sweep(() => false);
  expect(node.directory.log.stats()["streams"]).toBe(0);
  node.directory.close(true);
});

test("disk: the bytes of a partition fall after a trim", async () => {
  const node = open("bytes");
  node.disk.open(slot(3), kept, partitionIndex(0));
  for (let base = 0; base < 10; base += 1) append(node, 3, base);
  const bytes = node.disk.bytesOf(slot(3));
  expect(bytes).toBeGreaterThanOrEqual(10 * batch.byteLength);
  node.disk.trim(slot(3), offset(6));
  await until(() => node.disk.bytesOf(slot(3)) < bytes);
  expect(node.disk.bytesOf(slot(3))).toBe((bytes / 10) * 4);
  node.disk.trim(slot(3), offset(10));
  await until(() => node.disk.bytesOf(slot(3)) === 0);
  node.directory.close(true);
});
