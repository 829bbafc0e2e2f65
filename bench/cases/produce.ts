// How many records per second native producers get acknowledged, and what they cost the server.

import { removeScratchDir, scratchDir, waitUntil } from "../child.ts";
import { fioSide, floorSide, limitReports } from "../limits.ts";
import { Member, type ProduceLoad, produceTogether } from "../load/rdkafka.ts";
import type { Options } from "../options.ts";
import { publish, sideReport } from "../report.ts";
import { type Figures, runRounds, type Side } from "../rounds.ts";
import { freshTopic, type Server, warmMemory, withServers } from "../servers.ts";
import { type Shape, shapeFields, shapeOf } from "../shapes.ts";
import { UsageError } from "../usage_error.ts";

const consumersDeadlineMs = 60_000;

/** The members of the shape's group: they join before the load starts and stop when they have it all. */
class Group {
  readonly #members: readonly Member[];
  readonly #folder: string;

  constructor(address: string, topic: string, count: number) {
    this.#folder = scratchDir("group");
    this.#members = Array.from(
      { length: count },
      () => new Member(address, topic, topic, this.#folder),
    );
  }

  async finish(records: number): Promise<void> {
    const consumed = () =>
      this.#members.reduce((sum, member) => sum + member.consumed().records, 0);
    try {
      if (this.#members.length === 0) return;
      await waitUntil("the group has read it all", undefined, consumersDeadlineMs, () =>
        consumed() >= records ? true : undefined,
      );
    } finally {
      await Promise.all(this.#members.map((member) => member.stop()));
      removeScratchDir(this.#folder);
    }
  }
}

export function loadOf(shape: Shape, idempotent: boolean): Omit<ProduceLoad, "address" | "topic"> {
  const { sizeBytes, count, lingerMs, batchRecords, batchBytes, rate } = shape;
  return {
    ...{ sizeBytes, count, lingerMs, batchRecords, idempotent },
    ...(batchBytes === undefined ? {} : { batchBytes }),
    ...(rate === undefined ? {} : { rate }),
  };
}

export function produceSide({ name, peer }: Server, shape: Shape, idempotent = false): Side {
  const { address } = peer;
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
      const load = { ...loadOf(shape, idempotent), address, topic: `produce-${round}` };
      const group = new Group(address, load.topic, shape.consumers);
      const result = await produceTogether(load, shape.producers);
      await group.finish(result.records);
      return {
        records_per_s: result.records / result.seconds,
        mb_per_s: result.bytes / 1e6 / result.seconds,
        cpu_s_per_gb: (peer.cpuSeconds() - start) / (result.bytes / 1e9),
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
  const shape = shapeOf(options);
  if (shape.consumers > 0 && options.peers.includes("null")) {
    throw new UsageError(
      `${shape.name} has a consumer group, which null does not serve: --vs none`,
    );
  }
  warmMemory(shape.count * shape.sizeBytes);
  await withServers(options, async (ours, others) => {
    const servers = [ours, ...others];
    const sides = servers.map((server) => produceSide(server, shape, options.idempotent));
    for (const limit of options.limits) {
      if (limit === "fio") sides.push(fioSide(shape.sizeBytes));
      else sides.push(floorSide("receive", shape.count, shape.sizeBytes));
    }
    await warmUp(sides, shape.count, options.quick);
    const runs = await runRounds(sides, options);
    publish({
      options,
      folder: ours.peer.folder,
      shape: shapeFields(shape, options),
      ours: sideReport(ours, runs),
      others: [...others.map((other) => sideReport(other, runs)), ...limitReports(options, runs)],
      compared: { records_per_s: "rate", cpu_s_per_gb: "cost" },
      command,
    });
  });
}

/** The price of the sync: our node at fsync beside itself at os. */
export function benchDurability(options: Options, command: string): Promise<void> {
  return benchProduce({ ...options, peers: ["os"], durability: "fsync" }, command);
}
