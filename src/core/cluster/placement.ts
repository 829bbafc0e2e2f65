// Where new partitions go: leaders in turn over the registered nodes, from a random one on, so that
// small topics do not all meet on the first node.

import type { Verdict } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { type NodeId, nodeId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import type { ClusterImage } from "./image.ts";

/** Leaders of new partitions, one after the other; fewer than `count` repeat. */
export function spreadLeaders(
  image: ClusterImage,
  count: number,
  random: Random,
): readonly NodeId[] {
  const nodes = [...image.nodes()].map((each) => each.node);
  const from = nodes.length > 1 ? random.below(nodes.length) : 0;
  const leaders: NodeId[] = [];
  for (let i = 0; i < Math.min(count, nodes.length); i += 1) {
    const leader = nodes[(from + i) % nodes.length];
    if (leader !== undefined) leaders.push(leader);
  }
  return leaders;
}

/** Null: there are enough nodes for this many copies. */
export function tooFewNodes(image: ClusterImage, replicationFactor: number): Verdict | null {
  if (replicationFactor <= image.nodeCount) return null;
  const message = `${replicationFactor} copies need as many nodes; there are ${image.nodeCount}`;
  return { code: ErrorCode.INVALID_REPLICATION_FACTOR, message };
}

/**
 * Judges one explicitly assigned list of nodes. `expected` is the replication factor that it must
 * have; -1 = any.
 */
export function assignmentProblem(
  image: ClusterImage,
  nodes: readonly number[],
  expected: number,
): Verdict | null {
  const seen = new Set<number>();
  for (const node of nodes) {
    if (seen.has(node)) return bad(`the assignment names node ${node} twice`);
    seen.add(node);
    if (node < 0 || image.nodeOf(nodeId(node)) === undefined) {
      return bad(`the assignment names node ${node}, which is not registered`);
    }
  }
  if (nodes.length === 0) return bad("the assignment of a partition names no node");
  if (expected >= 0 && nodes.length !== expected) {
    return bad(`a partition is assigned ${nodes.length} nodes where others have ${expected}`);
  }
  return null;
}

export function bad(message: string): Verdict {
  return { code: ErrorCode.INVALID_REPLICA_ASSIGNMENT, message };
}

/** The first node of each list leads. The lists have been judged: none is empty. */
export function leadersOf(assignments: readonly (readonly number[])[]): NodeId[] {
  const leaders: NodeId[] = [];
  for (const nodes of assignments) {
    const leader = nodes[0];
    if (leader !== undefined) leaders.push(nodeId(leader));
  }
  return leaders;
}
