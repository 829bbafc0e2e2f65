// A node behind its real door, without sockets, threads or files: frame cutter, decoder, the batch
// check in Zig, host, data node and control node are the shipping ones; the disks lie in memory and
// the socket is an object. Everything happens in the call that causes it, so a run can be repeated.

import type { Command } from "../../src/core/base/commands.ts";
import type { LeaderEpoch, PartitionIndex, Slot, TopicId } from "../../src/core/base/ids.ts";
import { requestBytesMax } from "../../src/core/base/limits.ts";
import { nodeId, noTopicId, offset, type Offset, ticket } from "../../src/core/base/ids.ts";
import type { ReadPart } from "../../src/core/base/node_contract.ts";
import type { Settings } from "../../src/core/base/settings.ts";
import { type ControlEffects, ControlNode } from "../../src/core/node/node.ts";
import { openBatch } from "../../src/server/disk/open_batch.ts";
import { type ControlPort, Host, type HostDisk } from "../../src/server/host.ts";
import { KafkaConnection, type KafkaSocket } from "../../src/server/tcp/connection.ts";
import { AssemblyPool } from "../../src/server/tcp/frame_cutter.ts";
import { library } from "../../src/storage/library.ts";
import { resolveLibrary } from "../../src/storage/storage.ts";
import { MemoryDisk } from "../sim/memory_disk.ts";

const metadataSlot = 0 as Slot; // proof: the metadata disk has one stream
const firstTerm = 1 as LeaderEpoch; // proof: the one term

function nativeLibrary(): ReturnType<typeof library> {
  const resolved = resolveLibrary(".");
  if (resolved.kind === "found") return library(resolved.path);
  throw new Error(`the storage library is missing:\n${resolved.tried.join("\n")}`);
}

const native = nativeLibrary();

/** A bug that ends the process of a node. */
export class Died extends Error {
  override readonly name = "Died";
}

/** Counts what frames under assembly reserve; a buffer that is used again costs nothing. */
class CountingPool extends AssemblyPool {
  readonly #known = new WeakSet<Uint8Array>();
  reserved = 0;

  override take(atLeast: number): Uint8Array {
    const buffer = super.take(atLeast);
    if (!this.#known.has(buffer)) this.reserved += buffer.byteLength;
    this.#known.add(buffer);
    return buffer;
  }
}

const nothing = new Uint8Array(0);

/** The other end of a connection. */
export class Peer {
  /** What the node has written and `taken` has not taken yet. */
  #written: Uint8Array[] = [];
  /** Bytes that the socket takes at a time; below infinity the peer reads slowly. */
  window = Number.POSITIVE_INFINITY;
  paused = false;
  closed = false;
  readonly remoteAddress = "127.0.0.1";
  readonly localAddress = "127.0.0.1";
  readonly localPort = 9092;

  write(bytes: Uint8Array, at: number, count: number): number {
    const taken = Math.min(count, this.window);
    if (taken > 0) this.#written.push(bytes.slice(at, at + taken));
    return taken;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.closed = true;
  }

  take(): Uint8Array {
    const written = this.#written;
    if (written.length === 0) return nothing;
    this.#written = [];
    return written.length === 1 ? (written[0] ?? nothing) : Buffer.concat(written);
  }
}

/** The effects of a disk on a `MemoryDisk`. */
class DoorDisk implements HostDisk {
  readonly memory = new MemoryDisk();
  readonly #host: () => Host;

  constructor(host: () => Host) {
    this.#host = host;
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
  ): ReturnType<HostDisk["append"]> {
    return this.memory.append(slot, epoch, base, count, logAppendTime, batch);
  }
  checkBatches(frame: Uint8Array, ranges: Uint32Array, count: number, facts: Float64Array): void {
    const used = ranges.subarray(0, count * 2);
    const status = native.pyralog_batches_check(frame, frame, used, used, facts, facts);
    if (status !== 0) throw new Error(`the batch check refused its ranges: ${status}`);
  }
  open(slot: Slot, topic: TopicId, partition: PartitionIndex): void {
    const found = this.memory.open(slot, `${topic}/${partition}`);
    this.#host().input({ kind: "opened", slot, partition: found });
  }
  sidecar(slot: Slot, at: Offset, state: Uint8Array): void {
    this.memory.sidecar(slot, at, state);
  }
  readSidecar(slot: Slot): void {
    const outcome = this.memory.readSidecar(slot);
    this.#host().input({ kind: "sidecar-read", slot, outcome });
  }
  readHeaders(slot: Slot, from: Offset, limit: Offset): void {
    const outcome = this.memory.readHeaders(slot, from, limit);
    this.#host().input({ kind: "headers-read", slot, outcome });
  }
  read(request: number, parts: readonly ReadPart[], bytesMax: number): void {
    let left = bytesMax;
    const outcomes = parts.map((part, i) => {
      const outcome = this.memory.read(part, Math.min(part.bytesMax, left), i === 0);
      left -= outcome.records.byteLength;
      return outcome;
    });
    this.#host().input({ kind: "read-done", request, parts: outcomes });
  }
  lookup(
    request: number,
    slot: Slot,
    by: "timestamp" | "max-timestamp",
    value: number,
    from: Offset,
    limit: Offset,
  ): void {
    const found = this.memory.lookup(slot, by, value, from, limit);
    const opened = found.records.byteLength === 0 ? found.records : openBatch(found.records);
    const outcome =
      opened === null
        ? ({ status: "damaged", records: new Uint8Array(0), nextOffset: offset(0) } as const)
        : { ...found, records: opened };
    this.#host().input({ kind: "looked-up", request, outcome });
  }
  trim(slot: Slot, at: Offset): void {
    this.memory.trim(slot, at);
  }
  retain(): void {
    // Retention deletes by the age and size of segments, which memory has none of.
  }
  remove(slot: Slot): void {
    this.memory.remove(slot);
  }
  sweep(): void {
    // Nothing is left behind: a disk in memory has always room to forget.
  }
  bytesOf(slot: Slot): number {
    return this.memory.bytesOf(slot);
  }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export class DoorNode implements ControlPort {
  readonly pool = new CountingPool();
  readonly #host: Host;
  readonly #disk: DoorDisk;
  readonly #meta = new MemoryDisk();
  readonly #control: ControlNode;
  #snapshots: Parameters<ControlEffects["snapshot"]>[0][] = [];
  #now = 1000;
  #wall = 1_700_000_100_000;

  constructor(kafka: Readonly<Record<string, string>>) {
    const settings: Settings = {
      nodeId: nodeId(1),
      clusterId: "AAAAAAAAAAAAAAAAAAAAAQ",
      version: "0.0.0-test",
      starts: 1,
      segmentBytes: 64 * 1024 * 1024,
      durability: "fsync",
      replicationFactor: 1,
      writeQuorum: 1,
      kafka: new Map(Object.entries(kafka)),
      seed: [1, 2, 3, 4],
    };
    this.#disk = new DoorDisk(() => this.#host);
    this.#control = new ControlNode(settings);
    this.#host = new Host(settings, this.#disk, this, silent, (words) => {
      throw new Died(words);
    });
    this.#meta.open(metadataSlot, "metadata");
    this.tick(0);
    this.propose(0, {
      kind: "register",
      node: nodeId(1),
      host: "127.0.0.1",
      port: 9092,
      diskId: noTopicId,
      starts: 1,
      ticket: 0,
      clusterId: settings.clusterId,
    });
    this.settle();
  }

  /** Why connections were closed, and how often. */
  get refusals(): ReadonlyMap<string, number> {
    return this.#host.counters.refusals;
  }

  connect(peer: Peer): KafkaConnection {
    // proof: a connection calls what Peer has and nothing else of a socket
    return new KafkaConnection(
      this.#host,
      peer as unknown as KafkaSocket,
      this.pool,
      null,
      requestBytesMax,
    );
  }

  /** As the listener does for bytes that arrive: in memory of their own, which is given away. */
  receive(connection: KafkaConnection, chunk: Uint8Array): void {
    connection.received(new Uint8Array(chunk));
    this.#host.flush();
  }

  drain(connection: KafkaConnection): void {
    connection.drained();
    this.#host.flush();
  }

  hangUp(connection: KafkaConnection): void {
    connection.ended();
    this.#host.flush();
  }

  tick(ms: number): void {
    this.#now += ms;
    this.#wall += ms;
    const tick = { kind: "tick", now: this.#now, wall: this.#wall } as const;
    this.#control.step(tick, this.#effects);
    this.#progress();
    this.#host.input(tick);
    this.settle();
  }

  /** Syncs both disks until nothing follows any more. */
  settle(): void {
    const { memory } = this.#disk;
    const meta = this.#meta;
    while (memory.durable < memory.tail || meta.durable < meta.tail || this.#snapshots.length > 0) {
      memory.sync();
      meta.sync();
      for (const index of this.#snapshots.splice(0)) {
        this.#control.step({ kind: "snapshot-done", index }, this.#effects);
      }
      this.#progress();
    }
    this.#host.progressed();
    memory.forgetViews();
  }

  #progress(): void {
    const { memory } = this.#disk;
    const meta = this.#meta;
    const written = meta.tail;
    const durable = ticket(meta.durable);
    this.#control.step({ kind: "appended", written, durable, credit: meta.credit }, this.#effects);
    this.#host.input({
      kind: "appended",
      written: memory.tail,
      durable: ticket(memory.durable),
      credit: memory.credit,
    });
  }

  propose(request: number, command: Command): void {
    this.#control.step({ kind: "propose", request, command }, this.#effects);
  }

  readonly #effects: ControlEffects = {
    append: (base, count, batch) =>
      this.#meta.append(metadataSlot, firstTerm, offset(base), count, -1, batch),
    committed: (batches) =>
      this.#host.input({ kind: "metadata", batches: new Uint8Array(batches) }),
    outcome: (request, outcome) => {
      if (request !== 0) this.#host.proposed(request, outcome);
    },
    snapshot: (index) => void this.#snapshots.push(index),
    trim: () => {},
    log: () => {},
    fatal: (event) => {
      throw new Died(`the control node gave up: ${event}`);
    },
  };
}
