// Idempotent producers between the log and memory: loaded at the first batch that needs them, so
// that a start reads no log, and written as sidecars, so that a load reads little of it.
//
// A load takes the newest sidecar and then the headers of the batches from its offset on, up to the
// end that the partition had when the load began. Nothing of an idempotent producer is appended
// before the load is done, so nothing is missed.
//
// Order: while a partition loads, every batch for it waits, of whatever producer, in the order of
// arrival. A batch that waits for the partition to open comes to the load when it has opened, in the
// same order and within one step. When the load is done all that wait are let go in one step, and
// only then the load is forgotten: no batch overtakes another.

import { ErrorCode } from "../base/error_code.ts";
import { Attribute } from "../base/facts.ts";
import { offset, type Slot } from "../base/ids.ts";
import {
  producerLoadRetryMs,
  producerLoadsMax,
  sidecarEveryBytes,
  sidecarEveryTimes,
} from "../base/limits.ts";
import type { HeadersOutcome, SidecarOutcome } from "../base/node_contract.ts";
import { ProducerTable } from "../replication/replication.ts";
import {
  batchAttributes,
  batchBaseOffset,
  batchBaseSequence,
  batchBytes,
  batchHeaderBytes,
  batchLastOffsetDelta,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
} from "../../wire/batch.ts";
import type { Broker } from "./broker.ts";

interface Waiter {
  readonly idempotent: boolean;
  readonly then: (code: number) => void;
}

/** One partition on its way; it reads only when it is among the first. */
class Load {
  readonly slot: Slot;
  readonly waiting: Waiter[] = [];
  running = false;
  table = new ProducerTable();
  /** Headers from here to the limit are not read yet. */
  next = offset(0);
  limit = offset(0);
  constructor(slot: Slot) {
    this.slot = slot;
  }
}

export class ProducerStates {
  readonly #broker: Broker;
  /** In the order in which they were asked for. */
  readonly #loads = new Map<Slot, Load>();
  #running = 0;
  /** How much is appended between two sidecars; simulations ask for more of them. */
  pace = { bytes: sidecarEveryBytes, times: sidecarEveryTimes };
  /** Partitions whose load has failed, and when it may be tried again. */
  readonly #retryAt = new Map<Slot, number>();

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  /** True when a batch may be appended to the open partition at once. */
  ready(slot: Slot, idempotent: boolean): boolean {
    if (this.#loads.size > 0 && this.#loads.has(slot)) return false;
    return !idempotent || this.#broker.partitions.producersKnown(slot);
  }

  /**
   * Runs `then` with 0 once the partition is open, its producers are known where the batch has one,
   * and everything that came before has gone; or with Kafka's code when that cannot be.
   */
  whenReady(slot: Slot, idempotent: boolean, then: (code: number) => void): void {
    this.#broker.whenOpen(slot, (code) => {
      if (code !== ErrorCode.NONE || this.ready(slot, idempotent)) return then(code);
      const load = this.#loadOf(slot);
      if (load === null) return then(ErrorCode.KAFKA_STORAGE_ERROR);
      load.waiting.push({ idempotent, then });
      this.#startSome();
    });
  }

  /** A batch was appended, and its producer remembered: writes the next sidecar when it is time. */
  appended(slot: Slot, bytes: number): void {
    const table = this.#broker.partitions.producersIn(slot);
    if (table === undefined) return;
    table.bytesSince += bytes;
    const bytesMax = table.stateBytesMax;
    if (table.bytesSince < Math.max(this.pace.bytes, this.pace.times * bytesMax)) return;
    if (this.#broker.appendSidecar(slot, bytesMax, () => table.state())) table.bytesSince = 0;
  }

  sidecarRead(slot: Slot, outcome: SidecarOutcome): void {
    const load = this.#loads.get(slot);
    if (load === undefined) return; // the topic is gone
    const { status } = outcome;
    const table = status === "ok" && outcome.at <= load.limit ? tableOf(outcome) : null;
    if (table === null) {
      // All batches that are stored say what a sidecar would say of them.
      if (status !== "absent") this.#tell("warn", "sidecar-unreadable", slot, status);
      load.table.bytesSince = this.#broker.effects.bytesOf(slot);
      load.next = this.#broker.partitions.logStartOf(slot);
    } else {
      load.table = table;
      load.next = outcome.at;
    }
    this.#readOn(load);
  }

  headersRead(slot: Slot, outcome: HeadersOutcome): void {
    const load = this.#loads.get(slot);
    if (load === undefined) return; // the topic is gone
    const trimmed = this.#broker.partitions.logStartOf(slot) > load.next;
    if (outcome.status === "out-of-range" && trimmed) return this.#readOn(load);
    const forward = outcome.nextOffset > load.next;
    if (outcome.status === "damaged" && forward) {
      // Nobody will ever read what lay there. Its producers are known by their other batches, or
      // not at all; refusing all idempotent batches would not bring it back.
      this.#tell("error", "producers-incomplete", slot, outcome.status);
    } else if (outcome.status !== "ok" || !forward) {
      return this.#failed(load, outcome.status);
    }
    rememberProducers(load.table, outcome.headers, this.#broker.wall);
    load.next = offset(Math.min(outcome.nextOffset, load.limit));
    this.#readOn(load);
  }

  #tell(level: "warn" | "error", event: string, slot: Slot, because: string): void {
    const { image, effects } = this.#broker;
    const topic = image.slotTopic(slot)?.name ?? "";
    effects.log(level, event, { topic, partition: image.slotPartition(slot), because });
  }

  /** The topic is gone. */
  removed(slot: Slot): void {
    this.#retryAt.delete(slot);
    const load = this.#loads.get(slot);
    if (load !== undefined) this.#end(load, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, true);
  }

  /** Null: it has failed just now. */
  #loadOf(slot: Slot): Load | null {
    let load = this.#loads.get(slot);
    if (load !== undefined) return load;
    if ((this.#retryAt.get(slot) ?? 0) > this.#broker.now) return null;
    this.#retryAt.delete(slot);
    load = new Load(slot);
    this.#loads.set(slot, load);
    return load;
  }

  #startSome(): void {
    if (this.#running >= producerLoadsMax) return;
    for (const load of this.#loads.values()) {
      if (load.running) continue;
      load.running = true;
      this.#running += 1;
      load.limit = this.#broker.partitions.endOf(load.slot);
      this.#broker.effects.readSidecar(load.slot);
      if (this.#running >= producerLoadsMax) return;
    }
  }

  #readOn(load: Load): void {
    const { partitions } = this.#broker;
    load.next = offset(Math.max(load.next, partitions.logStartOf(load.slot)));
    if (load.next < load.limit)
      return this.#broker.effects.readHeaders(load.slot, load.next, load.limit);
    load.table.expire(
      this.#broker.wall - this.#broker.image.configs.brokerNumber("producer.id.expiration.ms"),
    );
    partitions.producersLoaded(load.slot, load.table);
    this.#end(load, ErrorCode.NONE, false);
  }

  #failed(load: Load, because: string): void {
    this.#tell("error", "producers-not-loaded", load.slot, because);
    this.#retryAt.set(load.slot, this.#broker.now + producerLoadRetryMs);
    this.#end(load, ErrorCode.KAFKA_STORAGE_ERROR, false);
  }

  /** Lets all go that wait. Those without a producer id only waited for their turn. */
  #end(load: Load, code: number, all: boolean): void {
    for (const { idempotent, then } of load.waiting)
      then(idempotent || all ? code : ErrorCode.NONE);
    this.#loads.delete(load.slot);
    if (load.running) this.#running -= 1;
    this.#startSome();
  }
}

function tableOf(outcome: SidecarOutcome): ProducerTable | null {
  return ProducerTable.of(outcome.state, outcome.at);
}

/**
 * Remembers batches by their headers, in the order of offsets. When a producer was last seen decides
 * when it is forgotten, and a producer that is forgotten too early may write a batch twice. Only a
 * time that the node has stamped itself says when that was; a producer's own may be years old, so
 * its batch counts as seen now.
 */
function rememberProducers(table: ProducerTable, headers: Uint8Array, wall: number): void {
  const view = new DataView(headers.buffer, headers.byteOffset, headers.byteLength);
  for (let at = 0; at + batchHeaderBytes <= headers.byteLength; at += batchHeaderBytes) {
    const timestamp = batchMaxTimestamp(view, at);
    const stamped = (batchAttributes(view, at) & Attribute.logAppendTime) !== 0;
    table.remember(
      batchProducerId(view, at),
      batchProducerEpoch(view, at),
      batchBaseSequence(view, at),
      batchLastOffsetDelta(view, at) + 1,
      batchBaseOffset(view, at),
      timestamp,
      stamped ? Math.min(timestamp, wall) : wall,
    );
    table.bytesSince += batchBytes(view, at);
  }
}
