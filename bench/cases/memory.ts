// Resident bytes of a fresh server that has acknowledged one record and waits, and their peak while it
// takes the shape's load. A fresh process in each round: memory that a load left behind is not idle.

import { removeScratchDir } from "../child.ts";
import { startUntilAcknowledged } from "../first_ack.ts";
import { KafkaClient } from "../kafka_client.ts";
import { produceTogether } from "../load/rdkafka.ts";
import type { Options } from "../options.ts";
import type { Prepared } from "../peers/peer.ts";
import { type PeerName, preparePeer } from "../peers/peers.ts";
import { treeRssBytes } from "../proc.ts";
import { publish, sideReport } from "../report.ts";
import { type Figures, runRounds, type Side } from "../rounds.ts";
import { type Shape, shapeFields, shapeOf } from "../shapes.ts";
import { loadOf } from "./produce.ts";

const topic = "memory";
/** Long enough for what the start left behind to be given back. */
const restMs = 5_000;
const sampleMs = 50;
const stopDeadlineMs = 20_000;

/** The highest of samples taken until `work` has ended. */
async function peakBytes(pid: number, work: Promise<unknown>): Promise<number> {
  let peak = treeRssBytes(pid);
  let working = true;
  const ended = work.finally(() => {
    working = false;
  });
  while (working) {
    peak = Math.max(peak, treeRssBytes(pid));
    await Promise.race([ended, Bun.sleep(sampleMs)]);
  }
  await ended;
  return peak;
}

function sideOf(name: PeerName, options: Options, shape: Shape, prepared: Prepared[]): Side {
  const { durability, settings } = options;
  return {
    name,
    prepare() {
      prepared.push(preparePeer(name, { durability, settings }, true));
      return Promise.resolve();
    },
    async measure(): Promise<Figures> {
      const now = prepared.at(-1);
      if (now === undefined) throw new Error("prepare comes first");
      const { child, address } = await startUntilAcknowledged(now);
      try {
        await Bun.sleep(restMs);
        const idle = treeRssBytes(child.pid);
        const client = await KafkaClient.connect(address);
        await client.createTopic(topic, shape.partitions, now.topicConfigs);
        client.close();
        const load = { ...loadOf(shape, options.idempotent), address, topic };
        const peak = await peakBytes(child.pid, produceTogether(load, shape.producers));
        return { idle_rss_mb: idle / 1e6, load_rss_mb: peak / 1e6 };
      } finally {
        await child.stop(stopDeadlineMs);
        removeScratchDir(now.folder);
      }
    },
  };
}

export async function benchMemory(options: Options, command: string): Promise<void> {
  const shape = shapeOf(options);
  const names = [options.subject, ...options.peers];
  const prepared = new Map<PeerName, Prepared[]>(names.map((name) => [name, []]));
  const sides = names.map((name) => sideOf(name, options, shape, prepared.get(name) ?? []));
  const runs = await runRounds(sides, options);
  const [ours, ...others] = names.map((name) => {
    const peer = prepared.get(name)?.at(-1);
    if (peer === undefined) throw new Error(`${name} was not prepared`);
    return { ...sideReport({ name, peer }, runs), folder: peer.folder };
  });
  if (ours === undefined) throw new Error("no server was started");
  publish({
    options,
    folder: ours.folder,
    shape: shapeFields(shape, options),
    ours,
    others,
    compared: { idle_rss_mb: "cost", load_rss_mb: "cost" },
    command,
  });
}
