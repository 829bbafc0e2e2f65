// Clients of a simulated node. Each sends when it is told to, takes answers, and starts again after
// its connection broke; what it was promised goes into the truth.

import type { FetchResponse } from "../../proto/kafka/01_fetch.ts";
import type { InitProducerIdResponse } from "../../proto/kafka/22_init_producer_id.ts";
import type { ListOffsetsResponse } from "../../proto/kafka/02_list_offsets.ts";
import type { DeleteRecordsResponse } from "../../proto/kafka/21_delete_records.ts";
import type { OffsetCommitResponse } from "../../proto/kafka/08_offset_commit.ts";
import type { OffsetFetchResponse } from "../../proto/kafka/09_offset_fetch.ts";
import type { ProduceResponse } from "../../proto/kafka/00_produce.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import type { Call } from "../../src/core/base/node_contract.ts";
import type { Random } from "../../src/core/base/random.ts";
import { isRefused } from "../../src/wire/refusal.ts";
import { batchBytes } from "../../src/wire/batch.ts";
import { buildBatch, readBatch, type StoredRecord } from "../../src/wire/records.ts";
import type { OneNode } from "./one_node.ts";
import { type Truth, Violation } from "./truth.ts";

export const topic = "t";
export const partitions = 3;
const inFlightMax = 3;
const batchRecordsMax = 4;
/** Some values are long, so that a batch may meet no room where the one behind it finds some. */
const padding = `-${"x".repeat(100)}`;
const encoder = new TextEncoder();

/** Codes of a node that is starting, busy or full: ask again. */
const retriable: ReadonlySet<number> = new Set([
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
]);

export function expectRetriable(code: number, what: string): void {
  if (!retriable.has(code)) throw new Violation(`${what} was refused with code ${code}`);
}

export abstract class Client {
  protected readonly random: Random;
  protected readonly truth: Truth;
  readonly connection: number;
  #node: OneNode;
  readonly #asked = new Map<Call, (response: unknown) => void>();

  constructor(node: OneNode, truth: Truth, random: Random, connection: number) {
    this.#node = node;
    this.truth = truth;
    this.random = random;
    this.connection = connection;
  }

  get inFlight(): number {
    return this.#asked.size;
  }

  protected ask<R>(
    name: Parameters<OneNode["send"]>[0],
    version: number,
    request: unknown,
    answered: (response: R) => void,
  ): void {
    const call = this.#node.send(name, version, request, this.connection);
    this.#asked.set(call, answered as (response: unknown) => void);
  }

  /** True when the answer was for this client. */
  take(call: Call, response: unknown): boolean {
    const answered = this.#asked.get(call);
    if (answered === undefined) return false;
    this.#asked.delete(call);
    answered(response);
    return true;
  }

  /** The node has died; its successor runs on the same disks. */
  reconnect(node: OneNode): void {
    this.#node = node;
    this.#asked.clear();
    this.lost();
  }

  /** Perhaps sends a request. */
  abstract act(): void;
  /** Everything in flight is gone, and nobody knows what became of it. */
  protected abstract lost(): void;
}

interface Sent {
  readonly partition: number;
  readonly values: readonly string[];
  readonly sequence: number;
  state: "waiting" | "in-flight";
}

/** Keeps several batches in flight and repeats them, in order, until they are acknowledged. */
export class Producer extends Client {
  readonly #name: string;
  readonly #idempotent: boolean;
  #id = -1;
  #asksForId = false;
  #number = 0;
  readonly #sequences = new Array<number>(partitions).fill(0);
  readonly #unacknowledged: Sent[] = [];
  /** Batches that met no room, or were behind one that did. */
  refusals = 0;

  constructor(
    node: OneNode,
    truth: Truth,
    random: Random,
    connection: number,
    idempotent: boolean,
  ) {
    super(node, truth, random, connection);
    this.#idempotent = idempotent;
    this.#name = `${idempotent ? "once" : "plain"}${connection}`;
  }

  /** Batches that are not acknowledged yet. */
  get owes(): number {
    return this.#unacknowledged.length;
  }

  act(): void {
    if (this.#idempotent && this.owes === 0 && this.random.below(4) === 0) this.#beginAgain();
    if (this.#idempotent && this.#id < 0) return this.#askForId();
    if (this.#unacknowledged.length < inFlightMax) this.#newBatch();
    this.repeat();
  }

  /** Sends what waits, without anything new. */
  repeat(): void {
    if (this.#idempotent && this.#id < 0) return;
    for (const sent of this.#unacknowledged) if (sent.state === "waiting") this.#send(sent);
  }

  /** A new life of the application: partitions do not know its producer id. */
  #beginAgain(): void {
    this.#id = -1;
    this.#sequences.fill(0);
  }

  #askForId(): void {
    if (this.#asksForId) return;
    this.#asksForId = true;
    const request = { transactionalId: null, transactionTimeoutMs: 60_000 };
    this.ask<InitProducerIdResponse>("InitProducerId", 1, request, (response) => {
      this.#asksForId = false;
      if (response.errorCode === ErrorCode.NONE) this.#id = response.producerId;
      else expectRetriable(response.errorCode, "InitProducerId");
    });
  }

  #newBatch(): void {
    const partition = this.random.below(partitions);
    const values = Array.from(
      { length: 1 + this.random.below(batchRecordsMax) },
      () => `${this.#name}-${this.#number++}${this.random.below(4) === 0 ? padding : ""}`,
    );
    const sequence = this.#sequences[partition] ?? 0;
    this.#sequences[partition] = sequence + values.length;
    this.truth.sent(partition, values);
    this.#unacknowledged.push({ partition, values, sequence, state: "waiting" });
  }

  #send(sent: Sent): void {
    sent.state = "in-flight";
    const records = buildBatch(
      sent.values.map((value, i) => ({
        key: null,
        value: encoder.encode(value),
        timestamp: 1_700_000_000_000 + sent.sequence + i,
      })),
      this.#idempotent
        ? { producerId: this.#id, producerEpoch: 0, baseSequence: sent.sequence }
        : {},
    );
    const request = {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topics: [
        {
          name: topic,
          topicId: noTopicId,
          partitions: [{ index: sent.partition, records: new Uint8Array(records) }],
        },
      ],
    };
    this.ask<ProduceResponse>("Produce", 9, request, (response) => {
      const answer = response.topics[0]?.partitions[0];
      if (answer === undefined) throw new Violation("a Produce was answered without its partition");
      if (answer.errorCode === ErrorCode.NONE) {
        this.truth.acknowledged(sent.partition, answer.baseOffset, sent.values);
        this.#unacknowledged.splice(this.#unacknowledged.indexOf(sent), 1);
        return;
      }
      // A batch behind one that was refused is out of order until that one is repeated.
      if (answer.errorCode !== ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
        expectRetriable(answer.errorCode, `Produce of ${sent.values.join(", ")}`);
      if (answer.errorCode === ErrorCode.KAFKA_STORAGE_ERROR) this.refusals += 1;
      sent.state = "waiting";
    });
  }

  protected lost(): void {
    this.#asksForId = false;
    for (const sent of this.#unacknowledged) sent.state = "waiting";
  }
}

/** Reads somewhere, asks where the log begins and ends, and now and then deletes its beginning. */
export class Reader extends Client {
  act(): void {
    if (this.inFlight >= inFlightMax) return;
    const partition = this.random.below(partitions);
    switch (this.random.below(12)) {
      case 0:
        return this.#delete(partition);
      case 1:
      case 2:
        return this.#list(partition);
      default:
        return this.#fetch(partition);
    }
  }

  protected lost(): void {}

  #fetch(partition: number): void {
    const asked = this.truth.highWatermark(partition);
    const start = this.truth.logStart(partition);
    const from = start + this.random.below(Math.max(1, asked - start + 1));
    const request = {
      replicaId: -1,
      maxWaitMs: this.random.below(200),
      minBytes: [0, 1, 400][this.random.below(3)],
      maxBytes: 1 + this.random.below(4096),
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topic,
          topicId: noTopicId,
          partitions: [
            {
              partition,
              currentLeaderEpoch: -1,
              fetchOffset: from,
              lastFetchedEpoch: -1,
              logStartOffset: -1,
              partitionMaxBytes: 1 + this.random.below(4096),
            },
          ],
        },
      ],
      forgottenTopicsData: [],
      rackId: "",
    };
    this.ask<FetchResponse>("Fetch", 12, request, (response) => {
      const answer = response.responses[0]?.partitions[0];
      if (answer === undefined) throw new Violation("a Fetch was answered without its partition");
      if (answer.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
        if (!this.truth.mayBeGone(partition, from) && from <= answer.highWatermark)
          throw new Violation(`partition ${partition}: offset ${from} is said to be out of range`);
        return;
      }
      if (answer.errorCode !== ErrorCode.NONE) return expectRetriable(answer.errorCode, "Fetch");
      this.truth.watermarks(partition, asked, answer.highWatermark, answer.logStartOffset);
      const records = recordsOf(answer.records);
      if ((records.at(-1)?.offset ?? -1) >= answer.highWatermark)
        throw new Violation(`partition ${partition}: a record above the high watermark was read`);
      this.truth.read(partition, from, records);
    });
  }

  #list(partition: number): void {
    const asked = this.truth.highWatermark(partition);
    const timestamp = [-1, -2, 1_700_000_000_000 + this.random.below(50)][this.random.below(3)];
    const request = {
      replicaId: -1,
      isolationLevel: 0,
      topics: [
        {
          name: topic,
          partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp }],
        },
      ],
      timeoutMs: 1000,
    };
    this.ask<ListOffsetsResponse>("ListOffsets", 7, request, (response) => {
      const answer = response.topics[0]?.partitions[0];
      if (answer === undefined) throw new Violation("ListOffsets was answered without a partition");
      if (answer.errorCode !== ErrorCode.NONE)
        return expectRetriable(answer.errorCode, "ListOffsets");
      if (timestamp === -1)
        this.truth.watermarks(partition, asked, answer.offset, this.truth.logStart(partition));
    });
  }

  #delete(partition: number): void {
    const start = this.truth.logStart(partition);
    const room = this.truth.highWatermark(partition) - start;
    const before = start + this.random.below(Math.floor(room / 4) + 1);
    this.truth.deleting(partition, before);
    const request = {
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, offset: before }] }],
      timeoutMs: 1000,
    };
    this.ask<DeleteRecordsResponse>("DeleteRecords", 1, request, (response) => {
      const answer = response.topics[0]?.partitions[0];
      if (answer === undefined) throw new Violation("DeleteRecords lost its partition");
      if (answer.errorCode === ErrorCode.NONE)
        return this.truth.deleted(partition, answer.lowWatermark);
      // The high watermark of a node that is starting is not known to the client yet.
      expectRetriable(answer.errorCode, "DeleteRecords");
    });
  }
}

/** Commits and reads back the offsets of one group, one request at a time. */
export class Committer extends Client {
  readonly #group: string;

  constructor(node: OneNode, truth: Truth, random: Random, connection: number) {
    super(node, truth, random, connection);
    this.#group = `group-${connection}`;
  }

  act(): void {
    if (this.inFlight > 0) return;
    const partition = this.random.below(partitions);
    if (this.random.below(3) === 0) this.fetch(partition);
    else this.#commit(partition);
  }

  protected lost(): void {}

  #commit(partition: number): void {
    const at = this.random.below(1000);
    this.truth.committing(this.#group, partition, at);
    const request = {
      groupId: this.#group,
      generationIdOrMemberEpoch: -1,
      memberId: "",
      groupInstanceId: null,
      topics: [
        {
          name: topic,
          topicId: noTopicId,
          partitions: [
            {
              partitionIndex: partition,
              committedOffset: at,
              committedLeaderEpoch: -1,
              committedMetadata: "",
            },
          ],
        },
      ],
    };
    this.ask<OffsetCommitResponse>("OffsetCommit", 8, request, (response) => {
      const code = response.topics[0]?.partitions[0]?.errorCode ?? -1;
      if (code === ErrorCode.NONE) this.truth.committed(this.#group, partition, at);
      else expectRetriable(code, "OffsetCommit");
    });
  }

  fetch(partition: number): void {
    const request = {
      groups: [
        {
          groupId: this.#group,
          topics: [{ name: topic, topicId: noTopicId, partitionIndexes: [partition] }],
        },
      ],
      requireStable: false,
    };
    this.ask<OffsetFetchResponse>("OffsetFetch", 8, request, (response) => {
      const group = response.groups[0];
      if (group === undefined) throw new Violation("OffsetFetch was answered without its group");
      if (group.errorCode !== ErrorCode.NONE)
        return expectRetriable(group.errorCode, "OffsetFetch");
      const answer = group.topics[0]?.partitions[0];
      if (answer?.errorCode !== ErrorCode.NONE)
        return expectRetriable(answer?.errorCode ?? -1, "OffsetFetch");
      this.truth.fetchedCommit(this.#group, partition, answer.committedOffset);
    });
  }
}

/** All records of the batches; bytes that are no batches are a contradiction. */
export function recordsOf(bytes: Uint8Array | null): readonly StoredRecord[] {
  if (bytes === null) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: StoredRecord[] = [];
  for (let at = 0; at < bytes.byteLength; at += batchBytes(view, at)) {
    const batch = readBatch(bytes, at);
    if (isRefused(batch)) throw new Violation(`what was read is no batch: ${batch.refusal}`);
    records.push(...batch);
  }
  return records;
}
