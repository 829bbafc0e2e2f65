// The data thread around its node: feeds inputs, performs effects, and writes what was answered.
//
// Effects run while the step runs and never call back into it: whatever they bring at once waits in
// a queue and becomes the next input. Answers are encoded at once and leave when the event is over.

import type { Command, Outcome } from "../core/base/commands.ts";
import {
  type LeaderEpoch,
  noTopicId,
  type Offset,
  type PartitionIndex,
  type Slot,
  type Ticket,
  type TopicId,
} from "../core/base/ids.ts";
import { connectionOutputBytesMax, outputBytesMax, readBytesMin } from "../core/base/limits.ts";
import type { Call, Effects, Input, ReadPart } from "../core/base/node_contract.ts";
import { DataNode } from "../core/node/node.ts";
import type { Settings } from "../core/base/settings.ts";
import type { Disk } from "./disk/disk.ts";
import { ExitCode } from "./exit.ts";
import type { Log } from "./log.ts";
import type { Owed } from "./tcp/output.ts";

/** What takes answers: a Kafka connection, later an HTTP request. */
export interface Door {
  answer(call: Call, response: unknown): void;
  flush(): void;
  close(reason: string): void;
  /** The disk takes bytes again. */
  resume(): void;
}

/** Carries commands to the control thread. */
export interface ControlPort {
  propose(request: number, command: Command): void;
}

/** What the effects need of a disk; a test brings one in memory. */
export type HostDisk = Pick<
  Disk,
  | "append"
  | "bytesOf"
  | "checkBatches"
  | "lookup"
  | "open"
  | "read"
  | "readHeaders"
  | "readSidecar"
  | "remove"
  | "retain"
  | "sidecar"
  | "sweep"
  | "trim"
>;

interface QueuedRead {
  readonly request: number;
  readonly parts: readonly ReadPart[];
  readonly bytesMax: number;
}

/** Plain numbers, read when somebody asks. */
export class Counters {
  requests = 0;
  bytesIn = 0;
  steps = 0;
  readonly refusals = new Map<string, number>();
}

export class Host implements Effects {
  readonly node: DataNode;
  readonly counters = new Counters();
  /** Called when something comes in from outside, before it is looked at: an idle node ticks then. */
  work: () => void = () => {};
  /** Answers that sockets have not taken. */
  readonly owed: Owed = { bytes: 0 };
  readonly #disk: HostDisk;
  readonly #control: ControlPort;
  readonly #log: Log;
  readonly #bug: (words: string) => never;
  readonly #doors = new Map<number, Door>();
  #nextConnection = 1;
  readonly #queue: Input[] = [];
  /** Reads that the steps asked for. */
  readonly #reads: QueuedRead[] = [];
  #stepping = false;
  #dirty: Door[] = [];
  #waiting: Door[] = [];

  constructor(
    settings: Settings,
    disk: HostDisk,
    control: ControlPort,
    log: Log,
    bug: (words: string) => never = endProcess,
  ) {
    this.node = new DataNode(settings);
    this.#disk = disk;
    this.#control = control;
    this.#log = log;
    this.#bug = bug;
  }

  /** Monotonic milliseconds of the newest tick: exact enough for idle times. */
  now(): number {
    return this.node.broker.now;
  }

  addConnection(door: Door): number {
    this.work();
    const id = this.#nextConnection;
    this.#nextConnection += 1;
    this.#doors.set(id, door);
    return id;
  }

  removeConnection(door: Door & { readonly id: number }): void {
    this.#doors.delete(door.id);
    this.input({ kind: "closed", connection: door.id });
  }

  /** One input, and everything that its effects bring at once. Flushing is the caller's. */
  input(input: Input): void {
    this.#queue.push(input);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      do {
        for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
          this.counters.steps += 1;
          this.node.step(next, this);
        }
      } while (this.#readNext());
    } catch (error) {
      // Bun would hand it to a socket's `error` handler and run on after half a step.
      this.#bug(error instanceof Error ? (error.stack ?? error.message) : String(error));
    } finally {
      this.#stepping = false;
    }
  }

  /**
   * One read at a time, when no input waits: what it brings lies in a buffer that the next read uses
   * again, so the node must have answered from it before.
   */
  #readNext(): boolean {
    const next = this.#reads.shift();
    if (next === undefined) return false;
    this.#disk.read(next.request, next.parts, next.bytesMax);
    return true;
  }

  request(call: Call): void {
    this.input({ kind: "request", call });
  }

  /** Writes out the answers of everything since the last flush. */
  flush(): void {
    while (this.#dirty.length > 0) {
      const doors = this.#dirty;
      this.#dirty = [];
      for (const door of doors) door.flush();
    }
  }

  dirty(door: Door): void {
    if (this.#dirty[this.#dirty.length - 1] !== door) this.#dirty.push(door);
  }

  /** False while a produce of this size has to wait. A full disk takes it in order to refuse it. */
  takes(bytes: number): boolean {
    const { broker } = this.node;
    return !broker.takesWrites || broker.credit >= bytes;
  }

  waitForDisk(door: Door): void {
    this.#waiting.push(door);
  }

  /** The disk has made progress: whoever waited for room tries again. */
  progressed(): void {
    if (this.#waiting.length > 0) {
      const doors = this.#waiting;
      this.#waiting = [];
      for (const door of doors) door.resume();
    }
    this.flush();
  }

  checkBatches(frame: Uint8Array, ranges: Uint32Array, count: number, facts: Float64Array): void {
    this.#disk.checkBatches(frame, ranges, count, facts);
  }

  /** True for a topic whose records all need a key. */
  compacts(name: string, id: TopicId): boolean {
    const { image } = this.node.broker;
    const topic = id === noTopicId ? image.topicByName(name) : image.topicById(id);
    return topic?.compacts ?? false;
  }

  /** Counts a refusal at the door; the counters are what tests and operators look at. */
  refused(reason: string, peer: string): void {
    this.counters.refusals.set(reason, (this.counters.refusals.get(reason) ?? 0) + 1);
    this.#log.debug("connection-closed", { reason, peer });
  }

  append(
    slot: Slot,
    epoch: LeaderEpoch,
    base: Offset,
    count: number,
    highWatermark: Offset,
    logAppendTime: number,
    sync: boolean,
    batch: Uint8Array,
  ): Ticket {
    return this.#disk.append(slot, epoch, base, count, highWatermark, logAppendTime, sync, batch);
  }

  sidecar(slot: Slot, at: Offset, state: Uint8Array): void {
    this.#disk.sidecar(slot, at, state);
  }

  open(slot: Slot, topic: TopicId, partition: PartitionIndex): void {
    this.#disk.open(slot, topic, partition);
  }

  readSidecar(slot: Slot): void {
    this.#disk.readSidecar(slot);
  }

  readHeaders(slot: Slot, from: Offset, limit: Offset): void {
    this.#disk.readHeaders(slot, from, limit);
  }

  read(request: number, parts: readonly ReadPart[], bytesMax: number): void {
    this.#reads.push({ request, parts, bytesMax: Math.min(bytesMax, this.#readBytesMax()) });
  }

  /** What a connection may owe before its next request waits: nothing when others owe much. */
  get outputMax(): number {
    return this.owed.bytes * 2 > outputBytesMax ? 0 : connectionOutputBytesMax;
  }

  /** Half of the memory that is left, so that many answers at once fit in it. */
  #readBytesMax(): number {
    return Math.max(readBytesMin, Math.floor((outputBytesMax - this.owed.bytes) / 2));
  }

  lookup(
    request: number,
    slot: Slot,
    by: "timestamp" | "max-timestamp",
    value: number,
    from: Offset,
    limit: Offset,
  ): void {
    this.#disk.lookup(request, slot, by, value, from, limit);
  }

  trim(slot: Slot, offset: Offset): void {
    this.#disk.trim(slot, offset);
  }

  retain(slot: Slot, retentionMs: number, retentionBytes: number): void {
    this.#disk.retain(slot, retentionMs, retentionBytes);
  }

  remove(slot: Slot): void {
    this.#disk.remove(slot);
  }

  sweep(owns: (topic: TopicId, partition: PartitionIndex) => boolean): void {
    this.#disk.sweep(owns);
  }

  bytesOf(slot: Slot): number {
    return this.#disk.bytesOf(slot);
  }

  propose(request: number, command: Command): void {
    this.#control.propose(request, command);
  }

  proposed(request: number, outcome: Outcome): void {
    this.input({ kind: "proposed", request, outcome });
  }

  reply(call: Call, response: unknown): void {
    this.#doors.get(call.connection)?.answer(call, response);
  }

  close(connection: number, reason: string): void {
    this.#doors.get(connection)?.close(reason);
  }

  log(
    level: "debug" | "info" | "warn" | "error",
    event: string,
    fields: Readonly<Record<string, string | number>>,
  ): void {
    this.#log[level](event, fields);
  }
}

function endProcess(words: string): never {
  process.stderr.write(`pyralog: bug in the data thread: ${words}\n`);
  process.exit(ExitCode.bug);
}
