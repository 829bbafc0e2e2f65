// One simulated node: the replicator that ships, on a disk that loses, behind a network that harms. A
// life of its process ends with a crash; the next one begins when its registration is applied.

import type { PartitionEpochs } from "../../../src/core/base/epochs.ts";
import type { LeaderEpoch, NodeId, Offset, Slot, Ticket } from "../../../src/core/base/ids.ts";
import type {
  CopyOutcome,
  Proposal,
  ReplicationEffects,
} from "../../../src/core/replication/effects.ts";
import type { StoredStream } from "../../../src/core/replication/member.ts";
import type { BatchCopy, PeerMessage } from "../../../src/core/replication/messages.ts";
import { type NodeRecord, Replicator } from "../../../src/core/replication/replicator.ts";
import type { ReplicationLimits } from "../../../src/core/replication/settings.ts";
import { Copies } from "./copies.ts";
import type { Change } from "./metadata.ts";

/** What a host needs of the world around it. */
export interface World {
  readonly limits: ReplicationLimits;
  /** Runs later unless the life that planned it is over. */
  plan(host: Host, delay: number, run: () => void): void;
  send(from: Host, to: NodeId, message: PeerMessage): void;
  propose(from: Host, proposal: Proposal): void;
  pull(host: Host): void;
  diskDelay(host: Host): { readonly write: number; readonly sync: number };
  readDelay(): number;
  coin(): boolean;
  trace(text: string): void;
}

export class Host implements ReplicationEffects {
  readonly node: NodeId;
  readonly copies = new Copies();
  readonly #world: World;
  replicator: Replicator | null = null;
  /** Number of the process; 0 before the first. */
  life = 0;
  isUp = false;
  isPaused = false;
  /** Metadata entries that this life has applied. */
  applied = 0;
  #isWriting = false;

  constructor(node: NodeId, world: World) {
    this.node = node;
    this.#world = world;
  }

  /** The registration is applied: from now on this life speaks. */
  start(
    self: NodeRecord,
    streams: readonly StoredStream[],
    nodes: Iterable<NodeRecord>,
    partitions: readonly PartitionEpochs[],
    applied: number,
  ): void {
    const replicator = new Replicator(self, this.#world.limits, streams);
    this.replicator = replicator;
    this.applied = applied;
    this.isUp = true;
    const { written, durable } = this.copies;
    replicator.appended(written as Ticket, durable as Ticket, this);
    for (const record of nodes) replicator.nodeApplied(record, this);
    partitions.forEach((epochs, slot) => replicator.registered(slot as Slot, epochs, this));
  }

  stop(): void {
    this.isUp = false;
    this.isPaused = false;
    this.replicator = null;
    this.life += 1;
    this.#isWriting = false;
  }

  learn(change: Change): void {
    this.applied += 1;
    if (change.kind === "node") this.replicator?.nodeApplied(change.record, this);
    else this.replicator?.applied(change.slot, change.epochs, this);
  }

  receive(from: NodeId, message: PeerMessage): void {
    this.replicator?.receive(from, message, this);
  }

  tick(now: number): void {
    this.replicator?.tick(now, this);
  }

  send(to: NodeId, message: PeerMessage): void {
    this.#world.send(this, to, message);
  }

  append(slot: Slot, epoch: LeaderEpoch, highWatermark: Offset, copy: BatchCopy): Ticket {
    const ticket = this.copies.append(slot, epoch, highWatermark, copy);
    this.#work();
    return ticket;
  }

  fence(slot: Slot, epoch: LeaderEpoch): Ticket {
    const ticket = this.copies.fence(slot, epoch);
    this.#work();
    return ticket;
  }

  /** Group commit: what is staged is written, then synced; what comes meanwhile waits for the next. */
  #work(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    const { write, sync } = this.#world.diskDelay(this);
    this.#world.plan(this, write, () => {
      this.copies.write();
      const upTo = this.copies.written;
      this.#report();
      this.#world.plan(this, sync, () => {
        this.copies.sync(upTo);
        this.#isWriting = false;
        if (this.copies.staged > upTo) this.#work();
        this.#report();
      });
    });
  }

  #report(): void {
    const { written, durable } = this.copies;
    this.replicator?.appended(written as Ticket, durable as Ticket, this);
  }

  /** The disk looks when it is asked or when it answers. */
  survey(request: number, slot: Slot, epoch: LeaderEpoch, from: Offset, to: Offset): void {
    const level = this.replicator?.member.epochsOf(slot)?.durability ?? "fsync";
    const look = (): ReturnType<Copies["survey"]> =>
      this.copies.survey(slot, epoch, from, to, level);
    const early = this.#world.coin() ? look() : null;
    this.#world.plan(this, this.#world.readDelay(), () => {
      const { digest, isCertain } = early ?? look();
      this.replicator?.surveyed(request, digest, isCertain, this);
    });
  }

  readCopy(request: number, slot: Slot, epoch: LeaderEpoch, base: Offset): void {
    this.#world.plan(this, this.#world.readDelay(), () => {
      const found = this.copies.find(slot, epoch, base);
      const outcome: CopyOutcome =
        found === undefined
          ? { kind: "absent" }
          : found.isDamaged
            ? { kind: "damaged" }
            : { kind: "ok", copy: found.copy };
      this.replicator?.copyRead(request, outcome, this);
    });
  }

  drop(slot: Slot, epoch: LeaderEpoch, from: Offset): void {
    this.copies.drop(slot, epoch, from);
  }

  trim(slot: Slot, logStart: Offset): void {
    this.copies.trim(slot, logStart);
  }

  propose(proposal: Proposal): void {
    this.#world.propose(this, proposal);
  }

  pullMetadata(): void {
    this.#world.pull(this);
  }
}
