// One read of one committed offset by somebody who is no member: a proxy, or a client that computes
// the row itself. It says whom to ask next and what the answers amount to.
//
// W members hold the offset, so one of the first width - W + 1 that answer has it. A silent member and
// one that answers "unknown" say nothing; only when every member of the row denies it are there no
// copies, and that is an error to be told, never an end of the log.

import { assert } from "../base/assert.ts";
import { memberAt, rowOf } from "../base/copyset.ts";
import { type EpochRecord, ownerOf, type PartitionEpochs } from "../base/epochs.ts";
import type { NodeId, Offset } from "../base/ids.ts";
import type { BatchCopy, ReadAnswer } from "./messages.ts";

export type ReadVerdict =
  | { readonly kind: "present"; readonly copy: BatchCopy }
  | { readonly kind: "trimmed"; readonly logStart: Offset }
  /** Every member of the row denies it. */
  | { readonly kind: "lost" }
  /** Nobody can say now; the epochs known here may be old. */
  | { readonly kind: "retry" };

export class RowReader {
  private readonly owner: EpochRecord;
  private readonly row: number;
  private readonly first: number;
  private asked = 0;
  private absent = 0;

  /** `first`: which member is asked first, so that readers spread. */
  constructor(owner: EpochRecord, at: Offset, first: number) {
    this.owner = owner;
    this.row = rowOf(owner.placement, at);
    this.first = first;
  }

  /** Null when every member was asked. */
  next(): NodeId | null {
    const { table } = this.owner.placement;
    if (this.asked === table.width) return null;
    const position = (this.first + this.asked) % table.width;
    this.asked += 1;
    return memberAt(table, this.row, position);
  }

  /** Null: ask the next one. */
  take(answer: ReadAnswer): ReadVerdict | null {
    if (answer.kind === "trimmed") return answer;
    if (answer.kind === "present") {
      // Another epoch's copy is not what these epochs own: somebody's metadata is old.
      const isOwned = answer.epoch === this.owner.epoch;
      return isOwned ? { kind: "present", copy: answer.copy } : { kind: "retry" };
    }
    if (answer.kind === "absent") this.absent += 1;
    const { width } = this.owner.placement.table;
    assert(this.absent <= width, "each member is asked once");
    if (this.absent === width) return { kind: "lost" };
    return this.asked === width ? { kind: "retry" } : null;
  }
}

/** Null: no epoch that is known here owns the offset. */
export function rowReader(epochs: PartitionEpochs, at: Offset, first: number): RowReader | null {
  const owner = ownerOf(epochs, at);
  return owner === undefined ? null : new RowReader(owner, at, first);
}
