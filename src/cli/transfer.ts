// `pyralog export` writes the records of a topic as NDJSON, `pyralog import` sends such lines to one.
// Key, value, headers and time survive the way; offsets are given anew.

import { createReadStream, createWriteStream, statSync } from "node:fs";
import { finished } from "node:stream/promises";
import { deliveryMs, type Target, withClient } from "./connect.ts";
import { startOf } from "./consume.ts";
import { CommandError, CommandExit } from "./failure.ts";
import { bytes, count, parseCount } from "./format.ts";
import { lineOf, linesOf, recordOf } from "./lines.ts";
import { compressionOf } from "./produce.ts";
import { progress } from "./progress.ts";
import { needPartition } from "./topic.ts";
import { put, talk } from "./terminal.ts";

export interface ExportOptions {
  readonly from?: string;
  readonly partition?: string;
  readonly file?: string;
}

function rate(records: number, startedMs: number): string {
  return `${count((records / Math.max(1, performance.now() - startedMs)) * 1000)}/s`;
}

export async function exportTopic(
  target: Target,
  topic: string,
  options: ExportOptions,
): Promise<void> {
  const from = startOf(options.from ?? "earliest");
  const partition = options.partition === undefined ? null : parseCount(options.partition, "-p");
  await withClient(target, async (client) => {
    const { partitions } = await client.admin.topic(topic);
    if (partition !== null) needPartition(topic, partitions.length, partition);
    const assignment = { topic, from, ...(partition === null ? {} : { partition }) };
    const consumer = client.consumer([assignment], { untilEnd: true });
    await consumer.start();
    const total = consumer.positions.reduce((sum, { lag }) => sum + Math.max(0, lag), 0);
    const sink = new Sink(options.file);
    const bar = progress(total);
    const startedMs = performance.now();
    let records = 0;
    try {
      for await (const batch of consumer) {
        let text = "";
        for (const record of batch.records) text += `${lineOf(topic, batch.partition, record)}\n`;
        records += batch.records.length;
        await sink.write(text);
        bar.update(records, `${count(records)} of ${count(total)} · ${rate(records, startedMs)}`);
      }
      await sink.close();
    } finally {
      bar.stop();
    }
    talk(`${count(records)} records of ${topic} · ${rate(records, startedMs)}`);
  });
}

/** A file, or standard output. */
class Sink {
  readonly #stream: ReturnType<typeof createWriteStream> | null;
  readonly #failed: Promise<never> | null;

  constructor(file: string | undefined) {
    this.#stream = file === undefined || file === "-" ? null : createWriteStream(file);
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    this.#stream?.once("error", (error) =>
      reject(new CommandError(CommandExit.failed, `${file}: ${error.message}`)),
    );
    this.#failed = this.#stream === null ? null : promise;
  }

  async write(text: string): Promise<void> {
    const stream = this.#stream;
    if (stream === null || this.#failed === null) return put(text);
    if (stream.write(text)) return;
    const drained = new Promise<void>((resolve) => stream.once("drain", resolve));
    await Promise.race([drained, this.#failed]);
  }

  async close(): Promise<void> {
    if (this.#stream === null || this.#failed === null) return;
    this.#stream.end();
    await Promise.race([finished(this.#stream), this.#failed]);
  }
}

export interface ImportOptions {
  readonly compression: string;
  readonly keepPartitions?: boolean;
}

interface Source {
  readonly name: string;
  readonly stream: AsyncIterable<Uint8Array>;
  /** 0 = unknown. */
  readonly bytes: number;
}

function sourceOf(file: string | undefined): Source {
  if (file === undefined || file === "-") {
    return { name: "standard input", stream: Bun.stdin.stream(), bytes: 0 };
  }
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) throw new CommandError(CommandExit.notFound, `there is no file ${file}`);
  if (!found.isFile()) throw new CommandError(CommandExit.failed, `${file} is no file`);
  return { name: file, stream: createReadStream(file), bytes: found.size };
}

export async function importTopic(
  target: Target,
  topic: string,
  file: string | undefined,
  options: ImportOptions,
): Promise<void> {
  const compression = compressionOf(options.compression);
  const source = sourceOf(file);
  await withClient(target, async (client) => {
    const { partitions } = await client.admin.topic(topic);
    const producer = client.producer({ compression, deliveryMs });
    const bar = progress(source.bytes);
    const startedMs = performance.now();
    let readBytes = 0;
    let taken = 0;
    let number = 0;
    let failure: Error | null = null;
    try {
      const lines = linesOf(source.stream, (more) => {
        readBytes += more;
      });
      for await (const line of lines) {
        number += 1;
        const record = recordOf(line, `${source.name}:${number}`);
        const keep = options.keepPartitions === true ? record.partition : null;
        if (keep !== null) needPartition(topic, partitions.length, keep);
        producer.enqueue(
          {
            topic,
            key: record.key,
            value: record.value,
            headers: record.headers,
            ...(record.timestamp === null ? {} : { timestamp: record.timestamp }),
            ...(keep === null ? {} : { partition: keep }),
          },
          (error) => {
            if (error === null) taken += 1;
            else failure ??= error;
          },
        );
        await producer.room();
        if (failure !== null) break;
        if (number % 1000 === 0) {
          bar.update(
            readBytes,
            `${count(taken)} records · ${bytes(readBytes)} · ${rate(taken, startedMs)}`,
          );
        }
      }
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
    await producer.flush();
    bar.stop();
    talk(`${count(taken)} records to ${topic} · ${rate(taken, startedMs)}`);
    if (failure !== null) throw failure;
  });
}
