// A node with many partitions, each written once, and nothing to do: the CPU that it takes and the
// bytes that it sends to the disk.

import { KafkaClient, singleRecordBatch } from "../kafka_client.ts";
import type { Options } from "../options.ts";
import { publish, sideReport } from "../report.ts";
import { type Figures, runRounds, type Side } from "../rounds.ts";
import { type Server, withServers } from "../servers.ts";

const topic = "idle";
const partitionsDefault = 10_000;
/** Long enough for everything that a load leaves to be done: flushes, filling ahead, collections. */
const restMs = 15_000;
const windowMs = 60_000;
const quickWindowMs = 10_000;

async function writeEach(address: string, partitions: number): Promise<void> {
  const client = await KafkaClient.connect(address);
  try {
    await client.createTopic(topic, partitions);
    const batch = singleRecordBatch(crypto.getRandomValues(new Uint8Array(100)), Date.now());
    await client.produceEach(topic, partitions, batch);
  } finally {
    client.close();
  }
}

function sideOf({ name, peer }: Server, millis: number): Side {
  return {
    name,
    prepare: () => Promise.resolve(),
    async measure(): Promise<Figures> {
      const start = { cpu: peer.cpuSeconds(), io: peer.io(), ms: performance.now() };
      await Bun.sleep(millis);
      const seconds = (performance.now() - start.ms) / 1000;
      const written = peer.io().diskWrittenBytes - start.io.diskWrittenBytes;
      return {
        cpu_percent: ((peer.cpuSeconds() - start.cpu) / seconds) * 100,
        written_bytes_per_s: written / seconds,
        rss_mb: peer.rssBytes() / 1e6,
      };
    },
  };
}

export async function benchIdle(options: Options, command: string): Promise<void> {
  const partitions = options.partitions ?? partitionsDefault;
  const millis = options.quick ? quickWindowMs : windowMs;
  await withServers(options, async (ours, others) => {
    const servers = [ours, ...others];
    for (const { peer } of servers) await writeEach(peer.address, partitions);
    await Bun.sleep(options.quick ? quickWindowMs : restMs);
    const runs = await runRounds(
      servers.map((server) => sideOf(server, millis)),
      options,
    );
    publish({
      options,
      folder: ours.peer.folder,
      shape: { partitions, window_s: millis / 1000 },
      ours: sideReport(ours, runs),
      others: others.map((other) => sideReport(other, runs)),
      compared: { cpu_percent: "cost" },
      command,
    });
  });
}
