// How fast one native consumer reads what is there, and what that costs the server; and what a consumer
// that keeps up with a producer makes the node read from its files.
//
// B1: one partition in batches of about a megabyte, so that the consumer and not the request rate is
// measured. S5: a backlog of 2 GiB whose partitions lie scattered in the shared log, read by the one
// member of a group after the page cache was dropped (as root).

import { writeFileSync } from "node:fs";
import { removeScratchDir, scratchDir, waitUntil } from "../child.ts";
import { floorSide, limitReports } from "../limits.ts";
import { freshStream } from "../load/nats_client.ts";
import { consume, Member, produceTogether } from "../load/rdkafka.ts";
import { metricsPort, readMetrics } from "../metrics.ts";
import type { Options } from "../options.ts";
import { natsConsume, natsFill } from "../peers/nats.ts";
import { startPeer } from "../peers/peers.ts";
import { publish, sideReport } from "../report.ts";
import { type Figures, runRounds, type Side } from "../rounds.ts";
import { freshTopic, type Server, warmMemory, withServers } from "../servers.ts";
import { type Shape, shapeFields, shapeOf } from "../shapes.ts";
import { UsageError } from "../usage_error.ts";
import { loadOf } from "./produce.ts";

const topic = "fetch";
const memberMsMax = 180_000;

async function fill({ name, peer }: Server, shape: Shape): Promise<void> {
  const { address } = peer;
  console.error(`filling ${name} with ${shape.count} records ...`);
  if (name === "nats") {
    await freshStream(address, topic);
    await natsFill(address, topic, shape.sizeBytes, shape.count);
    return;
  }
  await freshTopic(peer, topic, shape.partitions, undefined);
  await produceTogether({ ...loadOf(shape, false), address, topic }, 1);
}

/** Seconds in which one member of a fresh group reads it all. */
async function groupSeconds(address: string, shape: Shape, group: string): Promise<number> {
  const folder = scratchDir("group");
  const member = new Member(address, topic, group, folder, shape.count);
  try {
    await waitUntil("the group has read it all", undefined, memberMsMax, () =>
      member.running ? undefined : true,
    );
    const { records, seconds } = member.consumed();
    if (records < shape.count) throw new Error("the member of the group ended early");
    return seconds;
  } finally {
    await member.stop();
    removeScratchDir(folder);
  }
}

async function secondsToRead({ name, peer }: Server, shape: Shape, round: number): Promise<number> {
  const { address } = peer;
  const { count, sizeBytes } = shape;
  if (name === "nats") return natsConsume(address, topic, sizeBytes, count);
  if (shape.partitions > 1) return groupSeconds(address, shape, `${topic}-${round}`);
  return (await consume({ address, topic, partition: 0, count })).seconds;
}

function sideOf(server: Server, shape: Shape): Side {
  const { name, peer } = server;
  const bytes = shape.count * shape.sizeBytes;
  return {
    name,
    async prepare() {
      await Bun.spawn(["sync"]).exited;
      if (shape.name === "S5" && process.getuid?.() === 0) {
        writeFileSync("/proc/sys/vm/drop_caches", "3");
      }
    },
    async measure(round) {
      const start = peer.cpuSeconds();
      const seconds = await secondsToRead(server, shape, round);
      return {
        records_per_s: shape.count / seconds,
        mb_per_s: bytes / 1e6 / seconds,
        cpu_s_per_gb: (peer.cpuSeconds() - start) / (bytes / 1e9),
        rss_mb: peer.rssBytes() / 1e6,
      };
    },
  };
}

/** Records per second: a rate at which the consumer never falls a second behind. */
const tailRate = 100_000;
const tailSeconds = 5;
const hits = "pyralog_tail_cache_hits_total";
const misses = "pyralog_tail_cache_misses_total";

/**
 * A consumer that waits at the end while a producer writes at a steady rate, on a node of its own: the
 * share of reads that its tail cache answers, and what it reads from files and disk meanwhile.
 */
async function nearTail(options: Options, { sizeBytes }: Shape): Promise<Figures> {
  const { port, setting } = metricsPort();
  const { durability, quick } = options;
  const count = (tailRate * tailSeconds) / (quick ? 5 : 1);
  const settings = [...options.settings, setting];
  const peer = await startPeer("pyralog", { durability, settings });
  try {
    const { address } = peer;
    await freshTopic(peer, topic, 1, undefined);
    const before = await readMetrics(port, [hits, misses]);
    const start = peer.io();
    const load = { address, topic, sizeBytes, count };
    await Promise.all([
      consume({ ...load, partition: 0 }),
      produceTogether({ ...load, lingerMs: 5, batchRecords: 10_000, rate: tailRate }, 1),
    ]);
    const end = peer.io();
    const after = await readMetrics(port, [hits, misses]);
    const hit = after(hits) - before(hits);
    const missed = after(misses) - before(misses);
    return {
      rate: tailRate,
      hits: hit,
      misses: missed,
      hit_rate: hit / (hit + missed),
      file_read_bytes: end.fileReadBytes - start.fileReadBytes,
      disk_read_bytes: end.diskReadBytes - start.diskReadBytes,
    };
  } finally {
    await peer.stop();
  }
}

export async function benchFetch(options: Options, command: string): Promise<void> {
  const shape = shapeOf(options);
  if (shape.partitions > 1 && options.peers.some((name) => name === "null" || name === "nats")) {
    throw new UsageError(`${shape.name} is read by a Kafka consumer group: --vs none, os or kafka`);
  }
  warmMemory(shape.count * shape.sizeBytes);
  await withServers(options, async (ours, others) => {
    const servers = [ours, ...others];
    for (const server of servers) await fill(server, shape);
    const sides = servers.map((server) => sideOf(server, shape));
    for (const _ of options.limits) sides.push(floorSide("send", shape.count, shape.sizeBytes));
    for (const side of sides) {
      await side.prepare(-1);
      await side.measure(-1);
    }
    const runs = await runRounds(sides, options);
    const tail = options.subject === "pyralog" ? await nearTail(options, shape) : undefined;
    publish({
      options,
      folder: ours.peer.folder,
      shape: { ...shapeFields(shape, options), consumers: 1, group: shape.partitions > 1 },
      ours: sideReport(ours, runs),
      others: [...others.map((other) => sideReport(other, runs)), ...limitReports(options, runs)],
      compared: { records_per_s: "rate", cpu_s_per_gb: "cost" },
      ...(tail === undefined ? {} : { extra: { tail } }),
      command,
    });
  });
}
