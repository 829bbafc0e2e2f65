// Hostile clients beside good ones: what do the good ones keep, and is the node as before afterwards?
//
//   bun test/chaos/hostile.ts [--seconds 8] [--rounds 3] [--idle 10000] [--set section.key=value]...
//
// Rounds of the same good work, without and with hostile clients in turn: a native producer and a
// native consumer, each for about so many seconds. The hostile clients are a process of their own
// (hostile_clients.ts) that yields the processor to everybody else. Prints one line of JSON; code 0 =
// at least 0.8 of the throughput was kept, the node's memory grew by at most 256 MB, and its
// descriptors, memory and throughput afterwards are what they were.

import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child, exitOnSignals, waitUntil } from "../../bench/child.ts";
import { KafkaClient } from "../../bench/kafka_client.ts";
import { consume, produce, rdkafkaPerformance } from "../../bench/load/rdkafka.ts";
import { describeMachine } from "../../bench/machine.ts";
import type { Peer } from "../../bench/peers/peer.ts";
import { start as startNode } from "../../bench/peers/pyralog.ts";
import { descriptorCount } from "../../bench/proc.ts";
import { median, rounded } from "../../bench/stats.ts";
import { until } from "../harness/until.ts";
import type { Hostility } from "./hostile_clients.ts";

const recordBytes = 1024;
const keptMin = 0.8;
/** Against the rounds without hostile clients, which take memory as well. */
export const growthMbMax = 256;
/** Sockets of this process and the good clients, and what the collector has not taken yet. */
const descriptorsSlack = 8;
const sampleMs = 100;
const readyMsMax = 120_000;
const firstCount = 20_000;

export interface HostileOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly hostility: Hostility;
  readonly settings: readonly string[];
}

/** Bytes per second of the good clients. */
interface Good {
  readonly produced: number;
  readonly consumed: number;
}

export interface HostileReport {
  readonly kept_produce: number;
  readonly kept_consume: number;
  readonly after_produce: number;
  readonly after_consume: number;
  readonly produce_mb_s: readonly number[];
  readonly consume_mb_s: readonly number[];
  /** Most of the rounds without and with hostile clients, and at the end. */
  readonly rss_mb: { alone: number; beside: number; after: number };
  readonly descriptors: { before: number; most: number; after: number };
}

async function work(peer: Peer, topic: string, count: number): Promise<Good> {
  const { address } = peer;
  const client = await KafkaClient.connect(address);
  await client.createTopic(topic, 1, {});
  client.close();
  const load = { address, topic, sizeBytes: recordBytes, count };
  const made = await produce({ ...load, lingerMs: 5, batchRecords: 10_000, batchBytes: 65_536 });
  const read = await consume({ address, topic, partition: 0, count });
  return { produced: made.bytes / made.seconds, consumed: read.bytes / read.seconds };
}

/** Runs `during` with the hostile clients at work, and sees them off. */
async function withHostiles<T>(
  peer: Peer,
  topic: string,
  hostility: Hostility,
  during: () => Promise<T>,
): Promise<T> {
  const program = join(import.meta.dir, "hostile_clients.ts");
  const args = [peer.address, topic, JSON.stringify(hostility)];
  const child = new Child({
    command: ["nice", "-n", "19", process.execPath, program, ...args],
    logPath: join(peer.folder, "hostile.log"),
  });
  try {
    await waitUntil("hostile clients are connected", child, readyMsMax, () =>
      child.log().endsWith("ready\n") ? true : undefined,
    );
    return await during();
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

class Watch {
  readonly #peer: Peer;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly rss = { alone: 0, beside: 0 };
  descriptors = 0;
  phase: "alone" | "beside" = "alone";

  constructor(peer: Peer) {
    this.#peer = peer;
    this.#timer = setInterval(() => this.look(), sampleMs);
  }

  look(): void {
    this.rss[this.phase] = Math.max(this.rss[this.phase], this.#peer.rssBytes());
    this.descriptors = Math.max(this.descriptors, descriptorCount(this.#peer.pid));
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}

/** The node serves throughout; throws when it does not. */
export async function hostile(options: HostileOptions): Promise<HostileReport> {
  const peer = await startNode({ settings: options.settings });
  const watch = new Watch(peer);
  try {
    // What the deaf ones ask for; and it warms the node and says how much work fills the time.
    const first = await work(peer, "good-0", firstCount);
    const rate = 1 / (recordBytes / first.produced + recordBytes / first.consumed);
    const count = Math.max(firstCount, Math.round(rate * options.seconds));
    const alone: Good[] = [await work(peer, "good-1", count)];
    const before = descriptorCount(peer.pid);
    const beside: Good[] = [];
    for (let round = 0; round < options.rounds; round += 1) {
      const topic = `beside-${round}`;
      const busy = (): Promise<Good> => work(peer, topic, count);
      watch.phase = "beside";
      beside.push(await withHostiles(peer, "good-0", options.hostility, busy));
      await until("the node has closed what is gone", () => {
        return descriptorCount(peer.pid) <= before + descriptorsSlack;
      });
      watch.phase = "alone";
      alone.push(await work(peer, `alone-${round}`, count));
    }
    watch.look();
    const { rss } = watch;
    return summary(alone, beside, {
      rss_mb: { alone: mb(rss.alone), beside: mb(rss.beside), after: mb(peer.rssBytes()) },
      descriptors: { before, most: watch.descriptors, after: descriptorCount(peer.pid) },
    });
  } finally {
    watch.stop();
    await peer.stop();
  }
}

/** Each round with hostile clients is compared with those before and after it. */
function summary(
  alone: readonly Good[],
  beside: readonly Good[],
  rest: Pick<HostileReport, "rss_mb" | "descriptors">,
): HostileReport {
  const kept = (of: (good: Good) => number): number => {
    const ratios = beside.map((good, round) => {
      const around = alone.slice(round, round + 2).map(of);
      return (of(good) * around.length) / around.reduce((sum, one) => sum + one, 0);
    });
    return rounded(median(ratios));
  };
  const afterwards = (of: (good: Good) => number): number => {
    const [first, ...others] = alone.map(of);
    return rounded(median(others) / (first ?? 1));
  };
  const produced = (good: Good): number => good.produced;
  const consumed = (good: Good): number => good.consumed;
  const inTurn = alone.flatMap((good, round) => [good, ...beside.slice(round, round + 1)]);
  return {
    kept_produce: kept(produced),
    kept_consume: kept(consumed),
    after_produce: afterwards(produced),
    after_consume: afterwards(consumed),
    produce_mb_s: inTurn.map((good) => mb(good.produced)),
    consume_mb_s: inTurn.map((good) => mb(good.consumed)),
    ...rest,
  };
}

function holds(report: HostileReport): boolean {
  const { rss_mb, descriptors } = report;
  return (
    Math.min(report.kept_produce, report.kept_consume) >= keptMin &&
    Math.min(report.after_produce, report.after_consume) >= keptMin &&
    rss_mb.beside - rss_mb.alone <= growthMbMax &&
    rss_mb.after - rss_mb.alone <= growthMbMax / 4 &&
    descriptors.after <= descriptors.before + descriptorsSlack
  );
}

function parse(args: readonly string[]): HostileOptions {
  const values = new Map<string, string>();
  const settings: string[] = [];
  for (let index = 0; index < args.length; index += 2) {
    const name = args[index] ?? "";
    const value = args[index + 1];
    if (value === undefined) throw new Error(`${name} needs a value`);
    if (name === "--set") settings.push(value);
    else values.set(name, value);
  }
  const number = (name: string, otherwise: number): number => Number(values.get(name) ?? otherwise);
  const hostility = {
    idle: number("--idle", 10_000),
    slow: number("--slow", 300),
    half: number("--half", 100),
    deaf: number("--deaf", 50),
    floods: number("--floods", 4),
    liars: number("--liars", 20),
  };
  return { seconds: number("--seconds", 8), rounds: number("--rounds", 3), hostility, settings };
}

async function main(args: readonly string[]): Promise<number> {
  const options = parse(args);
  rdkafkaPerformance();
  const report = await hostile(options);
  const held = holds(report);
  console.log(
    JSON.stringify({
      case: "hostile",
      held,
      ...report,
      hostility: options.hostility,
      ...describeMachine(tmpdir()),
      command: ["bun test/chaos/hostile.ts", ...args].join(" "),
    }),
  );
  return held ? 0 : 1;
}

if (import.meta.main) {
  exitOnSignals();
  process.exit(await main(process.argv.slice(2)));
}
