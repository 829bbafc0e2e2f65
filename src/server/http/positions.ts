// Where a reader begins: the places that `from` can name.

import type { Topic } from "../../core/cluster/cluster.ts";
import type { Bridge } from "./bridge.ts";
import { type Positions, positionsOf } from "./poll.ts";
import { Problem } from "./problems.ts";
import { timeOf } from "./record_text.ts";
import { earliest, endsOf, latest, offsetsAt } from "./topics.ts";

/** Where to begin in the partitions that are asked for. */
export async function positionsFrom(
  bridge: Bridge,
  topic: Topic,
  wanted: number | undefined,
  from: string,
): Promise<Positions> {
  const partitions =
    wanted === undefined ? topic.slots.keys().toArray() : [bridge.knownPartition(topic, wanted)];
  const at = await startOf(bridge, topic, partitions, from);
  const positions: Positions = new Map();
  for (const index of partitions) {
    const partition = bridge.knownPartition(topic, index);
    positions.set(partition, at(index));
  }
  return positions;
}

async function startOf(
  bridge: Bridge,
  topic: Topic,
  partitions: readonly number[],
  from: string,
): Promise<(partition: number) => number> {
  if (from === "earliest" || from === "latest") {
    const found = await offsetsAt(bridge, topic, from === "earliest" ? earliest : latest);
    return (partition) => found[partition] ?? 0;
  }
  if (/^-\d{1,9}$/.test(from)) {
    const ends = await endsOf(bridge, topic);
    return (partition) => {
      const { start = 0, end = 0 } = ends[partition] ?? {};
      return Math.max(start, end + Number(from));
    };
  }
  if (from.startsWith("time:")) {
    const ms = timeOf(from.slice("time:".length), "from");
    const [found, ends] = await Promise.all([
      offsetsAt(bridge, topic, ms),
      offsetsAt(bridge, topic, latest),
    ]);
    return (partition) => {
      const first = found[partition] ?? -1;
      return first < 0 ? (ends[partition] ?? 0) : first;
    };
  }
  const named = /^offset:\d{1,16}$/.test(from)
    ? new Map(partitions.map((partition) => [partition, Number(from.slice("offset:".length))]))
    : positionsOf(from);
  const safe = named !== null && [...named.values()].every(Number.isSafeInteger);
  if (!safe) {
    throw new Problem(
      "validation",
      `from="${from}" names no place. Use earliest, latest, offset:N, time:2026-01-02T03:04:05Z, -N, or the next of an answer.`,
      { pointer: "/from" },
    );
  }
  if (from.startsWith("offset:") && partitions.length > 1) {
    throw new Problem(
      "validation",
      `an offset belongs to one partition, and "${topic.name}" has ${partitions.length}. Add partition=, or name positions as 0:12,1:40.`,
      { pointer: "/from" },
    );
  }
  // Partitions that came later are read from their beginning.
  return (partition) => named.get(partition) ?? 0;
}
