import { expect, test } from "bun:test";
import { ErrorCode } from "../base/error_code.ts";
import { none, noTopicId, offset, partitionIndex, type TopicId, topicId } from "../base/ids.ts";
import type { CommitRequest } from "./coordinator.ts";
import { bytesOf, subscription, Trial } from "./trial.ts";

const day = 24 * 3_600_000;
const first = topicId("AAAAAAAAAAAAAAAAAAAAAQ");
const second = topicId("AAAAAAAAAAAAAAAAAAAAAg");

function at(
  topic: string,
  partition: number,
  value: number,
  id: TopicId = noTopicId,
  metadata: string | null = "",
) {
  return {
    topics: [
      {
        name: topic,
        topicId: id,
        partitions: [
          {
            partition: partitionIndex(partition),
            offset: offset(value),
            leaderEpoch: none,
            metadata,
          },
        ],
      },
    ],
  };
}

/** A group in each state, and what a commit of each kind gets there. */
test("coordinator: a commit is judged by state, member and generation (one row per case)", () => {
  type Case = [string, (trial: Trial) => Partial<CommitRequest>, number];
  const stable = (trial: Trial): { memberId: string; generation: number } => {
    const { ids, generation } = trial.stable(1);
    return { memberId: ids[0] ?? "", generation };
  };
  const table: Case[] = [
    ["no group, no member", () => ({}), 0],
    [
      "no group, a generation, v9",
      () => ({ generation: 1, memberId: "m" }),
      ErrorCode.GROUP_ID_NOT_FOUND,
    ],
    [
      "no group, a generation, v8",
      () => ({ generation: 1, memberId: "m", knowsGroupIdNotFound: false }),
      ErrorCode.ILLEGAL_GENERATION,
    ],
    ["stable, its member", stable, 0],
    ["stable, no member", (trial) => (stable(trial), {}), ErrorCode.UNKNOWN_MEMBER_ID],
    [
      "stable, a stranger",
      (trial) => ({ ...stable(trial), memberId: "stranger" }),
      ErrorCode.UNKNOWN_MEMBER_ID,
    ],
    [
      "stable, a stranger without generation",
      (trial) => (stable(trial), { memberId: "stranger" }),
      ErrorCode.UNKNOWN_MEMBER_ID,
    ],
    [
      "stable, its member without generation",
      (trial) => ({ ...stable(trial), generation: -1 }),
      ErrorCode.ILLEGAL_GENERATION,
    ],
    [
      "stable, an old generation",
      (trial) => ({ ...stable(trial), generation: 0 }),
      ErrorCode.ILLEGAL_GENERATION,
    ],
    [
      "stable, a generation to come",
      (trial) => ({ ...stable(trial), generation: 2 }),
      ErrorCode.ILLEGAL_GENERATION,
    ],
    [
      "stable, an instance id that nobody has",
      (trial) => ({ ...stable(trial), instanceId: "i" }),
      ErrorCode.UNKNOWN_MEMBER_ID,
    ],
    [
      "while members join, the generation before",
      (trial) => {
        const member = stable(trial);
        trial.member();
        return member;
      },
      0,
    ],
    [
      "before the assignment",
      (trial) => {
        const { id } = trial.member();
        trial.pass(3_000);
        return { memberId: id, generation: 1 };
      },
      ErrorCode.REBALANCE_IN_PROGRESS,
    ],
    [
      "empty, no member",
      (trial) => {
        trial.leave({ memberId: stable(trial).memberId });
        return {};
      },
      0,
    ],
    [
      "empty, the member that left",
      (trial) => {
        const member = stable(trial);
        trial.leave({ memberId: member.memberId });
        return member;
      },
      ErrorCode.UNKNOWN_MEMBER_ID,
    ],
  ];
  for (const [name, request, code] of table) {
    const trial = new Trial();
    expect([name, trial.commit(5, request(trial))]).toEqual([name, code]);
    expect([name, trial.committed()]).toEqual([name, code === 0 ? 5 : null]);
  }
});

test("coordinator: commit metadata is kept, up to its limit (offset.metadata.max.bytes)", () => {
  const trial = new Trial();
  expect(trial.commit(0, at("t", 0, 1, noTopicId, "m".repeat(4_096)))).toBe(0);
  expect(trial.commit(0, at("t", 0, 2, noTopicId, "m".repeat(4_097)))).toBe(
    ErrorCode.OFFSET_METADATA_TOO_LARGE,
  );
  expect(trial.commit(0, at("t", 1, 3, noTopicId, null))).toBe(0);
  expect(trial.shard.committed("g", "t", noTopicId, partitionIndex(0))).toMatchObject({
    offset: 1,
    metadata: "m".repeat(4_096),
  });
  expect(trial.shard.committed("g", "t", noTopicId, partitionIndex(1))?.metadata).toBe("");
});

test("coordinator: an offset of a topic that was created anew is not shown for the new one", () => {
  const trial = new Trial();
  trial.commit(0, at("t", 0, 9, first));
  expect(trial.shard.committed("g", "t", first, partitionIndex(0))?.offset).toBe(offset(9));
  expect(trial.shard.committed("g", "t", noTopicId, partitionIndex(0))?.offset).toBe(offset(9));
  expect(trial.shard.committed("g", "t", second, partitionIndex(0))).toBeNull();
});

test("coordinator: the offsets of a deleted topic are forgotten, those of its successor are not", () => {
  const trial = new Trial();
  trial.commit(0, at("t", 0, 1, first));
  trial.commit(0, at("t", 1, 2, second));
  trial.commit(0, at("t", 2, 3));
  trial.commit(0, at("u", 0, 4, first));
  trial.turn((turn) => trial.shard.topicDeleted(turn, "t", first));
  expect([0, 1, 2].map((partition) => trial.committed("t", partition))).toEqual([null, 2, null]);
  expect(trial.committed("u")).toBe(4);
});

test("coordinator: offsets of topics that the group reads are not deleted, others are", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(1, {
    protocols: [{ name: "range", metadata: subscription("read") }],
  });
  for (const topic of ["read", "left"])
    trial.commit(0, { ...at(topic, 0, 1), generation, memberId: ids[0] ?? "" });
  const topics = ["read", "left", "never"].map((name) => ({
    name,
    partitions: [partitionIndex(0), partitionIndex(1)],
  }));
  const answer = trial.turn((turn) => trial.shard.deleteOffsets(turn, { groupId: "g", topics }));
  expect(answer).toEqual({ code: 0, codes: [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, 0, 0] });
  expect([trial.committed("read"), trial.committed("left")]).toEqual([1, null]);
});

test("coordinator: deleting offsets is refused with Kafka's code (one row per refusal)", () => {
  const ask = (trial: Trial) => {
    const topics = [{ name: "t", partitions: [partitionIndex(0)] }];
    return trial.turn((turn) => trial.shard.deleteOffsets(turn, { groupId: "g", topics }));
  };
  expect(ask(new Trial()).code).toBe(ErrorCode.GROUP_ID_NOT_FOUND);
  const connect = new Trial();
  connect.stable(1, { protocolType: "connect" });
  expect(ask(connect).code).toBe(ErrorCode.NON_EMPTY_GROUP);
  const unreadable = new Trial();
  unreadable.stable(1, { protocols: [{ name: "range", metadata: bytesOf("?") }] });
  expect(ask(unreadable)).toEqual({ code: 0, codes: [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC] });
  const empty = new Trial();
  empty.leave({ memberId: empty.stable(1).ids[0] ?? "" });
  expect(ask(empty)).toEqual({ code: 0, codes: [0] });
});

function deleteGroup(trial: Trial, groupId = "g"): number {
  return trial.turn((turn) => trial.shard.delete(turn, groupId));
}

test("coordinator: a group is deleted with all it keeps, unless it has members", () => {
  const trial = new Trial();
  expect(deleteGroup(trial)).toBe(ErrorCode.GROUP_ID_NOT_FOUND);
  const { ids, generation } = trial.stable(1);
  trial.commit(1, { generation, memberId: ids[0] ?? "" });
  expect(deleteGroup(trial)).toBe(ErrorCode.NON_EMPTY_GROUP);
  trial.leave({ memberId: ids[0] ?? "" });
  expect(deleteGroup(trial)).toBe(0);
  expect(trial.log.slice(-2).map((record) => record.kind)).toEqual([
    "offset-tombstone",
    "group-tombstone",
  ]);
  expect([trial.state(), trial.committed()]).toEqual(["Dead", null]);
  trial.reload();
  expect([trial.state(), trial.committed()]).toEqual(["Dead", null]);
});

test("coordinator: a group of offsets only is empty, and deleted with its last offset", () => {
  const trial = new Trial();
  trial.commit(1);
  expect(trial.state()).toBe("Empty");
  expect(deleteGroup(trial)).toBe(0);
  expect(trial.state()).toBe("Dead");
  expect(trial.log.at(-1)?.kind).toBe("offset-tombstone");
});

test("coordinator: deleting an empty group voids the member ids given out", () => {
  const trial = new Trial();
  trial.leave({ memberId: trial.stable(1).ids[0] ?? "" });
  const unused = trial.join().answer?.memberId ?? "";
  expect(deleteGroup(trial)).toBe(0);
  expect(trial.state()).toBe("Dead");
  expect(trial.join({ memberId: unused }).answer?.code).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
});

/** Time passes without a tick for each step; one sweep looks at the end. */
function later(trial: Trial, ms: number): void {
  trial.wall += ms;
  trial.pass(trial.settings.retentionCheckMs + 200);
}

test("coordinator: offsets of a group without membership expire a retention time after their commit", () => {
  const trial = new Trial();
  trial.commit(0, at("old", 0, 1));
  later(trial, 6 * day);
  trial.commit(0, at("new", 0, 2));
  later(trial, day);
  expect([trial.committed("old"), trial.committed("new")]).toEqual([null, 2]);
  later(trial, 7 * day);
  expect(trial.state()).toBe("Dead");
});

test("coordinator: offsets of a group with members live until a retention time after it became empty", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(1, { sessionTimeoutMs: 1_800_000 });
  trial.commit(1, { generation, memberId: ids[0] ?? "" });
  later(trial, 30 * day);
  expect(trial.committed()).toBe(1);
  trial.leave({ memberId: ids[0] ?? "" });
  later(trial, 6 * day);
  expect(trial.committed()).toBe(1);
  later(trial, day);
  expect(trial.committed()).toBeNull();
  expect(trial.state()).toBe("Dead");
  expect(trial.log.at(-1)?.kind).toBe("group-tombstone");
});

test("coordinator: offsets of a topic that the members read no more expire while the group lives", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(1, { sessionTimeoutMs: 1_800_000 });
  const member = { generation, memberId: ids[0] ?? "" };
  trial.commit(0, { ...at("t", 0, 1), ...member });
  trial.commit(0, { ...at("left", 0, 2), ...member });
  later(trial, 7 * day);
  expect([trial.committed("t"), trial.committed("left")]).toEqual([1, null]);
  expect(trial.state()).toBe("Stable");
});

test("coordinator: nothing expires while nobody knows what the members read (one row per reason)", () => {
  for (const known of [
    { protocolType: "connect" },
    { protocols: [{ name: "range", metadata: bytesOf("?") }] },
  ]) {
    const trial = new Trial();
    const { ids, generation } = trial.stable(1, { sessionTimeoutMs: 1_800_000, ...known });
    trial.commit(0, { ...at("left", 0, 2), generation, memberId: ids[0] ?? "" });
    later(trial, 30 * day);
    expect(trial.committed("left")).toBe(2);
  }
});

test("coordinator: a retention time of its own expires an offset (OffsetCommit v2-4)", () => {
  const trial = new Trial();
  trial.commit(0, { ...at("short", 0, 1), retentionMs: day });
  trial.commit(0, { ...at("hostile", 0, 2), retentionMs: Number.MAX_SAFE_INTEGER });
  later(trial, 2 * day);
  expect([trial.committed("short"), trial.committed("hostile")]).toEqual([null, 2]);
});

test("coordinator: an empty group without offsets is forgotten by the next look", () => {
  const trial = new Trial();
  trial.leave({ memberId: trial.stable(1).ids[0] ?? "" });
  later(trial, 0);
  expect(trial.state()).toBe("Dead");
  expect(trial.log.at(-1)?.kind).toBe("group-tombstone");
});

test("coordinator: a look for expired offsets goes on over several ticks", () => {
  const trial = new Trial();
  const groups = 30;
  const partitions = Array.from({ length: 1_000 }, (_, i) => ({
    partition: partitionIndex(i),
    offset: offset(i),
    leaderEpoch: none,
    metadata: "",
  }));
  for (let i = 0; i < groups; i += 1) {
    trial.commit(0, { groupId: `g${i}`, topics: [{ name: "t", topicId: noTopicId, partitions }] });
  }
  trial.wall += 8 * day;
  trial.now += trial.settings.retentionCheckMs;
  const left = (): number => trial.shard.list(new Set()).length;
  trial.tick();
  expect(left()).toBe(20);
  trial.tick();
  trial.tick();
  expect(left()).toBe(0);
});

test("coordinator: groups are listed by state, in any order of joining", () => {
  const trial = new Trial();
  trial.stable(1);
  trial.commit(1, { groupId: "offsets" });
  const listed = (...states: string[]) =>
    trial.shard
      .list(new Set(states))
      .map((group) => [group.groupId, group.protocolType, group.state]);
  expect(listed()).toEqual([
    ["g", "consumer", "Stable"],
    ["offsets", "", "Empty"],
  ]);
  expect(listed("empty")).toEqual([["offsets", "", "Empty"]]);
  expect(listed("stable", "empty").length).toBe(2);
  expect(listed("dead")).toEqual([]);
});

test("coordinator: a stable group shows protocol and subscriptions, another does not", () => {
  const trial = new Trial();
  const { ids } = trial.stable(1);
  const stable = trial.shard.describe("g");
  expect(stable).toMatchObject({ state: "Stable", protocolType: "consumer", protocol: "range" });
  expect(stable?.members[0]).toMatchObject({
    memberId: ids[0] ?? "",
    clientId: "client",
    clientHost: "/127.0.0.1",
    metadata: subscription("t"),
    assignment: bytesOf(`parts of ${ids[0]}`),
  });
  trial.join({
    memberId: ids[0] ?? "",
    protocols: [{ name: "range", metadata: subscription("u") }],
  });
  trial.member();
  expect(trial.shard.describe("g")).toMatchObject({ state: "PreparingRebalance", protocol: "" });
  expect(trial.shard.describe("nobody")).toBeNull();
});
