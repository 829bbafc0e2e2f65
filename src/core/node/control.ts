// The control thread's node: the metadata log of the cluster. With one voter a proposal is planned
// against the image, appended to the metadata store, and is committed when it is durable there; a
// Raft machine will stand between append and commit. The server (a Worker) and the simulator carry
// it: they hand in inputs and perform effects.
//
//   start      replay(snapshot), replay(log behind it) ..., appended(..., credit), then proposals
//   proposal   plan -> append -> appended(durable) -> committed(bytes) -> outcome
//   snapshot   after `snapshotAfterBytes` of log: snapshot(index, bytes) -> snapshot-done -> trim
//
// The image holds everything that was appended, committed or not, so proposals are planned one
// after the other without waiting for the disk, and one sync commits all that came meanwhile. An
// outcome waits for everything that was appended before it, even where it appends nothing: a "no"
// may rest on a record that is not committed yet. A snapshot is taken only when nothing is on its
// way.
//
// Invariants: outcomes leave in the order in which their proposals were planned, but for refusals,
// which append nothing and overtake; what is committed is durable; nothing is appended beyond the
// credit.

import { assert } from "../base/assert.ts";
import type { Command, Outcome } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { type MetadataIndex, metadataIndex, type Ticket } from "../base/ids.ts";
import {
  batchBytesMax,
  frameOverheadBytes,
  proposalsMax,
  proposalWaitMs,
  snapshotAfterBytes,
} from "../base/limits.ts";
import { Random } from "../base/random.ts";
import type { Settings } from "../base/settings.ts";
import { ClusterImage, featureLevelMax, plan, snapshotRecords } from "../cluster/cluster.ts";
import type { MetadataRecord } from "../../../proto/records/metadata.ts";
import { encodeMetadata, readMetadata } from "../../wire/metadata_records.ts";

export type ControlInput =
  /** `now` = monotonic ms, `wall` = Unix ms. */
  | { readonly kind: "tick"; readonly now: number; readonly wall: number }
  /** At start: the batches of the newest snapshot, then those of the log, in order. */
  | { readonly kind: "replay"; readonly batches: Uint8Array }
  | { readonly kind: "propose"; readonly request: number; readonly command: Command }
  /** Progress of the metadata store: tickets written and durable, bytes that it takes. */
  | {
      readonly kind: "appended";
      readonly written: Ticket;
      readonly durable: Ticket;
      readonly credit: number;
    }
  /** The snapshot at `index` is durable; or it could not be written and the log stays. */
  | { readonly kind: "snapshot-done"; readonly index: MetadataIndex }
  | { readonly kind: "snapshot-failed"; readonly index: MetadataIndex };

export interface ControlEffects {
  /**
   * Appends one batch with `count` records from index `base` on and syncs it as soon as possible.
   * The sink copies the bytes before it returns.
   */
  append(base: MetadataIndex, count: number, batch: Uint8Array): Ticket;
  /**
   * Committed batches for the data thread, in order; they come before the outcomes that they lead
   * to. Outside of a replay the bytes are the sink's own from now on.
   */
  committed(batches: Uint8Array): void;
  outcome(request: number, outcome: Outcome): void;
  /** Writes a snapshot file, replacing the older one; answered by `snapshot-done` or `-failed`. */
  snapshot(index: MetadataIndex, batches: Uint8Array): void;
  /** Everything at or below `index` is in a durable snapshot. */
  trim(index: MetadataIndex): void;
  /** `event` is a literal; fields are flat. */
  log(
    level: "debug" | "info" | "warn" | "error",
    event: string,
    fields: Readonly<Record<string, string | number>>,
  ): void;
  /** Going on would be unsafe: the metadata cannot be read. No input may follow. */
  fatal(event: string, fields: Readonly<Record<string, string | number>>): void;
}

interface Proposal {
  readonly request: number;
  readonly command: Command;
  readonly deadline: number;
}

/** Planned and, unless there was nothing to append, appended; waits for the disk. */
interface Pending {
  readonly ticket: number;
  readonly batch: Uint8Array | null;
  readonly request: number;
  readonly outcome: Outcome;
}

/** Records go into a batch of a snapshot until it holds so many. */
const recordsPerSnapshotBatch = 64;
/** Streams of randomness of the control thread, apart from those of the data thread. */
const randomConcern = 0x10000;

export class ControlNode {
  readonly image: ClusterImage;
  readonly #settings: Settings;
  #random: Random | null = null;
  #now = 0;
  #wall = 0;
  #credit = 0;
  #durable = 0;
  /** Ticket of the last append. */
  #appended = 0;
  readonly #waiting: Proposal[] = [];
  #pending: Pending[] = [];
  #bytesSinceSnapshot = 0;
  /** Bytes appended since the snapshot that is being written was taken; null: none is. */
  #bytesWhileWriting: number | null = null;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.image = new ClusterImage(settings);
  }

  /** Nothing waits and nothing is on its way. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#pending.length === 0;
  }

  step(input: ControlInput, effects: ControlEffects): void {
    switch (input.kind) {
      case "tick":
        this.#tick(input.now, input.wall, effects);
        break;
      case "replay":
        return this.#replay(input.batches, effects);
      case "propose":
        this.#propose(input.request, input.command, effects);
        break;
      case "appended":
        this.#progress(input.durable, input.credit, effects);
        break;
      case "snapshot-done":
        this.#snapshotDone(input.index, effects);
        break;
      case "snapshot-failed":
        this.#snapshotFailed(input.index, effects);
        break;
    }
    this.#run(effects);
    this.#invariants();
  }

  #replay(batches: Uint8Array, effects: ControlEffects): void {
    assert(this.#random === null, "the log is replayed before the first proposal");
    const { image } = this;
    let missing = -1;
    let fresh = false;
    const refusal = readMetadata(batches, (record, position) => {
      const inSnapshot = image.readsSnapshot || record.kind === "snapshot";
      const applied = image.apply(record, position);
      if (applied === "gap" && missing < 0) missing = position;
      if (applied !== "old" && !inSnapshot) fresh = true;
    });
    const at = { index: image.index };
    if (refusal !== null)
      return effects.fatal("metadata-unreadable", { ...at, because: refusal.refusal });
    if (missing >= 0) return effects.fatal("metadata-gap", { ...at, next: missing });
    if (image.featureLevel > featureLevelMax) {
      return effects.fatal("metadata-too-new", {
        level: image.featureLevel,
        known: featureLevelMax,
      });
    }
    if (fresh) this.#bytesSinceSnapshot += batches.byteLength;
    effects.committed(batches);
  }

  #propose(request: number, command: Command, effects: ControlEffects): void {
    if (this.#random === null) {
      if (this.image.readsSnapshot)
        return effects.fatal("snapshot-cut", { index: this.image.index });
      // Every start has another index, so no two starts draw the same topic ids.
      this.#random = new Random(this.#settings.seed, randomConcern + this.image.index);
    }
    if (this.#waiting.length >= proposalsMax)
      return refuse(effects, request, late, "too many proposals wait");
    this.#waiting.push({ request, command, deadline: this.#now + proposalWaitMs });
  }

  #tick(now: number, wall: number, effects: ControlEffects): void {
    assert(now >= this.#now, "monotonic time does not fall");
    this.#now = now;
    this.#wall = wall;
    let expired = 0;
    while ((this.#waiting[expired]?.deadline ?? Number.POSITIVE_INFINITY) <= now) expired += 1;
    for (const proposal of this.#waiting.splice(0, expired)) {
      refuse(effects, proposal.request, late, "the metadata log takes nothing");
    }
  }

  #progress(durable: Ticket, credit: number, effects: ControlEffects): void {
    assert(durable >= this.#durable, "what is durable stays durable");
    this.#durable = durable;
    this.#credit = credit;
    this.#release(effects);
  }

  /** Commits and answers what is durable. */
  #release(effects: ControlEffects): void {
    let count = 0;
    for (const pending of this.#pending) {
      if (pending.ticket > this.#durable) break;
      count += 1;
      if (pending.batch !== null) effects.committed(pending.batch);
      effects.outcome(pending.request, pending.outcome);
    }
    if (count > 0) this.#pending = this.#pending.slice(count);
  }

  /** Plans what waits, as far as credit and a due snapshot let it. */
  #run(effects: ControlEffects): void {
    let taken = 0;
    for (const proposal of this.#waiting) {
      if (this.#snapshotDue) {
        if (this.#pending.length > 0) break;
        this.#snapshot(effects);
      }
      if (!this.#accept(proposal, effects)) break;
      taken += 1;
    }
    this.#waiting.splice(0, taken);
    this.#release(effects);
    if (this.#snapshotDue && this.#pending.length === 0) this.#snapshot(effects);
  }

  /** False: the log has no room for it now; it is planned anew when there is. */
  #accept(proposal: Proposal, effects: ControlEffects): boolean {
    assert(this.#random !== null, "a proposal opens the stream of randomness");
    const { records, outcome } = plan(this.image, proposal.command, this.#random);
    if (records.length === 0) {
      this.#pending.push({
        ticket: this.#appended,
        batch: null,
        request: proposal.request,
        outcome,
      });
      return true;
    }
    const base = metadataIndex(this.image.index + 1);
    const batch = encodeMetadata(records, base, this.#wall);
    if (batch.byteLength > batchBytesMax) {
      const message = "the command is larger than one entry of the metadata log";
      refuse(effects, proposal.request, ErrorCode.POLICY_VIOLATION, message);
      return true;
    }
    const cost = batch.byteLength + frameOverheadBytes;
    if (cost > this.#credit) return false;
    this.#credit -= cost;
    this.#bytesSinceSnapshot += batch.byteLength;
    if (this.#bytesWhileWriting !== null) this.#bytesWhileWriting += batch.byteLength;
    const ticket = effects.append(base, records.length, batch);
    assert(ticket > this.#appended, "every append gets a higher ticket");
    this.#appended = ticket;
    for (const [i, record] of records.entries()) this.image.apply(record, base + i);
    this.#pending.push({ ticket, batch, request: proposal.request, outcome });
    if (outcome.kind === "register") this.#logRegistration(outcome.verdict.message, effects);
    return true;
  }

  #logRegistration(warning: string | null, effects: ControlEffects): void {
    const { index, partitionCount } = this.image;
    effects.log("info", "registered", {
      node: this.#settings.nodeId,
      incarnation: index,
      partitions: partitionCount,
    });
    if (warning !== null) effects.log("warn", "disk-rolled-back", { because: warning });
  }

  get #snapshotDue(): boolean {
    return this.#bytesWhileWriting === null && this.#bytesSinceSnapshot >= snapshotAfterBytes;
  }

  #snapshot(effects: ControlEffects): void {
    assert(this.#pending.length === 0, "a snapshot holds what is committed and nothing else");
    this.#bytesWhileWriting = 0;
    const batches = snapshotBatches(this.image, this.#wall);
    effects.log("info", "snapshot", { index: this.image.index, bytes: batches.byteLength });
    effects.snapshot(this.image.index, batches);
  }

  #snapshotDone(index: MetadataIndex, effects: ControlEffects): void {
    assert(this.#bytesWhileWriting !== null, "a snapshot was asked for");
    this.#bytesSinceSnapshot = this.#bytesWhileWriting;
    this.#bytesWhileWriting = null;
    effects.trim(index);
  }

  /** The log stays; the next try is due when it has grown as much again. */
  #snapshotFailed(index: MetadataIndex, effects: ControlEffects): void {
    assert(this.#bytesWhileWriting !== null, "a snapshot was asked for");
    effects.log("error", "snapshot-failed", { index });
    this.#bytesSinceSnapshot = this.#bytesWhileWriting;
    this.#bytesWhileWriting = null;
  }

  #invariants(): void {
    assert(this.#credit >= 0, "the credit is not overspent");
    assert(this.#waiting.length <= proposalsMax, "waiting proposals are bounded");
    const last = this.#pending[this.#pending.length - 1];
    assert(last === undefined || last.ticket <= this.#appended, "what is pending was appended");
    const first = this.#pending[0];
    assert(
      first === undefined || first.ticket > this.#durable,
      "what is durable is answered at once",
    );
  }
}

/** Retriable: nothing was appended, and the caller may ask again. */
const late = ErrorCode.REQUEST_TIMED_OUT;

function refuse(effects: ControlEffects, request: number, code: number, message: string): void {
  effects.outcome(request, { kind: "refused", verdict: { code, message } });
}

/** The batches of a snapshot, one behind the other. */
export function snapshotBatches(image: ClusterImage, wall: number): Uint8Array {
  const batches: Uint8Array[] = [];
  let records: MetadataRecord[] = [];
  let bytes = 0;
  const flush = (): void => {
    if (records.length === 0) return;
    const batch = encodeMetadata(records, 0, wall);
    batches.push(batch);
    bytes += batch.byteLength;
    records = [];
  };
  snapshotRecords(image, (record) => {
    records.push(record);
    if (records.length >= recordsPerSnapshotBatch) flush();
  });
  flush();
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const batch of batches) {
    whole.set(batch, at);
    at += batch.byteLength;
  }
  return whole;
}
