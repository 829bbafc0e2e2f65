// Where the copies of a batch lie: a pure function of its base offset and of the placement that its
// epoch was opened with. Servers, proxies and smart clients in every language compute the same; the
// vectors are in test/data/copyset/rows.json.
//
// Unit of placement = a block of 2^shift offsets; a batch belongs to the block of its base offset.
// Never a hash of a runtime's own: it would differ between languages and versions.

import { assert } from "./assert.ts";
import type { NodeId } from "./ids.ts";

export type CopysetStrategy = "per_partition" | "per_record_hybrid" | "per_record_coordinator";

/** One version of a table. It never changes: a changed table is a new version. */
export interface CopysetTable {
  readonly id: number;
  readonly version: number;
  readonly strategy: CopysetStrategy;
  /** Members of every row: the replication factor. Rows are never shorter. */
  readonly width: number;
  /** Row after row, `width` node ids each. */
  readonly members: Int32Array;
}

/** What an epoch is opened with; fixed while the cluster remembers the epoch. */
export interface Placement {
  readonly table: CopysetTable;
  readonly salt: number;
  /** A block has 2^shift offsets. */
  readonly shift: number;
  /** Durable copies that commit a batch, 1 .. width. */
  readonly writeQuorum: number;
}

export function rowsOf(table: CopysetTable): number {
  return table.members.length / table.width;
}

/** Offsets reach 2^53: a shift operator would cut them to 32 bits. */
export function blockOf(shift: number, base: number): number {
  return Math.floor(base / 2 ** shift);
}

/** The row that keeps the batch with this base offset. */
export function rowOf(placement: Placement, base: number): number {
  return (blockOf(placement.shift, base) + placement.salt) % rowsOf(placement.table);
}

export function memberAt(table: CopysetTable, row: number, position: number): NodeId {
  const at = row * table.width + position;
  assert(at >= 0 && at < table.members.length, "the table has this row and this position");
  return (table.members[at] ?? 0) as NodeId; // proof: generators write node ids only
}

/** Position of a node in a row; -1 = it is no member. */
export function positionOf(table: CopysetTable, row: number, node: NodeId): number {
  const from = row * table.width;
  for (let position = 0; position < table.width; position += 1)
    if (table.members[from + position] === node) return position;
  return -1;
}

/** Every node of the table, once, in the order of the rows. */
export function nodesetOf(table: CopysetTable): readonly NodeId[] {
  return [...new Set(table.members)] as NodeId[]; // proof: generators write node ids only
}

/** Absent answers of a row that prove a hole: so many members can never be outvoted by W others. */
export function negativeQuorum(placement: Placement): number {
  return placement.table.width - placement.writeQuorum + 1;
}

/** True when both place every batch alike. */
export function samePlacement(a: Placement, b: Placement): boolean {
  return (
    a.table.id === b.table.id &&
    a.table.version === b.table.version &&
    a.salt === b.salt &&
    a.shift === b.shift &&
    a.writeQuorum === b.writeQuorum
  );
}
