import { expect, test } from "bun:test";
import { ErrorCode } from "../base/error_code.ts";
import { subscription, textOf, Trial } from "./trial.ts";

test("coordinator: each member gets its part when the leader hands in the assignment", () => {
  const trial = new Trial();
  const [first, second] = [trial.member(), trial.member()];
  trial.pass(6_000);
  const follower = trial.sync(second.id, 1);
  expect(follower.answer).toBeNull();
  const leader = trial.sync(first.id, 1, { [first.id]: "p0", [second.id]: "p1" });
  expect(textOf(leader.answer?.assignment ?? new Uint8Array())).toBe("p0");
  expect(follower.answer).toMatchObject({ code: 0, protocolType: "consumer", protocol: "range" });
  expect(textOf(follower.answer?.assignment ?? new Uint8Array())).toBe("p1");
  expect(trial.state()).toBe("Stable");
});

test("coordinator: a member that the leader does not name gets zero bytes", () => {
  const trial = new Trial();
  const [first, second] = [trial.member(), trial.member()];
  trial.pass(6_000);
  const follower = trial.sync(second.id, 1);
  trial.sync(first.id, 1, { [first.id]: "all" });
  expect(follower.answer?.code).toBe(0);
  expect(follower.answer?.assignment.byteLength).toBe(0);
});

test("coordinator: a sync is refused with Kafka's code (one row per refusal)", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(2);
  const [leader = "", follower = ""] = ids;
  const code = (...of: Parameters<Trial["sync"]>): number | undefined =>
    trial.sync(...of).answer?.code;
  expect(code("stranger", generation)).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(code(leader, generation, {}, { instanceId: "i" })).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(code(leader, generation - 1)).toBe(ErrorCode.ILLEGAL_GENERATION);
  expect(code(leader, generation + 1)).toBe(ErrorCode.ILLEGAL_GENERATION);
  expect(code(leader, generation, {}, { protocolType: "connect" })).toBe(
    ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
  );
  expect(code(leader, generation, {}, { protocol: "sticky" })).toBe(
    ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
  );
  expect(code(leader, generation, {}, { protocolType: "consumer", protocol: "range" })).toBe(0);
  trial.join({ memberId: leader });
  expect(code(follower, generation)).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  expect(new Trial().sync("m", 1).answer?.code).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
});

test("coordinator: an empty group id is refused by every request of a member", () => {
  const trial = new Trial();
  expect(trial.heartbeat("m", 1, null, "")).toBe(ErrorCode.INVALID_GROUP_ID);
  expect(trial.turn((turn) => trial.shard.leave(turn, { groupId: "", members: [] })).code).toBe(
    ErrorCode.INVALID_GROUP_ID,
  );
  const deleted = trial.turn((turn) =>
    trial.shard.deleteOffsets(turn, { groupId: "", topics: [] }),
  );
  expect(deleted.code).toBe(ErrorCode.INVALID_GROUP_ID);
});

test("coordinator: a rebalance answers those who wait for the assignment, so that they join again", () => {
  const trial = new Trial();
  const [, second] = [trial.member(), trial.member()];
  trial.pass(6_000);
  const waiting = trial.sync(second.id, 1);
  trial.member();
  expect(waiting.answer?.code).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  expect(trial.state()).toBe("PreparingRebalance");
});

test("coordinator: a repeated sync takes the place of the lost one", () => {
  const trial = new Trial();
  const [first, second] = [trial.member(), trial.member()];
  trial.pass(6_000);
  const lost = trial.sync(second.id, 1);
  const again = trial.sync(second.id, 1);
  expect(lost.answer?.code).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  trial.sync(first.id, 1, { [second.id]: "p" });
  expect(textOf(again.answer?.assignment ?? new Uint8Array())).toBe("p");
});

test("coordinator: a group that is too large for a record gets no assignment and may try again", () => {
  const trial = new Trial({ recordBytesMax: 1_000 });
  const { id } = trial.member();
  trial.pass(3_000);
  expect(trial.sync(id, 1, { [id]: "x".repeat(1_000) }).answer?.code).toBe(
    ErrorCode.MESSAGE_TOO_LARGE,
  );
  expect(trial.log).toEqual([]);
  expect(trial.join({ memberId: id }).answer?.generation).toBe(2);
  expect(trial.sync(id, 2, { [id]: "small" }).answer?.code).toBe(0);
});

test("coordinator: members that do not sync within the rebalance timeout are out", () => {
  const trial = new Trial();
  const known = { rebalanceTimeoutMs: 20_000, sessionTimeoutMs: 60_000 };
  const [first, second] = [trial.member(known), trial.member(known)];
  trial.pass(6_000);
  const leader = trial.sync(first.id, 1, { [first.id]: "a", [second.id]: "b" });
  expect(leader.answer?.code).toBe(0);
  trial.pass(19_900);
  expect(trial.heartbeat(first.id, 1)).toBe(0);
  trial.pass(200);
  expect(trial.members()).toEqual([first.id]);
  expect(trial.heartbeat(first.id, 1)).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
});

test("coordinator: when the leader does not sync, followers are freed and it is out", () => {
  const trial = new Trial();
  const known = { rebalanceTimeoutMs: 20_000, sessionTimeoutMs: 60_000 };
  const [first, second] = [trial.member(known), trial.member(known)];
  trial.pass(6_000);
  const waiting = trial.sync(second.id, 1);
  trial.pass(20_000);
  expect(waiting.answer?.code).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  expect(trial.members()).toEqual([second.id]);
  expect(trial.heartbeat(first.id, 1)).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(trial.join({ memberId: second.id, ...known }).answer?.leader).toBe(second.id);
});

test("coordinator: a heartbeat is refused with Kafka's code (one row per refusal)", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(1);
  const [member = ""] = ids;
  expect(trial.heartbeat(member, generation)).toBe(0);
  expect(trial.heartbeat(member, generation + 1)).toBe(ErrorCode.ILLEGAL_GENERATION);
  expect(trial.heartbeat("stranger", generation)).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(trial.heartbeat(member, generation, "i")).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(trial.heartbeat(member, generation, null, "nobody")).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
});

test("coordinator: a member that is silent for its session timeout is expelled, each by its own", () => {
  const trial = new Trial();
  const [slow, quick] = [
    trial.member({ sessionTimeoutMs: 30_000 }),
    trial.member({ sessionTimeoutMs: 6_000 }),
  ];
  trial.pass(6_000);
  trial.sync(slow.id, 1, {});
  trial.sync(quick.id, 1);
  trial.pass(5_900);
  expect(trial.state()).toBe("Stable");
  expect(trial.heartbeat(quick.id, 1)).toBe(0);
  trial.pass(5_900);
  expect(trial.state()).toBe("Stable");
  trial.pass(100);
  expect(trial.members()).toEqual([slow.id]);
  expect(trial.heartbeat(slow.id, 1)).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
});

test("coordinator: when the last member is silent the group becomes empty, and that is logged", () => {
  const trial = new Trial();
  const { generation } = trial.stable(1);
  trial.pass(10_100);
  expect(trial.state()).toBe("Empty");
  expect(trial.log.at(-1)).toMatchObject({
    kind: "group-metadata",
    value: {
      generation: generation + 1,
      protocolType: "consumer",
      protocol: null,
      leader: null,
      members: [],
      stateTimestamp: trial.wall - 100,
    },
  });
});

test("coordinator: a commit keeps a member alive", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(1);
  for (let i = 0; i < 3; i += 1) {
    trial.pass(8_000);
    expect(trial.commit(i, { generation, memberId: ids[0] ?? "" })).toBe(0);
  }
  expect(trial.state()).toBe("Stable");
});

test("coordinator: a member that waits for a rebalance needs no heartbeat, one that was never answered is dropped after five minutes", () => {
  const trial = new Trial();
  const known = { rebalanceTimeoutMs: 600_000 };
  const { ids, generation } = trial.stable(2, known);
  const [first = "", second = ""] = ids;
  const newcomer = trial.member(known);
  const waiting = trial.join({ memberId: first, ...known });
  for (let waited = 0; waited < 290_000; waited += 5_000) {
    trial.pass(5_000);
    expect(trial.heartbeat(second, generation)).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  }
  expect(newcomer.asked.answer).toBeNull();
  expect(waiting.answer).toBeNull();
  for (let waited = 0; waited < 15_000; waited += 5_000) {
    trial.pass(5_000);
    trial.heartbeat(second, generation);
  }
  expect(newcomer.asked.answer?.code).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  expect(waiting.answer).toBeNull();
  trial.join({ memberId: second, ...known });
  expect(waiting.answer?.generation).toBe(generation + 1);
});

test("coordinator: a member leaves at once and the others join again", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(2);
  const [first = "", second = ""] = ids;
  expect(trial.leave({ memberId: second })).toEqual([0]);
  expect(trial.heartbeat(first, generation)).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  expect(trial.join({ memberId: first }).answer?.generation).toBe(generation + 1);
});

test("coordinator: the last member that leaves empties the group", () => {
  const trial = new Trial();
  const { ids } = trial.stable(1);
  trial.leave({ memberId: ids[0] ?? "" });
  expect(trial.state()).toBe("Empty");
  expect(trial.log.at(-1)?.kind).toBe("group-metadata");
});

test("coordinator: leaving is answered per member (one row per answer)", () => {
  const trial = new Trial();
  const one = trial.join({ instanceId: "one" });
  const dynamic = trial.member();
  trial.pass(6_000);
  trial.sync(one.answer?.memberId ?? "", 1, {}, { instanceId: "one" });
  trial.sync(dynamic.id, 1);
  const unused = trial.join().answer?.memberId ?? "";
  const codes = trial.leave(
    { memberId: "stranger" },
    { instanceId: "nobody" },
    { memberId: "", instanceId: "one" },
    { memberId: "stranger", instanceId: "one" },
    { memberId: unused },
    { memberId: dynamic.id },
    { memberId: dynamic.id },
    {},
  );
  expect(codes).toEqual([
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.UNKNOWN_MEMBER_ID,
    0,
    ErrorCode.UNKNOWN_MEMBER_ID,
    0,
    0,
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.UNKNOWN_MEMBER_ID,
  ]);
  expect(trial.members()).toEqual([]);
  expect(trial.state()).toBe("Empty");
  const gone = trial.turn((turn) =>
    trial.shard.leave(turn, {
      groupId: "nobody",
      members: [{ memberId: "m", instanceId: null, reason: "" }],
    }),
  );
  expect(gone).toEqual({ code: 0, codes: [ErrorCode.UNKNOWN_MEMBER_ID] });
});

test("coordinator: a member id that was given out and leaves disturbs nobody and holds nobody up", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(1);
  const unused = trial.join().answer?.memberId ?? "";
  expect(trial.leave({ memberId: unused })).toEqual([0]);
  expect(trial.heartbeat(ids[0] ?? "", generation)).toBe(0);
  const other = trial.join().answer?.memberId ?? "";
  const again = trial.join({ memberId: ids[0] ?? "" });
  expect(again.answer).toBeNull();
  trial.leave({ memberId: other });
  expect(again.answer?.generation).toBe(generation + 1);
});

test("coordinator: a member that is removed while it waits is told so", () => {
  const trial = new Trial();
  const first = trial.join({ instanceId: "one" });
  const second = trial.join({ instanceId: "two" });
  trial.leave({ instanceId: "one" });
  expect(first.answer?.code).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  trial.pass(6_000);
  const waiting = trial.join({ instanceId: "three" });
  expect(second.answer?.code).toBe(0);
  const sync = trial.sync(second.answer?.memberId ?? "", 1, {}, { instanceId: "two" });
  expect(sync.answer?.code).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  expect(waiting.answer).toBeNull();
});

test("coordinator: cooperative members move partitions in two generations and keep the rest", () => {
  const trial = new Trial();
  const owning = (...parts: string[]) => ({
    protocols: [{ name: "cooperative-sticky", metadata: subscription("t", ...parts) }],
  });
  const first = trial.member(owning());
  trial.pass(3_000);
  trial.sync(first.id, 1, { [first.id]: "0,1" });
  const second = trial.member(owning());
  expect(trial.heartbeat(first.id, 1)).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  // Offsets of what it still owns may be committed while members join.
  expect(trial.commit(7, { generation: 1, memberId: first.id })).toBe(0);
  const again = trial.join({ memberId: first.id, ...owning("0", "1") });
  expect(again.answer?.members.map((each) => textOf(each.metadata))).toEqual(["t,0,1", "t"]);
  trial.sync(first.id, 2, { [first.id]: "0" });
  expect(textOf(trial.sync(second.id, 2).answer?.assignment ?? new Uint8Array())).toBe("");
  // The first gave up a partition and says so: the second may have it.
  trial.join({ memberId: first.id, ...owning("0") });
  const last = trial.join({ memberId: second.id, ...owning() });
  expect(last.answer?.generation).toBe(3);
  trial.sync(first.id, 3, { [first.id]: "0", [second.id]: "1" });
  expect(textOf(trial.sync(second.id, 3).answer?.assignment ?? new Uint8Array())).toBe("1");
  expect(trial.committed()).toBe(7);
});
