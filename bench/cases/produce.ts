// How many records per second one native producer gets acknowledged, and what they cost the server.
// Shapes B1 (Kafka's best case) and B2 (the everyday case).

import { checkLimits, floorSide, limitReports } from "../limits.ts";
import { type ProduceLoad, produce } from "../load/rdkafka.ts";
import type { Options } from "../options.ts";
import { publish, sideReport } from "../report.ts";
import { type Figures, runRounds, type Side } from "../rounds.ts";
import { freshTopic, type Server, warmMemory, withServers } from "../servers.ts";

interface Shape {
  readonly partitions: number;
  readonly count: number;
  readonly load: Omit<ProduceLoad, "address" | "topic">;
}

/**
 * About 20 s at most on the slowest side: half a gigabyte or more at B1; at B2 less, and a tenth of
 * B1 where Kafka syncs each batch, because it then takes 13,000 to 200,000 records/s here.
 */
export function shapeOf(options: Options): Shape {
  const { sizeBytes, shape, durability, peers, quick } = options;
  const flushing = durability === "fsync" && peers.includes("kafka");
  const most = shape === "B1" ? [5e6, 1e9] : flushing ? [1e6, 1e8] : [2e6, 3e8];
  const [recordsMax = 0, bytesMax = 0] = most;
  const full = options.count ?? Math.min(recordsMax, Math.floor(bytesMax / sizeBytes));
  const count = quick && options.count === undefined ? Math.ceil(full / 10) : full;
  const defaults = shape === "B1" ? { partitions: 1 } : { partitions: 100, batchBytes: 16_384 };
  const { partitions, ...batch } = defaults;
  return {
    partitions: options.partitions ?? partitions,
    count,
    load: {
      sizeBytes,
      count,
      lingerMs: 5,
      batchRecords: 10_000,
      idempotent: options.idempotent,
      ...batch,
    },
  };
}

function sideOf({ name, peer }: Server, shape: Shape): Side {
  let topic: string | undefined;
  return {
    name,
    async prepare(round) {
      const next = `produce-${round}`;
      await freshTopic(peer, next, shape.partitions, topic);
      topic = next;
    },
    async measure(round): Promise<Figures> {
      const start = peer.cpuSeconds();
      const load = {
        ...shape.load,
        address: peer.address,
        topic: `produce-${round}`,
      };
      const result = await produce(load);
      const gigabytes = result.bytes / 1e9;
      return {
        records_per_s: result.records / result.seconds,
        mb_per_s: result.bytes / 1e6 / result.seconds,
        cpu_s_per_gb: (peer.cpuSeconds() - start) / gigabytes,
        rss_mb: peer.rssBytes() / 1e6,
      };
    },
  };
}

/** The first run of a JVM costs two to three times the CPU of one after so many records. */
const jvmWarmRecords = 3_000_000;
const warmRunsMax = 4;

/** Runs that are not counted. */
async function warmUp(sides: readonly Side[], count: number, quick: boolean): Promise<void> {
  const jvmRuns = quick ? 1 : Math.min(warmRunsMax, Math.ceil(jvmWarmRecords / count));
  for (const side of sides) {
    const runs = side.name === "kafka" ? jvmRuns : 1;
    for (let run = 0; run < runs; run += 1) {
      console.error(`warming ${side.name} up ...`);
      await side.prepare(-1 - run);
      await side.measure(-1 - run);
    }
  }
}

export async function benchProduce(options: Options, command: string): Promise<void> {
  checkLimits(options, ["floor"]);
  const shape = shapeOf(options);
  warmMemory(shape.count * options.sizeBytes);
  await withServers(options, async (ours, others) => {
    const servers = [ours, ...others];
    const sides = servers.map((server) => sideOf(server, shape));
    const { sizeBytes } = options;
    for (const _ of options.limits) sides.push(floorSide("receive", shape.count, sizeBytes));
    await warmUp(sides, shape.count, options.quick);
    const runs = await runRounds(sides, options);
    publish({
      options,
      folder: ours.peer.folder,
      shape: {
        name: options.shape,
        size: options.sizeBytes,
        partitions: shape.partitions,
        count: shape.count,
        acks: -1,
        linger_ms: shape.load.lingerMs,
        batch_records: shape.load.batchRecords,
        batch_bytes: shape.load.batchBytes ?? 1_000_000,
        idempotent: options.idempotent,
        producers: 1,
      },
      ours: sideReport(ours, runs),
      others: [...others.map((other) => sideReport(other, runs)), ...limitReports(options, runs)],
      compared: { records_per_s: "rate", cpu_s_per_gb: "cost" },
      command,
    });
  });
}
