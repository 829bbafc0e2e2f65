// How fast one native consumer reads one partition from its start, and what that costs the server.

import { checkLimits, floorSide, limitReports } from "../limits.ts";
import { consume, produce } from "../load/rdkafka.ts";
import type { Options } from "../options.ts";
import { publish, sideReport } from "../report.ts";
import { runRounds, type Side } from "../rounds.ts";
import { freshTopic, type Server, warmMemory, withServers } from "../servers.ts";

const topic = "fetch";

function countOf({ count, sizeBytes, quick }: Options): number {
  const full = count ?? Math.min(5e6, Math.floor(1e9 / sizeBytes));
  return quick && count === undefined ? Math.ceil(full / 10) : full;
}

/** Batches of about a megabyte, so that the consumer and not the request rate is measured. */
async function fill({ name, peer }: Server, sizeBytes: number, count: number): Promise<void> {
  console.error(`filling ${name} with ${count} records ...`);
  await freshTopic(peer, topic, 1, undefined);
  const { address } = peer;
  await produce({ address, topic, sizeBytes, count, lingerMs: 5, batchRecords: 10_000 });
}

function sideOf({ name, peer }: Server, count: number): Side {
  return {
    name,
    async prepare() {
      await Bun.spawn(["sync"]).exited;
    },
    async measure() {
      const start = peer.cpuSeconds();
      const result = await consume({ address: peer.address, topic, partition: 0, count });
      return {
        records_per_s: result.records / result.seconds,
        mb_per_s: result.bytes / 1e6 / result.seconds,
        cpu_s_per_gb: (peer.cpuSeconds() - start) / (result.bytes / 1e9),
        rss_mb: peer.rssBytes() / 1e6,
      };
    },
  };
}

export async function benchFetch(options: Options, command: string): Promise<void> {
  checkLimits(options, ["floor"]);
  const count = countOf(options);
  warmMemory(count * options.sizeBytes);
  await withServers(options, async (ours, others) => {
    const servers = [ours, ...others];
    for (const server of servers) await fill(server, options.sizeBytes, count);
    const sides = servers.map((server) => sideOf(server, count));
    for (const _ of options.limits) sides.push(floorSide("send", count, options.sizeBytes));
    for (const side of sides) await side.measure(-1);
    const runs = await runRounds(sides, options);
    publish({
      options,
      folder: ours.peer.folder,
      shape: { size: options.sizeBytes, partitions: 1, count, consumers: 1, group: false },
      ours: sideReport(ours, runs),
      others: [...others.map((other) => sideReport(other, runs)), ...limitReports(options, runs)],
      compared: { records_per_s: "rate", cpu_s_per_gb: "cost" },
      command,
    });
  });
}
