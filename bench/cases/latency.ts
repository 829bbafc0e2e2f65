// Latency of single-record Produce requests at a fixed rate, open loop, one connection.

import { fdatasyncSide, limitReports } from "../limits.ts";
import {
  type Latency,
  latencyFigures,
  measureLatency,
  mergedPercentileMicros,
} from "../load/open_loop.ts";
import { freshStream } from "../load/nats_client.ts";
import type { Options } from "../options.ts";
import { publish, sideReport } from "../report.ts";
import { runRounds, type Side } from "../rounds.ts";
import { freshTopic, type Server, withServers } from "../servers.ts";
import { rounded } from "../stats.ts";

const topic = "latency";
const sizeDefaultBytes = 100;
const secondsPerRun = 5;
const warmupSeconds = 1;

interface Schedule {
  /** Requests of a run, those of the warm-up included. */
  readonly count: number;
  readonly warmupCount: number;
}

function scheduleOf(options: Options): Schedule {
  const seconds = options.quick ? 1 : secondsPerRun;
  const warmupCount = options.rate * warmupSeconds;
  return {
    count: (options.count ?? options.rate * seconds) + warmupCount,
    warmupCount,
  };
}

function sideOf({ name, peer }: Server, options: Options, kept: Latency[]): Side {
  const { count, warmupCount } = scheduleOf(options);
  const { sizeBytes = sizeDefaultBytes, rate: requestsPerSecond } = options;
  const nats = name === "nats";
  return {
    name,
    async prepare(round) {
      if (round >= 0) return;
      if (nats) await freshStream(peer.address, topic);
      else await freshTopic(peer, topic, 1, undefined);
    },
    async measure(round) {
      const { address } = peer;
      const start = peer.cpuSeconds();
      const load = { address, topic, sizeBytes, requestsPerSecond, count, warmupCount, nats };
      const result = await measureLatency(load);
      if (round >= 0) kept.push(result);
      return {
        ...latencyFigures(result),
        send_late_p99_us: result.send_late_p99_us,
        cpu_us_per_request: ((peer.cpuSeconds() - start) * 1e6) / count,
      };
    },
  };
}

function merged(runs: readonly Latency[]): Record<string, number> {
  const at = (share: number) => rounded(mergedPercentileMicros(runs, share));
  const count = runs.reduce((sum, run) => sum + run.count, 0);
  return { count, p50_us: at(0.5), p90_us: at(0.9), p99_us: at(0.99), p999_us: at(0.999) };
}

export async function benchLatency(options: Options, command: string): Promise<void> {
  const { count, warmupCount } = scheduleOf(options);
  await withServers(options, async (ours, others) => {
    const servers = [ours, ...others];
    const kept = new Map<string, Latency[]>();
    const keptOf = (name: string) => {
      const list: Latency[] = [];
      kept.set(name, list);
      return list;
    };
    const sides = servers.map((server) => sideOf(server, options, keptOf(server.name)));
    for (const limit of options.limits) {
      sides.push(fdatasyncSide(options.rate, count, warmupCount, keptOf(limit)));
    }
    for (const side of sides) {
      console.error(`warming ${side.name} up ...`);
      await side.prepare(-1);
      // a JVM compiles what is called often: some ten thousand requests
      for (let run = 0; run < (side.name === "kafka" && !options.quick ? 3 : 1); run += 1) {
        await side.measure(-1);
      }
    }
    const runs = await runRounds(sides, options);
    publish({
      options,
      folder: ours.peer.folder,
      shape: {
        name: "S6",
        size: options.sizeBytes ?? sizeDefaultBytes,
        partitions: 1,
        rate: options.rate,
        acks: -1,
      },
      ours: sideReport(ours, runs),
      others: [...others.map((other) => sideReport(other, runs)), ...limitReports(options, runs)],
      compared: { p50_us: "cost", p99_us: "cost" },
      extra: { merged: Object.fromEntries([...kept].map(([name, all]) => [name, merged(all)])) },
      command,
    });
  });
}
