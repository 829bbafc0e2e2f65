// Requests of metadata and administration to a node in memory, each through the codec of its version.

import type { CreateTopicsResponse } from "../../proto/kafka/19_create_topics.ts";
import type { MetadataResponse } from "../../proto/kafka/03_metadata.ts";
import { noTopicId, type TopicId } from "../../src/core/base/ids.ts";
import { type AnyApi, type ApiName, apis } from "../../src/wire/apis.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from "../../src/wire/codec.ts";
import { buildBatch } from "../../src/wire/records.ts";
import { isRefused } from "../../src/wire/refusal.ts";
import { Writer } from "../../src/wire/writer.ts";
import { OneNode } from "../sim/one_node.ts";

/** Asks through the codec of the version, both ways. */
export function ask<R>(node: OneNode, name: ApiName, version: number, request: object): R {
  const api: AnyApi = apis[name];
  const writer = new Writer();
  encodeRequest(api, version, writer, request as never); // proof: the compiler of the codec checks the fields
  const decoded = decodeRequest(api, version, writer.bytes, 0, writer.position);
  if (isRefused(decoded))
    throw new Error(`${name} v${version}: request refused: ${decoded.refusal}`);
  const answer = node.ask(name, version, decoded);
  if (answer === undefined) throw new Error(`${name} v${version}: no answer`);
  writer.reset();
  encodeResponse(api, version, writer, answer as never); // proof: as above
  const response = decodeResponse(
    api,
    version,
    new Uint8Array(writer.written()),
    0,
    writer.position,
  );
  if (isRefused(response))
    throw new Error(`${name} v${version}: response refused: ${response.refusal}`);
  return response as R; // proof: the table of that name
}

export function versionsOf(name: ApiName): number[] {
  const [first, last] = (apis[name] as AnyApi).versions;
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

export interface Wanted {
  readonly name?: string;
  readonly numPartitions?: number;
  readonly replicationFactor?: number;
  readonly configs?: readonly { readonly name: string; readonly value: string | null }[];
}

export function create(
  node: OneNode,
  topics: readonly Wanted[],
  version = 7,
  validateOnly = false,
): CreateTopicsResponse["topics"] {
  const wanted = topics.map((topic) => ({
    name: "t",
    numPartitions: 1,
    replicationFactor: 1,
    assignments: [],
    configs: [],
    ...topic,
  }));
  return ask<CreateTopicsResponse>(node, "CreateTopics", version, {
    topics: wanted,
    timeoutMs: 1000,
    validateOnly,
  }).topics;
}

export function withTopics(kafka: Record<string, string> = {}): OneNode {
  const node = new OneNode(kafka);
  create(node, [{ name: "t", numPartitions: 3 }, { name: "other" }]);
  return node;
}

export function idOf(node: OneNode, name: string): TopicId {
  return node.node.broker.image.topicByName(name)?.id ?? noTopicId;
}

export function produce(node: OneNode, name: string, index: number, count: number): void {
  const records = buildBatch(
    Array.from({ length: count }, () => ({
      key: null,
      value: new Uint8Array(3),
      timestamp: node.wall,
    })),
  );
  node.ask("Produce", 9, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1000,
    topics: [{ name, topicId: noTopicId, partitions: [{ index, records }] }],
  });
}

export interface MetadataOver {
  readonly topics?: readonly { readonly topicId: TopicId; readonly name: string | null }[] | null;
  readonly allowAutoTopicCreation?: boolean;
  readonly includeClusterAuthorizedOperations?: boolean;
  readonly includeTopicAuthorizedOperations?: boolean;
}

export function metadata(
  node: OneNode,
  version: number,
  over: MetadataOver = {},
): MetadataResponse {
  return ask(node, "Metadata", version, {
    topics: null,
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
    ...over,
  });
}

export const named = (...names: string[]) => names.map((name) => ({ topicId: noTopicId, name }));
export const withId = (...ids: TopicId[]) => ids.map((topicId) => ({ topicId, name: null }));
export const unknownId = "AAAAAAAAAAAAAAAAAAAABQ" as TopicId; // proof: 22 characters
