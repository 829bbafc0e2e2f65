// Load with exact knowledge: producers that write down what they sent before it leaves and what was
// answered, a reader that checks everything it is given, a group that commits, and trims.

import { code, deleteRecords, fetchPartition, initProducerId, produce } from "../harness/apis.ts";
import { encodeBatch, readBatches, readRecords, type Producer } from "../harness/batch.ts";
import { Connection, ConnectionLost } from "../harness/connection.ts";
import {
  alone,
  heartbeat,
  joinGroup,
  offsetCommit,
  syncGroup,
  type Committer,
} from "../harness/groups.ts";
import { until } from "../harness/until.ts";
import {
  commitMetadata,
  type CommitHistory,
  type PartitionHistory,
  type SentBatch,
  type Verdict,
} from "./history.ts";
import { recordOf, type Random } from "./payload.ts";

/** Requests that one producer keeps in flight: the most with which idempotence keeps the order. */
const inFlightMax = 5;
const batchRecordsMax = 40;
/** Records of a partition that trims leave behind the reader. */
const keptRecords = 2000;
const fetchWaitMs = 5;
/** Commit and trim once in so many fetches that brought something. */
const commitEvery = 2;
const trimEvery = 29;

/** OUT_OF_ORDER_SEQUENCE_NUMBER: also for what came behind a batch that has to be sent again. */
const outOfOrder = 45;
/** Codes that say for certain that the batch is not in the log. Every other one leaves it open. */
const refusals: ReadonlySet<number> = new Set([
  code.corruptMessage,
  code.unknownTopicOrPartition,
  code.messageTooLarge,
  18, // RECORD_LIST_TOO_LARGE
  21, // INVALID_REQUIRED_ACKS
  29, // TOPIC_AUTHORIZATION_FAILED
  32, // INVALID_TIMESTAMP
  outOfOrder,
  47, // INVALID_PRODUCER_EPOCH
  48, // INVALID_TXN_STATE
  code.invalidRecord,
]);

export interface Topic {
  readonly name: string;
  /** Sent by one idempotent producer that sends again what got no answer. */
  readonly idempotent: boolean;
  readonly partitions: readonly PartitionHistory[];
}

export interface Group {
  readonly name: string;
  /** A member that joined, or commits from outside any generation. */
  readonly joins: boolean;
  /** By topic name, then partition. */
  readonly commits: ReadonlyMap<string, readonly CommitHistory[]>;
}

/** What outlives a restart of the server. */
export class Workload {
  readonly topics: readonly Topic[];
  readonly groups: readonly Group[];
  readonly verdict: Verdict;
  producerId: { readonly id: number; readonly epoch: number } | undefined;
  readonly members = new Map<string, Committer>();

  constructor(topics: readonly Topic[], groups: readonly Group[], verdict: Verdict) {
    this.topics = topics;
    this.groups = groups;
    this.verdict = verdict;
  }

  get partitions(): PartitionHistory[] {
    return this.topics.flatMap((topic) => topic.partitions);
  }

  /** Where a reader goes on: at the offset that the first group committed. */
  startOf(partition: PartitionHistory): number {
    const { topic, partition: index } = partition.source;
    const committed = this.groups[0]?.commits.get(topic)?.[index]?.position ?? 0;
    return Math.max(committed, partition.trimAsked);
  }
}

/** One stretch of load, until the server goes away or `stop`. */
export class Load {
  readonly #workload: Workload;
  readonly #random: Random;
  readonly #connections: Connection[];
  readonly #loops: Promise<void>[];
  #stopping = false;
  /** Power cuts so far: an answer counts only in the era in which its request was sent. */
  #era = 0;
  #failure: Error | undefined;
  ackedBytes = 0;
  ackedRecords = 0;
  /** Loops that write. One ends when its connection does. */
  writers = 0;
  /** Batches by the code that refused them and left their sender to try again. */
  readonly troubles = new Map<number, number>();

  private constructor(workload: Workload, random: Random, connections: Connection[]) {
    this.#workload = workload;
    this.#random = random;
    this.#connections = connections;
    const topics = workload.topics;
    const loops = topics.flatMap((topic, index) => [
      this.#write(topic, this.#connection(2 * index)),
      this.#read(topic, this.#connection(2 * index + 1)),
    ]);
    this.#loops = loops.map((loop) =>
      loop.catch((error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
        for (const connection of connections) connection.close();
      }),
    );
  }

  static async start(address: string, workload: Workload, random: Random): Promise<Load> {
    const count = 2 * workload.topics.length; // one that writes and one that reads for each
    const connections = await Promise.all(
      Array.from({ length: count }, () => Connection.open(address)),
    );
    return new Load(workload, random, connections);
  }

  #connection(index: number): Connection {
    const connection = this.#connections[index];
    if (connection === undefined) throw new Error(`no connection ${index}`);
    return connection;
  }

  /** Resolves when every loop has ended: each connection broke, or `stop` was called. */
  async settled(): Promise<void> {
    await Promise.all(this.#loops);
    for (const connection of this.#connections) connection.close();
    this.check();
  }

  /** Throws what went wrong on this side, or what no server may answer. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Call right before the power goes. From then on nobody reads, and what is in flight stays of
   * unknown outcome even when it is answered: its sync may be the one that the cut overtook. What is
   * sent later counts again, because its sync cannot start before the cut is over, and must fail.
   */
  doubtInFlight(): void {
    this.#era += 1;
  }

  /** Sends nothing more and waits for what is in flight. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.settled();
  }

  #going(connection: Connection): boolean {
    return !this.#stopping && !connection.lost;
  }

  async #write(topic: Topic, connection: Connection): Promise<void> {
    const identity = topic.idempotent ? await this.#identity(connection) : undefined;
    if (topic.idempotent && identity === undefined) return;
    const again = topic.idempotent
      ? topic.partitions.flatMap((partition) =>
          partition.unanswered.map((batch) => ({ partition, batch })),
        )
      : [];
    const inFlight = new Set<Promise<void>>();
    this.writers += 1;
    while (this.#going(connection)) {
      if (inFlight.size >= inFlightMax) {
        await Promise.race(inFlight);
        continue;
      }
      const { partition, batch } = again.shift() ?? this.#nextBatch(topic);
      const producer = identity && { ...identity, sequence: batch.first };
      const sent = this.#send(connection, partition, batch, producer).finally(() =>
        inFlight.delete(sent),
      );
      inFlight.add(sent);
    }
    this.writers -= 1;
    await Promise.all(inFlight);
  }

  /** The producer id is kept over restarts: the server must know its sequences again. */
  async #identity(connection: Connection): Promise<{ id: number; epoch: number } | undefined> {
    if (this.#workload.producerId === undefined) {
      try {
        await until("a producer id", async () => {
          const { error, id, epoch } = await initProducerId(connection);
          if (error === code.none) this.#workload.producerId = { id, epoch };
          return error === code.none;
        });
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
      }
    }
    return this.#workload.producerId;
  }

  #nextBatch(topic: Topic): { partition: PartitionHistory; batch: SentBatch } {
    const partition = topic.partitions[this.#random.below(topic.partitions.length)];
    if (partition === undefined) throw new Error(`${topic.name} has no partitions`);
    return { partition, batch: partition.sending(1 + this.#random.below(batchRecordsMax)) };
  }

  async #send(
    connection: Connection,
    partition: PartitionHistory,
    batch: SentBatch,
    producer: Producer | undefined,
  ): Promise<void> {
    const { source } = partition;
    const records = Array.from({ length: batch.count }, (_, index) =>
      recordOf(source, batch.first + index),
    );
    const bytes = encodeBatch(records, producer ? { producer } : {});
    const era = this.#era;
    try {
      const answer = await produce(connection, source.topic, source.partition, bytes);
      if (answer.error === code.none && era !== this.#era) return;
      if (answer.error === code.none) {
        partition.acknowledged(batch, answer.baseOffset);
        this.ackedBytes += bytes.length;
        this.ackedRecords += batch.count;
      } else if (answer.error === outOfOrder && this.troubles.size > 0) {
        connection.close();
      } else if (refusals.has(answer.error)) {
        partition.refusedForGood(batch, `error ${answer.error}`);
        connection.close();
      } else {
        this.troubles.set(answer.error, (this.troubles.get(answer.error) ?? 0) + 1);
        // The server is in trouble (a failing or full disk, shutting down); what is sent later must not
        // overtake what may have to be sent again.
        connection.close();
      }
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    }
  }

  /** Reads every partition in turn, commits what it read in every group, trims behind itself. */
  async #read(topic: Topic, connection: Connection): Promise<void> {
    const positions = topic.partitions.map((each) => this.#workload.startOf(each));
    try {
      if (topic === this.#workload.topics[0]) await this.#join(connection);
      for (let turn = 0; ; ) {
        for (const [index, partition] of topic.partitions.entries()) {
          if (!this.#going(connection) || this.#era > 0) return;
          const position = positions[index] ?? 0;
          const next = await this.#readOnce(connection, partition, position);
          positions[index] = next;
          if (next === position) continue;
          turn += 1;
          if (turn % commitEvery === 0) await this.#commit(connection, topic, partition, next);
          if (turn % trimEvery === 0) await this.#trim(connection, partition, next);
        }
      }
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    }
  }

  async #readOnce(
    connection: Connection,
    partition: PartitionHistory,
    position: number,
  ): Promise<number> {
    const { topic, partition: index } = partition.source;
    const found = await fetchPartition(connection, topic, index, position, {
      maxWaitMs: fetchWaitMs,
      minBytes: 1,
      partitionMaxBytes: 512 * 1024,
    });
    if (this.#era > 0) return position;
    if (found.error === code.offsetOutOfRange) return found.logStart;
    if (found.error !== code.none) {
      connection.close(); // the server is in trouble; the reading after the restart is the judge
      return position;
    }
    let next = position;
    for (const batch of readBatches(found.bytes)) {
      const words = `${topic}/${index} batch at ${batch.baseOffset}`;
      if (!batch.crcHolds) {
        this.#workload.verdict.fault("wrong", `${words}: checksum`);
        continue;
      }
      for (const record of readRecords(batch)) {
        if (record.offset < next) continue; // the batch began before the position
        if (record.offset !== next)
          this.#workload.verdict.fault("gaps", `${words}: ${next} is due`);
        partition.seen(record);
        next = record.offset + 1;
      }
    }
    return next;
  }

  /**
   * One reader joins for all. A member keeps its id and generation over restarts, and joins again
   * where the server does not know it any more: membership is no promise, committed offsets are.
   */
  async #join(connection: Connection): Promise<void> {
    for (const group of this.#workload.groups.filter((each) => each.joins)) {
      const before = this.#workload.members.get(group.name);
      let memberId = before?.memberId ?? "";
      if (before !== undefined) {
        const error = await heartbeat(connection, group.name, before.generation, before.memberId);
        if (error === code.none) continue;
        this.#workload.members.delete(group.name);
        if (error === code.unknownMemberId) memberId = "";
      }
      const joined = await joinGroup(connection, group.name, {
        memberId,
        sessionTimeoutMs: 30_000,
        rebalanceTimeoutMs: 6_000,
        topics: this.#workload.topics.map((topic) => topic.name),
      });
      if (joined.error !== code.none) continue; // commits nothing this time
      const { generation } = joined;
      const assignment = new Map([[joined.memberId, Buffer.from("everything")]]);
      await syncGroup(connection, group.name, generation, joined.memberId, assignment);
      this.#workload.members.set(group.name, {
        group: group.name,
        generation,
        memberId: joined.memberId,
      });
    }
  }

  async #commit(
    connection: Connection,
    topic: Topic,
    partition: PartitionHistory,
    offset: number,
  ): Promise<void> {
    const { partition: index } = partition.source;
    for (const group of this.#workload.groups) {
      const committer = group.joins ? this.#workload.members.get(group.name) : alone(group.name);
      const history = group.commits.get(topic.name)?.[index];
      if (committer === undefined || history === undefined) continue;
      history.sending(offset);
      const commit = { partition: index, offset, metadata: commitMetadata(offset) };
      const codes = await offsetCommit(connection, committer, topic.name, [commit]);
      const error = codes.get(index);
      if (error === code.none) {
        if (this.#era === 0) history.acknowledged(offset);
      } else if (group.joins) {
        this.#workload.members.delete(group.name);
      }
    }
  }

  async #trim(
    connection: Connection,
    partition: PartitionHistory,
    position: number,
  ): Promise<void> {
    const offset = position - keptRecords;
    if (offset <= partition.trimAsked) return;
    partition.trimAsked = offset;
    const { topic, partition: index } = partition.source;
    await deleteRecords(connection, topic, index, offset);
  }
}
