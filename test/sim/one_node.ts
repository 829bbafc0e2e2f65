// One node without sockets, threads or files: the shipping data node and control node on disks in
// memory. Time moves and disks sync only when the test says so.

import type { Command, Outcome } from "../../src/core/base/commands.ts";
import { factStride } from "../../src/core/base/facts.ts";
import {
  type LeaderEpoch,
  nodeId,
  noTopicId,
  offset,
  type Offset,
  type PartitionIndex,
  partitionIndex,
  type Slot,
  type Ticket,
  type TopicId,
  topicId,
} from "../../src/core/base/ids.ts";
import type {
  Call,
  Effects,
  Input,
  ReadOutcome,
  ReadPart,
} from "../../src/core/base/node_contract.ts";
import type { Settings } from "../../src/core/base/settings.ts";
import { type ControlEffects, ControlNode, DataNode } from "../../src/core/node/node.ts";
import { type AnyApi, type ApiName, apis } from "../../src/wire/apis.ts";
import { checkBatch } from "../../src/wire/batch.ts";
import type { Fingerprint } from "./fingerprint.ts";
import { MemoryDisk } from "./memory_disk.ts";
import { InOrder, type Schedule } from "./schedule.ts";

const metadataSlot = 0 as Slot; // proof: the metadata disk has one stream
const noFacts = new Float64Array(0);

export interface Answer {
  readonly call: Call;
  /** Null: the request has no answer (acks=0). */
  readonly response: unknown;
}

export interface OneNodeOptions {
  readonly disk?: MemoryDisk;
  readonly meta?: MemoryDisk;
  readonly starts?: number;
  readonly seed?: Settings["seed"];
  readonly schedule?: Schedule;
  /** Told of all that comes in and goes out. */
  readonly fingerprint?: Fingerprint;
}

export class OneNode implements Effects {
  readonly node: DataNode;
  readonly control: ControlNode;
  readonly settings: Settings;
  disk: MemoryDisk;
  meta: MemoryDisk;
  readonly answers: Answer[] = [];
  readonly logs: { readonly level: string; readonly event: string }[] = [];
  readonly closed: { readonly connection: number; readonly reason: string }[] = [];
  now = 1_000;
  wall = 1_700_000_000_000;
  /** False: nothing becomes durable until `sync`. */
  autoSync = true;
  /** Reads of loads of producers, while a test holds them back. */
  held: (() => Input)[] | null = null;
  #order = 0;
  readonly #schedule: Schedule;
  readonly #fingerprint: Fingerprint | null;
  readonly #topics = new Map<Slot, string>();

  constructor(kafka: Readonly<Record<string, string>> = {}, options: OneNodeOptions = {}) {
    const { disk = new MemoryDisk(), meta = new MemoryDisk() } = options;
    this.#schedule = options.schedule ?? new InOrder();
    this.#fingerprint = options.fingerprint ?? null;
    this.settings = {
      nodeId: nodeId(1),
      clusterId: "AAAAAAAAAAAAAAAAAAAAAQ",
      version: "0.0.0-test",
      starts: options.starts ?? 1,
      segmentBytes: 64 * 1024 * 1024,
      durability: "fsync",
      replicationFactor: 1,
      writeQuorum: 1,
      kafka: new Map(Object.entries(kafka)),
      seed: options.seed ?? [1, 2, 3, 4],
    };
    this.disk = disk;
    this.meta = meta;
    this.node = new DataNode(this.settings);
    this.control = new ControlNode(this.settings);
    this.#start();
  }

  /** The same disks after a power cut, with a new process on them. */
  powerCut(): OneNode {
    return new OneNode(Object.fromEntries(this.settings.kafka), {
      disk: this.disk.afterPowerCut(),
      meta: this.meta.afterPowerCut(),
      starts: this.settings.starts + 1,
    });
  }

  #start(): void {
    const control = this.#controlEffects;
    this.meta.open(metadataSlot, "metadata");
    const part = {
      slot: metadataSlot,
      offset: offset(0),
      limit: offset(Number.MAX_SAFE_INTEGER),
      bytesMax: Number.MAX_SAFE_INTEGER,
    };
    const replay = this.meta.read(part, Number.MAX_SAFE_INTEGER, true);
    if (replay.records.byteLength > 0)
      this.control.step({ kind: "replay", batches: replay.records }, control);
    this.tick(0);
    const register = {
      kind: "register",
      node: nodeId(1),
      host: "127.0.0.1",
      port: 9092,
      diskId: noTopicId,
      starts: this.settings.starts,
      ticket: 0,
      clusterId: this.settings.clusterId,
    } as const;
    this.control.step({ kind: "propose", request: 0, command: register }, control);
    this.settle();
  }

  /** One step, if something waits. */
  step(): boolean {
    const next = this.#schedule.next();
    if (next === null) return false;
    this.#fingerprint?.add(next.kind, next);
    this.node.step(next, this);
    // What a read brings is a view that ends with the step.
    this.disk.forgetViews();
    return true;
  }

  /** Runs until nothing is left to do. */
  settle(): void {
    for (;;) {
      let worked = false;
      while (this.step()) worked = true;
      if (
        this.autoSync &&
        (this.disk.durable < this.disk.tail || this.meta.durable < this.meta.tail)
      ) {
        this.sync();
        worked = true;
      }
      if (!worked) return;
    }
  }

  sync(): void {
    this.disk.sync();
    this.meta.sync();
    this.progress();
  }

  tick(ms: number): void {
    this.pass(ms);
    this.settle();
  }

  /** Time passes; what that brings waits for its step. */
  pass(ms: number): void {
    this.now += ms;
    this.wall += ms;
    this.control.step({ kind: "tick", now: this.now, wall: this.wall }, this.#controlEffects);
    const { now, wall } = this;
    this.#schedule.push("disk", () => ({ kind: "tick", now, wall }));
    this.progress();
  }

  /** Tells both nodes how far their disks are: the data node when it takes the report. */
  progress(): void {
    const { disk, meta } = this;
    this.control.step(
      { kind: "appended", written: meta.tail, durable: ticketOf(meta), credit: meta.credit },
      this.#controlEffects,
    );
    this.#schedule.push("disk", () => ({
      kind: "appended",
      written: disk.tail,
      durable: ticketOf(disk),
      credit: disk.credit,
    }));
  }

  /** Sends a request and returns its answer; undefined while it is parked. */
  ask<R = unknown>(
    name: ApiName,
    version: number,
    request: unknown,
    connection = 1,
  ): R | undefined {
    const call = this.send(name, version, request, connection);
    this.settle();
    return this.answerTo<R>(call);
  }

  answerTo<R = unknown>(call: Call): R | undefined {
    return this.answers.find((answer) => answer.call === call)?.response as R | undefined; // proof: the caller names the API
  }

  send(name: ApiName, version: number, request: unknown, connection = 1): Call {
    const api: AnyApi = apis[name];
    const call: Call = {
      connection,
      order: this.#order++,
      apiKey: api.key,
      version,
      correlationId: this.#order,
      clientId: "test",
      host: "127.0.0.1",
      port: 9092,
      peer: "127.0.0.1",
      request,
      facts: api.key === 0 ? factsOf(request as ProduceLike) : noFacts, // proof: a Produce by its key
    };
    this.#schedule.push("client", () => ({ kind: "request", call }));
    return call;
  }

  /** The client is gone. */
  disconnect(connection: number): void {
    this.#schedule.push("client", () => ({ kind: "closed", connection }));
    this.settle();
  }

  append(
    slot: Slot,
    epoch: LeaderEpoch,
    base: Offset,
    count: number,
    _highWatermark: Offset,
    logAppendTime: number,
    _sync: boolean,
    batch: Uint8Array,
  ): Ticket {
    const ticket = this.disk.append(slot, epoch, base, count, logAppendTime, batch);
    this.#fingerprint?.add("append", [slot, epoch, base, count, ticket]);
    return ticket;
  }
  sidecar(slot: Slot, at: Offset, state: Uint8Array): void {
    this.disk.sidecar(slot, at, state);
    this.#fingerprint?.add("sidecar", [slot, at, state]);
  }
  readSidecar(slot: Slot): void {
    this.#load(() => ({ kind: "sidecar-read", slot, outcome: this.disk.readSidecar(slot) }));
  }
  readHeaders(slot: Slot, from: Offset, limit: Offset): void {
    this.#load(() => {
      const outcome = this.disk.readHeaders(slot, from, limit);
      return { kind: "headers-read", slot, outcome };
    });
  }
  /** Loads of producers go on. */
  release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const make of held) this.#schedule.push("read", make);
    this.settle();
  }
  #load(make: () => Input): void {
    if (this.held === null) this.#schedule.push("read", make);
    else this.held.push(make);
  }
  open(slot: Slot, topic: TopicId, partition: PartitionIndex): void {
    const key = `${topic}/${partition}`;
    this.#topics.set(slot, key);
    const found = this.disk.open(slot, key);
    this.#schedule.push("read", () => ({ kind: "opened", slot, partition: found }));
  }
  read(request: number, parts: readonly ReadPart[], bytesMax: number): void {
    this.#schedule.push("read", () => {
      let left = bytesMax;
      const outcomes: ReadOutcome[] = [];
      for (const [i, part] of parts.entries()) {
        const outcome = this.disk.read(part, Math.min(part.bytesMax, left), i === 0);
        left -= outcome.records.byteLength;
        outcomes.push(outcome);
      }
      return { kind: "read-done", request, parts: outcomes };
    });
  }
  lookup(
    request: number,
    slot: Slot,
    by: "timestamp" | "max-timestamp",
    value: number,
    from: Offset,
    limit: Offset,
  ): void {
    this.#schedule.push("read", () => ({
      kind: "looked-up",
      request,
      outcome: this.disk.lookup(slot, by, value, from, limit),
    }));
  }
  trim(slot: Slot, at: Offset): void {
    this.disk.trim(slot, at);
  }
  retain(): void {
    // Retention limits are the store's business; tests of retention send `trim-due` themselves.
  }
  remove(slot: Slot): void {
    this.disk.remove(slot);
  }
  sweep(owns: (topic: TopicId, partition: PartitionIndex) => boolean): void {
    this.disk.sweep((key) => {
      const [topic = "", partition = ""] = key.split("/");
      return owns(topicId(topic), partitionIndex(Number(partition)));
    });
  }
  bytesOf(slot: Slot): number {
    return this.disk.bytesOf(slot);
  }
  propose(request: number, command: Command): void {
    this.control.step({ kind: "propose", request, command }, this.#controlEffects);
  }
  reply(call: Call, response: unknown): void {
    // The server encodes an answer before the step is over; what lies in it may be a view.
    this.answers.push({ call, response: structuredClone(response) });
    this.#fingerprint?.add("reply", [call.connection, call.order, response]);
  }
  close(connection: number, reason: string): void {
    this.closed.push({ connection, reason });
  }
  log(level: string, event: string): void {
    this.logs.push({ level, event });
  }

  readonly #controlEffects: ControlEffects = {
    append: (base, count, batch) =>
      this.meta.append(metadataSlot, 1 as LeaderEpoch, offset(base), count, -1, batch), // proof: the one term
    committed: (batches) => {
      const own = new Uint8Array(batches);
      this.#schedule.push("control", () => ({ kind: "metadata", batches: own }));
    },
    outcome: (request, outcome: Outcome) => {
      if (request !== 0)
        this.#schedule.push("control", () => ({ kind: "proposed", request, outcome }));
    },
    snapshot: () => {
      throw new Error("a short test takes no snapshot");
    },
    trim: () => {},
    log: () => {},
    fatal: (event) => {
      throw new Error(`fatal: ${event}`);
    },
  };
}

interface ProduceLike {
  readonly topics: readonly {
    readonly partitions: readonly { readonly records: Uint8Array | null }[];
  }[];
}

function factsOf(request: ProduceLike): Float64Array {
  const batches = request.topics
    .flatMap((topic) => topic.partitions.map((partition) => partition.records))
    .filter((records) => records !== null);
  const facts = new Float64Array(Math.max(1, batches.length) * factStride);
  for (const [i, batch] of batches.entries())
    checkBatch(batch, 0, batch.byteLength, facts, i * factStride);
  return facts;
}

function ticketOf(disk: MemoryDisk): Ticket {
  return disk.durable as Ticket; // proof: a tail that was synced
}
