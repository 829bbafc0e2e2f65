import { expect, test } from "bun:test";
import { ErrorCode } from "../base/error_code.ts";
import type { JoinAnswer, JoinRequest } from "./coordinator.ts";
import { bytesOf, subscription, textOf, Trial } from "./trial.ts";

const uuid = /^client-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function codeOf(trial: Trial, request: Partial<JoinRequest>): number | undefined {
  return trial.join(request).answer?.code;
}

test("coordinator: a join is refused with Kafka's code (one row per refusal)", () => {
  const table: [string, Partial<JoinRequest>, number][] = [
    ["empty group id", { groupId: "" }, ErrorCode.INVALID_GROUP_ID],
    ["session timeout too short", { sessionTimeoutMs: 5_999 }, ErrorCode.INVALID_SESSION_TIMEOUT],
    [
      "session timeout too long",
      { sessionTimeoutMs: 1_800_001 },
      ErrorCode.INVALID_SESSION_TIMEOUT,
    ],
    ["member id of a group that does not exist", { memberId: "m" }, ErrorCode.UNKNOWN_MEMBER_ID],
    ["no protocol type", { protocolType: "" }, ErrorCode.INCONSISTENT_GROUP_PROTOCOL],
    ["no protocols", { protocols: [] }, ErrorCode.INCONSISTENT_GROUP_PROTOCOL],
    ["first step of KIP-394", {}, ErrorCode.MEMBER_ID_REQUIRED],
  ];
  for (const [name, request, code] of table)
    expect([name, codeOf(new Trial(), request)]).toEqual([name, code]);
});

test("coordinator: a join to a group in use is refused with Kafka's code (one row per refusal)", () => {
  const table: [string, Partial<JoinRequest>, number][] = [
    ["another protocol type", { protocolType: "connect" }, ErrorCode.INCONSISTENT_GROUP_PROTOCOL],
    [
      "no common protocol",
      { protocols: [{ name: "sticky", metadata: bytesOf("") }] },
      ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    ],
    ["unknown member id", { memberId: "stranger" }, ErrorCode.UNKNOWN_MEMBER_ID],
    ["unknown instance id", { memberId: "stranger", instanceId: "i" }, ErrorCode.UNKNOWN_MEMBER_ID],
  ];
  for (const [name, request, code] of table) {
    const trial = new Trial();
    trial.stable(1);
    expect([name, codeOf(trial, request)]).toEqual([name, code]);
  }
});

test("coordinator: a refused first join leaves no group behind", () => {
  const trial = new Trial();
  trial.join({ protocols: [] });
  expect(trial.shard.describe("g")).toBeNull();
});

test("coordinator: a member id is the client id and a random UUID", () => {
  const trial = new Trial();
  const first = trial.join().answer;
  const second = trial.join().answer;
  expect(first?.memberId).toMatch(uuid);
  expect(second?.memberId).toMatch(uuid);
  expect(first?.memberId).not.toBe(second?.memberId);
});

test("coordinator: a restart with the same seed gives no member id twice", () => {
  const trial = new Trial();
  const { ids } = trial.stable(2);
  trial.reseed();
  trial.reload();
  const fresh = [trial.join().answer?.memberId ?? "", trial.join().answer?.memberId ?? ""];
  expect(new Set([...ids, ...fresh]).size).toBe(4);
});

test("coordinator: a client that knows no member id step joins at once (JoinGroup v0-3)", () => {
  const trial = new Trial();
  const asked = trial.join({ takesMemberId: false });
  expect(asked.answer).toBeNull();
  trial.pass(3_000);
  expect(asked.answer?.code).toBe(0);
  expect(asked.answer?.leader).toBe(asked.answer?.memberId ?? "none");
});

test("coordinator: the first rebalance waits its delay and each newcomer extends it up to the rebalance timeout", () => {
  const trial = new Trial();
  const first = trial.member({ rebalanceTimeoutMs: 7_000 });
  trial.pass(2_900);
  const second = trial.member({ rebalanceTimeoutMs: 7_000 });
  trial.pass(2_900);
  expect(first.asked.answer).toBeNull();
  const third = trial.member({ rebalanceTimeoutMs: 7_000 });
  trial.pass(1_100);
  expect(first.asked.answer).toBeNull();
  trial.pass(200);
  // 3 s, then 3 s more, then the second that was left of 7 s.
  for (const member of [first, second, third]) expect(member.asked.answer?.generation).toBe(1);
  expect(trial.state()).toBe("CompletingRebalance");
});

test("coordinator: without newcomers the first rebalance takes one delay", () => {
  const trial = new Trial();
  const { asked } = trial.member();
  trial.pass(2_900);
  expect(asked.answer).toBeNull();
  trial.pass(100);
  expect(asked.answer?.code).toBe(0);
});

test("coordinator: with an initial delay of 0 the first member joins at once", () => {
  const trial = new Trial({ initialRebalanceDelayMs: 0 });
  const { id, asked } = trial.member();
  expect(asked.answer).toMatchObject({
    code: 0,
    generation: 1,
    leader: id,
    memberId: id,
    protocol: "range",
  });
});

test("coordinator: only the leader learns the members and their subscriptions", () => {
  const trial = new Trial();
  const first = trial.member({ protocols: [{ name: "range", metadata: subscription("a") }] });
  const second = trial.member({ protocols: [{ name: "range", metadata: subscription("b") }] });
  trial.pass(6_000);
  expect(first.asked.answer?.members.map((each) => [each.memberId, textOf(each.metadata)])).toEqual(
    [
      [first.id, "a"],
      [second.id, "b"],
    ],
  );
  expect(second.asked.answer?.members).toEqual([]);
  expect(second.asked.answer?.leader).toBe(first.id);
});

test("coordinator: the protocol with most votes among those that all know wins", () => {
  const trial = new Trial();
  const known = (...names: string[]): Partial<JoinRequest> => ({
    protocols: names.map((name) => ({ name, metadata: subscription("t") })),
  });
  const asked = [
    trial.member(known("a", "b", "c")),
    trial.member(known("c", "b")),
    trial.member(known("c", "a", "b")),
  ];
  trial.pass(10_000);
  // "a" is unknown to one; of "b" and "c" the first gets one vote and the second two.
  for (const member of asked) expect(member.asked.answer?.protocol).toBe("c");
});

test("coordinator: a new member of a stable group makes the others join again", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(1);
  const [old = ""] = ids;
  const newcomer = trial.member();
  expect(trial.state()).toBe("PreparingRebalance");
  expect(trial.heartbeat(old, generation)).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  const again = trial.join({ memberId: old });
  expect(again.answer?.generation).toBe(generation + 1);
  expect(newcomer.asked.answer?.generation).toBe(generation + 1);
  expect(again.answer?.leader).toBe(old);
});

test("coordinator: a rebalance ends at the rebalance timeout without those that did not join again", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(2, {
    rebalanceTimeoutMs: 20_000,
    sessionTimeoutMs: 60_000,
  });
  const [first = "", second = ""] = ids;
  const again = trial.join({
    memberId: first,
    rebalanceTimeoutMs: 20_000,
    sessionTimeoutMs: 60_000,
  });
  expect(again.answer).toBeNull();
  trial.pass(19_900);
  expect(again.answer).toBeNull();
  trial.pass(100);
  expect(again.answer?.generation).toBe(generation + 1);
  expect(trial.members()).toEqual([first]);
  expect(trial.heartbeat(second, generation)).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
});

test("coordinator: when the leader does not join again another member leads", () => {
  const trial = new Trial();
  const { ids } = trial.stable(2, { rebalanceTimeoutMs: 20_000, sessionTimeoutMs: 60_000 });
  const [, second = ""] = ids;
  const again = trial.join({
    memberId: second,
    protocols: [{ name: "range", metadata: subscription("t", "u") }],
    rebalanceTimeoutMs: 20_000,
    sessionTimeoutMs: 60_000,
  });
  trial.pass(20_000);
  expect(again.answer?.leader).toBe(second);
  expect(again.answer?.members.length).toBe(1);
});

test("coordinator: a follower that joins again unchanged gets its generation, a leader starts a rebalance", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(2);
  const [leader = "", follower = ""] = ids;
  expect(trial.join({ memberId: follower }).answer).toMatchObject({
    code: 0,
    generation,
    leader,
    members: [],
  });
  expect(trial.state()).toBe("Stable");
  expect(trial.join({ memberId: leader }).answer).toBeNull();
  expect(trial.state()).toBe("PreparingRebalance");
});

test("coordinator: a follower that joins again with another subscription starts a rebalance", () => {
  const trial = new Trial();
  const { ids } = trial.stable(2);
  trial.join({
    memberId: ids[1] ?? "",
    protocols: [{ name: "range", metadata: subscription("other") }],
  });
  expect(trial.state()).toBe("PreparingRebalance");
});

test("coordinator: a join that is repeated before the assignment gets the same answer", () => {
  const trial = new Trial();
  const { id, asked } = trial.member();
  trial.pass(3_000);
  expect(trial.join({ memberId: id }).answer).toEqual(asked.answer as JoinAnswer);
  expect(trial.state()).toBe("CompletingRebalance");
});

test("coordinator: a changed join before the assignment starts a rebalance", () => {
  const trial = new Trial();
  const { id } = trial.member();
  trial.pass(3_000);
  const again = trial.join({
    memberId: id,
    protocols: [{ name: "range", metadata: subscription("other") }],
  });
  expect(again.answer?.generation).toBe(2);
});

test("coordinator: a repeated join while members join takes the place of the lost one", () => {
  const trial = new Trial();
  const { id, asked } = trial.member();
  const again = trial.join({ memberId: id });
  expect(asked.answer?.code).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  trial.pass(6_000);
  expect(again.answer?.code).toBe(0);
});

test("coordinator: a member id that is not used is void after the session timeout and holds nobody up", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(1);
  const [old = ""] = ids;
  const unused = trial.join().answer?.memberId ?? "";
  const newcomer = trial.member();
  const again = trial.join({ memberId: old });
  expect(newcomer.asked.answer).toBeNull();
  trial.pass(10_000);
  expect(again.answer?.generation).toBe(generation + 1);
  expect(newcomer.asked.answer?.generation).toBe(generation + 1);
  expect(trial.join({ memberId: unused }).answer?.code).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
});

test("coordinator: a member id given out is not for a static member", () => {
  const trial = new Trial();
  const id = trial.join().answer?.memberId ?? "";
  expect(trial.join({ memberId: id, instanceId: "i" }).answer?.code).toBe(
    ErrorCode.UNKNOWN_MEMBER_ID,
  );
});

test("coordinator: a full group refuses newcomers, stable and while members join (group.max.size)", () => {
  const trial = new Trial({ groupMembersMax: 2 });
  const { ids } = trial.stable(2);
  expect(trial.member().asked.answer?.code).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED);
  trial.join({ memberId: ids[0] ?? "" });
  expect(trial.state()).toBe("PreparingRebalance");
  trial.join({ memberId: ids[1] ?? "" });
  const refused = trial.join({ takesMemberId: false });
  expect(refused.answer?.code).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED);
  expect(trial.members()).toEqual(ids);
});

test("coordinator: after a restart with a smaller limit the group shrinks to it", () => {
  const trial = new Trial();
  const { ids, generation } = trial.stable(3);
  trial.settings = { ...trial.settings, groupMembersMax: 2 };
  trial.reload();
  expect(trial.state()).toBe("PreparingRebalance");
  const asked = ids.map((memberId) => trial.join({ memberId }));
  expect(asked.map((each) => each.answer?.code)).toEqual([0, 0, ErrorCode.GROUP_MAX_SIZE_REACHED]);
  expect(asked[0]?.answer?.generation).toBe(generation + 1);
  expect(trial.members()).toEqual(ids.slice(0, 2));
});

test("coordinator: a static member that restarts keeps its assignment without a rebalance", () => {
  const trial = new Trial();
  const first = trial.join({ instanceId: "one", takesMemberId: true });
  const second = trial.join({ instanceId: "two" });
  trial.pass(6_000);
  const generation = first.answer?.generation ?? -1;
  const [one = "", two = ""] = [first.answer?.memberId, second.answer?.memberId];
  expect(one.startsWith("one-")).toBe(true);
  trial.sync(one, generation, { [one]: "p0", [two]: "p1" }, { instanceId: "one" });
  trial.sync(two, generation, {}, { instanceId: "two" });
  const again = trial.join({ instanceId: "two" }).answer;
  expect(again).toMatchObject({
    code: 0,
    generation,
    leader: one,
    skipAssignment: false,
    members: [],
  });
  expect(again?.memberId).not.toBe(two);
  expect(trial.state()).toBe("Stable");
  expect(
    textOf(
      trial.sync(again?.memberId ?? "", generation, {}, { instanceId: "two" }).answer?.assignment ??
        bytesOf(""),
    ),
  ).toBe("p1");
  // The old member id is fenced everywhere.
  expect(trial.heartbeat(two, generation, "two")).toBe(ErrorCode.FENCED_INSTANCE_ID);
  expect(trial.sync(two, generation, {}, { instanceId: "two" }).answer?.code).toBe(
    ErrorCode.FENCED_INSTANCE_ID,
  );
  expect(trial.join({ memberId: two, instanceId: "two" }).answer?.code).toBe(
    ErrorCode.FENCED_INSTANCE_ID,
  );
  expect(trial.commit(1, { generation, memberId: two, instanceId: "two" })).toBe(
    ErrorCode.FENCED_INSTANCE_ID,
  );
  expect(trial.leave({ memberId: two, instanceId: "two" })).toEqual([ErrorCode.FENCED_INSTANCE_ID]);
  expect(trial.heartbeat(two, generation)).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  // What it became survives a restart.
  trial.reload();
  expect(trial.members()).toContain(again?.memberId ?? "");
  expect(trial.members()).not.toContain(two);
});

test("coordinator: a static leader that restarts skips the assignment (v9), an older one believes that it follows", () => {
  for (const skipsAssignment of [true, false]) {
    const trial = new Trial();
    const first = trial.join({ instanceId: "one", skipsAssignment });
    trial.pass(3_000);
    const { memberId = "", generation = -1 } = first.answer ?? {};
    trial.sync(memberId, generation, { [memberId]: "all" }, { instanceId: "one" });
    const again = trial.join({ instanceId: "one", skipsAssignment }).answer;
    const next = again?.memberId ?? "";
    expect(again?.skipAssignment).toBe(skipsAssignment);
    expect(again?.leader).toBe(skipsAssignment ? next : memberId);
    expect(again?.members.map((each) => each.memberId)).toEqual(skipsAssignment ? [next] : []);
    expect(
      textOf(
        trial.sync(next, generation, {}, { instanceId: "one" }).answer?.assignment ?? bytesOf(""),
      ),
    ).toBe("all");
  }
});

test("coordinator: a static member that comes back while another join of it waits fences that one", () => {
  const trial = new Trial();
  const first = trial.join({ instanceId: "one" });
  const second = trial.join({ instanceId: "one" });
  expect(first.answer?.code).toBe(ErrorCode.FENCED_INSTANCE_ID);
  trial.pass(6_000);
  expect(second.answer?.code).toBe(0);
  expect(trial.members().length).toBe(1);
});

test("coordinator: a static member that comes back before the assignment starts a rebalance", () => {
  const trial = new Trial();
  const first = trial.join({ instanceId: "one" });
  const second = trial.join({ instanceId: "two" });
  trial.pass(6_000);
  const waiting = trial.sync(second.answer?.memberId ?? "", 1, {}, { instanceId: "two" });
  const again = trial.join({ instanceId: "two" });
  expect(waiting.answer?.code).toBe(ErrorCode.FENCED_INSTANCE_ID);
  expect(again.answer).toBeNull();
  const other = trial.join({ instanceId: "one", memberId: first.answer?.memberId ?? "" });
  expect(again.answer?.generation).toBe(2);
  expect(other.answer?.generation).toBe(2);
});

test("coordinator: a static member that restarts with another protocol starts a rebalance", () => {
  const trial = new Trial();
  const both = [
    { name: "range", metadata: subscription("t") },
    { name: "sticky", metadata: subscription("t") },
  ];
  const first = trial.join({ instanceId: "one", protocols: both });
  trial.pass(3_000);
  const { memberId = "", generation = -1, protocol } = first.answer ?? {};
  expect(protocol).toBe("range");
  trial.sync(memberId, generation, {}, { instanceId: "one" });
  const again = trial.join({ instanceId: "one", protocols: both.slice(1) }).answer;
  expect(again).toMatchObject({ code: 0, generation: generation + 1, protocol: "sticky" });
});

test("coordinator: a static member keeps its place through a rebalance that it misses, until its session ends", () => {
  const trial = new Trial();
  const known = { sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 20_000 };
  const one = trial.join({ instanceId: "one", ...known });
  const two = trial.join({ instanceId: "two", ...known });
  trial.pass(6_000);
  const [first = "", second = ""] = [one.answer?.memberId, two.answer?.memberId];
  trial.sync(first, 1, { [first]: "a", [second]: "b" }, { instanceId: "one" });
  trial.sync(second, 1, {}, { instanceId: "two" });
  const again = trial.join({ instanceId: "one", memberId: first, ...known });
  trial.pass(20_000);
  expect(again.answer?.generation).toBe(2);
  expect(again.answer?.members.map((each) => each.memberId)).toEqual([first, second]);
});

test("coordinator: when only static members are left and none joins again, the group waits for their sessions", () => {
  const trial = new Trial();
  const known = { sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 10_000 };
  const one = trial.join({ instanceId: "one", ...known });
  const dynamic = trial.member(known);
  trial.pass(6_000);
  const first = one.answer?.memberId ?? "";
  trial.sync(first, 1, {}, { instanceId: "one" });
  trial.sync(dynamic.id, 1);
  expect(trial.leave({ memberId: dynamic.id })).toEqual([0]);
  trial.pass(30_000);
  expect(trial.state()).toBe("PreparingRebalance");
  expect(trial.members()).toEqual([first]);
  trial.pass(40_000);
  expect(trial.state()).toBe("Empty");
});
