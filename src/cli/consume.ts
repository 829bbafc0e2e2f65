// `pyralog consume` reads a topic to its end, `pyralog tail` shows its last records and follows it,
// with a status line under them on a terminal.

import type { ConsumedBatch, ConsumedRecord, Consumer, StartAt } from "../client/client.ts";
import { type Target, withClient } from "./connect.ts";
import { usageError } from "./failure.ts";
import { bytes, count, parseCount, parseDuration, timeOfDay } from "./format.ts";
import { lineOf, shown } from "./lines.ts";
import { needPartition } from "./topic.ts";
import { type Format, paint, StatusLine, yaml } from "./terminal.ts";

export interface ConsumeOptions {
  readonly from?: string;
  readonly partition?: string;
  readonly number?: string;
  readonly follow?: boolean;
  readonly format?: string;
  readonly raw?: boolean;
}

/** "earliest", "latest", "-5m" (so long ago), "2026-01-31T10:00:00Z", "1234" (an offset), "last:10". */
export function startOf(text: string): StartAt {
  if (text === "earliest" || text === "latest") return text;
  if (/^[0-9]+$/.test(text)) return { offset: parseCount(text, "--from") };
  if (text.startsWith("last:")) return { last: parseCount(text.slice(5), "--from last:") };
  if (text.startsWith("-")) return { timestamp: Date.now() - parseDuration(text.slice(1)) };
  const timestamp = Date.parse(text);
  if (!Number.isNaN(timestamp)) return { timestamp };
  throw usageError(
    `--from does not understand "${text}"`,
    "say earliest, latest, an offset, last:10, -5m or 2026-01-31T10:00:00Z",
  );
}

type Print = (topic: string, partition: number, record: ConsumedRecord) => string;

/** Escapes of `--format`, as kcat has them. */
function template(text: string): Print {
  const parts = text
    .replaceAll("\\n", "\n")
    .replaceAll("\\t", "\t")
    .split(/(%[a-zA-Z%])/);
  return (topic, partition, record) =>
    parts.map((part) => filled(part, topic, partition, record)).join("");
}

function filled(part: string, topic: string, partition: number, record: ConsumedRecord): string {
  switch (part) {
    case "%t":
      return topic;
    case "%p":
      return String(partition);
    case "%o":
      return String(record.offset);
    case "%k":
      return shown(record.key);
    case "%s":
      return shown(record.value);
    case "%T":
      return String(record.timestamp);
    case "%h":
      return record.headers.map(({ key, value }) => `${key}=${shown(value)}`).join(",");
    case "%%":
      return "%";
    default:
      return part;
  }
}

function printer(format: Format, options: ConsumeOptions): Print {
  if (options.raw === true) return (_topic, _partition, { value }) => `${shown(value)}\n`;
  if (options.format !== undefined) return template(options.format);
  if (format === "json") return (...of) => `${lineOf(...of)}\n`;
  if (format === "yaml") {
    return (...of) => `---\n${yaml(JSON.parse(lineOf(...of)))}\n`;
  }
  return (topic, partition, record) => {
    const place = `${format === "wide" ? `${topic}/` : ""}${partition}@${record.offset}`;
    const headers =
      format === "wide" && record.headers.length > 0
        ? `  ${record.headers.map(({ key, value }) => `${key}=${shown(value)}`).join(",")}`
        : "";
    const value = record.value === null ? paint("red", "(null)") : shown(record.value);
    const key = paint("cyan", shown(record.key));
    return `${paint("dim", `${timeOfDay(record.timestamp)}  ${place}`)}  ${key}  ${value}${headers}\n`;
  };
}

export async function consume(
  target: Target,
  format: Format,
  topics: readonly string[],
  options: ConsumeOptions,
): Promise<void> {
  const from = startOf(options.from ?? "earliest");
  const max = options.number === undefined ? null : parseCount(options.number, "-n", 1);
  const partition = options.partition === undefined ? null : parseCount(options.partition, "-p");
  const print = printer(format, options);
  await withClient(target, async (client) => {
    let partitions = 0;
    for (const name of topics) {
      const topic = await client.admin.topic(name);
      if (partition !== null) needPartition(name, topic.partitions.length, partition);
      partitions += partition === null ? topic.partitions.length : 1;
    }
    const assignments = topics.map((topic) => ({
      topic,
      from,
      ...(partition === null ? {} : { partition }),
    }));
    const consumer = client.consumer(assignments, {
      untilEnd: options.follow !== true,
      onOutOfRange: "earliest",
      ...(options.follow === true ? { retryMs: followRetryMs } : {}),
    });
    const stop = (): void => consumer.close();
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    const view = new View(topics, partitions, consumer, options.follow === true);
    try {
      await read(consumer, view, print, max);
    } finally {
      view.close();
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
    }
  });
}

async function read(
  consumer: Consumer,
  view: View,
  print: Print,
  max: number | null,
): Promise<void> {
  let left = max ?? Number.POSITIVE_INFINITY;
  for await (const batch of consumer) {
    const records = batch.records.slice(0, Math.min(left, batch.records.length));
    left -= records.length;
    let text = "";
    for (const record of records) text += print(batch.topic, batch.partition, record);
    await view.print(text, batch, records.length);
    if (left <= 0) return;
  }
}

/** Whoever follows wants to see what comes after a restart of the node. */
const followRetryMs = 3_600_000;
const redrawMs = 250;

/** The records, and under them what has been read so far. */
class View {
  readonly #line = new StatusLine();
  readonly #what: string;
  readonly #consumer: Consumer;
  readonly #timer: Timer | null;
  #records = 0;
  #bytes = 0;
  #recent = 0;
  #recentSince = performance.now();
  #rate = 0;

  constructor(topics: readonly string[], partitions: number, consumer: Consumer, live: boolean) {
    this.#what = `${topics.join(",")} ${partitions} partition${partitions === 1 ? "" : "s"}`;
    this.#consumer = consumer;
    this.#timer = live ? setInterval(() => this.#draw(), redrawMs) : null;
  }

  async print(text: string, batch: ConsumedBatch, records: number): Promise<void> {
    this.#records += records;
    this.#recent += records;
    this.#bytes += batch.bytes;
    await this.#line.above(text);
    if (this.#timer !== null) this.#draw();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#line.clear();
  }

  #draw(): void {
    const passedMs = performance.now() - this.#recentSince;
    if (passedMs >= 1000) {
      this.#rate = (this.#recent / passedMs) * 1000;
      this.#recent = 0;
      this.#recentSince = performance.now();
    }
    const lag = this.#consumer.positions.reduce((sum, each) => sum + Math.max(0, each.lag), 0);
    this.#line.draw(
      `▏ ${count(this.#records)} records · ${bytes(this.#bytes)} · ${count(this.#rate)}/s · ` +
        `lag ${count(lag)} · ${this.#what}`,
    );
  }
}
