// Rounds of one kind of disaster: load, strike, start again, read everything, judge. What power
// cuts and kills have in common.

import {
  code,
  createTopic,
  earliest,
  fetchPartition,
  latest,
  listOffset,
} from "../harness/apis.ts";
import { readBatches, readRecords, type StoredRecord } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { findCoordinator, offsetFetch } from "../harness/groups.ts";
import { Server, type ServerOptions } from "../harness/server.ts";
import { until } from "../harness/until.ts";
import { CommitHistory, PartitionHistory, Verdict, type Faults, type Reading } from "./history.ts";
import { Load, Workload, type Group, type Topic } from "./load.ts";
import { Random } from "./payload.ts";

/** Where the server's data lies, and what befalls it there. */
export interface Ground {
  readonly dataDir: string;
  /** Befalls the server under load. Afterwards it is running still, or can be started again. */
  strike(server: Server, load: Load, random: Random): Promise<void>;
  /** Takes a server down that is starting. */
  strikeStart(server: Server, random: Random): Promise<void>;
  /** What ends the disaster where a start does not: writes are taken again when it returns. */
  mend?(server: Server): Promise<void>;
  /** Not enough room for another round. */
  worn(): boolean;
  dispose(): void;
}

export interface RoundOptions {
  readonly name: string;
  readonly rounds: number;
  readonly seed: number;
  readonly ground: (round: number) => Ground;
  readonly server?: ServerOptions;
  readonly topicConfigs?: Readonly<Record<string, string>>;
}

export interface Summary extends Faults {
  readonly name: string;
  readonly seed: number;
  readonly rounds: number;
  readonly acked: number;
  readonly ackedMiB: number;
  readonly commitsAcked: number;
  /** Records in flight at a strike, over all rounds: what a strike could have torn. */
  readonly unknown: number;
  readonly recordsChecked: number;
  readonly strikesAtStart: number;
  readonly restartMsMedian: number;
  readonly restartMsMax: number;
  readonly words: readonly string[];
}

const topicShapes = [
  { name: "plain", partitions: 6, idempotent: false },
  { name: "wide", partitions: 24, idempotent: false },
  { name: "once", partitions: 4, idempotent: true },
] as const;
const groupShapes = [
  { name: "members", joins: true },
  { name: "auditors", joins: false },
] as const;

/** Acknowledged bytes before a strike: from hardly any to more than one segment. */
const loadBytesMin = 64 * 1024;
const loadBytesMax = 24 * 1024 * 1024;
const startStrikePercent = 20;
const loadMsMax = 120_000;

function newWorkload(seed: number, verdict: Verdict): Workload {
  const topics = topicShapes.map(
    (shape): Topic => ({
      name: shape.name,
      idempotent: shape.idempotent,
      partitions: Array.from(
        { length: shape.partitions },
        (_, partition) => new PartitionHistory({ seed, topic: shape.name, partition }, verdict),
      ),
    }),
  );
  const groups = groupShapes.map(
    (shape): Group => ({
      ...shape,
      commits: new Map(
        topics.map((topic) => [
          topic.name,
          topic.partitions.map(
            (_, index) => new CommitHistory(`${shape.name} ${topic.name}/${index}`, verdict),
          ),
        ]),
      ),
    }),
  );
  return new Workload(topics, groups, verdict);
}

/** Every partition answers, and every group has a coordinator that has loaded. */
async function whenServing(connection: Connection, workload: Workload): Promise<void> {
  for (const { source } of workload.partitions) {
    await until(`${source.topic}/${source.partition} answers`, async () => {
      const end = await listOffset(connection, source.topic, source.partition, latest);
      return end.error === code.none;
    });
  }
  for (const { name } of workload.groups) {
    await until(`${name} has a coordinator`, async () => {
      if ((await findCoordinator(connection, name)) !== code.none) return false;
      return (await offsetFetch(connection, name, "plain", [0])).error === code.none;
    });
  }
}

async function readPartition(
  connection: Connection,
  partition: PartitionHistory,
  verdict: Verdict,
): Promise<Reading> {
  const { topic, partition: index } = partition.source;
  const logStart = (await listOffset(connection, topic, index, earliest)).offset;
  const records: StoredRecord[] = [];
  for (let position = logStart; ; ) {
    const found = await fetchPartition(connection, topic, index, position);
    const batches = readBatches(found.bytes);
    const last = batches.at(-1);
    if (found.error !== code.none || last === undefined) {
      if (found.error !== code.none) {
        verdict.fault("wrong", `${topic}/${index}@${position}: Fetch answers ${found.error}`);
      }
      return { logStart, highWatermark: found.highWatermark, records };
    }
    for (const batch of batches) {
      // A trim may end inside a batch, which is then served whole.
      const visible = (record: StoredRecord): boolean => record.offset >= logStart;
      if (batch.crcHolds) records.push(...readRecords(batch).filter(visible));
      else verdict.fault("wrong", `${topic}/${index} batch at ${batch.baseOffset}: checksum`);
    }
    position = last.lastOffset + 1;
  }
}

/** Reads everything there is and judges it. Returns the number of records read. */
async function judge(address: string, workload: Workload): Promise<number> {
  const connection = await Connection.open(address);
  let checked = 0;
  try {
    await whenServing(connection, workload);
    for (const topic of workload.topics) {
      for (const partition of topic.partitions) {
        const reading = await readPartition(connection, partition, workload.verdict);
        partition.check(reading);
        if (!topic.idempotent) partition.giveUp();
        checked += reading.records.length;
      }
    }
    for (const group of workload.groups) {
      for (const [topic, histories] of group.commits) {
        const indexes = histories.map((_, index) => index);
        const { error, commits } = await offsetFetch(connection, group.name, topic, indexes);
        if (error !== code.none) throw new Error(`OffsetFetch ${group.name}: error ${error}`);
        for (const [index, history] of histories.entries()) {
          const commit = commits.find((each) => each.partition === index);
          history.check(commit?.offset ?? -1, commit?.metadata ?? null);
        }
      }
    }
  } finally {
    connection.close();
  }
  return checked;
}

async function makeTopics(
  address: string,
  workload: Workload,
  configs: Readonly<Record<string, string>>,
): Promise<void> {
  const connection = await Connection.open(address);
  try {
    for (const topic of workload.topics) {
      const made = await createTopic(connection, topic.name, {
        partitions: topic.partitions.length,
        configs,
      });
      if (made.error !== code.none) throw new Error(`CreateTopics: ${made.error} ${made.message}`);
    }
    await whenServing(connection, workload);
  } finally {
    connection.close();
  }
}

/** One ground with its server and everything that was promised on it. */
interface Site {
  readonly ground: Ground;
  readonly server: Server;
  readonly workload: Workload;
}

async function openSite(options: RoundOptions, round: number, verdict: Verdict): Promise<Site> {
  const ground = options.ground(round);
  const server = await Server.create({ ...options.server, dataDir: ground.dataDir });
  const workload = newWorkload(options.seed + round, verdict);
  try {
    await server.start();
    await makeTopics(server.address, workload, options.topicConfigs ?? {});
  } catch (error) {
    await server.dispose();
    ground.dispose();
    throw error;
  }
  return { ground, server, workload };
}

async function closeSite(site: Site): Promise<void> {
  await site.server.dispose();
  site.ground.dispose();
}

class Tally {
  readonly restartMs: number[] = [];
  acked = 0;
  ackedBytes = 0;
  commitsAcked = 0;
  unknown = 0;
  checked = 0;
  strikesAtStart = 0;
}

async function runRound(site: Site, random: Random, tally: Tally): Promise<void> {
  const { ground, server, workload } = site;
  const target = loadBytesMin + random.below(random.chance(50) ? loadBytesMax : loadBytesMax / 20);
  const load = await Load.start(server.address, workload, random);
  await until(
    "enough load for a strike",
    () => {
      if (!server.running) throw new Error(`the server ended under load\n${server.logTail()}`);
      load.check();
      // A strike before the first commit would judge no group at all.
      return load.ackedBytes >= target && commitsOf(workload) > 0;
    },
    loadMsMax,
  );
  await ground.strike(server, load, random);
  await load.settled();
  tally.acked += load.ackedRecords;
  tally.ackedBytes += load.ackedBytes;
  tally.unknown += workload.partitions.reduce((sum, each) => sum + each.unknown, 0);
  if (!server.running && random.chance(startStrikePercent)) {
    tally.strikesAtStart += 1;
    await server.launch();
    await ground.strikeStart(server, random);
  }
  if (!server.running) {
    const start = performance.now();
    await server.start();
    tally.restartMs.push(performance.now() - start);
  }
  tally.checked += await judge(server.address, workload);
  await ground.mend?.(server);
}

function commitsOf(workload: Workload): number {
  const histories = workload.groups.flatMap((group) => [...group.commits.values()].flat());
  return histories.reduce((sum, each) => sum + each.acked, 0);
}

/** Runs the rounds; a line of progress for each goes to stderr. */
export async function runRounds(options: RoundOptions): Promise<Summary> {
  const verdict = new Verdict();
  const random = new Random(options.seed);
  const tally = new Tally();
  let site = await openSite(options, 0, verdict);
  try {
    for (let round = 1; round <= options.rounds; round += 1) {
      const ackedBefore = tally.acked;
      await runRound(site, random, tally);
      console.error(
        `${options.name} ${round}/${options.rounds}: ${tally.acked - ackedBefore} acknowledged, ` +
          `restart ${tally.restartMs.at(-1)?.toFixed(0) ?? "-"} ms, ${verdict.clean ? "clean" : "FAULTS"}`,
      );
      if (site.ground.worn() && round < options.rounds) {
        tally.commitsAcked += commitsOf(site.workload);
        await site.server.stop();
        await closeSite(site);
        site = await openSite(options, round, verdict);
      }
    }
    await site.server.stop();
  } finally {
    await closeSite(site);
  }
  tally.commitsAcked += commitsOf(site.workload);
  const sorted = tally.restartMs.toSorted((left, right) => left - right);
  return {
    name: options.name,
    seed: options.seed,
    rounds: options.rounds,
    acked: tally.acked,
    ackedMiB: Math.round(tally.ackedBytes / 2 ** 20),
    commitsAcked: tally.commitsAcked,
    unknown: tally.unknown,
    recordsChecked: tally.checked,
    strikesAtStart: tally.strikesAtStart,
    restartMsMedian: Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0),
    restartMsMax: Math.round(sorted.at(-1) ?? 0),
    ...verdict.faults,
    words: verdict.words,
  };
}

/** True when nothing that was promised was broken. */
export function isClean(summary: Summary): boolean {
  const { lost, wrong, gaps, duplicated, reordered, committedLost, refused } = summary;
  return lost + wrong + gaps + duplicated + reordered + committedLost + refused === 0;
}
