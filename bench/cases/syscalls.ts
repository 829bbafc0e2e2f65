// System calls of the server per batch while it takes the shape's load. Under strace the server is
// slow, so more records share a batch than else and times say nothing; counts do.

import { KafkaClient } from "../kafka_client.ts";
import { produceTogether } from "../load/rdkafka.ts";
import { metricsPort, readMetrics } from "../metrics.ts";
import type { Options } from "../options.ts";
import { publish, sideReport } from "../report.ts";
import { type Figures, runRounds, type Side } from "../rounds.ts";
import { freshTopic, type Server, withServers } from "../servers.ts";
import { type Shape, shapeFields, shapeOf } from "../shapes.ts";
import { rounded } from "../stats.ts";
import { type Calls, groupsOf, traceCalls } from "../strace.ts";
import { loadOf } from "./produce.ts";

/** strace makes every call some ten times as dear, so a run has fewer records. */
const recordsMax = 200_000;
/** Of the node's counters: frames written with one call, and zeros written ahead of the log. */
const groupsName = "pyralog_commit_groups_total";
const filledName = "pyralog_filled_bytes_total";
const filledPauseMs = 1000;
const filledTriesMax = 60;

/** The node writes its segments ahead, once: that is no call of any batch. */
async function filledAhead(port: number): Promise<void> {
  let before = -1;
  for (let tries = 0; tries < filledTriesMax; tries += 1) {
    const filled = (await readMetrics(port, [filledName]))(filledName);
    if (filled === before) return;
    before = filled;
    await Bun.sleep(filledPauseMs);
  }
  throw new Error(`the node still fills its segments after ${filledTriesMax} s`);
}

async function batchesOf({ peer }: Server, topic: string, partitions: number): Promise<number> {
  const client = await KafkaClient.connect(peer.address);
  try {
    return await client.countBatches(topic, partitions);
  } finally {
    client.close();
  }
}

export function callFigures(calls: Calls, batches: number, groups: number): Figures {
  const { receive, send, write, sync, other } = groupsOf(calls);
  return {
    batches,
    data_calls_per_batch: (receive + send + write + sync) / batches,
    receive_per_batch: receive / batches,
    send_per_batch: send / batches,
    storage_per_batch: (write + sync) / batches,
    batches_per_group: batches / groups,
    storage_per_group: (write + sync) / groups,
    other_per_batch: other / batches,
  };
}

function sideOf(
  server: Server,
  shape: Shape,
  { idempotent }: Options,
  port: number,
  kept: Calls[],
): Side {
  const { name, peer } = server;
  let topic: string | undefined;
  return {
    name,
    async prepare(round) {
      const next = `syscalls-${round}`;
      await freshTopic(peer, next, shape.partitions, topic);
      topic = next;
      await filledAhead(port);
    },
    async measure(round): Promise<Figures> {
      const to = `syscalls-${round}`;
      const load = { ...loadOf(shape, idempotent), address: peer.address, topic: to };
      const before = await readMetrics(port, [groupsName]);
      const { calls } = await traceCalls(peer.pid, () => produceTogether(load, shape.producers));
      const after = await readMetrics(port, [groupsName]);
      kept.push(calls);
      const batches = await batchesOf(server, to, shape.partitions);
      return callFigures(calls, batches, after(groupsName) - before(groupsName));
    },
  };
}

/** Every call by name, over all runs, the most frequent first. */
function listed(all: readonly Calls[], batches: number): Record<string, number> {
  const sums = new Map<string, number>();
  for (const calls of all) {
    for (const [name, count] of calls) sums.set(name, (sums.get(name) ?? 0) + count);
  }
  const rows = [...sums].sort(([, left], [, right]) => right - left);
  return Object.fromEntries(rows.map(([name, count]) => [name, rounded(count / batches)]));
}

export async function benchSyscalls(options: Options, command: string): Promise<void> {
  const full = shapeOf(options);
  const shape = { ...full, count: options.count ?? Math.min(full.count, recordsMax) };
  const { port, setting } = metricsPort();
  const settings = [...options.settings, setting];
  await withServers({ ...options, settings }, async (ours) => {
    const kept: Calls[] = [];
    const runs = await runRounds([sideOf(ours, shape, options, port, kept)], options);
    const batches = (runs.get(ours.name) ?? []).reduce(
      (sum, run) => sum + (run.figures["batches"] ?? 0),
      0,
    );
    publish({
      options,
      folder: ours.peer.folder,
      shape: shapeFields(shape, options),
      ours: sideReport(ours, runs),
      others: [],
      compared: {},
      extra: { calls_per_batch: listed(kept, batches) },
      command,
    });
  });
}
