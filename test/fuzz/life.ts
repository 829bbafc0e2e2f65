// One life of a node under fuzz: steps of bytes on a few connections, each judged when it is over.

import type { KafkaConnection } from "../../src/server/tcp/connection.ts";
import { apis } from "../../src/wire/apis.ts";
import { encodeRequestFrame } from "../../src/wire/frame.ts";
import { Writer } from "../../src/wire/writer.ts";
import { DoorNode, Peer } from "./door.ts";
import { Finding, Judge } from "./judge.ts";
import { topics } from "./plausible.ts";
import { Vocabulary } from "./vocabulary.ts";

export const connections = 4;
/** A frame that is not whole is not fed any longer than this. */
const partialBytesMax = 8 * 1024;
/** Longer than any wait that a request may ask for. */
const patienceMs = 0x7fffffff;
/** What a connection may reserve for a frame of few bytes. */
const reservedFloor = 256;

/** Of this thread alone: other threads compile and collect garbage. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

export interface Step {
  readonly connection: number;
  readonly chunks: readonly Uint8Array[];
  /** Bytes that the peer takes at a time; 0 = all. */
  readonly window: number;
  readonly tickMs: number;
  /** Afterwards time passes until nobody may be left waiting. */
  readonly patient: boolean;
  readonly hangUp: boolean;
}

interface Line {
  readonly peer: Peer;
  readonly judge: Judge;
  readonly connection: KafkaConnection;
  slow: boolean;
}

export class Life {
  readonly vocabulary = new Vocabulary();
  readonly node: DoorNode;
  readonly #lines: (Line | null)[] = Array.from({ length: connections }, () => null);
  answers = 0;
  errors = 0;
  closed = 0;
  /** Milliseconds that the node has spent on bytes that came, and the processor time in them. */
  spentMs = 0;
  spentCpuMs = 0;
  /** Costs two system calls a step. */
  countCpu = false;

  constructor() {
    this.node = new DoorNode({
      "offsets.topic.num.partitions": "2",
      "group.initial.rebalance.delay.ms": "0",
    });
    this.#prepare();
  }

  /** The topics that requests are drawn for, with records in one of them. */
  #prepare(): void {
    const writer = new Writer();
    const value = {
      topics: topics.map(([name, numPartitions, configs]) => ({
        name,
        numPartitions,
        replicationFactor: 1,
        assignments: [],
        configs: Object.entries(configs).map(([key, text]) => ({ name: key, value: text })),
      })),
      timeoutMs: 1000,
      validateOnly: false,
    };
    encodeRequestFrame(apis.CreateTopics, 7, 1, "fuzz", writer, value);
    this.apply({
      connection: 0,
      chunks: [writer.written()],
      window: 0,
      tickMs: 100,
      patient: false,
      hangUp: true,
    });
    if (this.answers !== 1 || this.errors > 0) throw new Error("the topics could not be made");
  }

  apply(step: Step): void {
    const line = this.#lines[step.connection] ?? this.#connect(step.connection);
    const { peer, judge, connection } = line;
    line.slow = step.window > 0;
    peer.window = line.slow ? step.window : Number.POSITIVE_INFINITY;
    let bytes = judge.pending;
    for (const chunk of step.chunks) {
      bytes += chunk.length;
      const before = this.node.pool.reserved;
      judge.sent(chunk);
      this.#timed(() => this.node.receive(connection, chunk));
      this.#reserved(this.node.pool.reserved - before, bytes);
    }
    this.#timed(() => this.node.settle());
    this.#drain(line);
    if (step.tickMs > 0) this.node.tick(step.tickMs);
    if (step.patient) this.#wait();
    this.#collect();
    if (this.#lines[step.connection] !== line) return;
    if (step.hangUp || judge.pending > partialBytesMax) this.#hangUp(step.connection, line);
  }

  #timed(run: () => void): void {
    const cpu = this.countCpu ? cpuMs() : 0;
    const started = performance.now();
    run();
    this.spentMs += performance.now() - started;
    if (this.countCpu) this.spentCpuMs += cpuMs() - cpu;
  }

  #reserved(reserved: number, bytes: number): void {
    if (reserved > 4 * bytes + reservedFloor) {
      throw new Finding(`${reserved} bytes reserved for a frame of which ${bytes} came`);
    }
  }

  #connect(at: number): Line {
    const peer = new Peer();
    const connection = this.node.connect(peer);
    const line = { peer, judge: new Judge(this.vocabulary), connection, slow: false };
    this.#lines[at] = line;
    return line;
  }

  #hangUp(at: number, { connection, judge }: Line): void {
    this.#lines[at] = null;
    this.node.hangUp(connection);
    this.#count(judge);
  }

  #count(judge: Judge): void {
    this.answers += judge.answers;
    this.errors += judge.errors;
    judge.answers = 0;
    judge.errors = 0;
  }

  /** The peer takes what a slow window left. */
  #drain({ peer, judge, connection }: Line): void {
    while (!peer.closed) {
      const bytes = peer.take();
      judge.got(bytes);
      if (bytes.length === 0 || peer.window === Number.POSITIVE_INFINITY) break;
      // Ever more, so that a long answer does not take ever so many rounds.
      peer.window *= 2;
      this.node.drain(connection);
    }
    peer.window = Number.POSITIVE_INFINITY;
  }

  #collect(): void {
    for (let at = 0; at < connections; at += 1) {
      const line = this.#lines[at];
      if (line === null || line === undefined) continue;
      line.judge.got(line.peer.take());
      this.#count(line.judge);
      if (!line.peer.closed) continue;
      line.judge.closed(line.slow);
      this.#lines[at] = null;
      this.closed += 1;
    }
  }

  /** Nobody is left waiting once every deadline has passed. */
  #wait(): void {
    // A rebalance may follow another: members that were late come in with the next.
    for (let i = 0; i < 4; i += 1) this.node.tick(patienceMs);
    this.#collect();
    for (const [at, line] of this.#lines.entries()) {
      if (line === null) continue;
      if (!line.judge.quiet) throw new Finding(`${line.judge.owed}: no answer and not closed`);
      if (line.judge.pending > 0) this.#hangUp(at, line);
    }
  }
}
