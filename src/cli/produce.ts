// `pyralog produce TOPIC [VALUE...]`: each argument is a record, or else each line of standard input.

import { type Compression, compressions, type Delivered } from "../client/client.ts";
import { deliveryMs, type Target, withClient } from "./connect.ts";
import { CommandError, CommandExit, usageError } from "./failure.ts";
import { bytes, count, milliseconds, parseCount, parsePair } from "./format.ts";
import { linesOf } from "./lines.ts";
import { needPartition } from "./topic.ts";
import { type Format, put, talk, yaml } from "./terminal.ts";

export interface ProduceOptions {
  readonly key?: string;
  readonly delimiter?: string;
  readonly header: readonly string[];
  readonly partition?: string;
  readonly timestamp?: string;
  readonly acks: string;
  readonly compression: string;
  readonly quiet?: boolean;
}

type Acks = "all" | "leader" | "none";

/** Kafka's numbers are understood too. */
const acksByName: ReadonlyMap<string, Acks> = new Map([
  ["all", "all"],
  ["-1", "all"],
  ["leader", "leader"],
  ["1", "leader"],
  ["none", "none"],
  ["0", "none"],
]);

export function acksOf(text: string): Acks {
  const acks = acksByName.get(text);
  if (acks === undefined) throw usageError(`--acks takes all, leader or none, not "${text}"`);
  return acks;
}

export function compressionOf(text: string): Compression {
  const found = compressions.find((each) => each === text);
  if (found === undefined) throw usageError(`-z takes ${compressions.join(", ")}, not "${text}"`);
  return found;
}

/** Places are printed one by one up to so many; what is more is counted. */
const shownMax = 10;

export async function produce(
  target: Target,
  format: Format,
  topic: string,
  values: readonly string[],
  options: ProduceOptions,
): Promise<void> {
  const acks = acksOf(options.acks);
  const compression = compressionOf(options.compression);
  const headers = options.header.map((text) => parsePair(text, "-H"));
  const partition = options.partition === undefined ? null : parseCount(options.partition, "-p");
  const timestamp =
    options.timestamp === undefined ? null : parseCount(options.timestamp, "--timestamp");
  if (values.length === 0 && process.stdin.isTTY) {
    talk("reading records from the keyboard, one per line; Ctrl-D ends");
  }
  await withClient(target, async (client) => {
    const { partitions } = await client.admin.topic(topic);
    if (partition !== null) needPartition(topic, partitions.length, partition);
    const producer = client.producer({ acks, compression, deliveryMs });
    const tally = new Tally(format, options.quiet ?? false);
    const failures: Error[] = [];
    let read = 0;
    const source = values.length > 0 ? values : linesOf(Bun.stdin.stream());
    for await (const line of source) {
      read += 1;
      const [key, value] = split(line, options, read);
      const sentMs = performance.now();
      producer.enqueue(
        {
          topic,
          key,
          value,
          headers,
          ...(partition === null ? {} : { partition }),
          ...(timestamp === null ? {} : { timestamp }),
        },
        (error, delivered) => {
          if (error !== null) failures.push(error);
          if (delivered !== null) tally.add(delivered, value, performance.now() - sentMs);
        },
      );
      await producer.room();
      await tally.print();
      // What failed will fail again: a person wants to know before the end of a long input.
      if (failures.length > 0) break;
    }
    await producer.flush();
    await tally.print();
    tally.close();
    const [first] = failures;
    if (first === undefined) return;
    talk(`${count(failures.length)} of ${count(read)} records were not taken`);
    throw first;
  });
}

function split(
  line: string,
  { key, delimiter }: ProduceOptions,
  number: number,
): readonly [key: string | null, value: string] {
  if (delimiter === undefined) return [key ?? null, line];
  const at = line.indexOf(delimiter);
  if (at < 0) {
    throw new CommandError(
      CommandExit.failed,
      `line ${number} has no "${delimiter}" between key and value`,
      "leave -K out, or say another delimiter",
    );
  }
  return [line.slice(0, at), line.slice(at + delimiter.length)];
}

/** What became of the records, printed as data while it is little, and summed up. */
class Tally {
  readonly #format: Format;
  readonly #quiet: boolean;
  readonly #started = performance.now();
  readonly #partitions = new Set<number>();
  #text = "";
  #records = 0;
  #bytes = 0;

  constructor(format: Format, quiet: boolean) {
    this.#format = format;
    this.#quiet = quiet;
  }

  add(delivered: Delivered, value: string, ms: number): void {
    this.#records += 1;
    this.#partitions.add(delivered.partition);
    const size = Buffer.byteLength(value);
    this.#bytes += size;
    if (this.#quiet) return;
    const { topic, partition, offset } = delivered;
    if (this.#format === "json") this.#text += `${JSON.stringify(delivered)}\n`;
    else if (this.#format === "yaml") this.#text += `---\n${yaml(delivered)}\n`;
    else if (this.#records <= shownMax) {
      this.#text += `${topic}/${partition} @ ${offset}   ${bytes(size)}   ${milliseconds(ms)} ms\n`;
    }
  }

  async print(): Promise<void> {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    await put(text);
  }

  close(): void {
    if (this.#records <= shownMax || this.#quiet) return;
    const ms = performance.now() - this.#started;
    const rate = (this.#records / Math.max(ms, 1)) * 1000;
    talk(
      `${count(this.#records)} records · ${bytes(this.#bytes)} · ${this.#partitions.size} partitions · ` +
        `${milliseconds(ms)} ms · ${count(rate)}/s`,
    );
  }
}
