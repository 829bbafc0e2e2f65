// The same requests over real sockets to a real node: its own process, its own disk.
//
//   bun test/fuzz/live.ts [--count 50000] [--seed N]
//
// Several connections at a time, so a seed repeats what is drawn and not the order in which it
// arrives. What must hold is what `judge.ts` says; that the process lives; and that a good client is
// served afterwards. A node is given up for a fresh one after `lifeSteps` requests. Prints one line
// of JSON; a finding ends with code 1 and the step in which it showed.

import type { Socket } from "bun";
import { createTopic, fetchPartition, produce } from "../harness/apis.ts";
import { encodeBatch } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { Server } from "../harness/server.ts";
import { draw } from "./draw.ts";
import { Finding, Judge } from "./judge.ts";
import type { Step } from "./life.ts";
import { topics } from "./plausible.ts";
import { Vocabulary } from "./vocabulary.ts";

const lines = 8;
const lifeSteps = 20_000;
/** A request that may wait (a long poll, a rebalance) is left alone after so long. */
const patienceMs = 20;

export interface LiveReport {
  readonly seed: number;
  readonly requests: number;
  readonly answers: number;
  readonly errors: number;
  readonly closed: number;
}

/** One connection that is opened again when it was closed. */
class Line {
  readonly #port: number;
  readonly #vocabulary: Vocabulary;
  #socket: Socket<undefined> | null = null;
  #judge: Judge;
  #wake: () => void = () => {};
  #harm: Error | null = null;
  answers = 0;
  errors = 0;
  closed = 0;

  constructor(port: number, vocabulary: Vocabulary) {
    this.#port = port;
    this.#vocabulary = vocabulary;
    this.#judge = new Judge(vocabulary);
  }

  async apply(step: Step): Promise<void> {
    const socket = this.#socket ?? (await this.#open());
    for (const chunk of step.chunks) {
      this.#judge.sent(chunk);
      socket.write(chunk);
    }
    const deadline = performance.now() + patienceMs;
    while (this.#socket !== null && !this.#judge.quiet && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, patienceMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#harm !== null) throw this.#harm;
    const owes = !this.#judge.quiet || this.#judge.pending > 0;
    if (this.#socket !== null && (owes || step.hangUp)) this.hangUp();
  }

  async #open(): Promise<Socket<undefined>> {
    const judge = new Judge(this.#vocabulary);
    this.#judge = judge;
    this.#socket = await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port: this.#port,
      socket: {
        data: (_, chunk) => this.#hear(judge, () => judge.got(new Uint8Array(chunk))),
        close: () => this.#over(judge),
        error: () => this.#over(judge),
      },
    });
    return this.#socket;
  }

  #hear(judge: Judge, run: () => void): void {
    try {
      if (judge === this.#judge && this.#socket !== null) run();
    } catch (error) {
      this.#harm ??= error instanceof Error ? error : new Error(String(error));
    }
    this.#wake();
  }

  #over(judge: Judge): void {
    if (judge !== this.#judge || this.#socket === null) return;
    // What was answered just before may be lost with a connection that is reset.
    this.#hear(judge, () => judge.closed(true));
    this.#socket = null;
    this.closed += 1;
    this.#count();
    this.#wake();
  }

  hangUp(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#count();
    socket?.end();
  }

  #count(): void {
    this.answers += this.#judge.answers;
    this.errors += this.#judge.errors;
  }
}

async function serves(server: Server, name: string): Promise<void> {
  const client = await Connection.open(server.address);
  const { error } = await createTopic(client, name);
  const batch = encodeBatch([{ key: null, value: Buffer.from("good"), timestamp: Date.now() }]);
  const made = await produce(client, name, 0, batch);
  const read = await fetchPartition(client, name, 0, 0);
  client.close();
  if (error !== 0 || made.error !== 0 || !read.bytes.includes("good"))
    throw new Finding(`a good client is not served: errors ${error}, ${made.error}, ${read.error}`);
}

export class LiveFinding extends Error {
  override readonly name = "LiveFinding";
}

async function live(seed: number, first: number, end: number): Promise<readonly Line[]> {
  const server = await Server.start({ kafka: { "offsets.topic.num.partitions": 2 } });
  const vocabulary = new Vocabulary();
  const all = Array.from({ length: lines }, () => new Line(server.port, vocabulary));
  let next = first;
  let last = first;
  const run = async (line: Line): Promise<void> => {
    while (next < end) {
      last = next;
      next += 1;
      await line.apply(draw(seed, last, vocabulary));
    }
    line.hangUp();
  };
  try {
    const client = await Connection.open(server.address);
    for (const [name, partitions, configs] of topics)
      await createTopic(client, name, { partitions, configs });
    client.close();
    await Promise.all(all.map(run));
    await serves(server, "good-afterwards");
    await server.stop();
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const node = server.running ? "" : `\nthe node has ended:\n${server.logTail()}`;
    throw new LiveFinding(`seed ${seed}, about step ${last}: ${words}${node}`);
  } finally {
    await server.dispose();
  }
  return all;
}

export async function fuzzLive(seed: number, count: number): Promise<LiveReport> {
  const sum = { answers: 0, errors: 0, closed: 0 };
  for (let first = 0; first < count; first += lifeSteps) {
    for (const line of await live(seed, first, Math.min(count, first + lifeSteps))) {
      sum.answers += line.answers;
      sum.errors += line.errors;
      sum.closed += line.closed;
    }
  }
  return { seed, requests: count, ...sum };
}

async function main(args: readonly string[]): Promise<number> {
  const value = (name: string): number | null => {
    const at = args.indexOf(name);
    return at < 0 ? null : Number(args[at + 1]);
  };
  const seed = value("--seed") ?? Math.floor(Math.random() * 2 ** 31);
  const started = performance.now();
  try {
    const report = await fuzzLive(seed, value("--count") ?? 50_000);
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(JSON.stringify({ fuzz: "live", ...report, seconds }));
    return 0;
  } catch (error) {
    if (!(error instanceof LiveFinding)) throw error;
    console.log(error.message);
    return 1;
  }
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
