// Requests of the group APIs to a node in memory, each carried over the wire in its version.

import { expect } from "bun:test";
import type { DescribeGroupsResponse } from "../../proto/kafka/15_describe_groups.ts";
import type { FindCoordinatorResponse } from "../../proto/kafka/10_find_coordinator.ts";
import type { JoinGroupResponse } from "../../proto/kafka/11_join_group.ts";
import type { OffsetCommitResponse } from "../../proto/kafka/08_offset_commit.ts";
import type { OffsetFetchResponse } from "../../proto/kafka/09_offset_fetch.ts";
import type { SyncGroupResponse } from "../../proto/kafka/14_sync_group.ts";
import { noTopicId, type Slot, type TopicId } from "../../src/core/base/ids.ts";
import type { Call } from "../../src/core/base/node_contract.ts";
import { type AnyApi, type ApiName, apis } from "../../src/wire/apis.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from "../../src/wire/codec.ts";
import { isRefused } from "../../src/wire/refusal.ts";
import { Writer } from "../../src/wire/writer.ts";
import { MemoryDisk } from "../sim/memory_disk.ts";
import { OneNode } from "../sim/one_node.ts";

/** Beside busy neighbours; timing decides nothing here. */
export const longMs = 120_000;
export const offsetsTopic = "__consumer_offsets";
export const quick = { "group.initial.rebalance.delay.ms": "0" };

/** The request as the wire carries it in this version. */
export function overTheWire(name: ApiName, version: number, request: unknown): unknown {
  const api: AnyApi = apis[name];
  const writer = new Writer();
  encodeRequest(api, version, writer, request as never); // proof: the test writes the request of this API
  const bytes = writer.written();
  const decoded = decodeRequest(api, version, bytes, 0, bytes.length);
  expect(isRefused(decoded)).toBe(false);
  return decoded;
}

export function backOverTheWire<R>(name: ApiName, version: number, response: unknown): R {
  const api: AnyApi = apis[name];
  const writer = new Writer();
  encodeResponse(api, version, writer, response as never); // proof: the broker answers with its own API's response
  const bytes = writer.written();
  return decodeResponse(api, version, bytes, 0, bytes.length) as R; // proof: what was encoded above
}

export function send(node: OneNode, name: ApiName, version: number, request: unknown): Call {
  const call = node.send(name, version, overTheWire(name, version, request));
  node.settle();
  return call;
}

/** Undefined: not answered yet. */
export function answer<R>(node: OneNode, name: ApiName, call: Call): R | undefined {
  const response = node.answerTo(call);
  return response === undefined ? undefined : backOverTheWire<R>(name, call.version, response);
}

export function ask<R>(node: OneNode, name: ApiName, version: number, request: unknown): R {
  const response = answer<R>(node, name, send(node, name, version, request));
  if (response === undefined) throw new Error(`${name} v${version} has no answer`);
  return response;
}

export function find(node: OneNode, version = 4, keyType = 0, key = "g"): FindCoordinatorResponse {
  return ask(node, "FindCoordinator", version, {
    key: version < 4 ? key : "",
    keyType,
    coordinatorKeys: version < 4 ? [] : [key],
  });
}

export function started(
  kafka: Record<string, string> = quick,
  topics: readonly string[] = ["t"],
  disk = new MemoryDisk(),
): OneNode {
  const node = new OneNode(kafka, { disk });
  for (const name of topics) {
    const topic = {
      name,
      partitions: 3,
      replicationFactor: 1,
      assignments: [],
      configs: [],
      internal: false,
    };
    node.propose(0, { kind: "create-topics", topics: [topic], validateOnly: false });
  }
  node.settle();
  find(node);
  return node;
}

export function idOf(node: OneNode, topic: string): TopicId {
  return node.node.broker.image.topicByName(topic)?.id ?? noTopicId;
}

export const noBytes = new Uint8Array(0);
/** A consumer's subscription, version 0, to topic "t". */
export const subscription = new Uint8Array([0, 0, 0, 0, 0, 1, 0, 1, 116, 255, 255, 255, 255]);

export function joinRequest(over: object = {}): object {
  return {
    groupId: "g",
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 20_000,
    memberId: "",
    groupInstanceId: null,
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: subscription }],
    reason: null,
    ...over,
  };
}

/** Makes the asker the only member of a stable group. */
export function joined(
  node: OneNode,
  over: object = {},
): { memberId: string; generationId: number } {
  const first = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest(over));
  const memberId = first.memberId;
  const second = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest({ memberId, ...over }));
  sync(node, memberId, second.generationId, [{ memberId, assignment: new Uint8Array([7]) }], over);
  return { memberId, generationId: second.generationId };
}

export function syncRequest(
  memberId: string,
  generationId: number,
  assignments: object[] = [],
  over: object = {},
): object {
  return {
    groupId: "g",
    generationId,
    memberId,
    groupInstanceId: null,
    protocolType: "consumer",
    protocolName: "range",
    assignments,
    ...over,
  };
}

export function sync(
  node: OneNode,
  memberId: string,
  generationId: number,
  assignments: object[],
  over: object = {},
): SyncGroupResponse {
  const { groupId = "g" } = over as { groupId?: string }; // proof: the tests of this file write it
  return ask(node, "SyncGroup", 5, syncRequest(memberId, generationId, assignments, { groupId }));
}

export function commitRequest(
  node: OneNode,
  version: number,
  offset: number,
  over: object = {},
): object {
  const {
    topic = "t",
    partition = 0,
    metadata = "m",
    ...rest
  } = over as { topic?: string; partition?: number; metadata?: string }; // proof: as above
  const byId = version >= 10;
  return {
    groupId: "g",
    generationIdOrMemberEpoch: -1,
    memberId: "",
    groupInstanceId: null,
    retentionTimeMs: -1,
    topics: [
      {
        name: byId ? "" : topic,
        topicId: byId ? idOf(node, topic) : noTopicId,
        partitions: [
          {
            partitionIndex: partition,
            committedOffset: offset,
            committedLeaderEpoch: -1,
            committedMetadata: metadata,
          },
        ],
      },
    ],
    ...rest,
  };
}

export function commit(
  node: OneNode,
  version: number,
  offset: number,
  over: object = {},
): number | undefined {
  return codeOf(
    ask<OffsetCommitResponse>(
      node,
      "OffsetCommit",
      version,
      commitRequest(node, version, offset, over),
    ),
  );
}

export function codeOf(response: OffsetCommitResponse | undefined): number | undefined {
  return response?.topics[0]?.partitions[0]?.errorCode;
}

export function committed(
  node: OneNode,
  groupId = "g",
  topic = "t",
  partition = 0,
): number | undefined {
  const response = ask<OffsetFetchResponse>(node, "OffsetFetch", 7, {
    groupId,
    topics: [{ name: topic, partitionIndexes: [partition] }],
    groups: [],
    requireStable: true,
  });
  return response.topics[0]?.partitions[0]?.committedOffset;
}

export function shardSlot(node: OneNode, groupId = "g"): Slot {
  const slot = node.node.broker.groups.slotOf(groupId);
  if (slot === undefined) throw new Error("the topic of the groups is not there");
  return slot;
}

export function describeGroup(
  node: OneNode,
  version = 6,
  groupId = "g",
): DescribeGroupsResponse["groups"][number] {
  const [group] = ask<DescribeGroupsResponse>(node, "DescribeGroups", version, {
    groups: [groupId],
    includeAuthorizedOperations: version >= 3,
  }).groups;
  if (group === undefined) throw new Error("no group in the answer");
  return group;
}

/** A node whose group "g" has committed 1, 2, ... up to `commits`, each with 4 KiB of metadata. */
export function startedWith(commits: number): OneNode {
  const node = started();
  for (let i = 1; i <= commits; i += 1) commit(node, 9, i, { metadata: "m".repeat(4_096) });
  return node;
}
