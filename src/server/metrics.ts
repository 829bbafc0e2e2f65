// What a running node tells of itself, for Prometheus. The hot paths count in plain numbers and in
// Zig; nothing is looked up or labelled there, and everything is gathered when somebody scrapes.

import { readdirSync, readFileSync } from "node:fs";
import { Counter, Gauge, Registry } from "prom-client";
import type { Store } from "../storage/storage.ts";
import type { Host } from "./host.ts";
import { Beat } from "./pulse.ts";

export interface Sources {
  readonly version: string;
  readonly host: Host;
  readonly log: Store;
  readonly connections: () => number;
  /** Of the data and the control thread. */
  readonly beats: Readonly<Record<"data" | "control", Float64Array>>;
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge";
  readonly labels?: readonly string[];
  readonly read: (sources: Sources, stats: Stats) => number | readonly Sample[];
}

type Stats = Readonly<Record<string, number>>;

function counter(
  name: string,
  help: string,
  read: Metric["read"],
  labels?: readonly string[],
): Metric {
  return { name: `pyralog_${name}`, help, kind: "counter", read, ...(labels && { labels }) };
}

function gauge(
  name: string,
  help: string,
  read: Metric["read"],
  labels?: readonly string[],
): Metric {
  return { name: `pyralog_${name}`, help, kind: "gauge", read, ...(labels && { labels }) };
}

function perThread({ beats }: Sources, at: number, scale = 1): readonly Sample[] {
  return Object.entries(beats).map(([thread, beat]) => [{ thread }, (beat[at] ?? 0) * scale]);
}

/** Of the log store, by the name that its statistics have. */
function stat(name: string, scale = 1): Metric["read"] {
  return (_sources, stats) => (stats[name] ?? 0) * scale;
}

const nanoseconds = 1e-9;
const milliseconds = 1e-3;
const thread = ["thread"];

const metrics: readonly Metric[] = [
  gauge("build", "1, with the version of the executable.", ({ version }) => [[{ version }, 1]], [
    "version",
  ]),
  counter("requests_total", "Kafka requests.", ({ host }) => host.counters.requests),
  counter("received_bytes_total", "Bytes from Kafka clients.", ({ host }) => host.counters.bytesIn),
  counter("steps_total", "Inputs that the node has stepped.", ({ host }) => host.counters.steps),
  counter(
    "refusals_total",
    "Connections and requests that were refused at the door, by reason.",
    ({ host }) => [...host.counters.refusals].map(([reason, count]) => [{ reason }, count]),
    ["reason"],
  ),
  gauge("connections", "Open connections of Kafka clients.", (sources) => sources.connections()),
  gauge("disk_takes_writes", "1, or 0 while the disk is full.", ({ host }) =>
    host.node.broker.takesWrites ? 1 : 0,
  ),
  counter("appended_batches_total", "Frames appended to the log.", stat("appends")),
  counter("appended_bytes_total", "Bytes appended to the log.", stat("append_bytes")),
  counter("commit_groups_total", "Groups of frames written with one call.", stat("groups")),
  counter("syncs_total", "Syncs of the log.", stat("syncs")),
  counter("sync_seconds_total", "Time spent in syncs.", stat("sync_ns_total", nanoseconds)),
  gauge("sync_seconds_max", "The longest sync.", stat("sync_ns_max", nanoseconds)),
  counter("write_seconds_total", "Time spent in writes.", stat("write_ns_total", nanoseconds)),
  counter("written_bytes_total", "Bytes written to segments.", stat("written_bytes")),
  counter("filled_bytes_total", "Zeros written ahead of the log.", stat("filled_bytes")),
  counter("tail_cache_hits_total", "Reads served from the staging ring.", stat("ring_hits")),
  counter("tail_cache_misses_total", "Reads that went to a file.", stat("ring_misses")),
  counter("cold_read_bytes_total", "Bytes read from segments.", stat("cold_bytes")),
  gauge("read_queue", "Reads that wait for a reader.", stat("read_queue")),
  gauge("segments_live", "Segments that hold something live.", stat("segments_live")),
  gauge("segments_free", "Segments kept for their space.", stat("segments_free")),
  gauge("segments_unsealed", "Segments without a directory yet.", stat("segments_unsealed")),
  counter("segments_recycled_total", "Segments used again.", stat("segments_recycled")),
  counter("checkpoints_total", "Checkpoints taken.", stat("checkpoints")),
  counter("damaged_frames_total", "Times that damage was met in the log.", stat("damaged_frames")),
  counter("scrubbed_bytes_total", "Bytes that the scrub read again.", stat("scrubbed_bytes")),
  counter("scrub_passes_total", "Times that it has read all there was.", stat("scrub_passes")),
  counter("scrub_damage_total", "Times that it met damage.", stat("scrub_damage")),
  counter("scrub_errors_total", "Times that the disk refused to read.", stat("scrub_errors")),
  gauge("streams", "Partitions that the store knows.", stat("streams")),
  gauge("disk_bytes", "Bytes of the log's files.", stat("disk_bytes")),
  counter("loop_ticks_total", "Ticks of a thread's loop.", (s) => perThread(s, Beat.ticks), thread),
  counter(
    "loop_lag_seconds_total",
    "How late the ticks of a thread's loop came, summed.",
    (sources) => perThread(sources, Beat.lagMs, milliseconds),
    thread,
  ),
  gauge(
    "loop_lag_seconds_max",
    "The latest tick since the last scrape.",
    (sources) => {
      const samples = perThread(sources, Beat.lagMsMax, milliseconds);
      for (const beat of Object.values(sources.beats)) beat[Beat.lagMsMax] = 0;
      return samples;
    },
    thread,
  ),
  counter(
    "collections_total",
    "Garbage collections of a thread.",
    (sources) => perThread(sources, Beat.collections),
    thread,
  ),
  counter(
    "collector_seconds_total",
    "Time that collections of a thread took.",
    (sources) => perThread(sources, Beat.collectorMs, milliseconds),
    thread,
  ),
  gauge("heap_bytes", "JavaScript heap of a thread.", (s) => perThread(s, Beat.heapBytes), thread),
];

/** Prometheus' standard names of what the system knows of the process. */
const process_: readonly Metric[] = [
  {
    name: "process_resident_memory_bytes",
    help: "Resident memory.",
    kind: "gauge",
    read: () => process.memoryUsage.rss(),
  },
  {
    name: "process_cpu_seconds_total",
    help: "User and system CPU time.",
    kind: "counter",
    read: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  },
  {
    name: "process_open_fds",
    help: "Open file descriptors; absent where the system does not list them.",
    kind: "gauge",
    read: () => openDescriptors(),
  },
];

function openDescriptors(): number | readonly Sample[] {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return [];
  }
}

/** CPU time of each thread by its name, where the system tells it: writer, readers, collector. */
function threadSeconds(): readonly Sample[] {
  const sums = new Map<string, number>();
  try {
    for (const id of readdirSync("/proc/self/task")) {
      const line = readFileSync(`/proc/self/task/${id}/stat`, "utf8");
      const name = line.slice(line.indexOf("(") + 1, line.lastIndexOf(")"));
      const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
      const ticks = Number(fields[11]) + Number(fields[12]);
      sums.set(name, (sums.get(name) ?? 0) + ticks / ticksPerSecond);
    }
  } catch {
    // A thread that ends while it is read, or a system without /proc: what is there will do.
  }
  return [...sums].map(([name, seconds]) => [{ thread: name }, seconds]);
}

/** USER_HZ of Linux, on every architecture that we build for. */
const ticksPerSecond = 100;

export class Metrics {
  readonly #registry = new Registry();
  readonly #sources: Sources;
  readonly #setters: ((stats: Stats) => void)[] = [];

  constructor(sources: Sources) {
    this.#sources = sources;
    const threads = counter(
      "thread_cpu_seconds_total",
      "CPU time of the threads of one name.",
      threadSeconds,
      thread,
    );
    for (const metric of [...metrics, threads, ...process_]) this.#setters.push(this.#add(metric));
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The exposition of this moment. */
  scrape(): Promise<string> {
    const stats = this.#sources.log.stats();
    for (const set of this.#setters) set(stats);
    return this.#registry.metrics();
  }

  #add({ name, help, kind, labels = [], read }: Metric): (stats: Stats) => void {
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] };
    const series = kind === "counter" ? new Counter(options) : new Gauge(options);
    return (stats) => {
      const found = read(this.#sources, stats);
      series.reset();
      if (typeof found === "number") return series.inc(found);
      for (const [of, value] of found) series.inc({ ...of }, value);
    };
  }
}
