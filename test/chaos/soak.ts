// Steady load on topics with a short retention: does disk use, memory or the number of descriptors
// creep? Samples the node from outside, stops by itself, prints one JSON line.
//
//   bun test/chaos/soak.ts [--minutes 15] [--warmup 3] [--mb-per-s 16] [--consumers 1]
//                          [--set section.key=value]... [--subject pyralog|kafka]
//
// The load: one producer and a group of consumers on a topic with retention by time, one idempotent
// producer on a topic with retention by size. The offsets that the group commits matter: they live
// on in whatever space they share with records that are gone. Exit code 0 = flat, 1 = not.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Child, exitOnSignals } from "../../bench/child.ts";
import { earliestTimestamp, KafkaClient, latestTimestamp } from "../../bench/kafka_client.ts";
import { produceArguments, rdkafkaPerformance } from "../../bench/load/rdkafka.ts";
import { describeMachine } from "../../bench/machine.ts";
import { start as startKafka } from "../../bench/peers/kafka.ts";
import type { Peer } from "../../bench/peers/peer.ts";
import { start as startNode } from "../../bench/peers/pyralog.ts";
import { descriptorCount } from "../../bench/proc.ts";
import { keep } from "../../bench/report.ts";
import { median, rounded, slope } from "../../bench/stats.ts";

const recordBytes = 1024;
const partitions = 6;
const sampleSeconds = 5;
const retentionSeconds = 60;
/** Growth over the whole time after the warm-up, as a share of the median, that counts as flat. */
const driftMax = 0.01;

/** With a retention of a minute, Kafka's default of looking every five would only delay the steady state. */
const soakSettings = ["kafka.log_retention_check_interval_ms=10000"];

/** The lows of three windows: fewer make no slope. */
const windowSeconds = 120;
const steadyMinutesMin = (3 * windowSeconds) / 60;

interface Options {
  readonly minutes: number;
  readonly warmupMinutes: number;
  readonly megabytesPerSecond: number;
  readonly consumers: number;
  readonly settings: readonly string[];
  readonly subject: string;
}

function parse(args: readonly string[]): Options {
  const values = new Map<string, string>();
  const settings: string[] = [];
  for (let index = 0; index < args.length; index += 2) {
    const name = args[index] ?? "";
    const value = args[index + 1];
    if (value === undefined) throw new Error(`${name} needs a value`);
    if (name === "--set") settings.push(value);
    else values.set(name, value);
  }
  const number = (name: string, otherwise: number) => Number(values.get(name) ?? otherwise);
  const minutes = number("--minutes", 15);
  const warmupMinutes = number("--warmup", 3);
  if (!(minutes - warmupMinutes >= steadyMinutesMin)) {
    throw new Error(`a verdict needs ${steadyMinutesMin} minutes after the warm-up`);
  }
  return {
    minutes,
    warmupMinutes,
    megabytesPerSecond: number("--mb-per-s", 16),
    consumers: number("--consumers", 1),
    settings,
    subject: values.get("--subject") ?? "pyralog",
  };
}

interface Sample {
  readonly seconds: number;
  readonly diskBytes: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  /** Records between log start and log end of both topics. */
  readonly liveRecords: number;
  readonly producedRecords: number;
}

/** What the files of a folder take on the disk, and which they are (by inode). */
function diskUse(folder: string): { bytes: number; inodes: Set<number> } {
  let bytes = 0;
  const inodes = new Set<number>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const found = statSync(join(folder, name), { throwIfNoEntry: false });
    if (found === undefined || !found.isFile()) continue;
    bytes += found.blocks * 512;
    inodes.add(found.ino);
  }
  return { bytes, inodes };
}

/**
 * What the topic with retention by size may keep, in seconds of the wanted rate. Far below the
 * warm-up, because a loaded machine delivers less than that and the limit must be reached in it.
 */
const sizeSeconds = 20;
const byTime = "soak-by-time";
const bySize = "soak-by-size";

/** A topic with retention by time, and one with retention by size. */
async function createTopics(client: KafkaClient, options: Options): Promise<void> {
  const bytes = (options.megabytesPerSecond / 2) * 1e6 * sizeSeconds;
  // Kafka drops only whole segments of a partition; ours are shared and need no such hint.
  const rolling: Record<string, string> =
    options.subject === "kafka" ? { "segment.ms": "10000", "segment.bytes": "16777216" } : {};
  await client.createTopic(byTime, partitions, {
    "retention.ms": String(retentionSeconds * 1000),
    ...rolling,
  });
  await client.createTopic(bySize, partitions, {
    "retention.bytes": String(Math.floor(bytes / partitions)),
    ...rolling,
  });
}

function startLoad(address: string, folder: string, options: Options): readonly Child[] {
  const rate = Math.round((options.megabytesPerSecond / 2) * (1e6 / recordBytes));
  // A little more than the time needs: the soak ends its load, not the other way round.
  const count = Math.ceil(rate * (options.minutes * 60 + 60));
  const load = {
    address,
    sizeBytes: recordBytes,
    count,
    rate,
    lingerMs: 5,
    batchRecords: 10_000,
    batchBytes: 16_384,
  };
  const program = rdkafkaPerformance();
  const consumer = ["-G", "soak", "-t", byTime, "-b", address, "-q", "-o", "end"];
  const commands = [
    produceArguments({ ...load, topic: byTime }),
    produceArguments({ ...load, topic: bySize, idempotent: true }),
    ...Array.from({ length: options.consumers }, () => consumer),
  ];
  return commands.map(
    (args, index) =>
      new Child({ command: [program, ...args], logPath: join(folder, `load-${index}.log`) }),
  );
}

async function recordsOf(client: KafkaClient): Promise<{ live: number; produced: number }> {
  let live = 0;
  let produced = 0;
  for (const topic of [byTime, bySize]) {
    const starts = await client.listOffsets(topic, partitions, earliestTimestamp);
    const ends = await client.listOffsets(topic, partitions, latestTimestamp);
    for (const [partition, end] of ends.entries()) {
      produced += end;
      live += end - (starts[partition] ?? 0);
    }
  }
  return { live, produced };
}

interface Observed {
  readonly samples: readonly Sample[];
  /** Files that appeared after the warm-up, and files that stand there at the end. */
  readonly newFiles: number;
  readonly files: number;
}

async function observe(peer: Peer, client: KafkaClient, options: Options, load: readonly Child[]) {
  const startMs = performance.now();
  const samples: Sample[] = [];
  let known = new Set<number>();
  let newFiles = 0;
  let files = 0;
  const passed = () => (performance.now() - startMs) / 1000;
  while (passed() < options.minutes * 60) {
    await Bun.sleep(sampleSeconds * 1000);
    const ended = load.find((child) => !child.running);
    if (ended !== undefined) throw new Error(`the load ended early:\n${ended.log().slice(-2000)}`);
    const { bytes, inodes } = diskUse(peer.dataDir);
    const { live, produced } = await recordsOf(client);
    const seconds = passed();
    if (seconds >= options.warmupMinutes * 60) newFiles += inodes.difference(known).size;
    known = known.union(inodes);
    files = inodes.size;
    samples.push({
      seconds,
      diskBytes: bytes,
      rssBytes: peer.rssBytes(),
      descriptors: descriptorCount(peer.pid),
      liveRecords: live,
      producedRecords: produced,
    });
    const figures = [
      `${Math.round(seconds)} s`,
      `disk ${Math.round(bytes / 1e6)} MB in ${files} files`,
      `rss ${Math.round(peer.rssBytes() / 1e6)} MB`,
      `descriptors ${descriptorCount(peer.pid)}`,
      `records ${live} of ${produced}`,
    ];
    console.error(figures.join("  "));
  }
  return { samples, newFiles, files } satisfies Observed;
}

/** Growth over the samples' whole time, as a share of their median. Negative = shrinking. */
export function drift(times: readonly number[], values: readonly number[]): number {
  const spanSeconds = (times.at(-1) ?? 0) - (times[0] ?? 0);
  return (slope(times, values) * spanSeconds) / median(values);
}

/**
 * The lowest value of each two minutes and when its window began. Memory under a collector is a saw:
 * what it falls back to is what is kept, so a leak lifts the lows, and a collection more or less does
 * not. A window with less than half of the samples may have missed its low and does not count.
 */
export function lows(
  times: readonly number[],
  values: readonly number[],
): { times: number[]; values: number[] } {
  const windows: number[][] = [];
  for (const [index, time] of times.entries()) {
    const window = Math.floor((time - (times[0] ?? 0)) / windowSeconds);
    (windows[window] ??= []).push(values[index] ?? Number.NaN);
  }
  const fullest = Math.max(...windows.map((window) => window.length));
  const kept = [...windows.entries()].filter(([, window]) => window.length * 2 >= fullest);
  return {
    times: kept.map(([window]) => window * windowSeconds),
    values: kept.map(([, window]) => Math.min(...window)),
  };
}

function judge({ samples, newFiles, files }: Observed, options: Options) {
  const steady = samples.filter(({ seconds }) => seconds >= options.warmupMinutes * 60);
  const last = steady.at(-1);
  const first = steady[0];
  if (first === undefined || last === undefined) throw new Error("no sample after the warm-up");
  const times = steady.map(({ seconds }) => seconds);
  const rss = steady.map((sample) => sample.rssBytes);
  const lowest = lows(times, rss);
  const drifts = {
    disk: drift(
      times,
      steady.map((sample) => sample.diskBytes),
    ),
    rss: drift(lowest.times, lowest.values),
    descriptors: drift(
      times,
      steady.map((sample) => sample.descriptors),
    ),
  };
  const writtenBytes = (last.producedRecords - first.producedRecords) * recordBytes;
  // More was written than the disk ever held: the space of old records was used again.
  const diskMax = Math.max(...steady.map((sample) => sample.diskBytes));
  const reused = writtenBytes / diskMax;
  const flat = Object.values(drifts).every((value) => value < driftMax);
  return {
    flat,
    drift: Object.fromEntries(
      Object.entries(drifts).map(([name, value]) => [name, rounded(value)]),
    ),
    rss_drift_of_all_samples: rounded(drift(times, rss)),
    disk_mb: [first.diskBytes, last.diskBytes, diskMax].map((bytes) => Math.round(bytes / 1e6)),
    rss_mb: [first.rssBytes, last.rssBytes].map((bytes) => Math.round(bytes / 1e6)),
    rss_mb_lows: lowest.values.map((bytes) => Math.round(bytes / 1e6)),
    descriptors: [first.descriptors, last.descriptors],
    files,
    files_new_after_warmup: newFiles,
    written_mb_after_warmup: Math.round(writtenBytes / 1e6),
    written_over_disk: rounded(reused),
    records_live: last.liveRecords,
    records_produced: last.producedRecords,
    samples: samples.length,
  };
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const options = parse(args);
  rdkafkaPerformance();
  const peer =
    options.subject === "kafka"
      ? await startKafka({ extra: { "log.retention.check.interval.ms": "5000" } })
      : await startNode({ settings: [...soakSettings, ...options.settings] });
  const { address, folder } = peer;
  const client = await KafkaClient.connect(address);
  let load: readonly Child[] = [];
  try {
    await createTopics(client, options);
    load = startLoad(address, folder, options);
    const verdict = judge(await observe(peer, client, options, load), options);
    const { minutes, consumers, megabytesPerSecond: mb_per_s } = options;
    const { name, version, config } = peer;
    const line = JSON.stringify({
      case: "soak",
      ...describeMachine(peer.dataDir),
      shape: {
        minutes,
        mb_per_s,
        record_bytes: recordBytes,
        retention_s: retentionSeconds,
        consumers,
      },
      ours: { name, version, config },
      ...verdict,
      command: ["bun test/chaos/soak.ts", ...args].join(" "),
    });
    if (options.subject === "pyralog") keep("soak", line);
    console.log(line);
    return verdict.flat ? 0 : 1;
  } finally {
    client.close();
    await Promise.all(load.map((child) => child.stop(2_000)));
    await peer.stop();
  }
}

if (import.meta.main) {
  exitOnSignals();
  process.exit(await main());
}
