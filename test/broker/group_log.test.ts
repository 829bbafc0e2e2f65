// The log of a shard of groups, on disks in memory: what a power cut may take, and how the log is
// loaded, starved, bounded and rewritten.

import { describe, expect, test } from "bun:test";
import type { JoinGroupResponse } from "../../proto/kafka/11_join_group.ts";
import type { OffsetCommitResponse } from "../../proto/kafka/08_offset_commit.ts";
import type { OffsetFetchResponse } from "../../proto/kafka/09_offset_fetch.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import {
  groupAppendsMax,
  groupBatchBytes,
  groupLoadBytes,
  groupLogGrowthMax,
  groupLogSegmentsMax,
  groupMetadataBytesMax,
  groupRequestsParkedMax,
} from "../../src/core/base/limits.ts";
import type { Call } from "../../src/core/base/node_contract.ts";
import { MemoryDisk } from "../sim/memory_disk.ts";
import { OneNode } from "../sim/one_node.ts";
import {
  longMs,
  quick,
  overTheWire,
  send,
  answer,
  ask,
  find,
  started,
  noBytes,
  joinRequest,
  joined,
  sync,
  commitRequest,
  commit,
  codeOf,
  committed,
  shardSlot,
  describeGroup,
  startedWith,
} from "./group_asks.ts";

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

  test("broker: live records are appended again when the node's log has left them far behind", () => {
    const node = started();
    const { memberId, generationId } = joined(node);
    commit(node, 9, 33, { memberId, generationIdOrMemberEpoch: generationId });
    const slot = shardSlot(node);
    const { broker } = node.node;
    const before = broker.partitions.endOf(slot) as number;
    // What other partitions would have written: the counter is all that the shard looks at.
    broker.appendedBytes += (groupLogSegmentsMax - 1) * broker.settings.segmentBytes;
    for (let i = 0; i < 5; i += 1) node.tick(10);
    expect(broker.partitions.logStartOf(slot) as number).toBe(0);
    broker.appendedBytes += 2 * broker.settings.segmentBytes;
    for (let i = 0; i < 5; i += 1) node.tick(10);
    expect(broker.partitions.logStartOf(slot) as number).toBe(before);
    const again = node.powerCut();
    find(again);
    expect(committed(again, "g", "t", 0) as number).toBe(33);
    expect(describeGroup(again)).toMatchObject({ groupState: "Stable", members: [{ memberId }] });
  });

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

  test("broker: offsets of a group without members expire, but not while the disk is full", () => {
    const retention = {
      "offsets.retention.minutes": "1",
      "offsets.retention.check.interval.ms": "1000",
    };
    const node = started({ ...quick, ...retention });
    commit(node, 9, 5);
    node.tick(59_000);
    node.tick(10);
    expect(committed(node)).toBe(5);
    node.node.step({ kind: "disk-state", takesWrites: false }, node);
    node.tick(2_000);
    expect(committed(node)).toBe(5);
    node.node.step({ kind: "disk-state", takesWrites: true }, node);
    node.tick(2_000);
    expect(committed(node)).toBe(-1);
    expect(describeGroup(node).groupState).toBe("Dead");
    const again = node.powerCut();
    find(again);
    expect([committed(again), describeGroup(again).groupState]).toEqual([-1, "Dead"]);
  });
});
