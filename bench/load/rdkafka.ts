// librdkafka's own load program, rdkafka_performance, built from the npm package node-rdkafka, which
// carries the whole source of librdkafka 2.12.0. Native, and the same client for every peer.

import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Child, output, removeScratchDir, scratchDir } from "../child.ts";
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
  // Where its queue was full once, the program may count one record fewer as produced than as
  // delivered, and ends with 1 though nothing failed; what was delivered decides.
  const text = await runLoad(produceArguments(load), [0, 1]);
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

function runLoad(args: readonly string[], codes: readonly number[] = [0]): Promise<string> {
  return output([rdkafkaPerformance(), ...args], { timeoutMs: runMsMax, codes });
}

/** The shape's load, shared by its producers; the time is from the first start to the last end. */
export async function produceTogether(load: ProduceLoad, producers: number): Promise<LoadResult> {
  const share = Math.ceil(load.count / producers);
  const rate = load.rate === undefined ? {} : { rate: Math.ceil(load.rate / producers) };
  const results = await Promise.all(
    Array.from({ length: producers }, () => produce({ ...load, ...rate, count: share })),
  );
  return {
    records: results.reduce((sum, each) => sum + each.records, 0),
    bytes: results.reduce((sum, each) => sum + each.bytes, 0),
    seconds: Math.max(...results.map((each) => each.seconds)),
  };
}

/** A producer that runs until it is killed, whatever becomes of its records. */
export function backgroundProducer(load: ProduceLoad): { kill(): Promise<void> } {
  const folder = scratchDir("producer");
  const child = new Child({
    command: [rdkafkaPerformance(), ...produceArguments(load)],
    logPath: join(folder, "producer.log"),
  });
  return {
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
      removeScratchDir(folder);
    },
  };
}

/** One member of a group that reads a topic from its start until it is stopped. */
export class Member {
  readonly #child: Child;

  constructor(address: string, topic: string, group: string, folder: string, count?: number) {
    const settings = ["auto.offset.reset=earliest", "enable.partition.eof=false"];
    const args = ["-G", group, "-t", topic, "-b", address, "-i", "200"];
    const end = count === undefined ? [] : ["-c", String(count)];
    this.#child = new Child({
      command: [
        ...[rdkafkaPerformance(), ...args, ...end],
        ...settings.flatMap((setting) => ["-X", setting]),
      ],
      logPath: join(folder, `member-${crypto.randomUUID().slice(0, 8)}.log`),
    });
  }

  get running(): boolean {
    return this.#child.running;
  }

  consumed(): Consumed {
    return consumedIn(this.#child.log());
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGINT");
    await this.#child.stop(memberStopMs);
  }
}

const memberStopMs = 5_000;

export interface Consumed {
  readonly records: number;
  /** From the first record on: joining the group is not reading. */
  readonly seconds: number;
}

/** The newest of the interval lines; nothing before the first. */
export function consumedIn(log: string): Consumed {
  const lines = [...log.matchAll(/^% (\d+) messages \(\d+ bytes\) consumed in (\d+)ms/gm)];
  const [, records, millis] = lines.at(-1) ?? [];
  return { records: Number(records ?? 0), seconds: Number(millis ?? 0) / 1000 };
}
