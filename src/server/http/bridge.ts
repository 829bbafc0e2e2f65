// Between HTTP and the node: a request becomes the same Call that a Kafka frame becomes, and its
// answer comes back as a promise. One promise per request, none per record.
//
// An origin is to the node what a Kafka connection is. All requests that are answered at once share
// one; a wait for records has one of its own, so that it can be given up alone.

import { ErrorCode } from "../../core/base/error_code.ts";
import {
  type Offset,
  type PartitionIndex,
  partitionIndex,
  type TopicId,
} from "../../core/base/ids.ts";
import {
  frameOverheadBytes,
  httpRequestsMax,
  httpWaitingBytesMax,
} from "../../core/base/limits.ts";
import type { Call } from "../../core/base/node_contract.ts";
import type { Topic } from "../../core/cluster/cluster.ts";
import type { ProduceRequest, ProduceResponse } from "../../../proto/kafka/00_produce.ts";
import type { RequestOf, ResponseOf } from "../../../proto/schema.ts";
import { type ApiName, apis } from "../../wire/apis.ts";
import { factsOf } from "../batch_facts.ts";
import type { Door, Host } from "../host.ts";
import { BodyMemory } from "./body.ts";
import { busy, Problem, problemOf, stopped } from "./problems.ts";

type Request<N extends ApiName> = RequestOf<(typeof apis)[N]>;
type Response<N extends ApiName> = ResponseOf<(typeof apis)[N]>;
export type Produced = ProduceResponse["topics"][number]["partitions"][number];

const noFacts = new Float64Array(0);
const clientId = "http";
/** acks=-1 waits so long for its copies. */
const produceMsMax = 30_000;

interface Pending {
  readonly resolve: (response: unknown) => void;
  readonly reject: (problem: Problem) => void;
}

/** Where calls come from and answers go to. */
export class Origin implements Door {
  readonly id: number;
  readonly #bridge: Bridge;
  readonly #pending = new Map<number, Pending>();
  #order = 0;
  #closed = false;

  constructor(bridge: Bridge) {
    this.#bridge = bridge;
    this.id = bridge.host.addConnection(this);
  }

  /**
   * One request. `keep` runs while the answer is valid and takes from it what outlives the step:
   * records are views.
   */
  ask<N extends ApiName, T>(
    name: N,
    request: Request<N>,
    keep: (response: Response<N>) => T,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const answered = (response: unknown): void => resolve(keep(response as Response<N>)); // proof: the answer of that API
      this.submit(name, request, () => noFacts, { resolve: answered, reject });
    });
  }

  /** `facts` runs at once, immediately before the step that uses them. */
  submit(
    name: ApiName,
    request: unknown,
    facts: () => Float64Array,
    pending: Pending,
    expectedEnd?: Offset,
  ): void {
    if (this.#closed) return pending.reject(stopped());
    const { host } = this.#bridge;
    if (this.#bridge.inFlight >= httpRequestsMax) return pending.reject(busy());
    const { key, versions } = apis[name];
    const order = this.#order;
    this.#order += 1;
    this.#pending.set(order, pending);
    this.#bridge.inFlight += 1;
    host.work();
    this.#bridge.requests += 1;
    host.request({
      connection: this.id,
      order,
      apiKey: key,
      version: versions[1],
      correlationId: order,
      clientId,
      host: this.#bridge.address.host,
      port: this.#bridge.address.port,
      peer: "http",
      request,
      facts: facts(),
      ...(expectedEnd !== undefined && { expectedEnd }),
    });
    host.flush();
  }

  answer(call: Call, response: unknown): void {
    const pending = this.#pending.get(call.order);
    if (pending === undefined) return;
    this.#pending.delete(call.order);
    this.#bridge.inFlight -= 1;
    pending.resolve(response);
  }

  flush(): void {}

  resume(): void {}

  /** Only a produce without an answer asks for this, and HTTP sends none. */
  close(_reason: string): void {
    this.leave();
  }

  /** Gives up what is not answered. */
  leave(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reject } of this.#pending.values()) reject(stopped());
    this.#bridge.inFlight -= this.#pending.size;
    this.#pending.clear();
    this.#bridge.left(this);
    this.#bridge.host.removeConnection(this);
    this.#bridge.host.flush();
  }
}

/** A produce that waits for the disk to take it. */
interface Parked {
  readonly bytes: number;
  readonly run: () => void;
}

/** An answer that goes on. */
export interface Stream {
  /** The node stops. */
  end(): void;
  /** Monotonic ms of the last sign of the client; null where something else watches it. */
  readonly lastActive: number | null;
  /** The client has been silent for too long. */
  giveUp(): void;
}

export class Bridge implements Door {
  readonly host: Host;
  /** Of the Kafka listener: where a Kafka client would come back to. */
  readonly address: { readonly host: string; readonly port: number };
  inFlight = 0;
  /** Requests that became calls. */
  requests = 0;
  /** Answers that go on until somebody ends them. */
  readonly streams = new Set<Stream>();
  /** Of the bodies that are being read. */
  readonly memory = new BodyMemory();
  #turn = 0;
  readonly #shared: Origin;
  readonly #waits = new Set<Origin>();
  readonly #parked: Parked[] = [];
  #parkedBytes = 0;

  constructor(host: Host, address: { readonly host: string; readonly port: number }) {
    this.host = host;
    this.address = address;
    this.#shared = new Origin(this);
  }

  topic(name: string): Topic | undefined {
    return this.host.node.broker.image.topicByName(name);
  }

  /** The topic, or the problem that there is none. */
  knownTopic(name: string): Topic {
    const topic = this.topic(name);
    if (topic === undefined)
      throw problemOf(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic "${name}"`);
    return topic;
  }

  /** The partition, or the problem that there is none. */
  knownPartition(topic: Topic, index: number): PartitionIndex {
    if (topic.slots[index] !== undefined) return partitionIndex(index);
    const last = topic.slots.length - 1;
    throw new Problem(
      "unknown-partition",
      `topic "${topic.name}" has no partition ${index}. Its partitions are 0 to ${last}; POST /v1/topics/${topic.name}/partitions adds some.`,
      { kafkaCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION },
    );
  }

  ask<N extends ApiName>(name: N, request: Request<N>): Promise<Response<N>> {
    return this.#shared.ask(name, request, (response) => response);
  }

  /** For one wait that may be given up. */
  origin(): Origin {
    const origin = new Origin(this);
    this.#waits.add(origin);
    return origin;
  }

  left(origin: Origin): void {
    this.#waits.delete(origin);
  }

  /** Answers every wait now: the node stops. */
  endWaits(): void {
    for (const origin of this.#waits) origin.leave();
    for (const stream of this.streams) stream.end();
  }

  /**
   * One batch for one partition, like a Produce with that batch: it waits while the disk has no room
   * for it. The bytes must stay as they are until the answer. `expectedEnd`: only if the partition
   * ends there.
   */
  produce(
    topicId: TopicId,
    index: PartitionIndex,
    batch: Uint8Array,
    acks: number,
    expectedEnd?: Offset,
  ): Promise<Produced> {
    return new Promise((resolve, reject) => {
      const request: ProduceRequest = {
        transactionalId: null,
        acks,
        timeoutMs: produceMsMax,
        topics: [{ name: "", topicId, partitions: [{ index, records: batch }] }],
      };
      const answered = (response: unknown): void => {
        const { topics } = response as ProduceResponse; // proof: the answer of that API
        const produced = topics[0]?.partitions[0];
        if (produced !== undefined) resolve(produced);
      };
      const run = (): void =>
        this.#shared.submit(
          "Produce",
          request,
          () => factsOf(this.host, request, batch),
          { resolve: answered, reject },
          expectedEnd,
        );
      const bytes = 2 * batch.byteLength + frameOverheadBytes;
      if (this.#parked.length === 0 && this.host.takes(bytes)) return run();
      if (this.#parkedBytes + bytes > httpWaitingBytesMax) return reject(busy());
      this.#parked.push({ bytes, run });
      this.#parkedBytes += bytes;
      if (this.#parked.length === 1) this.host.waitForDisk(this);
    });
  }

  /** The disk takes bytes again. */
  resume(): void {
    for (;;) {
      const first = this.#parked[0];
      if (first === undefined) return;
      if (!this.host.takes(first.bytes)) return this.host.waitForDisk(this);
      this.#parked.shift();
      this.#parkedBytes -= first.bytes;
      first.run();
    }
  }

  /** Numbers one behind the other: records without a key go to one partition after the other. */
  turn(): number {
    this.#turn += 1;
    return this.#turn;
  }

  /** Nothing that was taken is without its answer. */
  get idle(): boolean {
    return this.inFlight === 0 && this.#parked.length === 0 && this.streams.size === 0;
  }

  answer(): void {}
  flush(): void {}
  close(): void {}

  /** Called about once a second: gives up streams whose client shows no sign of life. */
  sweep(now: number, idleMsMax: number): void {
    for (const stream of this.streams) {
      if (stream.lastActive !== null && now - stream.lastActive > idleMsMax) {
        this.host.refused("http stream idle", "http");
        stream.giveUp();
      }
    }
  }

  /** No more calls. */
  stop(): void {
    this.endWaits();
    this.#shared.leave();
  }
}
