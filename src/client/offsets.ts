// Offsets by time, asked of the leaders: one request per leader, again where a leader has moved.

import { ErrorCode } from "../core/base/error_code.ts";
import { none, partitionIndex } from "../core/base/ids.ts";
import { apis } from "../wire/apis.ts";
import { isStale, KafkaError, WrongUse } from "./failures.ts";
import type { Network } from "./network.ts";

export interface PartitionId {
  readonly topic: string;
  readonly partition: number;
}

export interface TimeQuery extends PartitionId {
  /** Milliseconds since 1970, or one of `Time`. */
  readonly timestamp: number;
}

/** Special times of ListOffsets. */
export const Time = {
  /** The offset that the next record will get, as far as records may be read. */
  latest: -1,
  /** The first offset that can be read. */
  earliest: -2,
} as const;

export interface FoundOffset {
  /** -1: no record is as late as that. */
  readonly offset: number;
  /** Of the record found; -1 for special times. */
  readonly timestamp: number;
}

export function keyOf({ topic, partition }: PartitionId): string {
  return `${topic}/${partition}`;
}

/** Answers in the order of the queries. */
export async function listOffsets(
  network: Network,
  queries: readonly TimeQuery[],
): Promise<readonly FoundOffset[]> {
  const found = new Array<FoundOffset | null>(queries.length).fill(null);
  await network.patiently(async () => {
    const open = queries
      .map((query, index) => ({ query, index }))
      .filter(({ index }) => found[index] === null);
    const byLeader = new Map<number, typeof open>();
    for (const each of open) {
      const leader = await leaderOf(network, each.query);
      const others = byLeader.get(leader);
      if (others === undefined) byLeader.set(leader, [each]);
      else others.push(each);
    }
    const asked = [...byLeader].map(async ([leader, each]) => {
      const answers = await askLeader(
        network,
        leader,
        each.map(({ query }) => query),
      );
      let failed: KafkaError | null = null;
      for (const { query, index } of each) {
        const answer = answers.get(keyOf(query));
        if (answer === undefined) continue;
        if (answer instanceof KafkaError) failed = answer;
        else found[index] = answer;
        if (answer instanceof KafkaError && isStale(answer.code)) network.forget(query.topic);
      }
      if (failed !== null) throw failed;
    });
    const outcomes = await Promise.allSettled(asked);
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      for (const { query } of open) network.forget(query.topic);
      throw outcome.reason;
    }
  });
  return found.map((each) => each ?? { offset: -1, timestamp: -1 });
}

/** @throws KafkaError LEADER_NOT_AVAILABLE, WrongUse for a partition that is not there. */
export async function leaderOf(network: Network, id: PartitionId): Promise<number> {
  const metadata = await network.topic(id.topic);
  const partition = metadata.partitions[id.partition];
  if (partition === undefined) {
    const last = metadata.partitions.length - 1;
    throw new WrongUse(`topic ${id.topic} has partitions 0 to ${last}, not ${id.partition}`);
  }
  if (partition.leader < 0) {
    network.forget(id.topic);
    throw new KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, keyOf(id));
  }
  return partition.leader;
}

async function askLeader(
  network: Network,
  leader: number,
  queries: readonly TimeQuery[],
): Promise<ReadonlyMap<string, FoundOffset | KafkaError>> {
  const connection = await network.node(leader);
  const version = connection.versionOf(apis.ListOffsets);
  const byTopic = Map.groupBy(queries, ({ topic }) => topic);
  const answer = await connection.request(apis.ListOffsets, version, {
    replicaId: none,
    isolationLevel: 0,
    topics: [...byTopic].map(([name, each]) => ({
      name,
      partitions: each.map(({ partition, timestamp }) => ({
        partitionIndex: partitionIndex(partition),
        currentLeaderEpoch: none,
        timestamp,
      })),
    })),
    timeoutMs: network.options.requestTimeoutMs,
  });
  const found = new Map<string, FoundOffset | KafkaError>();
  for (const { name, partitions } of answer.topics) {
    for (const { partitionIndex: partition, errorCode, offset, timestamp } of partitions) {
      const key = keyOf({ topic: name, partition });
      const refused = errorCode !== ErrorCode.NONE;
      found.set(key, refused ? new KafkaError(errorCode, key) : { offset, timestamp });
    }
  }
  return found;
}
