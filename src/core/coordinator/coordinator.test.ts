import { expect, test } from "bun:test";
import { Random } from "../base/random.ts";
import { none, noTopicId, offset, partitionIndex } from "../base/ids.ts";
import { groupsPerShardMax, pendingMembersPerGroupMax } from "../base/limits.ts";
import { ErrorCode } from "../base/error_code.ts";
import { type GroupRecord, Shard, shardOf } from "./coordinator.ts";
import { textOf, Trial, trialSettings } from "./trial.ts";

/** Beside busy neighbours; timing decides nothing here. */
const longMs = 120_000;

test("coordinator: a group lies in the partition that Java's hash says (values of Kafka 4.4.0)", () => {
  const table: [string, number][] = [
    ["", 0],
    ["g", 3],
    ["hello", 22],
    ["my-consumer-group", 13],
    ["polygenelubricants", 0],
    ["grüße", 23],
    ["😀 group", 6],
  ];
  for (const [group, partition] of table)
    expect([group, shardOf(group, 50)]).toEqual([group, partition]);
});

test("coordinator: after a restart members have their assignment, their generation and a fresh session", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(2);
  trial.pass(9_000);
  trial.reload();
  expect(trial.state()).toBe("Stable");
  trial.pass(9_900);
  for (const id of ids) {
    expect(trial.heartbeat(id, generation)).toBe(0);
    expect(textOf(trial.sync(id, generation).answer?.assignment ?? new Uint8Array())).toBe(
      `parts of ${id}`,
    );
  }
  expect(trial.join({ memberId: ids[1] ?? "" }).answer).toMatchObject({
    code: 0,
    leader: ids[0] ?? "",
    generation,
  });
});

test("coordinator: after a restart silent members are expelled and the group becomes empty", () => {
  const trial = new Trial();
  trial.stable(2);
  trial.reload();
  trial.pass(9_900);
  expect(trial.state()).toBe("Stable");
  trial.pass(100);
  expect(trial.state()).toBe("Empty");
});

test("coordinator: a restart forgets a rebalance under way, and the generation before it goes on", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(1);
  const newcomer = trial.member();
  trial.join({ memberId: ids[0] ?? "" });
  expect(newcomer.asked.answer?.generation).toBe(generation + 1);
  trial.reload();
  expect(trial.heartbeat(newcomer.id, generation + 1)).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(trial.heartbeat(ids[0] ?? "", generation + 1)).toBe(ErrorCode.ILLEGAL_GENERATION);
  expect(trial.heartbeat(ids[0] ?? "", generation)).toBe(0);
});

test("coordinator: static members are known after a restart", () => {
  const trial = new Trial();
  const asked = trial.join({ instanceId: "one" });
  trial.pass(3_000);
  const id = asked.answer?.memberId ?? "";
  trial.sync(id, 1, { [id]: "all" }, { instanceId: "one" });
  trial.reload();
  expect(trial.heartbeat(id, 1, "one")).toBe(0);
  expect(trial.heartbeat("other", 1, "one")).toBe(ErrorCode.FENCED_INSTANCE_ID);
  const again = trial.join({ instanceId: "one" }).answer;
  expect(again).toMatchObject({ code: 0, generation: 1, skipAssignment: true });
});

function commitRecord(group: string, value: number): GroupRecord {
  const committed = {
    offset: offset(value),
    leaderEpoch: none,
    metadata: "",
    commitTimestamp: 1,
    expireTimestamp: -1,
    topicId: noTopicId,
  };
  return {
    kind: "offset-commit",
    group,
    topic: "t",
    partition: partitionIndex(0),
    value: committed,
  };
}

test("coordinator: records about what is not there change nothing", () => {
  const trial = new Trial();
  trial.log.push(
    { kind: "group-tombstone", group: "g" },
    { kind: "offset-tombstone", group: "g", topic: "t", partition: partitionIndex(0) },
  );
  trial.reload();
  expect(trial.shard.list(new Set())).toEqual([]);
});

test("coordinator: a group whose metadata is forgotten keeps its offsets", () => {
  const trial = new Trial();
  trial.leave({ memberId: trial.stable(1).ids[0] ?? "" });
  trial.log.push(commitRecord("g", 3), { kind: "group-tombstone", group: "g" });
  trial.reload();
  expect(trial.shard.list(new Set())).toEqual([{ groupId: "g", protocolType: "", state: "Empty" }]);
  expect(trial.committed()).toBe(3);
});

test("coordinator: live records build the same shard while others are applied in between", () => {
  const trial = new Trial();
  for (let i = 0; i < 10; i += 1) trial.log.push(commitRecord(`g${i}`, i));
  trial.reload();
  const rewritten: GroupRecord[] = [];
  let taken = 0;
  for (const record of trial.shard.liveRecords()) {
    rewritten.push(record);
    taken += 1;
    // Others come and go while the rewrite is under way; the log has them behind what was taken.
    const meanwhile: GroupRecord[] = [
      commitRecord(`g${taken}`, 100 + taken),
      {
        kind: "offset-tombstone",
        group: `g${9 - taken}`,
        topic: "t",
        partition: partitionIndex(0),
      },
    ];
    for (const each of taken <= 4 ? meanwhile : []) {
      trial.shard.apply(each);
      rewritten.push(each);
    }
  }
  const again = new Shard(trialSettings, new Random([1, 1, 1, 1], 1), () => []);
  for (const record of rewritten) again.apply(record);
  const sorted = (shard: Shard): string[] =>
    [...shard.liveRecords()].map((record) => JSON.stringify(record)).sort();
  expect(sorted(again)).toEqual(sorted(trial.shard));
  expect(sorted(again).length).toBe(6);
});

test(
  "coordinator: member ids that nobody uses are bounded per group",
  () => {
    const trial = new Trial();
    const codes = new Set<number | undefined>();
    trial.checked = false;
    for (let i = 0; i < pendingMembersPerGroupMax; i += 1) codes.add(trial.join().answer?.code);
    expect([...codes]).toEqual([ErrorCode.MEMBER_ID_REQUIRED]);
    expect(trial.join().answer?.code).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED);
    trial.shard.invariants();
  },
  longMs,
);

test(
  "coordinator: the groups of a shard are bounded, those that exist go on",
  () => {
    const trial = new Trial();
    for (let i = 0; i < groupsPerShardMax; i += 1) trial.log.push(commitRecord(`group-${i}`, i));
    trial.checked = false;
    trial.reload();
    expect(trial.join({ groupId: "new" }).answer?.code).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    expect(trial.commit(1, { groupId: "new" })).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    expect(trial.commit(1, { groupId: "group-7" })).toBe(0);
    expect(trial.join({ groupId: "group-7" }).answer?.code).toBe(ErrorCode.MEMBER_ID_REQUIRED);
  },
  longMs,
);
