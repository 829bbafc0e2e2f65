// Runs the native open-loop generator and reads its result.

import { output } from "../child.ts";
import { nativeProgram } from "../native/native.ts";

export interface LatencyOptions {
  readonly address: string;
  readonly topic: string;
  readonly sizeBytes: number;
  readonly requestsPerSecond: number;
  readonly count: number;
  /** Requests at the start that are sent but not counted. */
  readonly warmupCount: number;
  /** Spread over so many partitions of so many topics; `topic` is then the name of the first. */
  readonly spread?: { readonly topics: number; readonly partitions: number };
  /** Publish to NATS JetStream, to the subject `topic`. */
  readonly nats?: boolean;
}

export interface Latency {
  readonly count: number;
  readonly requests_per_s: number;
  readonly p50_us: number;
  readonly p90_us: number;
  readonly p99_us: number;
  readonly p999_us: number;
  readonly max_us: number;
  /** What the generator itself was late with: part of every latency, the same for every peer. */
  readonly send_late_p50_us: number;
  readonly send_late_p99_us: number;
  /** [largest value of the bucket, count], ascending; histograms of several runs may be added. */
  readonly histogram_ns: readonly (readonly [number, number])[];
}

export async function measureLatency(options: LatencyOptions): Promise<Latency> {
  const program = await nativeProgram("open_loop");
  const numbers = [
    options.sizeBytes,
    options.requestsPerSecond,
    options.count,
    options.warmupCount,
  ].map(String);
  const { spread, nats } = options;
  const flags = [
    ...(spread === undefined ? [] : ["--spread", `${spread.topics}`, `${spread.partitions}`]),
    ...(nats ? ["--nats"] : []),
  ];
  const text = await output([program, options.address, options.topic, ...numbers, ...flags]);
  return JSON.parse(text) as Latency; // proof: open_loop.zig prints exactly these fields
}

/** The percentiles of one run by the names of the result line. */
export function latencyFigures(result: Latency): Record<string, number> {
  const { p50_us, p90_us, p99_us, p999_us, max_us } = result;
  return { p50_us, p90_us, p99_us, p999_us, max_us };
}

/** Percentile of several runs together; `share` in 0..1, the answer in microseconds. */
export function mergedPercentileMicros(runs: readonly Latency[], share: number): number {
  const buckets = new Map<number, number>();
  let total = 0;
  for (const run of runs) {
    for (const [value, count] of run.histogram_ns) {
      buckets.set(value, (buckets.get(value) ?? 0) + count);
      total += count;
    }
  }
  let seen = 0;
  for (const [value, count] of [...buckets].sort(([left], [right]) => left - right)) {
    seen += count;
    if (seen >= share * total) return value / 1000;
  }
  return 0;
}
