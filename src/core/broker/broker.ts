// The broker: what a Kafka request means. Each API has a file `NN_name.ts` with a `plan` function;
// this class is what they stand on: the committed metadata, the partitions, the effects of the
// current step, and the continuations that wait for an input.
//
// Continuations are closures, one per administrative request or partition open. The paths of produce
// and fetch wait on objects of their own (Waiting, parked fetches) and allocate none.

import { assert } from "../base/assert.ts";
import type { Command, Outcome, OutcomeOf } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { frameOverheadBytes, sidecarOverheadBytes } from "../base/limits.ts";
import {
  type LeaderEpoch,
  type Offset,
  offset,
  offsetAdd,
  type PartitionIndex,
  type Slot,
  type Ticket,
  type TopicId,
} from "../base/ids.ts";
import type {
  Call,
  Effects,
  Input,
  OpenedPartition,
  ReadOutcome,
  ReadPart,
} from "../base/node_contract.ts";
import { Random } from "../base/random.ts";
import type { Settings } from "../base/settings.ts";
import type { ApiName } from "../../wire/apis.ts";
import { ClusterImage, type MetadataChange } from "../cluster/cluster.ts";
import {
  CommitQueue,
  Partitions,
  PartitionState,
  type Waiting,
} from "../replication/replication.ts";
import { Fetches } from "./fetches.ts";
import { Groups } from "./groups.ts";
import { ProducerStates } from "./producer_state.ts";
import { readMetadata } from "../../wire/metadata_records.ts";

/** One Kafka API: registered in apis.ts, which is what ApiVersions advertises. */
export interface ApiEntry {
  /** Name of the table in proto/kafka; key and versions come from there. */
  readonly name: ApiName;
  plan(broker: Broker, call: Call): void;
}

/** Ties the types of request and response to the name of a table. */
export function entry<Q, R>(
  name: ApiName,
  plan: (broker: Broker, call: Call<Q, R>) => void,
): ApiEntry {
  return { name, plan: (broker, call) => plan(broker, call as Call<Q, R>) }; // proof: the server decodes by this name
}

/** One line of ApiVersions. */
export interface ApiRange {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** How often idle producers are looked for. */
const producerScanMs = 600_000;
/** Partitions opened in the background per tick, so that retention reaches all of them. */
const opensPerTick = 64;
/** Epochs opened by one metadata entry. */
const sealsPerCommand = 4096;

interface Seal {
  readonly topic: TopicId;
  readonly partition: PartitionIndex;
  readonly epoch: LeaderEpoch;
  readonly end: Offset;
}

/** Tells one continuation that its batch is committed. */
class OwnAppend implements Waiting {
  readonly #done: (code: number) => void;
  constructor(done: (code: number) => void) {
    this.#done = done;
  }
  committed(): void {
    this.#done(ErrorCode.NONE);
  }
}

export class Broker {
  readonly settings: Settings;
  readonly image: ClusterImage;
  readonly partitions = new Partitions();
  readonly fetches: Fetches;
  readonly groups: Groups;
  readonly producers: ProducerStates;
  readonly random: Random;
  /** What ApiVersions answers. */
  readonly ranges: readonly ApiRange[];
  /** Monotonic milliseconds of the newest tick. */
  now = 0;
  /** Unix milliseconds of the newest tick. */
  wall = 0;
  /** False while the disk is full or failed: nothing is appended. */
  takesWrites = true;
  /** Bytes that this process has appended to the log of the node, frames included. */
  appendedBytes = 0;

  #effects: Effects | null = null;
  #credit = 0;
  #lastTicket = 0 as Ticket; // proof: nothing was appended yet
  readonly #synced = new CommitQueue();
  readonly #unsynced = new CommitQueue();
  readonly #opening = new Map<Slot, ((code: number) => void)[]>();
  #seals: Seal[] = [];
  #request = 0;
  readonly #proposals = new Map<number, (outcome: Outcome) => void>();
  readonly #reads = new Map<number, (parts: readonly ReadOutcome[]) => void>();
  readonly #lookups = new Map<number, (outcome: ReadOutcome) => void>();
  #openCursor = 0;
  #expireAt = 0;

  constructor(settings: Settings, ranges: readonly ApiRange[]) {
    this.settings = settings;
    this.ranges = ranges;
    this.image = new ClusterImage(settings);
    this.random = new Random(settings.seed, 1);
    this.fetches = new Fetches(this);
    this.groups = new Groups(this);
    this.producers = new ProducerStates(this);
  }

  /** Effects of the current step. */
  get effects(): Effects {
    assert(this.#effects !== null, "effects exist during a step only");
    return this.#effects;
  }

  /** Bytes that the disk will take now. */
  get credit(): number {
    return this.#credit;
  }

  begin(effects: Effects): void {
    this.#effects = effects;
  }

  /** Everything but requests, which go to their API's file. */
  take(input: Exclude<Input, { kind: "request" }>): void {
    switch (input.kind) {
      case "tick":
        return this.#tick(input.now, input.wall);
      case "closed":
        return this.fetches.closed(input.connection);
      case "appended":
        return this.#appended(input.written, input.durable, input.credit);
      case "opened":
        return this.#opened(input.slot, input.partition);
      case "read-done":
        return this.#readDone(input.request, input.parts);
      case "looked-up":
        return this.#lookedUp(input.request, input.outcome);
      case "sidecar-read":
        return this.producers.sidecarRead(input.slot, input.outcome);
      case "headers-read":
        return this.producers.headersRead(input.slot, input.outcome);
      case "disk-state":
        this.takesWrites = input.takesWrites;
        return;
      case "trim-due":
        return this.#trimDue(input.slot, input.offset);
      case "proposed":
        return this.#proposed(input.request, input.outcome);
      case "metadata":
        return this.#metadata(input.batches);
    }
  }

  /** Sends what the step gathered. */
  end(): void {
    while (this.#seals.length > 0) {
      const seals = this.#seals.splice(0, sealsPerCommand);
      this.propose({ kind: "commit-seals", seals }, () => {});
    }
    this.#effects = null;
  }

  reply<Q, R>(call: Call<Q, R>, response: R): void {
    this.effects.reply(call, response);
  }

  /** Proposes a metadata command; `done` runs in a later step, after its metadata is applied here. */
  propose<C extends Command>(command: C, done: (outcome: OutcomeOf<C>) => void): void {
    this.#request += 1;
    this.#proposals.set(this.#request, done as (outcome: Outcome) => void); // proof: outcomes come back by request
    this.effects.propose(this.#request, command);
  }

  /**
   * Runs `then` with 0 once the partition is open (at once when it is), or with Kafka's code when it
   * cannot be opened.
   */
  whenOpen(slot: Slot, then: (code: number) => void): void {
    const state = this.partitions.stateOf(slot);
    if (state === PartitionState.open) return then(ErrorCode.NONE);
    if (state === PartitionState.removed) return then(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    const waiting = this.#opening.get(slot);
    if (waiting === undefined) this.#opening.set(slot, [then]);
    else waiting.push(then);
    if (state === PartitionState.closed) this.#open(slot);
  }

  /** True when a batch of this size can be appended now. */
  hasCredit(bytes: number): boolean {
    return this.takesWrites && this.#credit >= bytes + frameOverheadBytes;
  }

  /**
   * Appends one checked batch to an open partition and queues it for commit. The caller has asked
   * `hasCredit`. Returns the first offset.
   */
  append(
    slot: Slot,
    batch: Uint8Array,
    count: number,
    maxTimestamp: number,
    logAppendTime: number,
    sync: boolean,
    waiting: Waiting | null,
  ): Offset {
    assert(this.hasCredit(batch.byteLength), "an append stays within the credit");
    const partitions = this.partitions;
    const base = partitions.assign(slot, count, maxTimestamp);
    this.#credit -= batch.byteLength + frameOverheadBytes;
    this.appendedBytes += batch.byteLength + frameOverheadBytes;
    const ticket = this.effects.append(
      slot,
      partitions.epochOf(slot),
      base,
      count,
      partitions.highWatermarkOf(slot),
      logAppendTime,
      sync,
      batch,
    );
    assert(ticket > this.#lastTicket, "every append gets a higher ticket");
    this.#lastTicket = ticket;
    const queue = sync ? this.#synced : this.#unsynced;
    queue.push(slot, offsetAdd(base, count), ticket, batch.byteLength, waiting);
    return base;
  }

  /**
   * Tells `waiting` once everything that is staged now is committed: for a duplicate of a batch that
   * may still be on its way.
   */
  afterStaged(slot: Slot, end: Offset, sync: boolean, waiting: Waiting): void {
    const queue = sync ? this.#synced : this.#unsynced;
    queue.push(slot, end, this.#lastTicket, 0, waiting);
  }

  /**
   * Appends one batch of our own (built by wire, base offset 0) to an open partition. `done` runs
   * with 0 once it is committed; calls complete in order. False when the disk takes nothing now:
   * nothing was appended and `done` will not run.
   */
  appendOwn(slot: Slot, batch: Uint8Array, count: number, done: (code: number) => void): boolean {
    if (!this.hasCredit(batch.byteLength)) return false;
    this.append(slot, batch, count, this.wall, -1, this.syncs(slot), new OwnAppend(done));
    return true;
  }

  /**
   * Puts the state of a partition's producers behind everything that was appended to it. False when
   * the disk does not take `bytesMax` now: nothing was appended.
   */
  appendSidecar(slot: Slot, bytesMax: number, state: () => Uint8Array): boolean {
    if (!this.hasCredit(bytesMax + sidecarOverheadBytes)) return false;
    const bytes = state();
    assert(bytes.byteLength <= bytesMax, "a state stays within its bound");
    const cost = bytes.byteLength + sidecarOverheadBytes + frameOverheadBytes;
    this.#credit -= cost;
    this.appendedBytes += cost;
    this.effects.sidecar(slot, this.partitions.endOf(slot), bytes);
    return true;
  }

  /** True when the partition's topic wants its batches on stable storage before the answer. */
  syncs(slot: Slot): boolean {
    const topic = this.image.slotTopic(slot);
    return (topic?.durability ?? this.settings.durability) === "fsync";
  }

  /** One read; `done` runs in a later step, and the records are valid only while it runs. */
  read(
    parts: readonly ReadPart[],
    bytesMax: number,
    done: (parts: readonly ReadOutcome[]) => void,
  ): void {
    this.#request += 1;
    this.#reads.set(this.#request, done);
    this.effects.read(this.#request, parts, bytesMax);
  }

  /** Finds one batch by time from an offset on; the records are one whole, uncompressed batch or empty. */
  lookup(
    slot: Slot,
    by: "timestamp" | "max-timestamp",
    value: number,
    from: Offset,
    limit: Offset,
    done: (outcome: ReadOutcome) => void,
  ): void {
    this.#request += 1;
    this.#lookups.set(this.#request, done);
    this.effects.lookup(this.#request, slot, by, value, from, limit);
  }

  #tick(now: number, wall: number): void {
    assert(now >= this.now, "monotonic time does not fall");
    this.now = now;
    this.wall = wall;
    this.fetches.tick(now);
    this.groups.tick(now);
    if (now >= this.#expireAt) {
      this.#expireAt = now + producerScanMs;
      this.partitions.expireProducers(
        wall - this.image.configs.brokerNumber("producer.id.expiration.ms"),
      );
    }
    // Until this life of the node is registered the metadata names the epochs of the life before,
    // and topics that may be gone or still to come.
    if (this.image.nodeOf(this.settings.nodeId)?.starts !== this.settings.starts) return;
    this.#openSome();
    this.effects.sweep(this.#owns);
  }

  readonly #owns = (topic: TopicId, partition: PartitionIndex): boolean =>
    this.image.topicById(topic)?.slotOf(partition) !== undefined;

  /** True while partitions are left that nobody has touched and that ticks will open. */
  get opensInBackground(): boolean {
    return this.partitions.nextClosed(this.#openCursor, this.image.slotCount) >= 0;
  }

  /** Opens a few partitions in the background. */
  #openSome(): void {
    for (let i = 0; i < opensPerTick; i += 1) {
      const next = this.partitions.nextClosed(this.#openCursor, this.image.slotCount);
      if (next < 0) break;
      this.#openCursor = next + 1;
      this.whenOpen(next as Slot, () => {}); // proof: below slotCount
    }
  }

  #appended(written: Ticket, durable: Ticket, credit: number): void {
    this.#credit = credit;
    this.#synced.release(durable, this.#commit);
    this.#unsynced.release(written, this.#commit);
  }

  /** A field, so that a progress report allocates no closure. */
  readonly #commit = (slot: Slot, end: Offset, bytes: number, waiting: Waiting | null): void => {
    if (
      this.partitions.stateOf(slot) === PartitionState.open &&
      this.partitions.committed(slot, end)
    ) {
      this.fetches.wake(slot, bytes);
    }
    if (waiting !== null) waiting.committed(slot, end);
  };

  #open(slot: Slot): void {
    const topic = this.image.slotTopic(slot);
    if (topic === undefined) return this.#finishOpen(slot, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    this.partitions.opening(slot);
    this.effects.open(slot, topic.id, this.image.slotPartition(slot));
  }

  #opened(slot: Slot, found: OpenedPartition | null): void {
    if (this.partitions.stateOf(slot) === PartitionState.removed) return;
    const topic = this.image.slotTopic(slot);
    if (found === null || topic === undefined) {
      this.partitions.openFailed(slot);
      return this.#finishOpen(slot, ErrorCode.KAFKA_STORAGE_ERROR);
    }
    const logStart = offset(Math.max(found.logStart, this.image.logStartOf(slot)));
    const end = offset(Math.max(found.end, logStart));
    this.partitions.recovered(slot, logStart, end, found.maxTimestamp);
    if (logStart > found.logStart) this.effects.trim(slot, logStart);
    this.effects.retain(slot, topic.retentionMs, topic.retentionBytes);
    this.#openEpoch(slot);
  }

  /** Opens the epoch that the metadata has opened, or asks for it. */
  #openEpoch(slot: Slot): void {
    if (this.image.epochStateOf(slot) === "open") {
      this.partitions.opened(slot, this.image.epochOf(slot));
      return this.#finishOpen(slot, ErrorCode.NONE);
    }
    const topic = this.image.slotTopic(slot);
    assert(topic !== undefined, "a sealing partition has a topic");
    this.#seals.push({
      topic: topic.id,
      partition: this.image.slotPartition(slot),
      epoch: this.image.epochOf(slot),
      end: this.partitions.endOf(slot),
    });
  }

  #finishOpen(slot: Slot, code: number): void {
    const waiting = this.#opening.get(slot);
    if (waiting === undefined) return;
    this.#opening.delete(slot);
    for (const then of waiting) then(code);
  }

  #readDone(request: number, parts: readonly ReadOutcome[]): void {
    const done = this.#reads.get(request);
    assert(done !== undefined, "a read is answered once");
    this.#reads.delete(request);
    done(parts);
  }

  #lookedUp(request: number, outcome: ReadOutcome): void {
    const done = this.#lookups.get(request);
    assert(done !== undefined, "a look-up is answered once");
    this.#lookups.delete(request);
    done(outcome);
  }

  #proposed(request: number, outcome: Outcome): void {
    const done = this.#proposals.get(request);
    assert(done !== undefined, "a proposal is answered once");
    this.#proposals.delete(request);
    done(outcome);
  }

  /** Retention goes through the metadata, so that every copy trims alike. */
  #trimDue(slot: Slot, due: Offset): void {
    const topic = this.image.slotTopic(slot);
    if (topic === undefined || !this.partitions.isOpen(slot)) return;
    if (!topic.deletes) return;
    const trimTo = offset(Math.min(due, this.partitions.highWatermarkOf(slot)));
    if (trimTo <= this.partitions.logStartOf(slot)) return;
    const trim = { topic: topic.id, partition: this.image.slotPartition(slot), offset: trimTo };
    this.propose({ kind: "trim", trims: [trim] }, () => {});
  }

  #metadata(batches: Uint8Array): void {
    const refusal = readMetadata(batches, (record, position) =>
      this.image.apply(record, position, this.#changed),
    );
    assert(refusal === null, "committed metadata can be read");
  }

  readonly #changed = (change: MetadataChange): void => {
    switch (change.kind) {
      case "topic-deleted":
        this.groups.topicDeleted(change.topic);
        return this.#removeSlots(change.slots);
      case "configs-changed":
        return this.#reconfigure(change.slots);
      case "epoch-opened":
        if (this.partitions.stateOf(change.slot) === PartitionState.sealing)
          this.#openEpoch(change.slot);
        return;
      case "trimmed":
        if (!this.partitions.isOpen(change.slot)) return;
        if (this.partitions.trimmed(change.slot, change.offset))
          this.effects.trim(change.slot, change.offset);
        return;
    }
  };

  #removeSlots(slots: Int32Array): void {
    for (const each of slots) {
      const slot = each as Slot; // proof: slots of the image
      this.partitions.removed(slot);
      this.effects.remove(slot);
      this.fetches.wake(slot, Number.MAX_SAFE_INTEGER);
      this.#finishOpen(slot, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
      this.producers.removed(slot);
    }
  }

  #reconfigure(slots: Int32Array): void {
    for (const each of slots) {
      const slot = each as Slot; // proof: slots of the image
      const topic = this.image.slotTopic(slot);
      if (topic === undefined || !this.partitions.isOpen(slot)) continue;
      this.effects.retain(slot, topic.retentionMs, topic.retentionBytes);
    }
  }
}
