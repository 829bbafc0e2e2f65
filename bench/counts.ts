// What does not depend on how busy a machine is: instructions of the engine's parts under callgrind,
// and system calls of the node per batch under strace. Held to the figures in counts.json; CI runs it.
//
//   bun run bench counts             one JSON line; exit code 1 when a figure left its bounds
//   bun run bench counts --update    writes counts.json anew, to be committed with the change

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findZig } from "../release/toolchain.ts";
import { output } from "./child.ts";
import { KafkaClient, singleRecordBatch } from "./kafka_client.ts";
import { start as startNode } from "./peers/pyralog.ts";
import { type CallGroups, groupsOf, traceCalls } from "./strace.ts";
import { needTool, root } from "./tools.ts";

const file = join(import.meta.dir, "counts.json");
/** Either way: fewer instructions are good news, and the figure then has to follow. */
const instructionShare = 0.01;
/** Only upwards, and above what the count itself varies by: a wake more or less per many batches. */
const callShare = 0.05;
const batches = 50;
const callRuns = 10;
/** Small, so that filling ahead is soon done. */
const segmentBytes = 16 * 2 ** 20;

type Figures = Readonly<Record<string, number>>;

export interface Counts {
  /** Instructions of one operation. */
  readonly instructions: Figures;
  /** Calls per batch of one client that waits for each answer, `fsync`. */
  readonly calls: Figures;
}

async function countInstructions(): Promise<Figures> {
  needTool("valgrind", "valgrind");
  const zig = await findZig();
  const text = await output([zig, "build", "bench", "--", "instructions"], { cwd: root });
  // proof: the line that zig/bench/instructions.zig prints; what is no number is not taken
  const line = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const entries = Object.entries(line).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number",
  );
  return Object.fromEntries(entries.filter(([name]) => name !== "append_to_loop"));
}

/**
 * One request at a time, so that no two batches can share a call. Besides, the node fills segments
 * ahead, and marks its log where nothing comes for some milliseconds, as on a busy machine: both only
 * add calls, so of several short runs the lowest counts.
 */
async function countCalls(): Promise<Figures> {
  const settings = [`storage.segment_max_size=${segmentBytes}`];
  const node = await startNode({ durability: "fsync", settings });
  const client = await KafkaClient.connect(node.address);
  try {
    await client.createTopic("counts", 1);
    const batch = singleRecordBatch(new Uint8Array(100).fill(7), Date.now());
    await client.produce("counts", 0, batch);
    const found: CallGroups[] = [];
    for (let run = 0; run < callRuns; run += 1) {
      const { calls } = await traceCalls(node.pid, async () => {
        for (let sent = 0; sent < batches; sent += 1) await client.produce("counts", 0, batch);
      });
      found.push(groupsOf(calls));
    }
    const lowest = (name: keyof CallGroups) =>
      Math.min(...found.map((each) => each[name])) / batches;
    return {
      receive: lowest("receive"),
      send: lowest("send"),
      write: lowest("write"),
      sync: lowest("sync"),
    };
  } finally {
    client.close();
    await node.stop();
  }
}

/** What left its bounds, in words; a figure that only one side has is named too. */
export function deviations(committed: Counts, found: Counts): readonly string[] {
  const words: string[] = [];
  const compare = (group: keyof Counts, share: number, downToo: boolean) => {
    const names = new Set([...Object.keys(committed[group]), ...Object.keys(found[group])]);
    for (const name of names) {
      const before = committed[group][name];
      const now = found[group][name];
      if (before === undefined || now === undefined) {
        words.push(`${group} of ${name}: committed ${before}, found ${now}`);
        continue;
      }
      const change = before === 0 ? (now === 0 ? 0 : Number.POSITIVE_INFINITY) : now / before - 1;
      if (change <= share && (!downToo || change >= -share)) continue;
      words.push(`${group} of ${name}: ${before} -> ${now} (${(change * 100).toFixed(1)} %)`);
    }
  };
  compare("instructions", instructionShare, true);
  compare("calls", callShare, false);
  return words;
}

/** Returns the exit code. */
export async function benchCounts(update: boolean): Promise<number> {
  const found: Counts = { instructions: await countInstructions(), calls: await countCalls() };
  console.log(JSON.stringify({ case: "counts", arch: process.arch, ...found }));
  // proof: written below, and by nothing else
  const all = JSON.parse(readFileSync(file, "utf8")) as Readonly<Record<string, Counts>>;
  if (update) {
    writeFileSync(file, `${JSON.stringify({ ...all, [process.arch]: found }, undefined, 2)}\n`);
    console.error(`written: ${file}; commit it with the change that moved the figures`);
    return 0;
  }
  const committed = all[process.arch];
  const words =
    committed === undefined
      ? [`there are no figures for ${process.arch}`]
      : deviations(committed, found);
  for (const line of words) console.error(line);
  if (words.length > 0) console.error("where that is meant: bun run bench counts --update");
  return words.length === 0 ? 0 : 1;
}
