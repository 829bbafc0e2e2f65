// The control Worker: carries the ControlNode on the metadata store. It has a heap, a loop and a
// store of its own, so that a busy data thread never delays it.

import {
  leaderEpoch,
  type MetadataIndex,
  metadataIndex,
  noTopicId,
  offset,
  partitionIndex,
  ticket,
  type Ticket,
} from "../core/base/ids.ts";
import type { Outcome } from "../core/base/commands.ts";
import { type ControlEffects, ControlNode } from "../core/node/node.ts";
import {
  type Completion,
  CompletionKind,
  Status,
  Store,
  type StreamEntry,
} from "../storage/storage.ts";
import type { ControlStart, FromControl, ToControl } from "./control_messages.ts";
import { damageFields } from "./disk/damage.ts";
import { Pace } from "./pace.ts";
import { Pulse } from "./pulse.ts";

declare const self: Worker;

/** Term of the metadata log while it has one voter. */
const term = leaderEpoch(1);
/** Bytes of the log that one read brings at start. */
const replayBytes = 1024 * 1024;
/** Requests of our own; no client asks here. */
const registerRequest = 0;

function tell(message: FromControl): void {
  self.postMessage(message);
}

class ControlServer implements ControlEffects {
  readonly #start: ControlStart;
  readonly #store: Store;
  readonly #node: ControlNode;
  readonly #pulse: Pulse;
  #stream = 0;
  #end = 0;
  #next = 0;
  #ready = false;
  /** The metadata cannot be used: no input may follow. */
  #dead = false;
  #stopping = false;
  #nextRequest = 1;
  /** Index of the snapshot under way, by request. */
  readonly #snapshots = new Map<number, MetadataIndex>();
  readonly #pace: Pace;
  #tail: Ticket = ticket(0);
  #durable: Ticket = ticket(0);

  constructor(start: ControlStart) {
    this.#start = start;
    this.#store = Store.of(start.libraryPath, start.store);
    this.#node = new ControlNode(start.settings);
    this.#pulse = new Pulse(start.beats);
    this.#pace = new Pace(
      (now, intervalMs) => this.#tick(now, intervalMs),
      () => !this.#node.idle,
    );
  }

  begin(): void {
    const snapshot = this.#store.snapshotRead();
    if (snapshot !== null && snapshot.bytes.byteLength > 0)
      this.#node.step({ kind: "replay", batches: snapshot.bytes }, this);
    const entry = this.#store.openStream(noTopicId, partitionIndex(0));
    if (entry === null)
      return tell({ kind: "failed", message: "the metadata store cannot be opened" });
    this.#stream = entry.stream;
    this.#end = entry.end;
    this.#store.attach(() => this.#poll());
    this.#replayFrom(entry, Math.max(entry.logStart, (snapshot?.index ?? 0) + 1));
    this.#poll();
  }

  propose(message: Extract<ToControl, { kind: "propose" }>): void {
    this.#pace.touch();
    this.#node.step({ kind: "propose", request: message.request, command: message.command }, this);
  }

  stop(): void {
    this.#stopping = true;
    this.#maybeStopped();
  }

  #replayFrom(entry: Pick<StreamEntry, "stream" | "end">, from: number): void {
    if (this.#dead) return;
    this.#next = from;
    if (from >= entry.end) return this.#replayed();
    const request = this.#newRequest();
    const status = this.#store.readLater(
      request,
      entry.stream,
      offset(from),
      offset(entry.end),
      replayBytes,
      true,
    );
    if (status !== Status.ok)
      tell({ kind: "failed", message: `the metadata log cannot be read at index ${from}` });
  }

  /** The log is in: register this life of the node, which moves its partitions to their next epoch. */
  #replayed(): void {
    this.#pace.start();
    const { register, settings } = this.#start;
    const command = { kind: "register", ...register, clusterId: settings.clusterId } as const;
    this.#node.step({ kind: "propose", request: registerRequest, command }, this);
  }

  #tick(now: number, intervalMs: number): void {
    if (this.#dead) return;
    this.#pulse.beat(now, intervalMs);
    this.#node.step({ kind: "tick", now: Math.floor(now), wall: Date.now() }, this);
  }

  #poll(): void {
    if (this.#dead) return;
    for (let more = true; more; ) {
      const progress = this.#store.poll();
      more = progress.more;
      if (progress.failure !== 0) {
        return tell({
          kind: "failed",
          message: `a write or sync of the metadata log failed (error ${progress.failure})`,
        });
      }
      this.#durable = progress.durable;
      for (const completion of progress.completions) this.#complete(completion);
      const { written, durable, credit } = progress;
      this.#node.step({ kind: "appended", written, durable, credit }, this);
    }
    this.#maybeStopped();
  }

  #complete(completion: Completion): void {
    if (completion.kind === CompletionKind.read) {
      const bytes = this.#store.takeSlot(completion.slot, completion.bytes);
      if (completion.status !== Status.ok || bytes.byteLength === 0) {
        return tell({
          kind: "failed",
          message: `the metadata log cannot be read at index ${this.#next}: its bytes are damaged or missing`,
        });
      }
      this.#node.step({ kind: "replay", batches: bytes }, this);
      return this.#replayFrom({ stream: this.#stream, end: this.#end }, completion.nextOffset);
    }
    if (completion.kind === CompletionKind.damage) {
      const fields = { ...damageFields("meta", completion) };
      return tell({ kind: "log", level: "error", event: "damaged", fields });
    }
    if (completion.kind !== CompletionKind.snapshot) return;
    const index = this.#snapshots.get(completion.request);
    if (index === undefined) return;
    this.#snapshots.delete(completion.request);
    const kind = completion.status === Status.ok ? "snapshot-done" : "snapshot-failed";
    this.#node.step({ kind, index }, this);
  }

  #newRequest(): number {
    const request = this.#nextRequest;
    this.#nextRequest += 1;
    return request;
  }

  /** Everything that was appended is durable, so nothing that was answered can be lost. */
  #maybeStopped(): void {
    if (!this.#stopping || !this.#node.idle || this.#durable < this.#tail) return;
    this.#stopping = false;
    this.#pace.stop();
    this.#store.detach();
    tell({ kind: "stopped" });
  }

  append(base: MetadataIndex, count: number, batch: Uint8Array): Ticket {
    this.#tail = this.#store.append(
      this.#stream,
      term,
      offset(base),
      count,
      offset(Math.max(0, base - 1)),
      -1,
      true,
      batch,
    );
    return this.#tail;
  }

  committed(batches: Uint8Array): void {
    const bytes = new Uint8Array(batches);
    self.postMessage({ kind: "metadata", batches: bytes } satisfies FromControl, [bytes.buffer]);
  }

  outcome(request: number, outcome: Outcome): void {
    if (request !== registerRequest) return tell({ kind: "outcome", request, outcome });
    if (this.#ready) return;
    this.#ready = true;
    if (outcome.kind === "register" && outcome.verdict.code === 0) return tell({ kind: "ready" });
    const verdict =
      outcome.kind === "register" || outcome.kind === "refused" ? outcome.verdict.message : null;
    tell({
      kind: "failed",
      message: `this node could not be registered: ${verdict ?? outcome.kind}`,
    });
  }

  snapshot(index: MetadataIndex, batches: Uint8Array): void {
    const request = this.#newRequest();
    this.#snapshots.set(request, index);
    const status = this.#store.snapshotWrite(request, index, batches);
    if (status === Status.ok) return;
    this.#snapshots.delete(request);
    queueMicrotask(() => this.#node.step({ kind: "snapshot-failed", index }, this));
  }

  trim(index: MetadataIndex): void {
    this.#store.trim(this.#stream, offset(metadataIndex(index + 1)));
  }

  log(
    level: "debug" | "info" | "warn" | "error",
    event: string,
    fields: Readonly<Record<string, string | number>>,
  ): void {
    tell({ kind: "log", level, event, fields });
  }

  fatal(event: string, fields: Readonly<Record<string, string | number>>): void {
    this.#dead = true;
    const words = Object.entries(fields).map(([name, value]) => `${name} ${value}`);
    tell({
      kind: "failed",
      message: `the metadata log cannot be used: ${event} (${words.join(", ")})`,
    });
  }
}

let server: ControlServer | null = null;

self.onmessage = (event: MessageEvent<ToControl>) => {
  const message = event.data;
  switch (message.kind) {
    case "start":
      server = new ControlServer(message);
      return server.begin();
    case "propose":
      return server?.propose(message);
    case "stop":
      return server?.stop();
  }
};
