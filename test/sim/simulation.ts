// One node under clients, a reordering scheduler, slow disks and power cuts, all of it decided by one
// seed: the same seed gives the same run, step by step.
//
// Invariants that the truth holds: what was acknowledged or read is there with its bytes after any
// power cut; the high watermark never falls; an idempotent producer's records lie there once and in
// order; the log start moves only where somebody asked; a committed offset is the last committed one.

import type { Settings } from "../../src/core/base/settings.ts";
import { Random } from "../../src/core/base/random.ts";
import type { FetchResponse } from "../../proto/kafka/01_fetch.ts";
import type { ListOffsetsResponse } from "../../proto/kafka/02_list_offsets.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import {
  type Client,
  Committer,
  partitions,
  Producer,
  Reader,
  recordsOf,
  topic,
} from "./clients.ts";
import { MemoryDisk } from "./memory_disk.ts";
import { Fingerprint } from "./fingerprint.ts";
import { OneNode } from "./one_node.ts";
import { SessionReader } from "./session_reader.ts";
import { Shuffled } from "./schedule.ts";
import { Truth, Violation } from "./truth.ts";

export interface Outcome {
  readonly steps: number;
  readonly powerCuts: number;
  readonly records: number;
  /** Batches that were refused because there was no room. */
  readonly refusals: number;
  readonly fingerprint: number;
}

const actionsPerRun = 3000;
/**
 * The smallest ring takes a few batches of clients, and anything that the node itself writes at once:
 * clients of a ring of this size run into its end again and again. The largest is 64 times as large,
 * and small ones are drawn more often.
 */
const ringBytesMin = 800;
const ringDoublingsMax = 6;
const quietTicksMax = 10_000;
/** A sidecar every few batches. */
const sidecarEveryBytes = 500;

/** Settings that make rare ways common. */
const kafka = { "offsets.topic.num.partitions": "2", "auto.create.topics.enable": "false" };

export class Simulation {
  readonly #random: Random;
  readonly #truth = new Truth(partitions);
  readonly #fingerprint = new Fingerprint();
  #node: OneNode;
  readonly #producers: readonly Producer[];
  readonly #clients: readonly Client[];
  readonly #committers: readonly Committer[];
  readonly #follower: SessionReader;
  /** Answers of the node that were given to a client. */
  #taken = 0;
  #steps = 0;
  #powerCuts = 0;

  constructor(seed: number) {
    this.#random = new Random([seed, seed ^ 0x5bd1e995, 0x1b873593, 0xcc9e2d51], 0);
    const ringBytes =
      ringBytesMin * 2 ** this.#random.below(1 + this.#random.below(ringDoublingsMax + 1));
    this.#node = this.#boot(new MemoryDisk(ringBytes), new MemoryDisk(), 1);
    this.#createTopic();
    const made = [this.#node, this.#truth, this.#random] as const;
    this.#producers = [true, true, false].map((once, i) => new Producer(...made, 1 + i, once));
    this.#committers = [new Committer(...made, 11), new Committer(...made, 12)];
    const readers = [new Reader(...made, 21), new Reader(...made, 22)];
    this.#follower = new SessionReader(...made, 31);
    this.#clients = [...this.#producers, ...this.#committers, ...readers, this.#follower];
  }

  run(): Outcome {
    for (let i = 0; i < actionsPerRun; i += 1) this.#act();
    const records = this.#finish();
    const refusals = this.#producers.reduce((sum, producer) => sum + producer.refusals, 0);
    const fingerprint = this.#fingerprint.value;
    return { steps: this.#steps, powerCuts: this.#powerCuts, records, refusals, fingerprint };
  }

  #act(): void {
    const chance = this.#random.below(1000);
    if (chance < 3) this.#cutPower();
    else if (chance < 60) this.#syncDisk();
    else if (chance < 90) this.#syncMetadata();
    else if (chance < 150) this.#node.pass(1 + this.#random.below(40));
    else if (chance < 450) this.#clients[this.#random.below(this.#clients.length)]?.act();
    else this.#step();
    this.#deliver();
  }

  #step(): void {
    if (this.#node.step()) this.#steps += 1;
  }

  #syncDisk(): void {
    this.#node.disk.sync();
    this.#node.progress();
  }

  #syncMetadata(): void {
    this.#node.meta.sync();
    this.#node.progress();
  }

  #boot(disk: MemoryDisk, meta: MemoryDisk, starts: number): OneNode {
    const words = [0, 1, 2, 3].map(() => this.#random.uint32());
    const seed = words as unknown as Settings["seed"]; // proof: four words
    const schedule = new Shuffled(this.#random);
    const fingerprint = this.#fingerprint;
    const node = new OneNode(kafka, { disk, meta, starts, seed, schedule, fingerprint });
    node.autoSync = false;
    node.node.broker.producers.pace = { bytes: sidecarEveryBytes, times: 1 };
    return node;
  }

  #createTopic(): void {
    const configs: readonly unknown[] = [];
    const numPartitions = partitions;
    this.#node.autoSync = true;
    this.#node.ask("CreateTopics", 7, {
      topics: [{ name: topic, numPartitions, replicationFactor: -1, assignments: [], configs }],
      timeoutMs: 1000,
      validateOnly: false,
    });
    this.#node.settle();
    this.#node.autoSync = false;
  }

  /** Each disk keeps what was durable and any prefix of the rest. */
  #cutPower(): void {
    this.#powerCuts += 1;
    const disk = this.#node.disk.afterPowerCut(this.#kept(this.#node.disk));
    const meta = this.#node.meta.afterPowerCut(this.#kept(this.#node.meta));
    this.#node = this.#boot(disk, meta, this.#node.settings.starts + 1);
    this.#taken = 0;
    for (const client of this.#clients) client.reconnect(this.#node);
  }

  #kept(disk: MemoryDisk): number {
    const ends = disk.ticketsBeyondDurable();
    return ends[this.#random.below(ends.length)] ?? disk.durable;
  }

  #deliver(): void {
    const { answers, closed } = this.#node;
    for (; this.#taken < answers.length; this.#taken += 1) {
      const answer = answers[this.#taken];
      if (answer === undefined) continue;
      this.#clients.some((client) => client.take(answer.call, answer.response));
    }
    const [first] = closed;
    if (first !== undefined)
      throw new Violation(`connection ${first.connection} was closed: ${first.reason}`);
  }

  /** No more faults: everybody gets what is due to them, then the whole log is read. */
  #finish(): number {
    this.#node.autoSync = true;
    for (let i = 0; this.#producers.some((producer) => producer.owes > 0); i += 1) {
      if (i === quietTicksMax) throw new Violation("a producer is never acknowledged");
      for (const producer of this.#producers) producer.repeat();
      this.#quiet();
    }
    // Long polls and commits end by themselves.
    for (let i = 0; this.#clients.some((client) => client.inFlight > 0); i += 1) {
      if (i === quietTicksMax) throw new Violation("a request is never answered");
      this.#quiet();
    }
    for (let i = 0; !this.#follower.caughtUp; i += 1) {
      if (i === quietTicksMax) throw new Violation("a fetch session is not told of all records");
      this.#follower.act();
      this.#quiet();
    }
    for (const committer of this.#committers)
      for (let partition = 0; partition < partitions; partition += 1) {
        committer.fetch(partition);
        this.#quiet();
      }
    let records = 0;
    for (let partition = 0; partition < partitions; partition += 1)
      records += this.#whole(partition);
    return records;
  }

  #quiet(): void {
    this.#node.tick(10);
    this.#deliver();
  }

  #whole(partition: number): number {
    const [start, end] = [-2, -1].map((timestamp) => this.#offsetAt(partition, timestamp));
    if (start === undefined || end === undefined) throw new Violation("ListOffsets failed");
    const records = [];
    for (let from = start; from < end; ) {
      const read = recordsOf(this.#fetch(partition, from));
      const last = read.at(-1);
      if (last === undefined) throw new Violation(`partition ${partition}: no data at ${from}`);
      records.push(...read);
      from = last.offset + 1;
    }
    this.#truth.whole(partition, start, end, records);
    return records.length;
  }

  #offsetAt(partition: number, timestamp: number): number | undefined {
    const asked = { partitionIndex: partition, currentLeaderEpoch: -1, timestamp };
    const response = this.#node.ask<ListOffsetsResponse>("ListOffsets", 7, {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name: topic, partitions: [asked] }],
      timeoutMs: 1000,
    });
    return response?.topics[0]?.partitions[0]?.offset;
  }

  #fetch(partition: number, fetchOffset: number): Uint8Array | null {
    const partitionMaxBytes = 1 << 20;
    const asked = { partition, currentLeaderEpoch: -1, fetchOffset, lastFetchedEpoch: -1 };
    const response = this.#node.ask<FetchResponse>("Fetch", 12, {
      replicaId: -1,
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: partitionMaxBytes,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topic,
          topicId: noTopicId,
          partitions: [{ ...asked, logStartOffset: -1, partitionMaxBytes }],
        },
      ],
      forgottenTopicsData: [],
      rackId: "",
    });
    return response?.responses[0]?.partitions[0]?.records ?? null;
  }
}
