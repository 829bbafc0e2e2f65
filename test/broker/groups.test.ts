// Groups through the shipping broker, on disks in memory: each API in each version through its own
// codec, what a power cut may take, and how the log of a shard is loaded, starved and rewritten.

import { describe, expect, test } from "bun:test";
import type { DescribeGroupsResponse } from "../../proto/kafka/15_describe_groups.ts";
import type { FindCoordinatorResponse } from "../../proto/kafka/10_find_coordinator.ts";
import type { JoinGroupResponse } from "../../proto/kafka/11_join_group.ts";
import type { LeaveGroupResponse } from "../../proto/kafka/13_leave_group.ts";
import type { ListGroupsResponse } from "../../proto/kafka/16_list_groups.ts";
import type { OffsetCommitResponse } from "../../proto/kafka/08_offset_commit.ts";
import type { OffsetDeleteResponse } from "../../proto/kafka/47_offset_delete.ts";
import type { OffsetFetchResponse } from "../../proto/kafka/09_offset_fetch.ts";
import type { SyncGroupResponse } from "../../proto/kafka/14_sync_group.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { noTopicId, type Slot, type TopicId } from "../../src/core/base/ids.ts";
import {
  groupAppendsMax,
  groupBatchBytes,
  groupLoadBytes,
  groupLogGrowthMax,
  groupMetadataBytesMax,
  groupRequestsParkedMax,
} from "../../src/core/base/limits.ts";
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
const longMs = 120_000;
const offsetsTopic = "__consumer_offsets";
const quick = { "group.initial.rebalance.delay.ms": "0" };

/** The request as the wire carries it in this version. */
function overTheWire(name: ApiName, version: number, request: unknown): unknown {
  const api: AnyApi = apis[name];
  const writer = new Writer();
  encodeRequest(api, version, writer, request as never); // proof: the test writes the request of this API
  const bytes = writer.written();
  const decoded = decodeRequest(api, version, bytes, 0, bytes.length);
  expect(isRefused(decoded)).toBe(false);
  return decoded;
}

function backOverTheWire<R>(name: ApiName, version: number, response: unknown): R {
  const api: AnyApi = apis[name];
  const writer = new Writer();
  encodeResponse(api, version, writer, response as never); // proof: the broker answers with its own API's response
  const bytes = writer.written();
  return decodeResponse(api, version, bytes, 0, bytes.length) as R; // proof: what was encoded above
}

function send(node: OneNode, name: ApiName, version: number, request: unknown): Call {
  const call = node.send(name, version, overTheWire(name, version, request));
  node.settle();
  return call;
}

/** Undefined: not answered yet. */
function answer<R>(node: OneNode, name: ApiName, call: Call): R | undefined {
  const response = node.answerTo(call);
  return response === undefined ? undefined : backOverTheWire<R>(name, call.version, response);
}

function ask<R>(node: OneNode, name: ApiName, version: number, request: unknown): R {
  const response = answer<R>(node, name, send(node, name, version, request));
  if (response === undefined) throw new Error(`${name} v${version} has no answer`);
  return response;
}

function find(node: OneNode, version = 4, keyType = 0, key = "g"): FindCoordinatorResponse {
  return ask(node, "FindCoordinator", version, {
    key: version < 4 ? key : "",
    keyType,
    coordinatorKeys: version < 4 ? [] : [key],
  });
}

function started(
  kafka: Record<string, string> = quick,
  topics: readonly string[] = ["t"],
  disk = new MemoryDisk(),
): OneNode {
  const node = new OneNode(kafka, disk);
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

function idOf(node: OneNode, topic: string): TopicId {
  return node.node.broker.image.topicByName(topic)?.id ?? noTopicId;
}

const noBytes = new Uint8Array(0);
/** A consumer's subscription, version 0, to topic "t". */
const subscription = new Uint8Array([0, 0, 0, 0, 0, 1, 0, 1, 116, 255, 255, 255, 255]);

function joinRequest(over: object = {}): object {
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
function joined(node: OneNode, over: object = {}): { memberId: string; generationId: number } {
  const first = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest(over));
  const memberId = first.memberId;
  const second = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest({ memberId, ...over }));
  sync(node, memberId, second.generationId, [{ memberId, assignment: new Uint8Array([7]) }], over);
  return { memberId, generationId: second.generationId };
}

function syncRequest(
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

function sync(
  node: OneNode,
  memberId: string,
  generationId: number,
  assignments: object[],
  over: object = {},
): SyncGroupResponse {
  const { groupId = "g" } = over as { groupId?: string }; // proof: the tests of this file write it
  return ask(node, "SyncGroup", 5, syncRequest(memberId, generationId, assignments, { groupId }));
}

function commitRequest(node: OneNode, version: number, offset: number, over: object = {}): object {
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

function commit(
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

function codeOf(response: OffsetCommitResponse | undefined): number | undefined {
  return response?.topics[0]?.partitions[0]?.errorCode;
}

function committed(node: OneNode, groupId = "g", topic = "t", partition = 0): number | undefined {
  const response = ask<OffsetFetchResponse>(node, "OffsetFetch", 7, {
    groupId,
    topics: [{ name: topic, partitionIndexes: [partition] }],
    groups: [],
    requireStable: true,
  });
  return response.topics[0]?.partitions[0]?.committedOffset;
}

function shardSlot(node: OneNode, groupId = "g"): Slot {
  const slot = node.node.broker.groups.slotOf(groupId);
  if (slot === undefined) throw new Error("the topic of the groups is not there");
  return slot;
}

describe("broker: finding the coordinator", () => {
  test("broker: the first FindCoordinator creates the topic of the groups and waits for it (v0-6)", () => {
    for (let version = 0; version <= 6; version += 1) {
      const node = new OneNode({ "offsets.topic.num.partitions": "7" });
      expect(node.node.broker.image.topicByName(offsetsTopic)).toBeUndefined();
      const found = find(node, version);
      const one = version < 4 ? found : found.coordinators[0];
      expect([version, one?.errorCode, one?.nodeId as number, one?.host, one?.port]).toEqual([
        version,
        0,
        1,
        "127.0.0.1",
        9092,
      ]);
      const topic = node.node.broker.image.topicByName(offsetsTopic);
      expect([topic?.slots.length, topic?.internal, topic?.compacts]).toEqual([7, true, true]);
    }
  });

  test("broker: many keys are found at once (v4)", () => {
    const found = ask<FindCoordinatorResponse>(started(), "FindCoordinator", 4, {
      key: "",
      keyType: 0,
      coordinatorKeys: ["a", "b", ""],
    });
    expect(found.coordinators.map((each) => [each.key, each.errorCode, each.errorMessage])).toEqual(
      [
        ["a", 0, null],
        ["b", 0, null],
        ["", 0, null],
      ],
    );
  });

  test("broker: key types of features that are off answer 35, unknown ones 42 (one row per case)", () => {
    const node = new OneNode();
    const table: [number, number, number][] = [
      [1, 1, ErrorCode.UNSUPPORTED_VERSION],
      [6, 1, ErrorCode.UNSUPPORTED_VERSION],
      [5, 2, ErrorCode.INVALID_REQUEST],
      [6, 2, ErrorCode.UNSUPPORTED_VERSION],
      [3, 9, ErrorCode.INVALID_REQUEST],
    ];
    for (const [version, keyType, code] of table) {
      const found = find(node, version, keyType);
      const one = version < 4 ? found : found.coordinators[0];
      expect([version, keyType, one?.errorCode, one?.nodeId as number]).toEqual([
        version,
        keyType,
        code,
        -1,
      ]);
    }
    expect(node.node.broker.image.topicByName(offsetsTopic)).toBeUndefined();
  });

  test("broker: without the topic a join creates it, other requests send the client to look for the coordinator", () => {
    const node = new OneNode(quick);
    expect(
      ask<{ errorCode: number }>(node, "Heartbeat", 4, {
        groupId: "g",
        generationId: 1,
        memberId: "m",
        groupInstanceId: null,
      }).errorCode,
    ).toBe(ErrorCode.NOT_COORDINATOR);
    expect(
      ask<ListGroupsResponse>(node, "ListGroups", 5, { statesFilter: [], typesFilter: [] }).groups,
    ).toEqual([]);
    expect(node.node.broker.image.topicByName(offsetsTopic)).toBeUndefined();
    expect(ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest()).errorCode).toBe(
      ErrorCode.MEMBER_ID_REQUIRED,
    );
  });
});

describe("broker: members", () => {
  test("broker: a member joins, syncs, beats and leaves in every version of the APIs", () => {
    for (let version = 0; version <= 9; version += 1) {
      const node = started();
      const v = (newest: number): number => Math.min(version, newest);
      let answer = ask<JoinGroupResponse>(node, "JoinGroup", version, joinRequest());
      if (version >= 4) {
        expect([version, answer.errorCode]).toEqual([version, ErrorCode.MEMBER_ID_REQUIRED]);
        expect(answer.protocolName).toBe(version >= 7 ? null : "");
        answer = ask(node, "JoinGroup", version, joinRequest({ memberId: answer.memberId }));
      }
      const { memberId, generationId } = answer;
      expect([
        version,
        answer.errorCode,
        answer.leader,
        answer.protocolName,
        answer.members.length,
      ]).toEqual([version, 0, memberId, "range", 1]);
      expect(answer.members[0]?.metadata).toEqual(subscription);
      const assignment = new Uint8Array([1, 2, 3]);
      const synced = ask<SyncGroupResponse>(
        node,
        "SyncGroup",
        v(5),
        syncRequest(memberId, generationId, [{ memberId, assignment }]),
      );
      expect([version, synced.errorCode, synced.assignment]).toEqual([version, 0, assignment]);
      const beat = () =>
        ask<{ errorCode: number }>(node, "Heartbeat", v(4), {
          groupId: "g",
          generationId,
          memberId,
          groupInstanceId: null,
        }).errorCode;
      expect(beat()).toBe(0);
      const many = v(5) >= 3;
      const leaving = {
        groupId: "g",
        memberId: many ? "" : memberId,
        members: many ? [{ memberId, groupInstanceId: null, reason: null }] : [],
      };
      const left = ask<LeaveGroupResponse>(node, "LeaveGroup", v(5), leaving);
      expect([version, left.errorCode, left.members.map((each) => each.errorCode)]).toEqual([
        version,
        0,
        many ? [0] : [],
      ]);
      expect(beat()).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
      const again = ask<LeaveGroupResponse>(node, "LeaveGroup", v(5), leaving);
      expect([version, again.errorCode, again.members.map((each) => each.errorCode)]).toEqual(
        many
          ? [version, 0, [ErrorCode.UNKNOWN_MEMBER_ID]]
          : [version, ErrorCode.UNKNOWN_MEMBER_ID, []],
      );
    }
  });

  test("broker: the rebalance timeout of JoinGroup v0 is its session timeout", () => {
    const node = started();
    const first = ask<JoinGroupResponse>(
      node,
      "JoinGroup",
      0,
      joinRequest({ sessionTimeoutMs: 6_000 }),
    );
    sync(node, first.memberId, first.generationId, []);
    const second = send(node, "JoinGroup", 0, joinRequest({ sessionTimeoutMs: 6_000 }));
    const beat = {
      groupId: "g",
      generationId: first.generationId,
      memberId: first.memberId,
      groupInstanceId: null,
    };
    // The first beats and does not join again.
    for (let waited = 0; waited < 5_900; waited += 100) {
      ask(node, "Heartbeat", 0, beat);
      node.tick(100);
    }
    expect(node.answerTo(second)).toBeUndefined();
    node.tick(100);
    expect(answer<JoinGroupResponse>(node, "JoinGroup", second)?.errorCode).toBe(0);
  });

  test("broker: SyncGroup from v5 on must name protocol type and protocol", () => {
    const node = started();
    const { memberId, generationId } = joined(node);
    const code = (version: number, over: object): number =>
      ask<SyncGroupResponse>(
        node,
        "SyncGroup",
        version,
        syncRequest(memberId, generationId, [], over),
      ).errorCode;
    expect(code(5, { protocolType: null })).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    expect(code(5, { protocolName: null })).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    expect(code(5, { groupId: "", protocolName: null })).toBe(ErrorCode.INVALID_GROUP_ID);
    expect(code(4, {})).toBe(0);
  });

  test("broker: a protocol that is named twice counts once", () => {
    const node = started();
    const twice = [
      { name: "range", metadata: subscription },
      { name: "range", metadata: noBytes },
    ];
    const { memberId } = joined(node, { protocols: twice });
    expect(
      ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest({ memberId, protocols: twice }))
        .errorCode,
    ).toBe(0);
  });

  test("broker: what a member handed in does not lie in the bytes of its request", () => {
    const node = started();
    const metadata = new Uint8Array(subscription);
    const { memberId } = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest());
    const request = overTheWire(
      "JoinGroup",
      9,
      joinRequest({ memberId, protocols: [{ name: "range", metadata }] }),
    ) as { protocols: { metadata: Uint8Array }[] }; // proof: encoded here
    const call = node.send("JoinGroup", 9, request);
    node.settle();
    request.protocols[0]?.metadata.fill(0xff);
    expect(node.answerTo<JoinGroupResponse>(call)?.members[0]?.metadata).toEqual(subscription);
  });

  test("broker: time alone expels a silent member and answers who waits", () => {
    const node = started({});
    const id = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest()).memberId;
    const waiting = send(node, "JoinGroup", 9, joinRequest({ memberId: id }));
    node.tick(2_900);
    expect(node.answerTo(waiting)).toBeUndefined();
    node.tick(100);
    expect(answer<JoinGroupResponse>(node, "JoinGroup", waiting)?.errorCode).toBe(0);
    node.tick(10_000);
    node.tick(20_000);
    expect(describeGroup(node).groupState).toBe("Empty");
  });
});

function describeGroup(
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

describe("broker: committed offsets", () => {
  test(
    "broker: offsets are committed and fetched in every version of both APIs",
    () => {
      for (let version = 2; version <= 10; version += 1) {
        const node = started();
        expect([version, commit(node, version, 40 + version)]).toEqual([version, 0]);
        expect([version, committed(node)]).toEqual([version, 40 + version]);
      }
      const node = started();
      commit(node, 9, 77);
      for (let version = 1; version <= 10; version += 1) {
        const byId = version >= 10;
        const topic = {
          name: byId ? "" : "t",
          topicId: byId ? idOf(node, "t") : noTopicId,
          partitionIndexes: [0, 1, 99],
        };
        const single = { name: "t", partitionIndexes: [0, 1, 99] };
        const groups =
          version < 8 ? [] : [{ groupId: "g", memberId: null, memberEpoch: -1, topics: [topic] }];
        const response = ask<OffsetFetchResponse>(node, "OffsetFetch", version, {
          groupId: version < 8 ? "g" : "",
          topics: version < 8 ? [single] : [],
          groups,
          requireStable: version >= 7,
        });
        const topics = version < 8 ? response.topics : response.groups[0]?.topics;
        expect([
          version,
          topics?.[0]?.partitions.map((each) => [
            each.committedOffset as number,
            each.metadata,
            each.errorCode,
          ]),
        ]).toEqual([
          version,
          [
            [77, "m", 0],
            [-1, "", 0],
            [-1, "", 0],
          ],
        ]);
      }
    },
    longMs,
  );

  test("broker: null topics fetch all that a group has (v2, v8, v10)", () => {
    const node = started(quick, ["t", "u"]);
    commit(node, 9, 1);
    commit(node, 9, 2, { topic: "u", partition: 2 });
    const names = (
      topics: readonly { readonly name?: string; readonly topicId?: string }[] | undefined,
    ) => topics?.map((each) => each.name || each.topicId);
    const old = ask<OffsetFetchResponse>(node, "OffsetFetch", 2, {
      groupId: "g",
      topics: null,
      groups: [],
      requireStable: false,
    });
    expect(names(old.topics)).toEqual(["t", "u"]);
    const fetchGroups = (version: number) =>
      ask<OffsetFetchResponse>(node, "OffsetFetch", version, {
        groupId: "",
        topics: [],
        groups: ["g", "nobody"].map((groupId) => ({
          groupId,
          memberId: null,
          memberEpoch: -1,
          topics: null,
        })),
        requireStable: false,
      }).groups;
    expect(
      fetchGroups(8).map((group) => [group.groupId, group.errorCode, names(group.topics)]),
    ).toEqual([
      ["g", 0, ["t", "u"]],
      ["nobody", 0, []],
    ]);
    expect(names(fetchGroups(10)[0]?.topics)).toEqual([idOf(node, "t"), idOf(node, "u")]);
  });

  test("broker: a commit to what does not exist is refused, beside one that is taken", () => {
    const node = started();
    const partitions = [0, 99].map((partitionIndex) => ({
      partitionIndex,
      committedOffset: 5,
      committedLeaderEpoch: -1,
      committedMetadata: null,
    }));
    const byName = {
      ...commitRequest(node, 9, 0),
      topics: ["nobody", "t"].map((name) => ({ name, topicId: noTopicId, partitions })),
    };
    const named = ask<OffsetCommitResponse>(node, "OffsetCommit", 9, byName);
    const codes = (response: OffsetCommitResponse) =>
      response.topics.map((topic) => topic.partitions.map((each) => each.errorCode));
    expect(codes(named)).toEqual([
      [3, 3],
      [0, 3],
    ]);
    const byId = {
      ...commitRequest(node, 10, 0),
      topics: ["AAAAAAAAAAAAAAAAAAAAAg", idOf(node, "t")].map((topicId) => ({
        name: "",
        topicId,
        partitions,
      })),
    };
    const identified = ask<OffsetCommitResponse>(node, "OffsetCommit", 10, byId);
    expect(codes(identified)).toEqual([
      [100, 100],
      [0, 3],
    ]);
    expect(identified.topics.map((topic) => topic.topicId as string)).toEqual([
      "AAAAAAAAAAAAAAAAAAAAAg",
      idOf(node, "t"),
    ]);
    expect(committed(node)).toBe(5);
  });

  test("broker: fetching by an unknown topic id answers 100 (v10)", () => {
    const node = started();
    const topics = [{ name: "", topicId: "AAAAAAAAAAAAAAAAAAAAAg", partitionIndexes: [0] }];
    const response = ask<OffsetFetchResponse>(node, "OffsetFetch", 10, {
      groupId: "",
      topics: [],
      groups: [{ groupId: "g", memberId: "", memberEpoch: -1, topics }],
      requireStable: false,
    });
    expect(response.groups[0]?.topics[0]?.partitions[0]).toMatchObject({
      errorCode: ErrorCode.UNKNOWN_TOPIC_ID,
      committedOffset: -1,
    });
  });

  test("broker: codes of a group that cannot be found (OffsetFetch v1, v2, v8; OffsetCommit v8, v9)", () => {
    const node = new OneNode(quick);
    const old = (version: number) =>
      ask<OffsetFetchResponse>(node, "OffsetFetch", version, {
        groupId: "g",
        topics: [{ name: "t", partitionIndexes: [0] }],
        groups: [],
        requireStable: false,
      });
    expect(old(1).topics[0]?.partitions[0]?.errorCode).toBe(ErrorCode.NOT_COORDINATOR);
    expect([old(2).errorCode, old(2).topics]).toEqual([ErrorCode.NOT_COORDINATOR, []]);
    const groups = [{ groupId: "g", memberId: null, memberEpoch: -1, topics: null }];
    const many = ask<OffsetFetchResponse>(node, "OffsetFetch", 8, {
      groupId: "",
      topics: [],
      groups,
      requireStable: false,
    });
    expect(many.groups).toMatchObject([{ errorCode: ErrorCode.NOT_COORDINATOR, topics: [] }]);
    const there = started();
    const stranger = { generationIdOrMemberEpoch: 3, memberId: "m" };
    expect(commit(there, 8, 1, stranger)).toBe(ErrorCode.ILLEGAL_GENERATION);
    expect(commit(there, 9, 1, stranger)).toBe(ErrorCode.GROUP_ID_NOT_FOUND);
  });

  test("broker: a commit is answered when it is durable, and only then survives a power cut", () => {
    const node = started();
    commit(node, 9, 1);
    node.autoSync = false;
    const waiting = send(node, "OffsetCommit", 9, commitRequest(node, 9, 2));
    const shown = send(node, "OffsetFetch", 7, {
      groupId: "g",
      topics: [{ name: "t", partitionIndexes: [0] }],
      groups: [],
      requireStable: false,
    });
    expect([node.answerTo(waiting), node.answerTo(shown)]).toEqual([undefined, undefined]);
    const cut = node.powerCut();
    find(cut);
    expect(committed(cut)).toBe(1);
    node.sync();
    node.settle();
    expect(codeOf(answer<OffsetCommitResponse>(node, "OffsetCommit", waiting))).toBe(0);
    const later = node.powerCut();
    find(later);
    expect(committed(later)).toBe(2);
  });

  test("broker: offsets of a topic that is deleted are forgotten", () => {
    const node = started(quick, ["t", "u"]);
    commit(node, 9, 1);
    commit(node, 9, 2, { topic: "u" });
    const { broker } = node.node;
    const topic = broker.image.topicByName("t");
    if (topic === undefined) throw new Error("the topic is there");
    broker.begin(node);
    broker.groups.topicDeleted(topic);
    broker.end();
    node.settle();
    expect([committed(node), committed(node, "g", "u")]).toEqual([-1, 2]);
    const again = node.powerCut();
    find(again);
    expect([committed(again), committed(again, "g", "u")]).toEqual([-1, 2]);
  });
});

describe("broker: groups as administrators see them", () => {
  test("broker: groups of all shards are listed, by state and by type (v0-5)", () => {
    const node = started();
    joined(node);
    for (let i = 0; i < 20; i += 1) commit(node, 9, 1, { groupId: `offsets-${i}` });
    const list = (version: number, over: object = {}): ListGroupsResponse["groups"] =>
      ask<ListGroupsResponse>(node, "ListGroups", version, {
        statesFilter: [],
        typesFilter: [],
        ...over,
      }).groups;
    for (let version = 0; version <= 5; version += 1)
      expect([version, list(version).length]).toEqual([version, 21]);
    expect(list(4, { statesFilter: ["stable"] })).toMatchObject([
      { groupId: "g", protocolType: "consumer", groupState: "Stable" },
    ]);
    expect(list(4, { statesFilter: ["EMPTY"] }).length).toBe(20);
    expect(list(4, { statesFilter: ["Nonsense"] })).toEqual([]);
    expect(list(5, { typesFilter: ["Classic"] })[0]?.groupType).toBe("classic");
    expect(list(5, { typesFilter: ["consumer", "nonsense"] })).toEqual([]);
  });

  test("broker: groups are described in every version, and found or not as the version says", () => {
    const node = started();
    const { memberId } = joined(node);
    for (let version = 0; version <= 6; version += 1) {
      expect(describeGroup(node, version)).toMatchObject({
        errorCode: 0,
        groupState: "Stable",
        protocolType: "consumer",
        protocolData: "range",
        members: [
          {
            memberId,
            clientId: "test",
            clientHost: "/127.0.0.1",
            memberMetadata: subscription,
            memberAssignment: new Uint8Array([7]),
          },
        ],
      });
      expect(describeGroup(node, version, "nobody")).toMatchObject(
        version < 6
          ? {
              errorCode: 0,
              groupState: "Dead",
              authorizedOperations: version < 3 ? -2147483648 : 3400,
            }
          : {
              errorCode: ErrorCode.GROUP_ID_NOT_FOUND,
              groupState: "Dead",
              errorMessage: "Group nobody not found.",
              authorizedOperations: -2147483648,
            },
      );
    }
    expect(describeGroup(node, 5).authorizedOperations).toBe(3400);
    expect(describeGroup(node, 2).authorizedOperations).toBe(-2147483648);
    expect(
      ask<DescribeGroupsResponse>(node, "DescribeGroups", 6, {
        groups: [],
        includeAuthorizedOperations: false,
      }).groups,
    ).toEqual([]);
  });

  test("broker: groups are deleted in every version", () => {
    for (let version = 0; version <= 3; version += 1) {
      const node = started();
      joined(node);
      commit(node, 9, 1, { groupId: "offsets" });
      const response = ask<{
        results: { groupId: string; errorCode: number; errorMessage: string | null }[];
      }>(node, "DeleteGroups", version, { groupsNames: ["g", "offsets", "nobody", "offsets"] });
      const words = version >= 3;
      expect(
        response.results.map((each) => [each.groupId, each.errorCode, each.errorMessage]),
      ).toEqual([
        ["g", ErrorCode.NON_EMPTY_GROUP, words ? "Group g has members." : null],
        ["offsets", 0, null],
        ["nobody", ErrorCode.GROUP_ID_NOT_FOUND, words ? "Group nobody not found." : null],
      ]);
      expect(committed(node, "offsets")).toBe(-1);
    }
  });

  test("broker: offsets are deleted, but not of topics that members read", () => {
    const node = started(quick, ["t", "u"]);
    const { memberId, generationId } = joined(node);
    for (const topic of ["t", "u"])
      commit(node, 9, 1, { topic, memberId, generationIdOrMemberEpoch: generationId });
    const topics = ["t", "u", "nobody"].map((name) => ({
      name,
      partitions: [{ partitionIndex: 0 }, { partitionIndex: 99 }],
    }));
    const response = ask<OffsetDeleteResponse>(node, "OffsetDelete", 0, { groupId: "g", topics });
    expect([
      response.errorCode,
      response.topics.map((topic) => topic.partitions.map((each) => each.errorCode)),
    ]).toEqual([
      0,
      [
        [86, 3],
        [0, 3],
        [3, 3],
      ],
    ]);
    expect([committed(node), committed(node, "g", "u")]).toEqual([1, -1]);
    const missing = ask<OffsetDeleteResponse>(node, "OffsetDelete", 0, {
      groupId: "nobody",
      topics,
    });
    expect([missing.errorCode, missing.topics]).toEqual([ErrorCode.GROUP_ID_NOT_FOUND, []]);
  });
});

describe("broker: the log of a shard", () => {
  test("broker: after a power cut the group goes on with its members and offsets", () => {
    const node = started();
    const { memberId, generationId } = joined(node);
    commit(node, 9, 33, { memberId, generationIdOrMemberEpoch: generationId });
    const again = node.powerCut();
    find(again);
    // Asked before the shard is loaded: the answer waits for it.
    const beat = send(again, "Heartbeat", 4, {
      groupId: "g",
      generationId,
      memberId,
      groupInstanceId: null,
    });
    expect(answer<{ errorCode: number }>(again, "Heartbeat", beat)?.errorCode).toBe(0);
    expect(sync(again, memberId, generationId, []).assignment).toEqual(new Uint8Array([7]));
    expect(committed(again)).toBe(33);
  });

  test(
    "broker: shards are loaded in the background, so that silent members expire unasked",
    () => {
      const node = started();
      const { memberId } = joined(node);
      const again = node.powerCut();
      for (let i = 0; i < 60; i += 1) again.tick(10);
      again.tick(10_000);
      again.tick(10_000);
      expect(describeGroup(again)).toMatchObject({ groupState: "Empty", members: [] });
      expect(memberId).not.toBe("");
    },
    longMs,
  );

  test("broker: while the disk is full commits are refused and the group lives; its members sync again later", () => {
    const node = started();
    const { memberId, generationId } = joined(node);
    commit(node, 9, 1, { memberId, generationIdOrMemberEpoch: generationId });
    const full = (takesWrites: boolean): void => {
      node.node.step({ kind: "disk-state", takesWrites: !takesWrites }, node);
      node.settle();
    };
    full(true);
    expect(commit(node, 9, 2, { memberId, generationIdOrMemberEpoch: generationId })).toBe(
      ErrorCode.NOT_COORDINATOR,
    );
    expect(committed(node)).toBe(1);
    expect(
      ask<{ errorCode: number }>(node, "Heartbeat", 4, {
        groupId: "g",
        generationId,
        memberId,
        groupInstanceId: null,
      }).errorCode,
    ).toBe(0);
    const rejoined = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest({ memberId }));
    expect(rejoined.generationId).toBe(generationId + 1);
    // The new generation cannot be kept: the shard falls back to what its log says.
    expect(sync(node, memberId, rejoined.generationId, []).errorCode).toBe(
      ErrorCode.NOT_COORDINATOR,
    );
    expect(sync(node, memberId, generationId, []).assignment).toEqual(new Uint8Array([7]));
    full(false);
    expect(commit(node, 9, 3, { memberId, generationIdOrMemberEpoch: generationId })).toBe(0);
    expect(committed(node)).toBe(3);
  });

  test(
    "broker: a commit waits while the ring is full, and gives up after five seconds",
    () => {
      const node = started(quick, ["t"], new MemoryDisk(64 * 1024));
      commit(node, 9, 1);
      node.autoSync = false;
      const waiting: Call[] = [];
      for (let i = 0; i < 40; i += 1)
        waiting.push(
          send(
            node,
            "OffsetCommit",
            9,
            commitRequest(node, 9, 100 + i, { metadata: "m".repeat(4_000) }),
          ),
        );
      expect(waiting.some((call) => node.answerTo(call) !== undefined)).toBe(false);
      node.sync();
      node.settle();
      expect(codeOf(answer<OffsetCommitResponse>(node, "OffsetCommit", waiting[0] as Call))).toBe(
        0,
      ); // proof: pushed above
      node.autoSync = true;
      for (let i = 0; i < 10; i += 1) node.tick(10);
      expect(
        waiting.map((call) => codeOf(answer<OffsetCommitResponse>(node, "OffsetCommit", call))),
      ).toEqual(waiting.map(() => 0));
      expect(committed(node)).toBe(139);
      node.autoSync = false;
      const lost = Array.from({ length: 40 }, (_, i) =>
        send(
          node,
          "OffsetCommit",
          9,
          commitRequest(node, 9, 200 + i, { metadata: "m".repeat(4_000) }),
        ),
      );
      for (let i = 0; i < 60; i += 1) node.tick(100);
      const codes = new Set(
        lost.map((call) => codeOf(answer<OffsetCommitResponse>(node, "OffsetCommit", call))),
      );
      expect([...codes]).toEqual([ErrorCode.COORDINATOR_NOT_AVAILABLE]);
      node.autoSync = true;
      node.tick(10);
      node.tick(10);
      // What had reached the log counts, although nobody was told so.
      expect(committed(node)).toBeGreaterThanOrEqual(200);
      expect(commit(node, 9, 300)).toBe(0);
    },
    longMs,
  );

  test("broker: a shard that cannot be read answers retriably, and loads again when it can", () => {
    const node = started();
    commit(node, 9, 5);
    const again = node.powerCut();
    const { disk } = again;
    const read = disk.read.bind(disk);
    for (const status of ["failed", "damaged"] as const) {
      disk.read = (part) => ({ status, records: noBytes, nextOffset: part.offset });
      find(again);
      const response = ask<OffsetFetchResponse>(again, "OffsetFetch", 7, {
        groupId: "g",
        topics: [{ name: "t", partitionIndexes: [0] }],
        groups: [],
        requireStable: false,
      });
      expect([status, response.errorCode]).toEqual([status, ErrorCode.NOT_COORDINATOR]);
    }
    disk.read = (part, bytesMax, first) => ({
      ...read(part, bytesMax, first),
      records: new Uint8Array(80),
    });
    expect(commit(again, 9, 6)).toBe(ErrorCode.NOT_COORDINATOR);
    disk.read = read;
    expect(committed(again)).toBe(5);
  });

  test(
    "broker: a log that has grown is rewritten and trimmed, and says the same",
    () => {
      const node = started();
      const { memberId, generationId } = joined(node);
      const member = { memberId, generationIdOrMemberEpoch: generationId };
      for (let i = 0; i < 500; i += 1)
        commit(node, 9, i, { groupId: "g", partition: i % 3, ...member });
      const slot = shardSlot(node);
      const { partitions } = node.node.broker;
      expect(partitions.logStartOf(slot) as number).toBe(0);
      const metadata = "m".repeat(4_096);
      const commits = Math.ceil(groupLogGrowthMax / 4_096) + 10;
      for (let i = 0; i < commits; i += 1)
        commit(node, 9, 10_000 + i, { partition: i % 3, metadata, ...member });
      for (let i = 0; i < 5; i += 1) node.tick(10);
      const start = partitions.logStartOf(slot) as number;
      expect(start).toBeGreaterThan(commits - 20);
      expect((partitions.endOf(slot) as number) - start).toBeLessThan(30);
      const again = node.powerCut();
      find(again);
      const last = 10_000 + commits - 1;
      const shown = [0, 1, 2].map((partition) => committed(again, "g", "t", partition) ?? -1);
      expect(shown.sort()).toEqual([last - 2, last - 1, last]);
      expect(describeGroup(again)).toMatchObject({ groupState: "Stable", members: [{ memberId }] });
    },
    longMs,
  );

  test("broker: the topic of the groups cannot be created: the coordinator is not available, and is looked for anew", () => {
    const node = new OneNode({ "offsets.topic.replication.factor": "3" });
    for (let i = 0; i < 2; i += 1) {
      expect(find(node, 0)).toMatchObject({
        errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE,
        nodeId: -1,
      });
      expect(ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest()).errorCode).toBe(
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
      );
    }
  });

  test(
    "broker: requests that come during a load are bounded, and the rest is answered by it",
    () => {
      const again = startedWith(1).powerCut();
      const beat = { groupId: "g", generationId: 1, memberId: "m", groupInstanceId: null };
      const calls = Array.from({ length: groupRequestsParkedMax + 1 }, () =>
        again.send("Heartbeat", 4, beat),
      );
      again.settle();
      const codes = new Map(
        again.answers.map(({ call, response }) => [
          call,
          (response as { errorCode: number }).errorCode,
        ]),
      ); // proof: heartbeats only
      expect(codes.get(calls.at(-1) as Call)).toBe(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS); // proof: sent above
      expect(new Set(calls.slice(0, -1).map((call) => codes.get(call)))).toEqual(
        new Set([ErrorCode.UNKNOWN_MEMBER_ID]),
      );
    },
    longMs,
  );

  test(
    "broker: batches that wait for their commit are bounded",
    () => {
      const node = started();
      node.autoSync = false;
      const request = overTheWire("OffsetCommit", 9, commitRequest(node, 9, 1));
      const calls = Array.from({ length: groupAppendsMax + 1 }, () =>
        node.send("OffsetCommit", 9, request),
      );
      node.settle();
      expect(calls.slice(0, -1).some((call) => node.answerTo(call) !== undefined)).toBe(false);
      expect(codeOf(node.answerTo(calls.at(-1) as Call))).toBe(
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
      ); // proof: sent above
    },
    longMs,
  );

  test(
    "broker: many records become several batches, one answer when the last is committed",
    () => {
      const node = started();
      const groupId = "long".repeat(8_000);
      const count = Math.ceil(groupBatchBytes / groupId.length) + 4;
      const partitions = Array.from({ length: count }, (_, at) => ({
        partitionIndex: at % 3,
        committedOffset: at,
        committedLeaderEpoch: -1,
        committedMetadata: "",
      }));
      const request = {
        ...commitRequest(node, 9, 0),
        groupId,
        topics: [{ name: "t", topicId: noTopicId, partitions }],
      };
      const before = node.disk.tail as number;
      node.autoSync = false;
      const waiting = send(node, "OffsetCommit", 9, request);
      expect((node.disk.tail as number) - before).toBeGreaterThan(groupBatchBytes);
      expect(node.answerTo(waiting)).toBeUndefined();
      node.sync();
      node.settle();
      const response = answer<OffsetCommitResponse>(node, "OffsetCommit", waiting);
      expect(response?.topics[0]?.partitions.map((each) => each.errorCode)).toEqual(
        partitions.map(() => 0),
      );
      expect(committed(node, groupId)).toBe(
        partitions.findLast((each) => each.partitionIndex === 0)?.committedOffset,
      );
    },
    longMs,
  );

  test(
    "broker: a group whose metadata fits in no record gets 10 and may try again",
    () => {
      const node = started();
      const id = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest()).memberId;
      const first = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest({ memberId: id }));
      const assignment = new Uint8Array(groupMetadataBytesMax);
      expect(sync(node, id, first.generationId, [{ memberId: id, assignment }]).errorCode).toBe(
        ErrorCode.MESSAGE_TOO_LARGE,
      );
      const second = ask<JoinGroupResponse>(node, "JoinGroup", 9, joinRequest({ memberId: id }));
      expect(
        sync(node, id, second.generationId, [
          { memberId: id, assignment: assignment.subarray(0, groupMetadataBytesMax - 4_096) },
        ]).errorCode,
      ).toBe(0);
    },
    longMs,
  );

  test(
    "broker: a shard is loaded by several reads",
    () => {
      const again = startedWith(Math.ceil((2.5 * groupLoadBytes) / 4_096)).powerCut();
      let reads = 0;
      const read = again.disk.read.bind(again.disk);
      again.disk.read = (...of) => {
        reads += 1;
        return read(...of);
      };
      find(again);
      expect(committed(again)).toBe(Math.ceil((2.5 * groupLoadBytes) / 4_096));
      expect(reads).toBeGreaterThan(2);
    },
    longMs,
  );
});

/** A node whose group "g" has committed 1, 2, ... up to `commits`, each with 4 KiB of metadata. */
function startedWith(commits: number): OneNode {
  const node = started();
  for (let i = 1; i <= commits; i += 1) commit(node, 9, i, { metadata: "m".repeat(4_096) });
  return node;
}
