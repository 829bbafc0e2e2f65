// One node as the explorer steps it: the machine that ships, a disk that answers at once, and what it
// says as numbers.

import type { LeaderEpoch, NodeId, Offset, Slot, Ticket } from "../../../src/core/base/ids.ts";
import type { Proposal, ReplicationEffects } from "../../../src/core/replication/effects.ts";
import type { BatchCopy, PeerMessage } from "../../../src/core/replication/messages.ts";
import type { Replicator } from "../../../src/core/replication/replicator.ts";
import { Copies } from "./copies.ts";
import type { Change } from "./metadata.ts";

/** Gives equal messages and proposals equal numbers. */
export interface Registry {
  message(from: NodeId, to: NodeId, message: PeerMessage): number;
  proposal(proposal: Proposal): number;
}

/** One node: its machine, its disk and how much of the metadata it knows. */
export class Machine {
  replicator: Replicator;
  copies = new Copies();
  applied = 0;
  appended = 0;
  ticks = 0;
  /** Bases of the first epoch that a lost disk took. */
  lost: number[] = [];

  constructor(replicator: Replicator) {
    this.replicator = replicator;
  }
}

/** Effects of one machine: messages become ids, questions to the disk are answered at once. */
export class Recorder implements ReplicationEffects {
  readonly #registry: Registry;
  readonly #node: NodeId;
  readonly #machine: Machine;
  readonly #later: (() => void)[] = [];
  readonly messages: number[] = [];
  readonly proposals: number[] = [];

  constructor(registry: Registry, node: NodeId, machine: Machine) {
    this.#registry = registry;
    this.#node = node;
    this.#machine = machine;
  }

  learn(change: Change): void {
    const { replicator } = this.#machine;
    this.#machine.applied += 1;
    if (change.kind === "node") replicator.nodeApplied(change.record, this);
    else replicator.applied(change.slot, change.epochs, this);
  }

  report(): void {
    const { written, durable } = this.#machine.copies;
    this.#machine.replicator.appended(written as Ticket, durable as Ticket, this);
  }

  settle(): void {
    for (let next = this.#later.shift(); next !== undefined; next = this.#later.shift()) next();
  }

  /** A message from a node to itself cannot be lost; it is not ordered either. */
  send(to: NodeId, message: PeerMessage): void {
    this.messages.push(this.#registry.message(this.#node, to, message));
  }

  append(of: Slot, epoch: LeaderEpoch, highWatermark: Offset, copy: BatchCopy): Ticket {
    return this.#machine.copies.append(of, epoch, highWatermark, copy);
  }

  fence(of: Slot, epoch: LeaderEpoch): Ticket {
    return this.#machine.copies.fence(of, epoch);
  }

  survey(request: number, of: Slot, epoch: LeaderEpoch, from: Offset, to: Offset): void {
    this.#later.push(() => {
      const { digest } = this.#machine.copies.survey(of, epoch, from, to, "fsync");
      this.#machine.replicator.surveyed(request, digest, true, this);
    });
  }

  readCopy(request: number, of: Slot, epoch: LeaderEpoch, base: Offset): void {
    this.#later.push(() => {
      const found = this.#machine.copies.find(of, epoch, base);
      const outcome =
        found === undefined
          ? ({ kind: "absent" } as const)
          : ({ kind: "ok", copy: found.copy } as const);
      this.#machine.replicator.copyRead(request, outcome, this);
    });
  }

  drop(of: Slot, epoch: LeaderEpoch, from: Offset): void {
    this.#machine.copies.drop(of, epoch, from);
  }

  trim(): void {}

  propose(proposal: Proposal): void {
    this.proposals.push(this.#registry.proposal(proposal));
  }

  pullMetadata(): void {}
}
