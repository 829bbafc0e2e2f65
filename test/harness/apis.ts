// The requests that the judges send themselves, in old versions that every current broker still
// takes. One function per API; answers are plain values, error codes included.

import { BodyWriter } from "../../bench/kafka_client.ts";
import type { Connection } from "./connection.ts";

export const code = {
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  messageTooLarge: 10,
  offsetMetadataTooLarge: 12,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicAlreadyExists: 36,
  invalidConfig: 40,
  invalidRequest: 42,
  invalidRecord: 87,
} as const;

const timeoutMs = 30_000;

function strings(body: BodyWriter, values: readonly string[]): BodyWriter {
  body.int32(values.length);
  for (const value of values) body.string(value);
  return body;
}

export interface TopicOptions {
  readonly partitions?: number;
  readonly configs?: Readonly<Record<string, string>>;
}

/** CreateTopics v2, one topic. */
export async function createTopic(
  connection: Connection,
  name: string,
  options: TopicOptions = {},
): Promise<{ error: number; message: string | null }> {
  const body = new BodyWriter()
    .int32(1)
    .string(name)
    .int32(options.partitions ?? 1)
    .int16(1);
  const configs = Object.entries(options.configs ?? {});
  body.int32(0).int32(configs.length);
  for (const [key, value] of configs) body.string(key).string(value);
  const answer = await connection.request(19, 2, body.int32(timeoutMs).int8(0));
  answer.int32();
  const [created] = answer.array(() => {
    answer.string();
    return { error: answer.int16(), message: answer.nullableString() };
  });
  if (created === undefined) throw new Error("CreateTopics answered no topic");
  return created;
}

/** DeleteTopics v1, one topic. */
export async function deleteTopic(connection: Connection, name: string): Promise<number> {
  const body = strings(new BodyWriter(), [name]).int32(timeoutMs);
  const answer = await connection.request(20, 1, body);
  answer.int32();
  return answer.array(() => [answer.string(), answer.int16()] as const)[0]?.[1] ?? -1;
}

export interface TopicState {
  readonly error: number;
  readonly name: string;
  readonly partitions: readonly { readonly error: number; readonly leader: number }[];
}

/** Metadata v4. */
export async function metadata(
  connection: Connection,
  topics: readonly string[],
  autoCreate = false,
): Promise<TopicState[]> {
  const body = strings(new BodyWriter(), topics).int8(autoCreate ? 1 : 0);
  const answer = await connection.request(3, 4, body);
  answer.int32();
  answer.array(() => [answer.int32(), answer.string(), answer.int32(), answer.nullableString()]);
  answer.nullableString(); // cluster id
  answer.int32(); // controller
  return answer.array(() => {
    const error = answer.int16();
    const name = answer.string();
    answer.boolean(); // internal
    const partitions: { error: number; leader: number }[] = [];
    answer.array(() => {
      const partitionError = answer.int16();
      const index = answer.int32();
      partitions[index] = { error: partitionError, leader: answer.int32() };
      answer.array(() => answer.int32());
      answer.array(() => answer.int32());
    });
    return { error, name, partitions };
  });
}

/** CreatePartitions v0, one topic; the whole result array, because it may be wrong itself. */
export async function createPartitions(
  connection: Connection,
  name: string,
  count: number,
): Promise<{ name: string; error: number; message: string | null }[]> {
  const body = new BodyWriter().int32(1).string(name).int32(count).int32(-1);
  const answer = await connection.request(37, 0, body.int32(timeoutMs).int8(0));
  answer.int32();
  return answer.array(() => ({
    name: answer.string(),
    error: answer.int16(),
    message: answer.nullableString(),
  }));
}

export const topicResource = 2;
export const brokerResource = 4;

export interface ConfigEntry {
  readonly value: string | null;
  /** 1 = topic, 2 = dynamic broker, 4 = static broker, 5 = default. */
  readonly source: number;
}

/** DescribeConfigs v1 of one resource; `keys` null = all. */
export async function describeConfigs(
  connection: Connection,
  type: number,
  name: string,
  keys: readonly string[] | null,
): Promise<{ error: number; configs: Map<string, ConfigEntry> }> {
  const body = new BodyWriter().int32(1).int8(type).string(name);
  if (keys === null) body.int32(-1);
  else strings(body, keys);
  const answer = await connection.request(32, 1, body.int8(0));
  answer.int32();
  const [result] = answer.array(() => {
    const error = answer.int16();
    answer.nullableString();
    answer.int8();
    answer.string();
    const configs = new Map<string, ConfigEntry>();
    answer.array(() => {
      const key = answer.string();
      const value = answer.nullableString();
      answer.boolean(); // read-only
      configs.set(key, { value, source: answer.int8() });
      answer.boolean(); // sensitive
      answer.array(() => [answer.string(), answer.nullableString(), answer.int8()]);
    });
    return { error, configs };
  });
  if (result === undefined) throw new Error("DescribeConfigs answered no resource");
  return result;
}

export type ConfigChange = readonly [
  key: string,
  operation: "set" | "delete" | "append" | "subtract",
  value: string | null,
];

/** IncrementalAlterConfigs v0 of one resource. */
export async function alterConfigs(
  connection: Connection,
  type: number,
  name: string,
  changes: readonly ConfigChange[],
): Promise<{ error: number; message: string | null }> {
  const body = new BodyWriter().int32(1).int8(type).string(name).int32(changes.length);
  for (const [key, operation, value] of changes) {
    body.string(key).int8(["set", "delete", "append", "subtract"].indexOf(operation)).string(value);
  }
  const answer = await connection.request(44, 0, body.int8(0));
  answer.int32();
  const [result] = answer.array(() => {
    const found = { error: answer.int16(), message: answer.nullableString() };
    answer.int8();
    answer.string();
    return found;
  });
  if (result === undefined) throw new Error("IncrementalAlterConfigs answered no resource");
  return result;
}

export interface Produced {
  readonly error: number;
  readonly baseOffset: number;
}

export function produceBody(
  topic: string,
  partition: number,
  batch: Uint8Array,
  acks: number,
): BodyWriter {
  const body = new BodyWriter().string(null).int16(acks).int32(timeoutMs);
  return body.int32(1).string(topic).int32(1).int32(partition).bytes(batch);
}

/** Produce v7 of one batch with acks=all or 1. */
export async function produce(
  connection: Connection,
  topic: string,
  partition: number,
  batch: Uint8Array,
  acks: -1 | 1 = -1,
): Promise<Produced> {
  const answer = await connection.request(0, 7, produceBody(topic, partition, batch, acks));
  const [found] = answer.array(() => {
    answer.string();
    return answer.array(() => {
      answer.int32();
      const error = answer.int16();
      const baseOffset = answer.int64();
      answer.int64(); // append time
      answer.int64(); // log start offset
      return { error, baseOffset };
    });
  });
  const [result] = found ?? [];
  if (result === undefined) throw new Error("Produce answered no partition");
  return result;
}

export interface Fetched {
  readonly error: number;
  readonly highWatermark: number;
  readonly logStart: number;
  readonly bytes: Buffer;
}

export interface FetchOptions {
  readonly maxWaitMs?: number;
  readonly minBytes?: number;
  readonly partitionMaxBytes?: number;
}

/** Fetch v5 of one partition, without a session. */
export async function fetchPartition(
  connection: Connection,
  topic: string,
  partition: number,
  offset: number,
  options: FetchOptions = {},
): Promise<Fetched> {
  const body = new BodyWriter().int32(-1).int32(options.maxWaitMs ?? 0);
  body
    .int32(options.minBytes ?? 0)
    .int32(50 * 1024 * 1024)
    .int8(0);
  body.int32(1).string(topic).int32(1).int32(partition).int64(offset).int64(-1);
  body.int32(options.partitionMaxBytes ?? 4 * 1024 * 1024);
  const answer = await connection.request(1, 5, body);
  answer.int32();
  const [found] = answer.array(() => {
    answer.string();
    return answer.array(() => {
      answer.int32();
      const error = answer.int16();
      const highWatermark = answer.int64();
      answer.int64(); // last stable offset
      const logStart = answer.int64();
      answer.array(() => [answer.int64(), answer.int64()]);
      return { error, highWatermark, logStart, bytes: answer.nullableBytes() ?? Buffer.alloc(0) };
    });
  });
  const [result] = found ?? [];
  if (result === undefined) throw new Error("Fetch answered no partition");
  return result;
}

export const latest = -1;
export const earliest = -2;

/** ListOffsets v1 of one partition. */
export async function listOffset(
  connection: Connection,
  topic: string,
  partition: number,
  timestamp: number,
): Promise<{ error: number; timestamp: number; offset: number }> {
  const body = new BodyWriter().int32(-1).int32(1).string(topic).int32(1).int32(partition);
  const answer = await connection.request(2, 1, body.int64(timestamp));
  const [found] = answer.array(() => {
    answer.string();
    return answer.array(() => {
      answer.int32();
      return { error: answer.int16(), timestamp: answer.int64(), offset: answer.int64() };
    });
  });
  const [result] = found ?? [];
  if (result === undefined) throw new Error("ListOffsets answered no partition");
  return result;
}

/** DeleteRecords v0 of one partition: raises the log start offset. */
export async function deleteRecords(
  connection: Connection,
  topic: string,
  partition: number,
  offset: number,
): Promise<{ error: number; logStart: number }> {
  const body = new BodyWriter().int32(1).string(topic).int32(1).int32(partition).int64(offset);
  const answer = await connection.request(21, 0, body.int32(timeoutMs));
  answer.int32();
  const [found] = answer.array(() => {
    answer.string();
    return answer.array(() => {
      answer.int32();
      return { logStart: answer.int64(), error: answer.int16() };
    });
  });
  const [result] = found ?? [];
  if (result === undefined) throw new Error("DeleteRecords answered no partition");
  return result;
}

/** InitProducerId v0 without a transactional id. */
export async function initProducerId(
  connection: Connection,
): Promise<{ error: number; id: number; epoch: number }> {
  const answer = await connection.request(22, 0, new BodyWriter().string(null).int32(timeoutMs));
  answer.int32();
  return { error: answer.int16(), id: answer.int64(), epoch: answer.int16() };
}

/** Keys, lowest and highest versions, from ApiVersions v0. */
export async function apiVersions(
  connection: Connection,
): Promise<Map<number, readonly [number, number]>> {
  const answer = await connection.request(18, 0, new BodyWriter());
  const error = answer.int16();
  if (error !== code.none) throw new Error(`ApiVersions answered error ${error}`);
  return new Map(
    answer.array(() => [answer.int16(), [answer.int16(), answer.int16()] as const] as const),
  );
}
