// Power cuts, kills and full disks as whole runs, with the settings that make them bite: small
// segments, so that rounds cross them, and an Apache Kafka that syncs as this product does.

import { FullDisks, type FullFigures, Kills, PowerCuts } from "./grounds.ts";
import { runRounds, type Summary } from "./rounds.ts";
import { needRoot, type Drop, type FileSystem } from "./volume.ts";

const node = { "storage.segment_max_size": 16 * 1024 * 1024 };
const kafka = { "group.initial.rebalance.delay.ms": 0 };
/** Without it Apache Kafka acknowledges from the page cache: a kill spares that, a cut does not. */
const syncEveryBatch = { "log.flush.interval.messages": 1 };

/** The two ways to lose power in turn. */
function alternating(): () => Drop {
  let cuts = 0;
  return () => {
    cuts += 1;
    return cuts % 2 === 1 ? "everything" : "data-only";
  };
}

export function powercut(fs: FileSystem, rounds: number, seed: number): Promise<Summary> {
  needRoot();
  const nextDrop = alternating();
  return runRounds({
    name: `powercut-${fs}`,
    rounds,
    seed,
    ground: () => new PowerCuts(fs, nextDrop),
    server: { kafka, node, broker: syncEveryBatch },
  });
}

/**
 * The control: a server that is told to acknowledge before the disk has the bytes. A run that finds
 * nothing lost here would find nothing anywhere.
 */
export function powercutUnsynced(rounds: number, seed: number, product: boolean): Promise<Summary> {
  needRoot();
  return runRounds({
    name: "powercut-unsynced",
    rounds,
    seed,
    ground: () => new PowerCuts("ext4", () => "everything"),
    server: { kafka, node: { ...node, "storage.cache.flush_interval_ms": 60_000 } },
    ...(product ? { topicConfigs: { "pyralog.durability": "os" } } : {}),
  });
}

export function kills(rounds: number, seed: number): Promise<Summary> {
  return runRounds({
    name: "kill9",
    rounds,
    seed,
    ground: () => new Kills(),
    server: { kafka, node },
  });
}

/** Apache Kafka ends when its disk is full, so this is a promise of this product only. */
export async function full(rounds: number, seed: number): Promise<Summary & FullFigures> {
  needRoot();
  const figures: FullFigures = { refusedBatches: 0, fullStarts: 0, recoveryMsMax: 0 };
  const summary = await runRounds({
    name: "full",
    rounds,
    seed,
    ground: () => new FullDisks(figures),
    server: { kafka, node },
  });
  return { ...summary, ...figures };
}
