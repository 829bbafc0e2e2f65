// How long a node with much data is gone after kill -9 under load: from exec to the first acknowledged
// record. In every second run the page cache is dropped before the restart, as after a reboot; that
// takes root, and the line says how many runs were cold.

import { writeFileSync } from "node:fs";
import type { Child } from "../child.ts";
import { removeScratchDir, waitUntil } from "../child.ts";
import { startUntilAcknowledged } from "../first_ack.ts";
import { KafkaClient, latestTimestamp } from "../kafka_client.ts";
import { backgroundProducer, produce } from "../load/rdkafka.ts";
import { freeBytes } from "../machine.ts";
import type { Options } from "../options.ts";
import type { Prepared } from "../peers/peer.ts";
import { preparePeer } from "../peers/peers.ts";
import { publish, sideReport } from "../report.ts";
import { type Figures, type Run, runRounds, type Side } from "../rounds.ts";
import { median, rounded } from "../stats.ts";
import { UsageError } from "../usage_error.ts";

const topic = "recovery";
const gib = 2 ** 30;
/** Of one run of the load program, which has a time limit. */
const fillBytes = gib / 2;
const defaultSizeBytes = 1024;
/** Records that a node takes under load before it is killed, at this rate. */
const loadRecords = 20_000;
const loadRate = 20_000;
const ackedDeadlineMs = 60_000;
/** Free space beyond the data itself: segments are filled ahead, and every run adds a little. */
const spareBytes = 3 * gib;

async function endOf(address: string): Promise<number> {
  const client = await KafkaClient.connect(address);
  try {
    const [end = 0] = await client.listOffsets(topic, 1, latestTimestamp);
    return end;
  } finally {
    client.close();
  }
}

function dropPageCache(): boolean {
  if (process.getuid?.() !== 0) return false;
  writeFileSync("/proc/sys/vm/drop_caches", "3");
  return true;
}

class Recovering implements Side {
  readonly name = "pyralog";
  readonly #prepared: Prepared;
  readonly #sizeBytes: number;
  #node: Child;

  constructor(prepared: Prepared, node: Child, sizeBytes: number) {
    this.#prepared = prepared;
    this.#node = node;
    this.#sizeBytes = sizeBytes;
  }

  get #address(): string {
    return this.#prepared.address ?? "";
  }

  /** The kill hits a node that has just acknowledged and has requests on the way. */
  async prepare(): Promise<void> {
    const load = backgroundProducer({
      ...{ address: this.#address, topic, sizeBytes: this.#sizeBytes, count: 2 ** 31 - 1 },
      ...{ lingerMs: 5, batchRecords: 10_000, rate: loadRate },
    });
    try {
      const enough = (await endOf(this.#address)) + loadRecords;
      await waitUntil("the load is acknowledged", this.#node, ackedDeadlineMs, async () =>
        (await endOf(this.#address)) >= enough ? true : undefined,
      );
      this.#node.kill("SIGKILL");
      await this.#node.exited;
    } finally {
      await load.kill();
    }
  }

  async measure(round: number): Promise<Figures> {
    await Bun.spawn(["sync"]).exited;
    const cold = round % 2 === 1 && dropPageCache();
    const { child, millis } = await startUntilAcknowledged(this.#prepared);
    this.#node = child;
    return { restart_ms: millis, cold: cold ? 1 : 0 };
  }

  stop(): Promise<number> {
    return this.#node.stop();
  }
}

function medianOf(runs: readonly Run[], cold: number): number | null {
  const millis = runs.filter((run) => run.figures["cold"] === cold);
  if (millis.length === 0) return null;
  return rounded(median(millis.map((run) => run.figures["restart_ms"] ?? Number.NaN)));
}

export async function benchRecovery(options: Options, command: string): Promise<void> {
  const { durability, settings, sizeBytes = defaultSizeBytes } = options;
  const prepared = preparePeer(options.subject, { durability, settings }, true);
  const wanted = options.gib * gib + spareBytes;
  if (freeBytes(prepared.folder) < wanted) {
    throw new UsageError(`recovery needs ${wanted / gib} GiB free in ${prepared.folder}`);
  }
  const { child, address } = await startUntilAcknowledged(prepared);
  const client = await KafkaClient.connect(address);
  await client.createTopic(topic, 1);
  client.close();
  const bytes = options.gib * gib;
  for (let written = 0; written < bytes; written += fillBytes) {
    console.error(`filling: ${rounded(written / gib)} of ${options.gib} GiB ...`);
    const count = Math.ceil(Math.min(fillBytes, bytes - written) / sizeBytes);
    await produce({ address, topic, sizeBytes, count, lingerMs: 5, batchRecords: 10_000 });
  }
  const side = new Recovering(prepared, child, sizeBytes);
  try {
    const runs = await runRounds([side], options);
    const ours = runs.get("pyralog") ?? [];
    publish({
      options,
      folder: prepared.folder,
      shape: { gib: options.gib, size: sizeBytes, partitions: 1, signal: "SIGKILL" },
      ours: sideReport({ name: options.subject, peer: prepared }, runs),
      others: [],
      compared: {},
      extra: { warm_ms: medianOf(ours, 0), cold_ms: medianOf(ours, 1) },
      command,
    });
  } finally {
    await side.stop();
    removeScratchDir(prepared.folder);
  }
}
