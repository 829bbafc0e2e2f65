// What nodes say to each other about copies: flat values, one per batch or per question. The door
// that decodes them has checked the slot and the numbers; what they claim is judged by the rules.
//
// `slot` is the partition's number in this process: the wire names topic id and index.

import type { LeaderEpoch, Offset, Slot } from "../base/ids.ts";

/** A batch as it travels and lies: opaque bytes, and what is said beside them. */
export interface BatchCopy {
  readonly base: Offset;
  readonly count: number;
  /** CRC-32C of the batch: equal batches have equal ones. */
  readonly checksum: number;
  readonly batch: Uint8Array;
}

/** Numbers per batch in a digest: base offset, count, checksum. */
export const digestStride = 3;
export const noDigest = new Float64Array(0);

export interface StoreMessage extends BatchCopy {
  readonly kind: "store";
  readonly slot: Slot;
  readonly epoch: LeaderEpoch;
  readonly highWatermark: Offset;
}

export type PeerMessage =
  | StoreMessage
  /** Durable at the level of the topic, under a fence that lets it count. */
  | {
      readonly kind: "stored";
      readonly slot: Slot;
      readonly epoch: LeaderEpoch;
      readonly base: Offset;
      readonly incarnation: number;
    }
  /** A committed batch of a closed epoch is durable: a copy, never a vote. */
  | {
      readonly kind: "backfilled";
      readonly slot: Slot;
      readonly epoch: LeaderEpoch;
      readonly base: Offset;
      readonly incarnation: number;
    }
  | {
      readonly kind: "fenced-off";
      readonly slot: Slot;
      readonly epoch: LeaderEpoch;
      readonly fence: LeaderEpoch;
    }
  /** The member may have lost what it had in this epoch; it is no seal. */
  | { readonly kind: "in-limbo"; readonly slot: Slot; readonly epoch: LeaderEpoch }
  | {
      readonly kind: "release";
      readonly slot: Slot;
      readonly epoch: LeaderEpoch;
      readonly highWatermark: Offset;
    }
  | {
      readonly kind: "seal";
      readonly slot: Slot;
      /** The epoch that recovers. */
      readonly by: LeaderEpoch;
      readonly target: LeaderEpoch;
    }
  | {
      readonly kind: "sealed";
      readonly slot: Slot;
      readonly by: LeaderEpoch;
      readonly target: LeaderEpoch;
      readonly highWatermark: Offset;
      /** True: what is not in the digest may be lost instead of absent. */
      readonly limbo: boolean;
      readonly incarnation: number;
      /** Durable batches of the target from the member's high watermark on. */
      readonly digest: Float64Array;
    }
  /** A question of an epoch that is older than the fence. */
  | {
      readonly kind: "preempted";
      readonly slot: Slot;
      readonly by: LeaderEpoch;
      readonly fence: LeaderEpoch;
    }
  | (BatchCopy & {
      readonly kind: "recovery-store";
      readonly slot: Slot;
      readonly by: LeaderEpoch;
      readonly target: LeaderEpoch;
    })
  | {
      readonly kind: "recovery-stored";
      readonly slot: Slot;
      readonly by: LeaderEpoch;
      readonly target: LeaderEpoch;
      readonly base: Offset;
      readonly incarnation: number;
    }
  /** Asks for the bytes of one batch. `by` = the epoch that recovers; 0 = a repair, of sealed epochs. */
  | {
      readonly kind: "copy-out";
      readonly slot: Slot;
      readonly epoch: LeaderEpoch;
      readonly base: Offset;
      readonly by: LeaderEpoch;
    }
  | {
      readonly kind: "copied";
      readonly slot: Slot;
      readonly epoch: LeaderEpoch;
      readonly base: Offset;
      readonly by: LeaderEpoch;
      /** Null: the member has lost it or cannot read it. */
      readonly copy: BatchCopy | null;
    }
  /** Asks for the digest of a sealed epoch. */
  | { readonly kind: "list"; readonly slot: Slot; readonly epoch: LeaderEpoch }
  | {
      readonly kind: "listed";
      readonly slot: Slot;
      readonly epoch: LeaderEpoch;
      readonly limbo: boolean;
      readonly digest: Float64Array;
    }
  | {
      readonly kind: "read";
      readonly request: number;
      readonly slot: Slot;
      readonly offset: Offset;
      readonly highWatermarkEpoch: LeaderEpoch;
      readonly highWatermark: Offset;
    }
  | {
      readonly kind: "read-answer";
      readonly request: number;
      readonly slot: Slot;
      readonly answer: ReadAnswer;
    };

/**
 * `absent` is a promise of a member that would know; `unknown` is no statement. `behind`: it does not
 * know yet that the offset is committed; `elsewhere`: the row of the offset does not name it.
 */
export type ReadAnswer =
  | { readonly kind: "present"; readonly epoch: LeaderEpoch; readonly copy: BatchCopy }
  | { readonly kind: "absent" | "unknown" | "behind" | "elsewhere" }
  | { readonly kind: "trimmed"; readonly logStart: Offset };
