// The group APIs of the shipping broker, on disks in memory: each in each version through its own
// codec, refusals and answers.

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
import { noTopicId } from "../../src/core/base/ids.ts";
import { OneNode } from "../sim/one_node.ts";
import {
  longMs,
  offsetsTopic,
  quick,
  overTheWire,
  send,
  answer,
  ask,
  find,
  started,
  idOf,
  noBytes,
  subscription,
  joinRequest,
  joined,
  syncRequest,
  sync,
  commitRequest,
  commit,
  codeOf,
  committed,
  describeGroup,
} from "./group_asks.ts";

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
