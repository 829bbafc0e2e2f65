// librdkafka's own load program, rdkafka_performance, built from the npm package node-rdkafka, which
// carries the whole source of librdkafka 2.12.0. Native, and the same client for every peer.

import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cached, needTool, run } from "../tools.ts";

export const nodeRdkafkaVersion = "3.6.1";
export const librdkafkaVersion = "2.12.0";

/** Path of the program; builds it in about a minute when the cache has none. */
export function rdkafkaPerformance(): string {
  return cached(`rdkafka_performance-${librdkafkaVersion}`, (scratch) => {
    needTool("gcc", "gcc libc6-dev");
    const make = needTool("make", "make");
    needTool("python3", "python3"); // librdkafka's build makes its symbol list with it
    console.error(`building rdkafka_performance ${librdkafkaVersion} (about a minute) ...`);
    writeFileSync(
      join(scratch, "package.json"),
      JSON.stringify({ dependencies: { "node-rdkafka": nodeRdkafkaVersion } }),
    );
    // The package's own install script would build the Node add-on, which nobody needs here.
    run([process.execPath, "install", "--ignore-scripts", "--no-save"], scratch);
    const source = join(scratch, "node_modules/node-rdkafka/deps/librdkafka");
    const without = ["ssl", "gssapi", "curl", "zstd", "lz4-ext"].map((name) => `--disable-${name}`);
    run(["./configure", "--enable-static", ...without], source);
    const jobs = `-j${Math.max(1, Math.min(4, availableParallelism()))}`;
    run([make, jobs, "-C", "src", "librdkafka.a"], source);
    run([make, "-C", "examples", "rdkafka_performance"], source);
    return join(source, "examples/rdkafka_performance");
  });
}

/** A producer that sends as fast as it may. */
export interface ProduceLoad {
  readonly address: string;
  readonly topic: string;
  readonly sizeBytes: number;
  readonly count: number;
  readonly lingerMs: number;
  readonly batchRecords: number;
  /** Largest batch; undefined = librdkafka's default of 1,000,000. */
  readonly batchBytes?: number;
  readonly idempotent?: boolean;
  readonly codec?: string;
  /** Records per second; undefined = unbounded. */
  readonly rate?: number;
}

export interface ConsumeLoad {
  readonly address: string;
  readonly topic: string;
  readonly partition: number;
  readonly count: number;
}

export interface LoadResult {
  readonly records: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** librdkafka's own queue, large enough that it never holds the producer back. */
const queueSettings = [
  "queue.buffering.max.kbytes=1000000",
  "queue.buffering.max.messages=1000000",
] as const;

export function produceArguments(load: ProduceLoad): string[] {
  const settings = [
    `linger.ms=${load.lingerMs}`,
    `batch.num.messages=${load.batchRecords}`,
    ...(load.batchBytes === undefined ? [] : [`batch.size=${load.batchBytes}`]),
    ...(load.idempotent ? ["enable.idempotence=true"] : []),
    ...queueSettings,
  ];
  return [
    ...["-P", "-t", load.topic, "-b", load.address, "-q", "-a", "-1"],
    ...["-s", String(load.sizeBytes), "-c", String(load.count)],
    ...(load.codec === undefined ? [] : ["-z", load.codec]),
    ...(load.rate === undefined ? [] : ["-r", String(load.rate)]),
    ...settings.flatMap((setting) => ["-X", setting]),
  ];
}

/** Fails unless every record was acknowledged. */
export async function produce(load: ProduceLoad): Promise<LoadResult> {
  const text = await runLoad(produceArguments(load));
  // "% N messages produced (B bytes), D delivered (offset O, F failed) in T ms: ..."
  const pattern = /\((\d+) bytes\), (\d+) delivered \(offset \S+ (\d+) failed\) in (\d+)ms/;
  const [, bytes, delivered, failed, millis] = pattern.exec(text) ?? [];
  if (Number(delivered) !== load.count || Number(failed) !== 0) {
    throw new Error(`rdkafka_performance did not deliver ${load.count} records:\n${text}`);
  }
  return { records: load.count, bytes: Number(bytes), seconds: Number(millis) / 1000 };
}

/** Reads one partition from its start until `count` records came. */
export async function consume(load: ConsumeLoad): Promise<LoadResult> {
  const settings = ["fetch.message.max.bytes=1048576", "queued.min.messages=1000000"];
  const text = await runLoad([
    ...["-C", "-t", load.topic, "-p", String(load.partition), "-o", "beginning"],
    ...["-b", load.address, "-q", "-B", "1000", "-c", String(load.count)],
    ...settings.flatMap((setting) => ["-X", setting]),
  ]);
  // "% N messages (B bytes) consumed in T ms: ..."
  const found = /% (\d+) messages \((\d+) bytes\) consumed in (\d+)ms/.exec(text);
  const [, records, bytes, millis] = found ?? [];
  if (Number(records) < load.count || found === null) {
    throw new Error(`rdkafka_performance did not consume ${load.count} records:\n${text}`);
  }
  return { records: Number(records), bytes: Number(bytes), seconds: Number(millis) / 1000 };
}

/** A run that takes longer than this is stuck. */
const runMsMax = 180_000;

async function runLoad(args: readonly string[]): Promise<string> {
  const child = Bun.spawn([rdkafkaPerformance(), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: runMsMax,
  });
  const [text, words, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const warnings = words.split("\n").filter((line) => !line.includes("CONFWARN"));
  if (code === 0) return text;
  throw new Error(`rdkafka_performance ended with ${code}:\n${text}${warnings.join("\n")}`);
}
