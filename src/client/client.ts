// The front door: a Kafka client for Bun. One `Client` per cluster holds the connections; producers,
// consumers and administration share what it knows of nodes and leaders.
//
//   const client = new Client({ bootstrap: ["127.0.0.1:9092"] });
//   const producer = client.producer();
//   await producer.send({ topic: "orders", key: "c-42", value: '{"id":1}' });
//   for await (const { records } of client.consumer([{ topic: "orders" }])) ...
//   await client.close();

import { Admin } from "./admin.ts";
import { type Assignment, Consumer, type ConsumerOptions } from "./consumer.ts";
import { Network } from "./network.ts";
import { Producer, type ProducerOptions } from "./producer.ts";

export type {
  Admin,
  CreatedTopic,
  NewTopic,
  PartitionSize,
  Setting,
} from "./admin.ts";
export { type Compression, compressions, DamagedBatch } from "./compression.ts";
export type {
  Assignment,
  ConsumedBatch,
  Consumer,
  ConsumerOptions,
  Position,
  StartAt,
} from "./consumer.ts";
export { codeName, KafkaError, Unreachable, WrongUse } from "./failures.ts";
export type {
  CommittedOffset,
  GroupDescription,
  GroupLag,
  GroupMember,
  Groups,
  GroupSummary,
} from "./groups.ts";
export type {
  ClusterMetadata,
  NodeAddress,
  PartitionMetadata,
  TopicMetadata,
} from "./network.ts";
export { type FoundOffset, type PartitionId, Time, type TimeQuery } from "./offsets.ts";
export { murmur2, partitionOfKey } from "../wire/murmur2.ts";
export type { Delivered, OnDelivery, Producer, ProducerOptions } from "./producer.ts";
export type { Bytes, ConsumedRecord, OutgoingRecord } from "./records.ts";

export interface ClientOptions {
  /** Addresses of nodes to begin with, `host:port`; the others are learnt from them. */
  readonly bootstrap: readonly string[];
  /** Shown in the nodes' logs and in the list of a group's members. Default "pyralog-bun". */
  readonly clientId?: string;
  /** Default 5 s. */
  readonly connectTimeoutMs?: number;
  /** For an answer, beside what the node is asked to wait. Default 30 s. */
  readonly requestTimeoutMs?: number;
  /** How long something is tried again while nodes are away or leaders change. Default 30 s. */
  readonly retryMs?: number;
  /** True, or certificates as Bun's `connect` takes them. Default false. */
  readonly tls?: boolean | Bun.TLSOptions;
}

export class Client implements AsyncDisposable {
  /** Topics, settings, partitions, nodes, groups. */
  readonly admin: Admin;
  readonly #network: Network;
  readonly #producers = new Set<Producer>();
  readonly #consumers = new Set<Consumer>();

  /** Connects to nobody yet. @throws WrongUse for an address that is none. */
  constructor(options: ClientOptions) {
    this.#network = new Network({
      bootstrap: options.bootstrap,
      clientId: options.clientId ?? "pyralog-bun",
      connectTimeoutMs: options.connectTimeoutMs ?? 5000,
      requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
      retryMs: options.retryMs ?? 30_000,
      tls: options.tls ?? false,
    });
    this.admin = new Admin(this.#network);
  }

  /** A producer of its own: its order and its acknowledgements are not mixed with another's. */
  producer(options: ProducerOptions = {}): Producer {
    const producer = new Producer(this.#network, options);
    this.#producers.add(producer);
    return producer;
  }

  /** Reads what is assigned, without a group; iterate over it. */
  consumer(assignments: readonly Assignment[], options: ConsumerOptions = {}): Consumer {
    const consumer = new Consumer(this.#network, assignments, options);
    this.#consumers.add(consumer);
    return consumer;
  }

  /** Flushes the producers, ends the consumers, closes the connections. */
  async close(): Promise<void> {
    for (const consumer of this.#consumers) consumer.close();
    try {
      await Promise.all([...this.#producers].map((producer) => producer.close()));
    } finally {
      await this.#network.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
