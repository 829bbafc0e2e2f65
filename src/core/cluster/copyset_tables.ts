// The generators of copyset tables: the only place where the three strategies differ. Everything else
// asks a table for a row.
//
// Invariants of every table: each row has `width` distinct members; each node of the nodeset is in
// equally many rows, but for the leader of a hybrid table, which is in all of them.

import { assert } from "../base/assert.ts";
import type { CopysetStrategy, CopysetTable } from "../base/copyset.ts";
import type { NodeId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";

export interface Candidate {
  readonly node: NodeId;
  /** Empty = unknown; nodes with equal racks fail together. */
  readonly rack: string;
}

export interface TableRequest {
  readonly id: number;
  readonly version: number;
  readonly strategy: CopysetStrategy;
  readonly width: number;
  readonly leader: NodeId;
  /** Nodes that may keep copies, in any order; at least `width`, else the caller has refused. */
  readonly candidates: readonly Candidate[];
  /** Which of the equal choices: a partition's index, so that neighbours differ. */
  readonly turn: number;
}

/** Shuffles of the nodeset that are tried until one of them cuts evenly. */
const shufflesMax = 64;

export function generateTable(request: TableRequest, random: Random): CopysetTable {
  const { id, version, strategy, width } = request;
  assert(width >= 1 && width <= 31, "members of a row are counted in the bits of an int32");
  assert(request.candidates.length >= width, "a row is never short of members");
  const members = Int32Array.from(generators[strategy](request, random));
  return { id, version, strategy, width, members };
}

const generators: Readonly<
  Record<CopysetStrategy, (request: TableRequest, random: Random) => readonly NodeId[]>
> = {
  per_partition: onePartition,
  per_record_hybrid: leaderAndOthers,
  per_record_coordinator: nodesetWithoutLeader,
};

/** One row with the leader in it, owned by the partition. */
function onePartition({ leader, candidates, width, turn }: TableRequest): readonly NodeId[] {
  const others = spread(candidates.filter(({ node }) => node !== leader));
  const keeps = candidates.some(({ node }) => node === leader);
  const row = keeps ? [leader] : [];
  for (let i = 0; row.length < width; i += 1) row.push(ringAt(others, turn + i));
  return row;
}

/** The leader and a part of the ring of the others, in as many rows as there are others. */
function leaderAndOthers({ leader, candidates, width }: TableRequest): readonly NodeId[] {
  const keeps = candidates.some(({ node }) => node === leader);
  const others = spread(candidates.filter(({ node }) => node !== leader));
  if (width === 1) return [keeps ? leader : ringAt(others, 0)];
  const rows: NodeId[] = [];
  for (let from = 0; from < others.length; from += 1) {
    if (keeps) rows.push(leader);
    for (let i = 0; i < width - (keeps ? 1 : 0); i += 1) rows.push(ringAt(others, from + i));
  }
  return rows;
}

/**
 * Rows cut from permutations of the nodeset (Cidon et al., Copysets, ATC 2013): two where the width
 * divides them, so that few sets of nodes can lose anything, else as many as a row has members. The
 * leader stays outside, so that its death takes no copy away, unless the rows need it.
 */
function nodesetWithoutLeader(request: TableRequest, random: Random): readonly NodeId[] {
  const { leader, candidates, width } = request;
  const outside = candidates.filter(({ node }) => node !== leader);
  const nodeset = spread(outside.length >= width ? outside : candidates);
  const permutations = (nodeset.length * 2) % width === 0 ? 2 : width;
  if (nodeset.length === width) return nodeset;
  for (let i = 0; i < shufflesMax; i += 1) {
    const rows = cut(nodeset, width, permutations, random);
    if (rows !== null) return rows;
  }
  return nodeset.flatMap((_, from) =>
    Array.from({ length: width }, (_each, i) => ringAt(nodeset, from + i)),
  );
}

/** Null: what is left at the end would put a node into a row twice. */
function cut(
  nodeset: readonly NodeId[],
  width: number,
  permutations: number,
  random: Random,
): readonly NodeId[] | null {
  const rows: NodeId[] = [];
  const pool: NodeId[] = [];
  let row: NodeId[] = [];
  let taken = 0;
  while (rows.length + row.length < nodeset.length * permutations) {
    let at = pool.findIndex((node) => !row.includes(node));
    if (at < 0) {
      if (taken === permutations) return null;
      taken += 1;
      at = pool.length;
      pool.push(...shuffled(nodeset, random));
      at = pool.findIndex((node, i) => i >= at && !row.includes(node));
    }
    row.push(...pool.splice(at, 1));
    if (row.length < width) continue;
    rows.push(...row);
    row = [];
  }
  return rows;
}

function shuffled(nodes: readonly NodeId[], random: Random): NodeId[] {
  const left = [...nodes];
  const out: NodeId[] = [];
  while (left.length > 0) out.push(...left.splice(random.below(left.length), 1));
  return out;
}

/** By turns from each rack, so that neighbours of the ring are in different racks where they can be. */
function spread(candidates: readonly Candidate[]): readonly NodeId[] {
  const racks = new Map<string, NodeId[]>();
  for (const { node, rack } of candidates.toSorted((a, b) => a.node - b.node)) {
    const same = racks.get(rack);
    if (same === undefined) racks.set(rack, [node]);
    else same.push(node);
  }
  const lines = [...racks.values()];
  const out: NodeId[] = [];
  for (let i = 0; out.length < candidates.length; i += 1)
    for (const line of lines) {
      const node = line[i];
      if (node !== undefined) out.push(node);
    }
  return out;
}

function ringAt(nodes: readonly NodeId[], at: number): NodeId {
  const node = nodes[at % nodes.length];
  assert(node !== undefined, "a ring has nodes");
  return node;
}
