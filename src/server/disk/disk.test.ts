// The data thread's disk on a real store: what it does with more than it can take.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { Codec } from "../../core/base/facts.ts";
import {
  leaderEpoch,
  offset,
  type PartitionIndex,
  type Slot,
  type TopicId,
} from "../../core/base/ids.ts";
import { diskRequestsQueuedMax } from "../../core/base/limits.ts";
import type { Input } from "../../core/base/node_contract.ts";
import { Directory, resolveLibrary } from "../../storage/storage.ts";
import { stampCrc } from "../../wire/batch.ts";
import { buildBatch, findRecord } from "../../wire/records.ts";
import { Disk } from "./disk.ts";

const folder = mkdtempSync(join(tmpdir(), "pyralog-disk-"));
let directory: Directory;
let disk: Disk;
let inputs: Input[] = [];
let progressed: () => void = () => {};

beforeAll(() => {
  const library = resolveLibrary(folder);
  if (library.kind !== "found") throw new Error(library.tried.join("\n"));
  const opened = Directory.open(library.path, folder, {
    segmentBytes: 16 * 1024 * 1024,
    ringBytes: 32 * 1024 * 1024,
    indexInterval: 4096,
    enableMmap: false,
    flushIntervalMs: 1000,
    retentionCheckMs: 300_000,
    scrubBytesPerSecond: 0,
  });
  if (!(opened instanceof Directory)) throw new Error(opened.words);
  directory = opened;
  disk = new Disk(directory.log);
  disk.attach({
    input: (input) => inputs.push(input),
    space: () => {},
    progressed: () => progressed(),
    failed: (number) => {
      throw new Error(`the disk failed: ${number}`);
    },
    damaged: () => {
      throw new Error("nothing is damaged");
    },
  });
});

afterAll(() => {
  directory.close(true);
  rmSync(folder, { recursive: true, force: true });
});

function openPartition(slot: number): Slot {
  const opened = slot as Slot; // proof: the test hands out the slots
  // proof: 22 characters of base64url; the first partition
  disk.open(opened, "AAAAAAAAAAAAAAAAAAAABQ" as TopicId, slot as PartitionIndex);
  expect(inputs.some((input) => input.kind === "opened" && input.partition !== null)).toBe(true);
  return opened;
}

function outcomes(status: string): number {
  return inputs.filter((input) => input.kind === "looked-up" && input.outcome.status === status)
    .length;
}

test("server: look-ups beyond what may wait for the disk fail at once, all others are answered", async () => {
  const slot = openPartition(0);
  inputs = [];
  const asked = diskRequestsQueuedMax + 1000;
  for (let request = 1; request <= asked; request += 1)
    disk.lookup(request, slot, "timestamp", 5, offset(0), offset(0));
  const refused = outcomes("failed");
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(1000);
  await new Promise<void>((resolve) => {
    progressed = () => {
      if (outcomes("ok") + refused === asked) resolve();
    };
    progressed();
  });
  expect(outcomes("failed")).toBe(refused);
}, 60_000);

test("server: of batches that were looked up one is opened per turn of the event loop", async () => {
  const slot = openPartition(3);
  const records = Array.from({ length: 100 }, (_, at) => ({
    key: null,
    value: null,
    timestamp: at,
  }));
  const packed = gzipBatch(buildBatch(records));
  disk.append(slot, leaderEpoch(0), offset(0), 100, offset(0), -1, false, packed);
  inputs = [];
  const asked = 40;
  for (let request = 1; request <= asked; request += 1)
    disk.lookup(request, slot, "timestamp", 5, offset(0), offset(100));
  for (let before = 0; before < asked; ) {
    await new Promise((resolve) => setImmediate(resolve));
    const answered = outcomes("ok");
    expect(answered - before).toBeLessThanOrEqual(1);
    before = answered;
  }
  const found = inputs.flatMap((input) => (input.kind === "looked-up" ? [input] : []));
  expect(new Set(found.map((input) => input.request)).size).toBe(asked);
  for (const { outcome } of found)
    expect(findRecord(outcome.records, "timestamp", 5, 0)).toEqual({ offset: 5, timestamp: 5 });
});

/** The batch with its records packed. */
function gzipBatch(batch: Uint8Array): Uint8Array {
  const packed = gzipSync(batch.subarray(61));
  const bytes = Buffer.concat([batch.subarray(0, 61), packed]);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt16BE(Codec.gzip, 21);
  stampCrc(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0);
  return bytes;
}

test("server: a read of a partition that is deleted meanwhile fails, the others are served", () => {
  const gone = openPartition(1);
  const kept = openPartition(2);
  disk.remove(gone);
  inputs = [];
  const part = { offset: offset(0), limit: offset(0), bytesMax: 100 };
  disk.read(
    9,
    [
      { ...part, slot: gone },
      { ...part, slot: kept },
    ],
    100,
  );
  const [done] = inputs;
  if (done?.kind !== "read-done") throw new Error("the read is answered");
  expect(done.parts.map((each) => each.status)).toEqual(["failed", "ok"]);
});
