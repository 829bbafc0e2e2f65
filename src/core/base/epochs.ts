// The epochs of one partition as the metadata log states them. A value: an applied change makes a new
// object, so whoever keeps one keeps a consistent view.
//
// Invariants: epochs rise; an end is set once; the next open epoch starts where the one before ended;
// at most one epoch has a known start and no end.

import type { Placement } from "./copyset.ts";
import type { LeaderEpoch, NodeId, None, Offset } from "./ids.ts";

/** `sealed`: its end is decided. `void`: it ended before it was opened, and owns no offset. */
export type EpochState = "recovering" | "open" | "sealed" | "void";

export interface EpochRecord {
  readonly epoch: LeaderEpoch;
  readonly leader: NodeId;
  /** Metadata index of the leader's registration: one life of one process. */
  readonly leaderIncarnation: number;
  readonly state: EpochState;
  /** -1 = not known yet. */
  readonly start: Offset | None;
  /** Exclusive; -1 = not decided yet. */
  readonly end: Offset | None;
  readonly placement: Placement;
  /** Recovery gave up offsets that no member holds any more; somebody was told. */
  readonly lossPossible: boolean;
}

/** When a copy counts as stored: in the page cache of its node, or synced to its disk. */
export type Durability = "os" | "fsync";

export interface PartitionEpochs {
  /** The newest epoch. */
  readonly current: LeaderEpoch;
  readonly logStart: Offset;
  readonly durability: Durability;
  /** What the next epoch is opened with: a leader whose epoch differs from it moves there. */
  readonly placement: Placement;
  /** Rising. Epochs without an offset leave; a frame of an epoch that is not here is an orphan. */
  readonly epochs: readonly EpochRecord[];
}

export function epochRecord(of: PartitionEpochs, epoch: number): EpochRecord | undefined {
  for (let at = of.epochs.length - 1; at >= 0; at -= 1) {
    const record = of.epochs[at];
    if (record === undefined || record.epoch < epoch) return undefined;
    if (record.epoch === epoch) return record;
  }
  return undefined;
}

/** The epoch that owns an offset: at most one does. */
export function ownerOf(of: PartitionEpochs, offset: number): EpochRecord | undefined {
  for (let at = of.epochs.length - 1; at >= 0; at -= 1) {
    const record = of.epochs[at];
    if (record === undefined || record.start < 0 || record.start > offset) continue;
    return record.end < 0 || offset < record.end ? record : undefined;
  }
  return undefined;
}

/** The epoch that a recovery has to end: the one with a start and no end. */
export function unsealedEpoch(of: PartitionEpochs): EpochRecord | undefined {
  for (let at = of.epochs.length - 1; at >= 0; at -= 1) {
    const record = of.epochs[at];
    if (record !== undefined && record.start >= 0) return record.end < 0 ? record : undefined;
  }
  return undefined;
}
