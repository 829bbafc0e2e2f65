// What the replication of one node asks of its host, and what it proposes to the metadata log. The
// host performs or queues these calls and never calls back before the step has returned.

import type { LeaderEpoch, NodeId, Offset, Slot, Ticket } from "../base/ids.ts";
import type { BatchCopy, PeerMessage } from "./messages.ts";

/** What is told when a produced batch is committed, or never will be by this node. Exactly once. */
export interface Producing {
  committed(slot: Slot, base: Offset, end: Offset): void;
  /** The batch may still be kept by the next epoch: the caller does not know. */
  failed(slot: Slot): void;
}

/** Guarded where they are applied; the outcome is what the metadata then says of the partition. */
export type Proposal =
  | {
      readonly kind: "commit-seal";
      readonly slot: Slot;
      readonly target: LeaderEpoch;
      readonly by: LeaderEpoch;
      readonly end: Offset;
      readonly lossPossible: boolean;
    }
  | {
      readonly kind: "soft-bump";
      readonly slot: Slot;
      readonly epoch: LeaderEpoch;
      readonly incarnation: number;
      readonly end: Offset;
      readonly leader: NodeId;
    }
  /** A leader or recoverer asks for another epoch of somebody who can work. */
  | { readonly kind: "resign"; readonly slot: Slot; readonly epoch: LeaderEpoch }
  /** All that this node may have lost has been pulled again. */
  | { readonly kind: "repaired"; readonly node: NodeId; readonly incarnation: number };

export interface ReplicationEffects {
  /** To itself as well: a leader that is a member stores by the same message. */
  send(to: NodeId, message: PeerMessage): void;
  /**
   * Stages one copy and returns the ticket behind it. A copy that is already there stays as it is and
   * its own ticket is returned, so a resend is answered when the first copy is durable and not before.
   */
  append(slot: Slot, epoch: LeaderEpoch, highWatermark: Offset, copy: BatchCopy): Ticket;
  /** Stages a fence behind everything that is staged. */
  fence(slot: Slot, epoch: LeaderEpoch): Ticket;
  /**
   * Lists the copies of an epoch with from <= base < to that are durable at the topic's level; answered
   * by `surveyed`. Copies that are damaged are not listed and make the survey uncertain.
   */
  survey(request: number, slot: Slot, epoch: LeaderEpoch, from: Offset, to: Offset): void;
  /** Reads one copy by its base offset; answered by `copyRead`. */
  readCopy(request: number, slot: Slot, epoch: LeaderEpoch, base: Offset): void;
  /** Copies of the epoch from `from` on are orphans: nobody may see them again. */
  drop(slot: Slot, epoch: LeaderEpoch, from: Offset): void;
  trim(slot: Slot, logStart: Offset): void;
  propose(proposal: Proposal): void;
  /** This node has met an epoch that its metadata does not know. */
  pullMetadata(): void;
}

/** `damaged`, `failed`: the copy may be there. Neither is ever "absent". */
export type CopyOutcome =
  | { readonly kind: "ok"; readonly copy: BatchCopy }
  | { readonly kind: "absent" | "damaged" | "failed" };
