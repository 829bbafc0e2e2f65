// The classic group APIs as the judges send them, and a member that joins, commits and leaves.

import { BodyWriter } from "../../bench/kafka_client.ts";
import { code } from "./apis.ts";
import type { Connection } from "./connection.ts";

/** FindCoordinator v0; the answer is awaited because the offsets topic is made at the first one. */
export async function findCoordinator(connection: Connection, group: string): Promise<number> {
  const answer = await connection.request(10, 0, new BodyWriter().string(group));
  return answer.int16();
}

export interface Joined {
  readonly error: number;
  readonly generation: number;
  readonly leader: string;
  readonly memberId: string;
  readonly members: readonly { readonly id: string; readonly subscription: Buffer | null }[];
}

export interface JoinOptions {
  readonly memberId?: string;
  readonly sessionTimeoutMs?: number;
  readonly rebalanceTimeoutMs?: number;
  readonly protocol?: string;
  readonly topics?: readonly string[];
}

/** Kafka's consumer subscription, version 0. */
export function subscription(topics: readonly string[]): Buffer {
  const body = new BodyWriter().int16(0).int32(topics.length);
  for (const topic of topics) body.string(topic);
  return Buffer.from(body.int32(-1).done());
}

/** JoinGroup v2. Answers when the rebalance is over. */
export async function joinGroup(
  connection: Connection,
  group: string,
  options: JoinOptions = {},
): Promise<Joined> {
  const body = new BodyWriter().string(group).int32(options.sessionTimeoutMs ?? 10_000);
  body.int32(options.rebalanceTimeoutMs ?? 10_000).string(options.memberId ?? "");
  body
    .string("consumer")
    .int32(1)
    .string(options.protocol ?? "range");
  const answer = await connection.request(11, 2, body.bytes(subscription(options.topics ?? [])));
  answer.int32();
  const error = answer.int16();
  const generation = answer.int32();
  answer.nullableString(); // protocol
  const leader = answer.string();
  const memberId = answer.string();
  const members = answer.array(() => ({
    id: answer.string(),
    subscription: answer.nullableBytes(),
  }));
  return { error, generation, leader, memberId, members };
}

/** SyncGroup v1. The assignment is null where the wire says null, empty where it has no bytes. */
export async function syncGroup(
  connection: Connection,
  group: string,
  generation: number,
  memberId: string,
  assignments: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<{ error: number; assignment: Buffer | null }> {
  const body = new BodyWriter().string(group).int32(generation).string(memberId);
  body.int32(assignments.size);
  for (const [id, bytes] of assignments) body.string(id).bytes(bytes);
  const answer = await connection.request(14, 1, body);
  answer.int32();
  return { error: answer.int16(), assignment: answer.nullableBytes() };
}

/** Heartbeat v1. */
export async function heartbeat(
  connection: Connection,
  group: string,
  generation: number,
  memberId: string,
): Promise<number> {
  const body = new BodyWriter().string(group).int32(generation).string(memberId);
  const answer = await connection.request(12, 1, body);
  answer.int32();
  return answer.int16();
}

/** LeaveGroup v1. */
export async function leaveGroup(
  connection: Connection,
  group: string,
  memberId: string,
): Promise<number> {
  const answer = await connection.request(13, 1, new BodyWriter().string(group).string(memberId));
  answer.int32();
  return answer.int16();
}

export interface Commit {
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string | null;
}

/** Who commits; without a member the group must be empty. */
export interface Committer {
  readonly group: string;
  readonly generation: number;
  readonly memberId: string;
}

export function alone(group: string): Committer {
  return { group, generation: -1, memberId: "" };
}

/** OffsetCommit v2 for partitions of one topic; error codes by partition. */
export async function offsetCommit(
  connection: Connection,
  committer: Committer,
  topic: string,
  commits: readonly Commit[],
): Promise<Map<number, number>> {
  const body = new BodyWriter().string(committer.group).int32(committer.generation);
  body.string(committer.memberId).int64(-1).int32(1).string(topic).int32(commits.length);
  for (const commit of commits) {
    body.int32(commit.partition).int64(commit.offset).string(commit.metadata);
  }
  const answer = await connection.request(8, 2, body);
  const codes = new Map<number, number>();
  answer.array(() => {
    answer.string();
    answer.array(() => codes.set(answer.int32(), answer.int16()));
  });
  return codes;
}

/** OffsetFetch v2 for partitions of one topic. Nothing committed = offset -1. */
export async function offsetFetch(
  connection: Connection,
  group: string,
  topic: string,
  partitions: readonly number[],
): Promise<{ error: number; commits: Commit[] }> {
  const body = new BodyWriter().string(group).int32(1).string(topic).int32(partitions.length);
  for (const partition of partitions) body.int32(partition);
  const answer = await connection.request(9, 2, body);
  let error: number = code.none;
  const commits = answer
    .array(() => {
      answer.string();
      return answer.array(() => {
        const partition = answer.int32();
        const offset = answer.int64();
        const metadata = answer.nullableString();
        error ||= answer.int16();
        return { partition, offset, metadata };
      });
    })
    .flat();
  return { error: answer.int16() || error, commits };
}
