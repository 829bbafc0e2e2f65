// Fetches that are under way, and long polls parked on their partitions.
//
// A fetch is planned against the high watermarks, read in one effect, and answered when it has
// min_bytes, an error, or no time left; otherwise it is parked and woken by the high watermark.
// Records are views that are valid during the step that brings them: a parked fetch holds none.

import { assert } from "../base/assert.ts";
import { ErrorCode } from "../base/error_code.ts";
import { Deadlines, type Timed } from "../base/deadlines.ts";
import { none, noTopicId, offset, type Slot, type TopicId } from "../base/ids.ts";
import { fetchBytesMax, fetchSessionsMax, fetchWaitMsMax } from "../base/limits.ts";
import type { Call, ReadOutcome, ReadPart } from "../base/node_contract.ts";
import type { FetchRequest, FetchResponse } from "../../../proto/kafka/01_fetch.ts";
import type { Broker } from "./broker.ts";
import { type FetchPart, type FetchSession, FetchSessions } from "./fetch_sessions.ts";

export type FetchCall = Call<FetchRequest, FetchResponse>;
type PartitionAnswer = FetchResponse["responses"][number]["partitions"][number];

/** One Fetch request from its plan to its answer. */
export class FetchJob implements Timed {
  cancelled = false;
  readonly call: FetchCall;
  readonly parts: readonly FetchPart[];
  readonly session: FetchSession | null;
  /** Only what changed is told. */
  readonly incremental: boolean;
  readonly deadline: number;
  /** Most bytes to bring, and how many are worth an answer. */
  readonly bytesMax: number;
  readonly bytesMin: number;
  /** Bytes committed since the last read, on top of `found`. */
  arrived = 0;
  found = 0;
  parked = false;
  constructor(
    call: FetchCall,
    parts: readonly FetchPart[],
    session: FetchSession | null,
    incremental: boolean,
    limits: { readonly deadline: number; readonly bytesMax: number },
  ) {
    this.call = call;
    this.parts = parts;
    this.session = session;
    this.incremental = incremental;
    this.deadline = limits.deadline;
    this.bytesMax = limits.bytesMax;
    // More than fits never comes: the poll would wait for its deadline.
    this.bytesMin = Math.min(call.request.minBytes, limits.bytesMax);
  }
}

const noRecords = new Uint8Array(0);

export class Fetches {
  readonly #broker: Broker;
  readonly #deadlines = new Deadlines<FetchJob>();
  readonly #waiters = new Map<Slot, FetchJob[]>();
  readonly #byConnection = new Map<number, FetchJob[]>();
  readonly sessions: FetchSessions;
  /** Of one answer, whatever the client asks for. */
  readonly #bytesMax: number;
  /** Partitions of which it was told that records are missing: once is enough. */
  readonly #holed = new Set<Slot>();

  constructor(broker: Broker) {
    this.#broker = broker;
    const { configs } = broker.image;
    this.#bytesMax = Math.min(fetchBytesMax, configs.brokerNumber("fetch.max.bytes"));
    const slots = configs.brokerNumber("max.incremental.fetch.session.cache.slots");
    this.sessions = new FetchSessions(broker.random, Math.min(fetchSessionsMax, slots));
  }

  /** Connections with a fetch under way; each has a bounded number of requests in flight. */
  get busyConnections(): number {
    return this.#byConnection.size;
  }

  start(
    call: FetchCall,
    parts: readonly FetchPart[],
    session: FetchSession | null,
    incremental: boolean,
  ): void {
    const { maxWaitMs, maxBytes } = call.request;
    const job = new FetchJob(call, parts, session, incremental, {
      deadline: this.#broker.now + Math.min(Math.max(0, maxWaitMs), fetchWaitMsMax),
      bytesMax: Math.min(Math.max(0, maxBytes), this.#bytesMax),
    });
    if (session !== null) session.busy = true;
    // From here to its answer, parked or not: its connection may go while it reads.
    const jobs = this.#byConnection.get(call.connection);
    if (jobs === undefined) this.#byConnection.set(call.connection, [job]);
    else jobs.push(job);
    this.#deadlines.add(job.deadline, job);
    this.#whenAllOpen(job, () => this.#read(job));
  }

  tick(now: number): void {
    this.#deadlines.advance(now, this.#timeUp);
  }

  /** `bytes` more are committed in this partition. */
  wake(slot: Slot, bytes: number): void {
    const waiting = this.#waiters.get(slot);
    if (waiting === undefined) return;
    // A woken fetch leaves the list, so the list is walked by its end.
    for (let i = waiting.length - 1; i >= 0; i -= 1) {
      const job = waiting[i];
      if (job === undefined) continue;
      job.arrived += bytes;
      if (job.found + job.arrived < job.bytesMin) continue;
      this.#unpark(job);
      this.#read(job);
    }
  }

  closed(connection: number): void {
    const jobs = this.#byConnection.get(connection);
    if (jobs === undefined) return;
    this.#byConnection.delete(connection);
    for (const job of jobs) {
      job.cancelled = true;
      if (job.session !== null) job.session.busy = false;
      if (job.parked) this.#unpark(job);
    }
  }

  readonly #timeUp = (job: FetchJob): void => {
    if (!job.parked) return;
    this.#unpark(job);
    this.#read(job);
  };

  /** Partitions are opened at first touch; the fetch goes on when all of its own are. */
  #whenAllOpen(job: FetchJob, then: () => void): void {
    const broker = this.#broker;
    let closed = 1;
    const opened = (): void => {
      closed -= 1;
      if (closed === 0) then();
    };
    for (const part of job.parts) {
      this.#resolve(part);
      if (part.slot < 0 || broker.partitions.isOpen(part.slot as Slot)) continue; // proof: set by resolve
      closed += 1;
      broker.whenOpen(part.slot as Slot, opened); // proof: set by resolve
    }
    opened();
  }

  #resolve(part: FetchPart): void {
    const image = this.#broker.image;
    const topic = part.id === noTopicId ? image.topicByName(part.name) : image.topicById(part.id);
    const slot = topic?.slots[part.partition];
    part.slot = slot ?? -1;
    if (slot !== undefined) part.code = ErrorCode.NONE;
    else
      part.code =
        part.id !== noTopicId && topic === undefined
          ? ErrorCode.UNKNOWN_TOPIC_ID
          : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  }

  #read(job: FetchJob): void {
    if (job.cancelled) return;
    const broker = this.#broker;
    job.arrived = 0;
    job.found = 0;
    const wanted: FetchPart[] = [];
    const reads: ReadPart[] = [];
    let failed = false;
    for (const part of job.parts) {
      this.#judge(part);
      if (part.code !== ErrorCode.NONE || part.divergingEpoch >= 0) {
        failed = true;
        continue;
      }
      if (part.fetchOffset >= part.highWatermark) continue;
      wanted.push(part);
      reads.push({
        slot: part.slot as Slot, // proof: judged without an error
        offset: offset(part.fetchOffset),
        limit: offset(part.highWatermark),
        bytesMax: part.bytesMax,
      });
    }
    if (reads.length === 0) return this.#settle(job, failed);
    broker.read(reads, job.bytesMax, (outcomes) => {
      // A session's parts may be those of another fetch by now.
      if (job.cancelled) return;
      for (const [i, part] of wanted.entries())
        failed = this.#found(job, part, outcomes[i]) || failed;
      this.#settle(job, failed);
    });
  }

  /** True when the partition ends in an error. */
  #found(job: FetchJob, part: FetchPart, outcome: ReadOutcome | undefined): boolean {
    assert(outcome !== undefined, "a read brings an outcome for each part");
    switch (outcome.status) {
      case "ok":
        part.records = outcome.records;
        job.found += outcome.records.byteLength;
        return false;
      case "out-of-range":
        part.code = ErrorCode.OFFSET_OUT_OF_RANGE;
        return true;
      case "absent":
        part.code = this.#missing(part);
        return true;
      default:
        part.code = ErrorCode.KAFKA_STORAGE_ERROR;
        return true;
    }
  }

  /**
   * Nothing is stored from an offset below the high watermark on. A gap before the next batch would
   * be passed over, so this is a trim that came between, or committed records that are lost: never
   * "no data", on which a reader would wait for ever.
   */
  #missing(part: FetchPart): number {
    const { partitions, effects } = this.#broker;
    const slot = part.slot as Slot; // proof: it was read
    if (part.fetchOffset < partitions.logStartOf(slot)) return ErrorCode.OFFSET_OUT_OF_RANGE;
    if (!this.#holed.has(slot)) {
      this.#holed.add(slot);
      effects.log("error", "records-missing", {
        topic: this.#broker.image.slotTopic(slot)?.name ?? part.name,
        partition: part.partition,
        offset: part.fetchOffset,
        highWatermark: part.highWatermark,
      });
    }
    return ErrorCode.KAFKA_STORAGE_ERROR;
  }

  #judge(part: FetchPart): void {
    const { partitions, image } = this.#broker;
    this.#resolve(part);
    part.highWatermark = -1;
    part.logStart = -1;
    part.divergingEpoch = -1;
    part.divergingEnd = -1;
    if (part.slot < 0) return;
    const slot = part.slot as Slot; // proof: set by resolve
    if (!partitions.isOpen(slot)) {
      part.code = ErrorCode.KAFKA_STORAGE_ERROR;
      return;
    }
    const epoch = partitions.epochOf(slot);
    if (part.currentLeaderEpoch > epoch) {
      part.code = ErrorCode.UNKNOWN_LEADER_EPOCH;
      return;
    }
    // An older epoch of the same leader incarnation is served: only a change of leader fences.
    if (part.currentLeaderEpoch >= 0 && part.currentLeaderEpoch < image.sinceOf(slot)) {
      part.code = ErrorCode.FENCED_LEADER_EPOCH;
      return;
    }
    part.highWatermark = partitions.highWatermarkOf(slot);
    part.logStart = partitions.logStartOf(slot);
    if (part.lastFetchedEpoch >= 0 && this.#diverges(part, slot)) return;
    if (part.fetchOffset < part.logStart || part.fetchOffset > partitions.endOf(slot)) {
      part.code = ErrorCode.OFFSET_OUT_OF_RANGE;
    }
  }

  /** KIP-595: the reader's last epoch ends below what it has read, so it must cut its copy. */
  #diverges(part: FetchPart, slot: Slot): boolean {
    const last = this.#broker.image.epochEnd(
      slot,
      part.lastFetchedEpoch,
      this.#broker.partitions.endOf(slot),
    );
    if (last.epoch === part.lastFetchedEpoch && part.fetchOffset <= last.end) return false;
    if (last.epoch < 0 || last.end < 0) {
      part.code = ErrorCode.OFFSET_OUT_OF_RANGE;
      return true;
    }
    part.divergingEpoch = last.epoch;
    part.divergingEnd = last.end;
    return true;
  }

  #settle(job: FetchJob, failed: boolean): void {
    const done = failed || job.found >= job.bytesMin || this.#broker.now >= job.deadline;
    if (done) this.#answer(job);
    else this.#park(job);
    for (const part of job.parts) part.records = null;
  }

  #park(job: FetchJob): void {
    job.parked = true;
    for (const part of job.parts) {
      const slot = part.slot as Slot; // proof: a fetch with an unknown partition is answered at once
      const waiting = this.#waiters.get(slot);
      if (waiting === undefined) this.#waiters.set(slot, [job]);
      else waiting.push(job);
    }
  }

  #unpark(job: FetchJob): void {
    job.parked = false;
    for (const part of job.parts) dropFrom(this.#waiters, part.slot as Slot, job); // proof: parked by it
  }

  #answer(job: FetchJob): void {
    job.cancelled = true;
    dropFrom(this.#byConnection, job.call.connection, job);
    const session = job.session;
    const responses: { topic: string; topicId: TopicId; partitions: PartitionAnswer[] }[] = [];
    let last: (typeof responses)[number] | undefined;
    for (const part of job.parts) {
      if (job.incremental && !changed(part)) continue;
      if (last === undefined || last.topic !== part.name || last.topicId !== part.id) {
        last = { topic: part.name, topicId: part.id, partitions: [] };
        responses.push(last);
      }
      last.partitions.push(answerOf(part, this.#broker));
      if (session === null) continue;
      part.toldHighWatermark = part.highWatermark;
      part.toldLogStart = part.logStart;
    }
    if (session !== null) {
      session.busy = false;
      session.rotate(job.parts);
    }
    this.#broker.reply(job.call, {
      throttleTimeMs: 0,
      errorCode: ErrorCode.NONE,
      sessionId: session?.id ?? 0,
      responses,
      nodeEndpoints: [],
    });
  }
}

function changed(part: FetchPart): boolean {
  return (
    part.code !== ErrorCode.NONE ||
    part.divergingEpoch >= 0 ||
    (part.records !== null && part.records.byteLength > 0) ||
    part.highWatermark !== part.toldHighWatermark ||
    part.logStart !== part.toldLogStart
  );
}

const noHint = { leaderId: none, leaderEpoch: none } as const;
const noDivergence = { epoch: none, endOffset: none } as const;
const noSnapshot = { endOffset: none, epoch: none } as const;

function answerOf(part: FetchPart, broker: Broker): PartitionAnswer {
  const highWatermark = part.highWatermark < 0 ? none : offset(part.highWatermark);
  return {
    partitionIndex: part.partition,
    errorCode: part.code,
    highWatermark,
    lastStableOffset: highWatermark,
    logStartOffset: part.logStart < 0 ? none : offset(part.logStart),
    divergingEpoch:
      part.divergingEpoch < 0
        ? noDivergence
        : {
            epoch: broker.image.asEpoch(part.divergingEpoch),
            endOffset: offset(part.divergingEnd),
          },
    currentLeader: noHint,
    snapshotId: noSnapshot,
    abortedTransactions: null,
    preferredReadReplica: none,
    records: part.records ?? noRecords,
  };
}

function dropFrom<K>(lists: Map<K, FetchJob[]>, key: K, job: FetchJob): void {
  const list = lists.get(key);
  if (list === undefined) return;
  const at = list.indexOf(job);
  if (at < 0) return;
  const moved = list.pop();
  if (moved !== undefined && at < list.length) list[at] = moved;
  if (list.length === 0) lists.delete(key);
}
