// One shard and its log: the partition of `__consumer_offsets` that keeps it. Loads the shard when it
// is first touched, carries its turns out, and keeps the log short.
//
// A turn's records are applied at once and appended in the same order, so the shard is always the log
// plus what waits for the disk. Its answers leave when everything appended up to there is committed;
// so do answers of later turns without records, because they may have seen what is not committed yet.
// When the log cannot take the records, or cannot commit them, the shard is dropped, whoever waits is
// told to find the coordinator again, and the next touch loads it anew.

import { buildBatch, type NewRecord, readBatch } from "../../wire/records.ts";
import { batchBytes } from "../../wire/batch.ts";
import { isRefused } from "../../wire/refusal.ts";
import { assert } from "../base/assert.ts";
import { ErrorCode } from "../base/error_code.ts";
import { type Offset, offset, type PartitionIndex, type Slot, type TopicId } from "../base/ids.ts";
import {
  groupAppendsMax,
  groupBatchBytes,
  groupLoadBytes,
  groupLogGrowthMax,
  groupLogSegmentsMax,
  groupRequestsParkedMax,
} from "../base/limits.ts";
import type { ReadOutcome } from "../base/node_contract.ts";
import type { Random } from "../base/random.ts";
import {
  type GroupRecord,
  type GroupSettings,
  type Settled,
  Shard,
  Turn,
} from "../coordinator/coordinator.ts";
import type { Broker } from "./broker.ts";
import { decodeGroupRecord, encodeGroupRecord, subscribedTopics } from "./group_records.ts";

/** A batch on its way into the log, and whoever may be answered when it is committed. */
interface Append {
  readonly batch: Uint8Array;
  readonly count: number;
  readonly replies: Settled[];
}

/** A rewrite of the live records under way: the log below `from` is dead when it is committed. */
interface Rewrite {
  readonly from: Offset;
  readonly records: Iterator<GroupRecord>;
  bytes: number;
  /** All of them are appended. */
  complete: boolean;
}

interface Parked {
  readonly waiter: Settled;
  readonly plan: (shard: Shard, turn: Turn) => void;
}

/** How long a batch may wait for room on the disk (Kafka: offsets.commit.timeout.ms). */
const appendTimeoutMs = 5_000;
/** After a failed load the next touch in the background waits so long. */
const loadRetryMs = 5_000;

/** What a client of the coordinator is told when the log says `code`. */
export function coordinatorCode(code: number): number {
  switch (code) {
    case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
    case ErrorCode.NOT_ENOUGH_REPLICAS:
    case ErrorCode.REQUEST_TIMED_OUT:
      return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    case ErrorCode.NOT_LEADER_OR_FOLLOWER:
    case ErrorCode.KAFKA_STORAGE_ERROR:
      return ErrorCode.NOT_COORDINATOR;
    default:
      return code;
  }
}

export class GroupLog {
  readonly #broker: Broker;
  readonly #slot: Slot;
  readonly #topic: TopicId;
  readonly #partition: PartitionIndex;
  readonly #settings: () => GroupSettings;
  readonly #random: Random;

  #state: "closed" | "loading" | "loaded" = "closed";
  /** Counts loads: whatever an older load asked for is void when it comes. */
  #life = 0;
  #shard: Shard | null = null;
  /** Requests that came during the load. */
  #parked: Parked[] = [];
  /** Everybody who has no answer yet. */
  readonly #waiting = new Set<Settled>();
  /** In the order of the log; the first `#staged` have been handed to the disk. */
  #appends: Append[] = [];
  #staged = 0;
  /** Monotonic ms since the oldest append that is not staged waits for the disk. */
  #starvedSince = 0;
  /** Where the load is, and where the log ended when it began. */
  #position = offset(0);
  #end = offset(0);
  /** The log has to be committed up to its end before it is read. */
  #awaitsCommit = false;
  #retryAt = 0;
  /** Bytes since the last rewrite began, and bytes that the rewrite took. */
  #grown = 0;
  #liveBytes = 0;
  /** Bytes of the node's log when the last rewrite began, or the load. */
  #rewrittenAt = 0;
  #rewrite: Rewrite | null = null;

  constructor(
    broker: Broker,
    at: { readonly slot: Slot; readonly topic: TopicId; readonly partition: PartitionIndex },
    settings: () => GroupSettings,
    random: Random,
  ) {
    this.#broker = broker;
    this.#slot = at.slot;
    this.#topic = at.topic;
    this.#partition = at.partition;
    this.#settings = settings;
    this.#random = random;
  }

  get isLoaded(): boolean {
    return this.#state === "loaded";
  }

  get isLoading(): boolean {
    return this.#state === "loading";
  }

  /** Runs the plan when the shard is loaded. The waiter is settled once, whatever happens. */
  run(waiter: Settled, plan: (shard: Shard, turn: Turn) => void): void {
    if (this.#shard !== null && this.#state === "loaded") {
      this.#waiting.add(waiter);
      return this.#admit(this.#shard, waiter, plan);
    }
    if (this.#parked.length >= groupRequestsParkedMax)
      return waiter.settle(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS);
    this.#waiting.add(waiter);
    this.#parked.push({ waiter, plan });
    if (this.#state === "closed") this.#load();
  }

  #admit(shard: Shard, waiter: Settled, plan: (shard: Shard, turn: Turn) => void): void {
    if (this.#appends.length < groupAppendsMax) return this.#take(shard, plan);
    this.#settle(waiter, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS);
  }

  /** Loads the shard although nobody asks for it. */
  loadInBackground(now: number): void {
    if (this.#state === "closed" && now >= this.#retryAt) this.#load();
  }

  tick(): void {
    if (this.#state === "loading" && this.#awaitsCommit) this.#readWhenCommitted(this.#life);
    if (this.#shard === null || this.#state !== "loaded") return;
    this.#take(this.#shard, (shard, turn) => shard.tick(turn));
    // A turn may drop the shard. The sweep has one of its own: on a full disk it is put off alone.
    if (this.#shard?.sweepDue(this.#broker.now)) this.tell((shard, turn) => shard.sweep(turn));
    if (this.#shard !== null) this.#rewriteOn(this.#shard);
    this.#stage();
  }

  /** A turn for which nobody waits. A shard that is not loaded does not take it. */
  tell(plan: (shard: Shard, turn: Turn) => void): void {
    if (this.#shard !== null && this.#state === "loaded") this.#take(this.#shard, plan);
  }

  #take(shard: Shard, plan: (shard: Shard, turn: Turn) => void): void {
    const turn = new Turn(this.#broker.now, this.#broker.wall);
    plan(shard, turn);
    for (const note of turn.notes) {
      const { event, group, generation, members, reason } = note;
      this.#broker.effects.log("info", event, { group, generation, members, reason });
    }
    if (!this.#broker.takesWrites && turn.records.length > 0 && turn.records.every(isOffset)) {
      // Nothing but these records is lost: the shard may live on while the disk is full.
      for (const reply of turn.replies)
        this.#settle(reply, coordinatorCode(ErrorCode.KAFKA_STORAGE_ERROR));
      return;
    }
    for (const record of turn.records) shard.apply(record);
    this.#append(turn.records, turn.wall);
    for (const reply of turn.replies) this.#settleWhenCommitted(reply);
    this.#stage();
  }

  /** When everything that was appended up to now is committed. */
  #settleWhenCommitted(waiter: Settled): void {
    const last = this.#appends.at(-1);
    if (last === undefined) this.#settle(waiter, ErrorCode.NONE);
    else last.replies.push(waiter);
  }

  #settle(waiter: Settled, code: number): void {
    // A member that answers and is dropped in one turn must not be answered twice.
    if (!this.#waiting.delete(waiter)) return;
    waiter.settle(code);
  }

  /** Cuts the records into batches. */
  #append(records: readonly GroupRecord[], wall: number): number {
    let batch: NewRecord[] = [];
    let bytes = 0;
    let total = 0;
    const close = (): void => {
      const built = buildBatch(batch);
      this.#appends.push({ batch: built, count: batch.length, replies: [] });
      total += built.byteLength;
      batch = [];
      bytes = 0;
    };
    for (const record of records) {
      const encoded = encodeGroupRecord(record, wall);
      const size = (encoded.key?.byteLength ?? 0) + (encoded.value?.byteLength ?? 0);
      if (batch.length > 0 && bytes + size > groupBatchBytes) close();
      batch.push(encoded);
      bytes += size;
    }
    if (batch.length > 0) close();
    return total;
  }

  /** Hands to the disk what it takes now. */
  #stage(): void {
    const life = this.#life;
    while (this.#staged < this.#appends.length) {
      const next = this.#appends[this.#staged];
      assert(next !== undefined, "an append that is not staged is there");
      const taken = this.#broker.appendOwn(this.#slot, next.batch, next.count, (code) =>
        this.#committed(life, code),
      );
      if (!taken) return this.#starve();
      this.#staged += 1;
      this.#grown += next.batch.byteLength;
      this.#starvedSince = this.#broker.now;
    }
    this.#starvedSince = this.#broker.now;
  }

  /** The disk takes nothing now: a full ring passes, a full disk does not by itself. */
  #starve(): void {
    if (!this.#broker.takesWrites) return this.#drop(ErrorCode.KAFKA_STORAGE_ERROR);
    if (this.#broker.now - this.#starvedSince >= appendTimeoutMs)
      this.#drop(ErrorCode.REQUEST_TIMED_OUT);
  }

  #committed(life: number, code: number): void {
    if (life !== this.#life) return;
    if (code !== ErrorCode.NONE) return this.#drop(code);
    const done = this.#appends.shift();
    assert(done !== undefined, "what is committed was appended");
    this.#staged -= 1;
    for (const reply of done.replies) this.#settle(reply, ErrorCode.NONE);
  }

  /** Nothing of the shard can be trusted any more. The log has what is committed. */
  #drop(code: number): void {
    this.#broker.effects.log("warn", "group-shard-dropped", { partition: this.#partition, code });
    this.#life += 1;
    this.#state = "closed";
    this.#shard = null;
    this.#appends = [];
    this.#staged = 0;
    this.#rewrite = null;
    this.#awaitsCommit = false;
    this.#parked = [];
    this.#retryAt = this.#broker.now + loadRetryMs;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.settle(coordinatorCode(code));
  }

  #load(): void {
    this.#state = "loading";
    this.#life += 1;
    const life = this.#life;
    this.#broker.whenOpen(this.#slot, (code) => {
      if (life !== this.#life) return;
      if (code !== ErrorCode.NONE) return this.#drop(code);
      this.#readWhenCommitted(life);
    });
  }

  /** Appends of an earlier life may be on their way: they belong to the log. */
  #readWhenCommitted(life: number): void {
    const partitions = this.#broker.partitions;
    this.#end = partitions.endOf(this.#slot);
    this.#awaitsCommit = partitions.highWatermarkOf(this.#slot) < this.#end;
    if (this.#awaitsCommit) return;
    this.#position = partitions.logStartOf(this.#slot);
    this.#grown = 0;
    this.#liveBytes = 0;
    this.#rewrittenAt = this.#broker.appendedBytes;
    this.#readOn(life, new Shard(this.#settings(), this.#random, subscribedTopics));
  }

  #readOn(life: number, shard: Shard): void {
    if (this.#position >= this.#end) return this.#loaded(shard);
    const part = {
      slot: this.#slot,
      offset: this.#position,
      limit: this.#end,
      bytesMax: groupLoadBytes,
    };
    this.#broker.read([part], groupLoadBytes, ([outcome]) => {
      if (life !== this.#life) return;
      assert(outcome !== undefined, "a read answers each part");
      this.#readDone(life, shard, outcome);
    });
  }

  #readDone(life: number, shard: Shard, outcome: ReadOutcome): void {
    switch (outcome.status) {
      case "ok":
        if (!this.#replay(shard, outcome.records)) return this.#unreadable();
        // Nothing more below the limit: what is left of the range was never stored.
        this.#position = outcome.nextOffset > this.#position ? outcome.nextOffset : this.#end;
        return this.#readOn(life, shard);
      case "absent":
        this.#position = this.#end;
        return this.#readOn(life, shard);
      case "out-of-range": {
        // Trimmed meanwhile: what is gone is dead, as every trim of ours is.
        const start = this.#broker.partitions.logStartOf(this.#slot);
        if (start <= this.#position) return this.#drop(ErrorCode.KAFKA_STORAGE_ERROR);
        this.#position = start;
        return this.#readOn(life, shard);
      }
      case "damaged":
      case "failed":
        return this.#unreadable();
    }
  }

  /** Without what lies there the offsets of some group would go back: no group is served. */
  #unreadable(): void {
    this.#broker.effects.log("error", "group-log-unreadable", {
      partition: this.#partition,
      offset: this.#position,
    });
    this.#drop(ErrorCode.KAFKA_STORAGE_ERROR);
  }

  /** False when the bytes are no batches of ours. */
  #replay(shard: Shard, bytes: Uint8Array): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.byteLength; ) {
      const records = readBatch(bytes, at);
      if (isRefused(records)) return false;
      for (const stored of records) {
        const record = decodeGroupRecord(stored);
        if (isRefused(record)) return false;
        if (record !== null) shard.apply(record);
      }
      const size = batchBytes(view, at);
      this.#grown += size;
      at += size;
    }
    return true;
  }

  #loaded(shard: Shard): void {
    this.#shard = shard;
    this.#state = "loaded";
    this.#starvedSince = this.#broker.now;
    this.#take(shard, (_, turn) => shard.loaded(turn));
    const parked = this.#parked;
    this.#parked = [];
    for (const each of parked) {
      // A turn may have dropped the shard: then its waiters have been told already.
      if (this.#waiting.has(each.waiter) && this.#shard === shard)
        this.#admit(shard, each.waiter, each.plan);
    }
  }

  /**
   * True when the shard's own log has grown by more than the limit and by more than what is alive;
   * or when the log of the node has moved on so far that a few live records hold back segments that
   * nobody else needs.
   */
  get #rewriteDue(): boolean {
    if (this.#grown > Math.max(groupLogGrowthMax, this.#liveBytes)) return true;
    const { appendedBytes, partitions, settings } = this.#broker;
    const moved = appendedBytes - this.#rewrittenAt;
    if (moved <= groupLogSegmentsMax * settings.segmentBytes) return false;
    return partitions.endOf(this.#slot) > partitions.logStartOf(this.#slot);
  }

  /**
   * The live records are appended again, some per tick, and then everything below them is dead.
   */
  #rewriteOn(shard: Shard): void {
    if (this.#staged < this.#appends.length || this.#appends.length > groupAppendsMax / 2) return;
    if (this.#rewrite === null) {
      if (!this.#rewriteDue) return;
      const from = this.#broker.partitions.endOf(this.#slot);
      this.#rewrite = { from, records: shard.liveRecords(), bytes: 0, complete: false };
      this.#grown = 0;
      this.#rewrittenAt = this.#broker.appendedBytes;
    }
    const rewrite = this.#rewrite;
    if (rewrite.complete) return;
    const records: GroupRecord[] = [];
    for (let bytes = 0; bytes < groupBatchBytes; ) {
      const next = rewrite.records.next();
      if (next.done === true) break;
      records.push(next.value);
      bytes += recordBytes(next.value);
    }
    if (records.length > 0) {
      rewrite.bytes += this.#append(records, this.#broker.wall);
      return;
    }
    rewrite.complete = true;
    const committed: Settled = {
      settle: (code) => (code === ErrorCode.NONE ? this.#rewritten(rewrite) : undefined),
    };
    this.#waiting.add(committed);
    this.#settleWhenCommitted(committed);
  }

  /** All live records are committed again. */
  #rewritten(rewrite: Rewrite): void {
    this.#rewrite = null;
    this.#liveBytes = rewrite.bytes;
    this.#grown = Math.max(this.#grown - rewrite.bytes, 0);
    if (rewrite.from <= this.#broker.partitions.logStartOf(this.#slot)) return;
    const trim = { topic: this.#topic, partition: this.#partition, offset: rewrite.from };
    this.#broker.propose({ kind: "trim", trims: [trim] }, () => {});
  }
}

function isOffset(record: GroupRecord): boolean {
  return record.kind === "offset-commit" || record.kind === "offset-tombstone";
}

/** About what a record takes in a batch. */
function recordBytes(record: GroupRecord): number {
  if (record.kind !== "group-metadata") return 128;
  let bytes = 128;
  for (const member of record.value.members)
    bytes += 128 + member.subscription.byteLength + member.assignment.byteLength;
  return bytes;
}
