// The speed goals of one node: which result line shows each, which figure of it, and the bound. They
// are aims, not gates: times never decide a test.

import { lineShape, numberAt, type ResultLine, samplesAt } from "./results.ts";
import { median } from "./stats.ts";

/** A figure of a line; `low` and `high` bound it where it is the median of pairs. */
export interface Value {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** Pairs behind a ratio; undefined for a figure of our own runs. */
  readonly pairs?: number;
}

/** A ratio of fewer pairs claims nothing: its interval says little. */
export const pairsMin = 9;

export interface Goal {
  readonly name: string;
  readonly what: string;
  readonly caseName: string;
  /** Fields that the shape must have; absent ones may be anything. */
  readonly shape: Readonly<Record<string, string | number>>;
  readonly value: (line: ResultLine) => Value | undefined;
  readonly bound: "at least" | "at most";
  readonly limit: number;
}

/** `ratio.<side>.<figure>`: the median of the pairs with its interval. */
function ratioTo(side: string, figure: string): Goal["value"] {
  return (line) => {
    const at = (name: string) => numberAt(line, "ratio", side, figure, name);
    const [middle, low, high] = [at("median"), at("low"), at("high")];
    if (middle === undefined || low === undefined || high === undefined) return undefined;
    return { median: middle, low, high, pairs: numberAt(line, "pairs") ?? 0 };
  };
}

/** A figure of our own runs: the median, and all runs as its bounds. */
function ours(figure: string): Goal["value"] {
  return (line) => {
    const samples = samplesAt(line, "ours", figure);
    if (samples.length === 0) return undefined;
    return { median: median(samples), low: Math.min(...samples), high: Math.max(...samples) };
  };
}

function single(...path: readonly string[]): Goal["value"] {
  return (line) => {
    const found = numberAt(line, ...path);
    return found === undefined ? undefined : { median: found, low: found, high: found };
  };
}

type Bound = readonly ["at least" | "at most", number];

function goal(
  name: string,
  what: string,
  caseName: string,
  shape: Goal["shape"],
  value: Goal["value"],
  [bound, limit]: Bound,
): Goal {
  return { name, what, caseName, shape, value, bound, limit };
}

const least = (limit: number): Bound => ["at least", limit];
const most = (limit: number): Bound => ["at most", limit];
const fsync = { durability: "fsync" };
const os = { durability: "os" };

/** Kafka's CPU and rate against ours at one durability: at B1 and at B2. */
function besideKafka(
  level: { readonly durability: string },
  cpuB2: number,
  rateB2: number,
): Goal[] {
  const cpu = ratioTo("kafka", "cpu_s_per_gb");
  const rate = ratioTo("kafka", "records_per_s");
  const words = `Kafka ÷ ours, ${level.durability}`;
  return [100, 1024].flatMap((size) => [
    goal(
      "P4",
      `CPU, B1, ${size} B, ${words}`,
      "produce",
      { ...level, size, name: "B1" },
      cpu,
      least(1.5),
    ),
    goal(
      "P4",
      `CPU, B2, ${size} B, ${words}`,
      "produce",
      { ...level, size, name: "B2" },
      cpu,
      least(cpuB2),
    ),
    goal(
      "P4",
      `records/s, B1, ${size} B, ours ÷ Kafka, ${level.durability}`,
      "produce",
      { ...level, size, name: "B1" },
      rate,
      least(1),
    ),
    goal(
      "P4",
      `records/s, B2, ${size} B, ours ÷ Kafka, ${level.durability}`,
      "produce",
      { ...level, size, name: "B2" },
      rate,
      least(rateB2),
    ),
  ]);
}

export const goals: readonly Goal[] = [
  goal(
    "P1",
    "produce 100 B, records/s ÷ null broker",
    "produce",
    { ...fsync, name: "B1", size: 100 },
    ratioTo("null", "records_per_s"),
    least(0.9),
  ),
  goal(
    "P2",
    "produce 1 KiB, server CPU ÷ floor, os",
    "produce",
    { ...os, name: "B1", size: 1024 },
    ratioTo("floor", "cpu_s_per_gb"),
    most(1.4),
  ),
  goal(
    "P2",
    "produce 1 KiB, server CPU ÷ floor, fsync",
    "produce",
    { ...fsync, name: "B1", size: 1024 },
    ratioTo("floor", "cpu_s_per_gb"),
    most(1.7),
  ),
  goal(
    "P3",
    "records/s, fsync ÷ os, 100 B (S1)",
    "durability",
    { name: "S1" },
    ratioTo("os", "records_per_s"),
    least(0.9),
  ),
  goal(
    "P3",
    "records/s, fsync ÷ os, 1 KiB (S2)",
    "durability",
    { name: "S2" },
    ratioTo("os", "records_per_s"),
    least(0.75),
  ),
  ...besideKafka(os, 4, 3),
  ...besideKafka(fsync, 10, 8),
  goal(
    "P9",
    "latency p99 of one record, os ÷ null broker",
    "latency",
    os,
    ratioTo("null", "p99_us"),
    most(2.5),
  ),
  goal(
    "P10",
    "latency p99 of one record, fsync ÷ raw fdatasync",
    "latency",
    fsync,
    ratioTo("fdatasync", "p99_us"),
    most(2),
  ),
  goal(
    "P11",
    "synced MB/s of 64 KiB records ÷ fio",
    "produce",
    { ...fsync, size: 65_536 },
    ratioTo("fio", "records_per_s"),
    least(0.5),
  ),
  goal(
    "P12",
    "fetch, server CPU ÷ send floor",
    "fetch",
    { name: "B1", size: 1024 },
    ratioTo("floor", "cpu_s_per_gb"),
    most(1.6),
  ),
  goal(
    "P12",
    "fetch CPU 1 KiB, Kafka ÷ ours",
    "fetch",
    { name: "B1", size: 1024 },
    ratioTo("kafka", "cpu_s_per_gb"),
    least(1.5),
  ),
  goal(
    "P12",
    "fetch CPU 100 B, Kafka ÷ ours",
    "fetch",
    { name: "B1", size: 100 },
    ratioTo("kafka", "cpu_s_per_gb"),
    least(4),
  ),
  goal(
    "P13",
    "fetch 100 B, records/s of one consumer",
    "fetch",
    { name: "B1", size: 100 },
    ours("records_per_s"),
    least(3e6),
  ),
  goal(
    "P13",
    "share read from memory near the tail",
    "fetch",
    { size: 100 },
    single("tail", "hit_rate"),
    least(0.99),
  ),
  goal(
    "P17",
    "resident bytes per partition",
    "density",
    { partitions: 100_000 },
    single("rss_bytes_per_partition"),
    most(1024),
  ),
  goal(
    "P17",
    "produce p99 ÷ that with one partition",
    "density",
    { partitions: 100_000 },
    ratioTo("one", "p99_us"),
    most(1.5),
  ),
  goal(
    "P17",
    "restart after kill -9, ms",
    "density",
    { partitions: 100_000 },
    single("restart_killed_ms"),
    most(10_000),
  ),
  goal(
    "P24",
    "exec to first acknowledged record, empty, ms",
    "startup",
    {},
    ours("empty_ms"),
    most(120),
  ),
  goal(
    "P24",
    "the same on an existing directory, ms",
    "startup",
    {},
    ours("existing_ms"),
    most(120),
  ),
  goal(
    "P25",
    "restart after kill -9 with 10 GiB, ms",
    "recovery",
    { gib: 10 },
    ours("restart_ms"),
    most(1000),
  ),
  goal("P26", "resident MB, idle", "memory", { name: "S1" }, ours("idle_rss_mb"), most(80)),
  goal("P26", "resident MB under S1", "memory", { name: "S1" }, ours("load_rss_mb"), most(160)),
  goal(
    "P29",
    "data calls per batch at B2",
    "syscalls",
    { ...fsync, name: "B2" },
    ours("data_calls_per_batch"),
    most(3),
  ),
  goal(
    "P29",
    "storage calls per group at B2",
    "syscalls",
    { ...fsync, name: "B2" },
    ours("storage_per_group"),
    most(2),
  ),
  goal(
    "P30",
    "idle with 10,000 partitions, % of a core",
    "idle",
    { partitions: 10_000 },
    ours("cpu_percent"),
    most(1),
  ),
  goal(
    "P30",
    "the same, bytes written per second",
    "idle",
    { partitions: 10_000 },
    ours("written_bytes_per_s"),
    most(0),
  ),
];

export type Verdict = "met" | "missed" | "open";

/** Beyond the bound only when the whole interval is; the same for missing it. */
export function verdictOf({ bound, limit }: Goal, { low, high, pairs }: Value): Verdict {
  if (pairs !== undefined && pairs < pairsMin) return "open";
  const [worst, best] = bound === "at least" ? [low, high] : [high, low];
  const holds = (value: number) => (bound === "at least" ? value >= limit : value <= limit);
  if (holds(worst)) return "met";
  return holds(best) ? "open" : "missed";
}

/** The newest line that shows the goal; `lines` are in the order in which they were taken. */
export function evidenceOf(
  wanted: Goal,
  lines: readonly ResultLine[],
): { readonly line: ResultLine; readonly value: Value } | undefined {
  for (const line of [...lines].reverse()) {
    const shape = lineShape(line);
    const fits = Object.entries(wanted.shape).every(([name, value]) => shape[name] === value);
    if (line["case"] !== wanted.caseName || !fits) continue;
    const value = wanted.value(line);
    if (value !== undefined) return { line, value };
  }
  return undefined;
}
