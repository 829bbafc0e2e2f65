// The idempotent producer. Records wait in a queue per partition until a batch is full or has waited
// long enough; batches go to the leaders, those of several partitions in one request. One method,
// `#pump`, decides what can be sent: it runs after everything that may change that.

import { ErrorCode } from "../core/base/error_code.ts";
import { noTopicId, none, partitionIndex } from "../core/base/ids.ts";
import type { RequestOf, ResponseOf } from "../../proto/schema.ts";
import { apis } from "../wire/apis.ts";
import { partitionOfKey } from "../wire/murmur2.ts";
import type { NewRecord } from "../wire/records.ts";
import type { Compression } from "./compression.ts";
import type { Connection } from "./connection.ts";
import { isRetriable, isStale, KafkaError, Unreachable, WrongUse } from "./failures.ts";
import { backoffMs, type Network, type TopicMetadata } from "./network.ts";
import {
  type Acknowledge,
  type Batch,
  type Identity,
  noIdentity,
  PartitionQueue,
  recordBytes,
} from "./partition_queue.ts";
import { StickyPartitioner } from "./partitioner.ts";
import { newRecord, type OutgoingRecord } from "./records.ts";

export interface ProducerOptions {
  /** Whose acknowledgement counts: W durable copies, the leader alone, or nobody's. Default all. */
  readonly acks?: "all" | "leader" | "none";
  /** Default none. */
  readonly compression?: Compression;
  /** How long a record waits for others to share its batch. Default 5 ms. */
  readonly lingerMs?: number;
  /** Bytes of a batch before compression. Default 1,000,000: Kafka's default for a topic takes it. */
  readonly batchBytes?: number;
  /** Bytes of records that wait or are under way; `send` waits for room. Default 64 MiB. */
  readonly bufferBytes?: number;
  /** After so long a record that could not be delivered is given up. Default 120 s. */
  readonly deliveryMs?: number;
}

/** Where a record went. */
export interface Delivered {
  readonly topic: string;
  readonly partition: number;
  /** -1 with `acks: "none"`. */
  readonly offset: number;
  /** The record's, or the node's where the topic says LogAppendTime. */
  readonly timestamp: number;
}

/** Told of one record: `delivered` is null exactly when there is an error. */
export type OnDelivery = (error: Error | null, delivered: Delivered | null) => void;

/** Requests to one leader that are not answered. */
const requestsPerLeaderMax = 5;
const requestBytesMax = 8 * 1024 * 1024;
/** Records that wait for room or for what is known of their topic. */
const waitingMax = 100_000;
const metadataAgeMs = 60_000;
const identifyPauseMs = 250;
/** A sequence that was appended before what the leader remembers: it is there. */
const duplicateSequence = 46;
const unknownProducer = 59;
const acksOf = { all: -1, leader: 1, none: 0 } as const;

type PartitionAnswer = ResponseOf<typeof apis.Produce>["topics"][number]["partitions"][number];

interface Waiting {
  readonly record: NewRecord;
  /** Taken from the producer's room. */
  readonly bytes: number;
  readonly partition: number | null;
  readonly acknowledge: OnDelivery | null;
}

interface Topic {
  metadata: TopicMetadata | null;
  since: number;
  loading: boolean;
  /** Partitions with a leader; all of them while none has one. */
  usable: readonly number[];
  readonly sticky: StickyPartitioner;
  readonly queues: Map<number, PartitionQueue>;
  /** Until the topic is known. */
  readonly waiting: Waiting[];
}

interface Leader {
  connection: Connection | null;
  opening: boolean;
  inFlight: number;
  failures: number;
  notBefore: number;
}

export class Producer {
  readonly #network: Network;
  readonly #options: Required<ProducerOptions>;
  readonly #topics = new Map<string, Topic>();
  readonly #leaders = new Map<number, Leader>();
  /** Callers that wait for room, in order. */
  readonly #forRoom: (() => void)[] = [];
  readonly #forEmpty: (() => void)[] = [];
  #identity: Identity = noIdentity;
  /** The producer id is asked for; nothing is sent before it is there. */
  #identifying = false;
  #needsIdentity: boolean;
  #reserved = 0;
  #unacknowledged = 0;
  #flushing = 0;
  #timer: Timer | null = null;
  #wakeAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(network: Network, options: ProducerOptions) {
    this.#network = network;
    this.#options = {
      acks: options.acks ?? "all",
      compression: options.compression ?? "none",
      lingerMs: options.lingerMs ?? 5,
      batchBytes: options.batchBytes ?? 1_000_000,
      bufferBytes: options.bufferBytes ?? 64 * 1024 * 1024,
      deliveryMs: options.deliveryMs ?? 120_000,
    };
    this.#needsIdentity = this.#options.acks === "all";
  }

  /**
   * Sends one record and waits until it is acknowledged. Call it without awaiting each call to have
   * records share batches; order within a partition is the order of the calls.
   * @throws KafkaError when the cluster refuses the record.
   * @throws Unreachable when it could not be delivered in time; whether it was appended is unknown.
   */
  send(record: OutgoingRecord): Promise<Delivered> {
    const { promise, resolve, reject } = Promise.withResolvers<Delivered>();
    const take = (): void =>
      this.enqueue(record, (error, delivered) => {
        if (delivered === null) reject(error ?? new WrongUse("not delivered"));
        else resolve(delivered);
      });
    if (this.#forRoom.length === 0 && this.#hasRoom) take();
    else if (this.#forRoom.length >= waitingMax) {
      reject(new WrongUse(`${waitingMax} records wait for room; await some of them`));
    } else this.#forRoom.push(take);
    return promise;
  }

  /**
   * Takes a record at once; `onDelivery` is told later, in any case. The cheap way for many records:
   * await `room()` now and then, and `flush()` at the end.
   */
  enqueue(record: OutgoingRecord, onDelivery: OnDelivery | null = null): void {
    if (this.#closed) throw new WrongUse("the producer is closed");
    const made = newRecord(record);
    const bytes = recordBytes(made);
    this.#reserved += bytes;
    this.#unacknowledged += 1;
    const now = performance.now();
    const topic = this.#topic(record.topic, now);
    const partition = record.partition ?? null;
    const waiting = { record: made, bytes, partition, acknowledge: onDelivery };
    if (topic.metadata === null) topic.waiting.push(waiting);
    else this.#place(record.topic, topic, topic.metadata, waiting, now);
  }

  /** Resolves as soon as there is room for more records. */
  room(): Promise<void> {
    if (this.#hasRoom) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#forRoom.push(resolve);
    return promise;
  }

  /** Sends everything without further waiting; resolves when every record has its answer. */
  async flush(): Promise<void> {
    this.#flushing += 1;
    try {
      while (this.#unacknowledged > 0 || this.#forRoom.length > 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#forEmpty.push(resolve);
        this.#pump();
        await promise;
      }
    } finally {
      this.#flushing -= 1;
    }
  }

  /** Flushes, then takes no more. */
  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  get #hasRoom(): boolean {
    return this.#reserved < this.#options.bufferBytes;
  }

  #topic(name: string, now: number): Topic {
    const known = this.#topics.get(name);
    if (known !== undefined) {
      if (now - known.since > metadataAgeMs) this.#load(name, known);
      return known;
    }
    const topic: Topic = {
      metadata: null,
      since: now,
      loading: false,
      usable: [],
      sticky: new StickyPartitioner(),
      queues: new Map(),
      waiting: [],
    };
    this.#topics.set(name, topic);
    this.#load(name, topic);
    return topic;
  }

  /** Looks the topic up in the background, once at a time. */
  #load(name: string, topic: Topic): void {
    if (topic.loading) return;
    topic.loading = true;
    topic.since = performance.now();
    this.#network
      .topic(name)
      .then((metadata) => this.#loaded(name, topic, metadata))
      .catch((error: unknown) => this.#failTopic(name, topic, error))
      .finally(() => {
        topic.loading = false;
        this.#pump();
      });
  }

  #loaded(name: string, topic: Topic, metadata: TopicMetadata): void {
    const led = metadata.partitions.filter(({ leader }) => leader >= 0);
    const usable = led.length > 0 ? led : metadata.partitions;
    topic.usable = usable.map(({ partition }) => partition);
    topic.metadata = metadata;
    const now = performance.now();
    for (const waiting of topic.waiting.splice(0)) this.#place(name, topic, metadata, waiting, now);
  }

  /** What was sent before stays queued until its time is over: the topic was there once. */
  #failTopic(name: string, topic: Topic, error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error));
    if (topic.metadata === null) this.#topics.delete(name);
    for (const { bytes, acknowledge } of topic.waiting.splice(0)) {
      this.#acknowledged(bytes);
      acknowledge?.(reason, null);
    }
  }

  #place(name: string, topic: Topic, metadata: TopicMetadata, waiting: Waiting, now: number): void {
    const { record, bytes, acknowledge } = waiting;
    const count = metadata.partitions.length;
    const keyed = record.key === null ? topic.sticky.pick(topic.usable) : null;
    const partition =
      waiting.partition ?? keyed ?? partitionOfKey(record.key ?? new Uint8Array(0), count);
    if (partition < 0 || partition >= count || !Number.isInteger(partition)) {
      this.#acknowledged(bytes);
      const words = `topic ${name} has partitions 0 to ${count - 1}, not ${partition}`;
      acknowledge?.(new WrongUse(words), null);
      return;
    }
    let queue = topic.queues.get(partition);
    if (queue === undefined) {
      queue = new PartitionQueue(name, partition, this.#identity);
      topic.queues.set(partition, queue);
    }
    const tell: Acknowledge | null =
      acknowledge === null
        ? null
        : (error, offset, timestamp) =>
            acknowledge(
              error,
              error === null ? { topic: name, partition, offset, timestamp } : null,
            );
    if (queue.add(record, bytes, tell, this.#options, now)) {
      if (record.key === null) topic.sticky.turn(partition, topic.usable);
      this.#pump();
    } else {
      this.#wake(now + this.#options.lingerMs);
    }
  }

  /** Pumps at `at`, or earlier when that was asked for before. */
  #wake(at: number): void {
    if (at >= this.#wakeAt) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#wakeAt = at;
    this.#timer = setTimeout(() => this.#pump(), Math.max(0, at - performance.now()));
  }

  /** Sends what can be sent, gives up what is too old, and sets the time to look again. */
  #pump(): void {
    if (this.#closed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#wakeAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    const byLeader = new Map<number, PartitionQueue[]>();
    for (const [name, topic] of this.#topics) {
      for (const queue of topic.queues.values()) {
        const oldest = queue.oldest;
        if (oldest === null) continue;
        this.#expire(queue, now - this.#options.deliveryMs);
        next = Math.min(next, Math.max(now + 100, oldest + this.#options.deliveryMs + 1));
        const until = queue.openUntil(this.#flushing > 0 ? 0 : this.#options.lingerMs);
        if (until !== null && until <= now) queue.seal(this.#options.compression);
        else if (until !== null) next = Math.min(next, until);
        if (!queue.hasReady) continue;
        if (queue.notBefore > now) next = Math.min(next, queue.notBefore);
        const leader = topic.metadata?.partitions[queue.partition]?.leader ?? -1;
        if (leader >= 0) {
          const queues = byLeader.get(leader);
          if (queues === undefined) byLeader.set(leader, [queue]);
          else queues.push(queue);
        } else if (topic.loading) continue;
        else if (now - topic.since > 100) {
          this.#network.forget(name);
          this.#load(name, topic);
        } else next = Math.min(next, topic.since + 101);
      }
    }
    if (this.#needsIdentity) this.#identify();
    else for (const [id, queues] of byLeader) next = Math.min(next, this.#serve(id, queues, now));
    if (next < Number.POSITIVE_INFINITY) this.#wake(next);
  }

  /** Sends to one leader; returns when to look again. */
  #serve(id: number, queues: readonly PartitionQueue[], now: number): number {
    let leader = this.#leaders.get(id);
    if (leader === undefined) {
      leader = { connection: null, opening: false, inFlight: 0, failures: 0, notBefore: 0 };
      this.#leaders.set(id, leader);
    }
    if (leader.connection === null || leader.connection.lost) {
      if (leader.opening) return Number.POSITIVE_INFINITY;
      if (leader.notBefore > now) return leader.notBefore;
      this.#open(id, leader);
      return Number.POSITIVE_INFINITY;
    }
    while (leader.inFlight < requestsPerLeaderMax) {
      const batches: (readonly [PartitionQueue, Batch])[] = [];
      let bytes = 0;
      for (const queue of queues) {
        if (bytes >= requestBytesMax) break;
        const batch = queue.take(now);
        if (batch === null) continue;
        batches.push([queue, batch]);
        bytes += batch.bytes.length;
      }
      if (batches.length === 0) break;
      this.#send(leader, leader.connection, batches);
    }
    return Number.POSITIVE_INFINITY;
  }

  #open(id: number, leader: Leader): void {
    leader.opening = true;
    this.#network
      .node(id, "produce")
      .then((connection) => {
        leader.connection = connection;
        leader.failures = 0;
      })
      .catch(() => {
        // The node may be gone for good: its partitions may have other leaders by now.
        leader.notBefore = performance.now() + backoffMs(leader.failures);
        leader.failures += 1;
        for (const [name, topic] of this.#topics) {
          if (!topic.metadata?.partitions.some((each) => each.leader === id)) continue;
          this.#network.forget(name);
          this.#load(name, topic);
        }
      })
      .finally(() => {
        leader.opening = false;
        this.#pump();
      });
  }

  #send(
    leader: Leader,
    connection: Connection,
    batches: readonly (readonly [PartitionQueue, Batch])[],
  ): void {
    const acks = acksOf[this.#options.acks];
    const byTopic = Map.groupBy(batches, ([queue]) => queue.topic);
    const request = {
      transactionalId: null,
      acks,
      timeoutMs: this.#network.options.requestTimeoutMs,
      topics: [...byTopic].map(([name, each]) => ({
        name,
        topicId: noTopicId,
        partitions: each.map(([queue, batch]) => ({
          index: partitionIndex(queue.partition),
          records: batch.bytes,
        })),
      })),
    };
    leader.inFlight += 1;
    const answered = this.#answered(connection, request, acks === 0);
    answered
      .then((find) => {
        for (const [queue, batch] of batches) {
          const answer = find(queue);
          if (answer === null) this.#deliver(queue, batch, -1, -1);
          else this.#judge(queue, batch, answer);
        }
      })
      .catch((error: unknown) => this.#lost(batches, error))
      .finally(() => {
        leader.inFlight -= 1;
        this.#pump();
      });
  }

  /** Finds the answer about a queue's batch; null where none was asked for. */
  async #answered(
    connection: Connection,
    request: RequestOf<typeof apis.Produce>,
    silent: boolean,
  ): Promise<(queue: PartitionQueue) => PartitionAnswer | null> {
    const version = connection.versionOf(apis.Produce, 12);
    if (silent) {
      await connection.tell(apis.Produce, version, request);
      return () => null;
    }
    const answer = await connection.request(
      apis.Produce,
      version,
      request,
      this.#network.options.requestTimeoutMs,
    );
    return (queue) => {
      const topic = answer.topics.find(({ name }) => name === queue.topic);
      const found = topic?.partitions.find(({ index }) => index === queue.partition);
      if (found === undefined) throw new Unreachable(connection.address, "left out an answer");
      return found;
    };
  }

  #judge(queue: PartitionQueue, batch: Batch, answer: PartitionAnswer): void {
    const { errorCode: code, baseOffset, logAppendTimeMs, errorMessage, recordErrors } = answer;
    if (code === ErrorCode.NONE || code === duplicateSequence) {
      this.#deliver(queue, batch, baseOffset, logAppendTimeMs);
      return;
    }
    const notBefore = performance.now() + backoffMs(batch.attempts - 1);
    if (code === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER && this.#options.acks === "all") {
      if (queue.isExpected(batch)) this.#needsIdentity = true;
      queue.again(batch, false, notBefore);
    } else if (code === ErrorCode.INVALID_PRODUCER_EPOCH || code === unknownProducer) {
      this.#needsIdentity = true;
      queue.again(batch, false, notBefore);
    } else if (isRetriable(code)) {
      if (isStale(code)) this.#reload(queue.topic);
      const appended = ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND;
      queue.again(batch, code === ErrorCode.REQUEST_TIMED_OUT || code === appended, notBefore);
    } else if (code === ErrorCode.MESSAGE_TOO_LARGE && batch.records.length > 1) {
      queue.split(batch, this.#options.compression);
    } else {
      queue.refused(batch);
      const first = recordErrors[0];
      const words = errorMessage ?? first?.message ?? null;
      this.#fail(batch, new KafkaError(code, `${queue.topic}/${queue.partition}`, words));
    }
  }

  #lost(batches: readonly (readonly [PartitionQueue, Batch])[], error: unknown): void {
    const lasting = !(error instanceof Unreachable);
    for (const [queue, batch] of batches) {
      if (lasting) {
        queue.refused(batch);
        this.#fail(batch, error instanceof Error ? error : new Error(String(error)));
      } else {
        this.#reload(queue.topic);
        queue.again(batch, true, performance.now() + backoffMs(batch.attempts - 1));
      }
    }
  }

  #reload(name: string): void {
    this.#network.forget(name);
    const topic = this.#topics.get(name);
    if (topic !== undefined) this.#load(name, topic);
  }

  #deliver(queue: PartitionQueue, batch: Batch, baseOffset: number, appendTime: number): void {
    queue.done(batch);
    this.#acknowledged(batch.reserved, batch.records.length);
    for (let i = 0; i < batch.records.length; i += 1) {
      const timestamp = appendTime >= 0 ? appendTime : (batch.records[i]?.timestamp ?? -1);
      batch.acknowledge[i]?.(null, baseOffset < 0 ? -1 : baseOffset + i, timestamp);
    }
  }

  #fail(batch: Batch, error: Error): void {
    this.#acknowledged(batch.reserved, batch.records.length);
    for (const acknowledge of batch.acknowledge) acknowledge?.(error, -1, -1);
  }

  #expire(queue: PartitionQueue, before: number): void {
    for (const batch of queue.expire(before)) {
      if (batch.doubtful) this.#needsIdentity ||= this.#options.acks === "all";
      const place = `${queue.topic}/${queue.partition}`;
      const words = batch.doubtful
        ? "whether they were appended is unknown"
        : "they were not appended";
      const count = batch.records.length;
      this.#fail(batch, new Unreachable(place, `${count} records not delivered in time; ${words}`));
    }
  }

  #acknowledged(bytes: number, records = 1): void {
    this.#reserved -= bytes;
    this.#unacknowledged -= records;
    while (this.#forRoom.length > 0 && this.#hasRoom) this.#forRoom.shift()?.();
    if (this.#unacknowledged === 0) for (const tell of this.#forEmpty.splice(0)) tell();
  }

  /**
   * A new producer id, once nothing is under way. Batches that may have been appended under the old
   * one are given up: under the new one they could be there twice.
   */
  #identify(): void {
    const queues = [...this.#topics.values()].flatMap(({ queues: each }) => [...each.values()]);
    if (this.#identifying || queues.some(({ inFlight }) => inFlight > 0)) return;
    if (queues.every(({ isEmpty }) => isEmpty)) return;
    this.#identifying = true;
    this.#newIdentity()
      .then((identity) => {
        this.#needsIdentity = false;
        this.#identity = identity;
        for (const queue of queues) {
          for (const batch of queue.takeDoubtful()) {
            const place = `${queue.topic}/${queue.partition}`;
            const words = "the producer was renewed; whether the records were appended is unknown";
            this.#fail(batch, new Unreachable(place, words));
          }
          queue.identify(identity);
        }
        // Queues that were made meanwhile.
        for (const { queues: each } of this.#topics.values()) {
          for (const queue of each.values()) if (!queues.includes(queue)) queue.identify(identity);
        }
      })
      .catch((error: unknown) => {
        if (!(error instanceof KafkaError) || error.retriable) return Bun.sleep(identifyPauseMs);
        // No producer will ever be given: everything that waits has failed.
        for (const queue of queues) {
          queue.seal("none");
          for (const batch of queue.expire(Number.POSITIVE_INFINITY)) this.#fail(batch, error);
        }
        return null;
      })
      .finally(() => {
        this.#identifying = false;
        this.#pump();
      });
  }

  async #newIdentity(): Promise<Identity> {
    const connection = await this.#network.patiently(() => this.#network.any());
    const version = connection.versionOf(apis.InitProducerId);
    const answer = await connection.request(apis.InitProducerId, version, {
      transactionalId: null,
      transactionTimeoutMs: 60_000,
      producerId: none,
      producerEpoch: -1,
    });
    if (answer.errorCode !== ErrorCode.NONE) {
      throw new KafkaError(answer.errorCode, "a producer id");
    }
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
  }
}
