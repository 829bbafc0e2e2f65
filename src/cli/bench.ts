// `pyralog bench`: produces records of one size for a while and says how many a second were
// acknowledged, and how long each waited for it.

import { type Client, KafkaError } from "../client/client.ts";
import { deliveryMs, type Target, withClient } from "./connect.ts";
import { usageError } from "./failure.ts";
import { bytes, count, milliseconds, parseCount, parseDuration, parseSize } from "./format.ts";
import { Latencies } from "./histogram.ts";
import { acksOf, compressionOf } from "./produce.ts";
import { progress } from "./progress.ts";
import { type Format, put, showOne, talk } from "./terminal.ts";

export interface BenchOptions {
  readonly size: string;
  readonly duration: string;
  readonly acks: string;
  readonly compression: string;
  readonly partitions: string;
  readonly rate?: string;
  readonly inFlight: string;
  readonly keep?: boolean;
}

const defaultTopic = "pyralog-bench";
const redrawMs = 200;

interface Outcome {
  readonly records: number;
  readonly failed: number;
  readonly seconds: number;
  readonly latencies: Latencies;
  readonly failure: Error | null;
}

export async function bench(
  target: Target,
  format: Format,
  named: string | undefined,
  options: BenchOptions,
): Promise<void> {
  const topic = named ?? defaultTopic;
  const size = parseSize(options.size);
  if (size < 1) throw usageError("--size must be at least 1 byte");
  const durationMs = parseDuration(options.duration);
  const partitions = parseCount(options.partitions, "-p", 1);
  const inFlight = parseCount(options.inFlight, "--in-flight", 1);
  const rate = options.rate === undefined ? null : parseCount(options.rate, "--rate", 1);
  acksOf(options.acks);
  compressionOf(options.compression);
  await withClient(target, async (client) => {
    const made = await ensureTopic(client, topic, partitions);
    try {
      const load = { topic, size, durationMs, inFlight, rate };
      const outcome = await run(client, load, options);
      await report(format, topic, size, outcome);
      if (outcome.failure !== null) throw outcome.failure;
    } finally {
      if (made && options.keep !== true) await client.admin.deleteTopic(topic);
    }
  });
}

/** True: it was not there. */
async function ensureTopic(client: Client, topic: string, partitions: number): Promise<boolean> {
  try {
    await client.admin.createTopic({ name: topic, partitions });
    return true;
  } catch (error) {
    if (error instanceof KafkaError && error.codeName === "TOPIC_ALREADY_EXISTS") return false;
    throw error;
  }
}

interface Load {
  readonly topic: string;
  readonly size: number;
  readonly durationMs: number;
  /** Records that are not acknowledged, at most. */
  readonly inFlight: number;
  /** Records a second; null = as many as go. */
  readonly rate: number | null;
}

async function run(client: Client, load: Load, options: BenchOptions): Promise<Outcome> {
  const producer = client.producer({
    acks: acksOf(options.acks),
    compression: compressionOf(options.compression),
    lingerMs: 1,
    deliveryMs,
  });
  const value = filler(load.size);
  const latencies = new Latencies();
  const bar = progress(load.durationMs);
  const startMs = performance.now();
  const endMs = startMs + load.durationMs;
  let sent = 0;
  let done = 0;
  let failed = 0;
  let failure: Error | null = null;
  let drawnMs = startMs;
  let wake: (() => void) | null = null;
  const stop = (): void => {
    failure ??= usageError("stopped by hand");
  };
  process.once("SIGINT", stop);
  while (performance.now() < endMs && failure === null) {
    const allowed = Math.min(load.inFlight - (sent - done), due(load, startMs, sent));
    for (let i = 0; i < Math.min(allowed, 1000); i += 1) {
      const sentMs = performance.now();
      producer.enqueue({ topic: load.topic, value, timestamp: Date.now() }, (error) => {
        done += 1;
        if (error === null) latencies.add(performance.now() - sentMs);
        else {
          failed += 1;
          failure ??= error;
        }
        wake?.();
      });
      sent += 1;
    }
    if (performance.now() - drawnMs > redrawMs) {
      drawnMs = performance.now();
      bar.update(drawnMs - startMs, words(load.size, done - failed, drawnMs - startMs, latencies));
    }
    if (allowed > 0 || load.rate !== null) await Bun.sleep(allowed > 0 ? 0 : 1);
    else {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
      wake = null;
    }
  }
  process.off("SIGINT", stop);
  await producer.flush();
  bar.stop();
  const seconds = (performance.now() - startMs) / 1000;
  return { records: done - failed, failed, seconds, latencies, failure };
}

/** Records that may be sent by now. */
function due({ rate }: Load, startMs: number, sent: number): number {
  if (rate === null) return Number.POSITIVE_INFINITY;
  return Math.floor(((performance.now() - startMs) / 1000) * rate) - sent;
}

/** Bytes that do not compress to nothing, the same every time. */
function filler(size: number): Uint8Array {
  const value = new Uint8Array(size);
  let state = 0x2545f491;
  for (let i = 0; i < size; i += 1) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) ^ i;
    value[i] = 32 + ((state >>> 8) % 95);
  }
  return value;
}

function words(size: number, records: number, ms: number, latencies: Latencies): string {
  const perSecond = (records / Math.max(1, ms)) * 1000;
  const [p50, p99, p999] = [50, 99, 99.9].map((each) => milliseconds(latencies.percentile(each)));
  return (
    `${(ms / 1000).toFixed(1)} s  ${count(perSecond)} rec/s  ${bytes(perSecond * size)}/s  ` +
    `p50 ${p50}  p99 ${p99}  p99.9 ${p999} ms`
  );
}

async function report(
  format: Format,
  topic: string,
  size: number,
  { records, failed, seconds, latencies }: Outcome,
): Promise<void> {
  const perSecond = records / seconds;
  const data = {
    topic,
    recordBytes: size,
    records,
    failed,
    seconds,
    recordsPerSecond: perSecond,
    bytesPerSecond: perSecond * size,
    latencyMs: {
      mean: latencies.mean,
      p50: latencies.percentile(50),
      p90: latencies.percentile(90),
      p99: latencies.percentile(99),
      p999: latencies.percentile(99.9),
      max: latencies.max,
    },
  };
  const { latencyMs } = data;
  await showOne(format, data, [
    ["topic", topic],
    ["records", `${count(records)} of ${bytes(size)} in ${seconds.toFixed(1)} s`],
    ["rate", `${count(perSecond)} rec/s · ${bytes(perSecond * size)}/s`],
    [
      "latency",
      `p50 ${milliseconds(latencyMs.p50)} · p90 ${milliseconds(latencyMs.p90)} · ` +
        `p99 ${milliseconds(latencyMs.p99)} · p99.9 ${milliseconds(latencyMs.p999)} · ` +
        `max ${milliseconds(latencyMs.max)} ms`,
    ],
  ]);
  if (format !== "table" && format !== "wide") return;
  if (latencies.count > 0) await put(`\n${latencies.picture().join("\n")}\n`);
  if (failed > 0) talk(`${count(failed)} records were not acknowledged`);
}
