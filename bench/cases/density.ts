// Very many partitions in one process (shape S8), each written and read: what a partition costs in
// resident bytes and descriptors, what a produce costs beside one with a single partition, and how long
// a restart takes. Topics are added one after the other, so that the cost of a partition is a slope over
// ten points and no difference of two.

import { removeScratchDir } from "../child.ts";
import { startUntilAcknowledged } from "../first_ack.ts";
import { KafkaClient, singleRecordBatch } from "../kafka_client.ts";
import { latencyFigures, measureLatency } from "../load/open_loop.ts";
import type { Options } from "../options.ts";
import type { Prepared } from "../peers/peer.ts";
import { preparePeer, startPeer } from "../peers/peers.ts";
import { descriptorCount, treeRssBytes } from "../proc.ts";
import { publish, type SideReport, sideReport } from "../report.ts";
import { runRounds, type Side } from "../rounds.ts";
import { rounded, slope } from "../stats.ts";

const topicPrefix = "density-";
const topics = 10;
const partitionsDefault = 100_000;
const sizeDefaultBytes = 100;
/** Between the last answer and a sample of memory. */
const restMs = 2_000;
const secondsPerRun = 10;
const quickSecondsPerRun = 2;
const warmupSeconds = 1;

interface Point {
  readonly partitions: number;
  readonly rssBytes: number;
  readonly descriptors: number;
}

/** Writes one record to every partition of one more topic and reads them all back. */
async function addTopic(address: string, name: string, partitions: number, sizeBytes: number) {
  const client = await KafkaClient.connect(address);
  try {
    await client.createTopic(name, partitions);
    const batch = singleRecordBatch(crypto.getRandomValues(new Uint8Array(sizeBytes)), Date.now());
    await client.produceEach(name, partitions, batch);
    const found = await client.countBatches(name, partitions);
    if (found !== partitions) throw new Error(`${name} has ${found} batches, not ${partitions}`);
  } finally {
    client.close();
  }
}

async function grow(
  address: string,
  pid: number,
  perTopic: number,
  sizeBytes: number,
): Promise<readonly Point[]> {
  const points: Point[] = [];
  for (let index = 0; index < topics; index += 1) {
    await addTopic(address, `${topicPrefix}${index}`, perTopic, sizeBytes);
    await Bun.sleep(restMs);
    const partitions = (index + 1) * perTopic;
    const rssBytes = treeRssBytes(pid);
    points.push({ partitions, rssBytes, descriptors: descriptorCount(pid) });
    console.error(`${partitions} partitions: RSS ${rounded(rssBytes / 1e6)} MB`);
  }
  return points;
}

function latencySide(
  name: "pyralog" | "one",
  address: string,
  options: Options,
  spread: { readonly topics: number; readonly partitions: number },
): Side {
  const { rate: requestsPerSecond, sizeBytes = sizeDefaultBytes, quick } = options;
  const warmupCount = requestsPerSecond * warmupSeconds;
  const seconds = quick ? quickSecondsPerRun : secondsPerRun;
  const count = (options.count ?? requestsPerSecond * seconds) + warmupCount;
  const topic = `${topicPrefix}0`;
  return {
    name,
    prepare: () => Promise.resolve(),
    async measure() {
      const load = { address, topic, sizeBytes, requestsPerSecond, count, warmupCount, spread };
      return latencyFigures(await measureLatency(load));
    },
  };
}

/** Restart to the first acknowledged record: after a clean stop, and after kill -9. */
async function restarts(prepared: Prepared, stop: () => Promise<unknown>) {
  await stop();
  const clean = await startUntilAcknowledged(prepared, `${topicPrefix}0`);
  clean.child.kill("SIGKILL");
  await clean.child.exited;
  const killed = await startUntilAcknowledged(prepared, `${topicPrefix}0`);
  const descriptors = descriptorCount(killed.child.pid);
  await killed.child.stop();
  return {
    restart_clean_ms: rounded(clean.millis),
    restart_killed_ms: rounded(killed.millis),
    descriptors_after_restart: descriptors,
  };
}

export async function benchDensity(options: Options, command: string): Promise<void> {
  const { durability, settings, sizeBytes = sizeDefaultBytes } = options;
  const perTopic = Math.ceil((options.partitions ?? partitionsDefault) / topics);
  const prepared = preparePeer(options.subject, { durability, settings }, true);
  const { child, address } = await startUntilAcknowledged(prepared);
  const one = await startPeer(options.subject, { durability, settings });
  try {
    await addTopic(one.address, `${topicPrefix}0`, 1, sizeBytes);
    const points = await grow(address, child.pid, perTopic, sizeBytes);
    const sides = [
      latencySide("pyralog", address, options, { topics, partitions: perTopic }),
      latencySide("one", one.address, options, { topics: 1, partitions: 1 }),
    ];
    for (const side of sides) await side.measure(-1);
    const runs = await runRounds(sides, options);
    const single: SideReport = { ...sideReport({ name: "one", peer: one }, runs), name: "one" };
    const rssSlope = slope(
      points.map((point) => point.partitions),
      points.map((point) => point.rssBytes),
    );
    publish({
      options,
      folder: prepared.folder,
      shape: { name: "S8", partitions: perTopic * topics, size: sizeBytes, rate: options.rate },
      ours: sideReport({ name: "pyralog", peer: prepared }, runs),
      others: [single],
      compared: { p50_us: "cost", p99_us: "cost" },
      extra: {
        rss_bytes_per_partition: rounded(rssSlope),
        rss_mb: points.map((point) => rounded(point.rssBytes / 1e6)),
        descriptors: points.map((point) => point.descriptors),
        ...(await restarts(prepared, () => child.stop())),
      },
      command,
    });
  } finally {
    await child.stop();
    await one.stop();
    removeScratchDir(prepared.folder);
  }
}
