// One test for each sentence of the Raft paper (Ongaro and Ousterhout, 2014) and thesis that a
// single member can be held to, with its section.

import { describe, expect, test } from "bun:test";
import {
  a,
  b,
  c,
  command,
  d,
  founded,
  heartbeatMs,
  OneMember,
  timeoutMs,
} from "../../../test/sim/raft/one_member.ts";

const three = founded([a, b, c]);

function leader(): OneMember {
  return new OneMember(three).elect([b, c]);
}

describe("raft: elections", () => {
  test("raft: a server remains a follower as long as it hears a leader (5.2)", () => {
    const member = new OneMember(three);
    for (let i = 0; i < 20; i += 1) {
      member.hear("heartbeat", b, 1, { commit: 0, round: i });
      member.pass(timeoutMs - 1);
    }
    expect(member.raft.role).toBe("follower");
    expect(member.said("vote-request")).toEqual([]);
  });

  test("raft: without a leader it asks all others, and raises no term before it may win (thesis 9.6)", () => {
    const member = new OneMember(three);
    member.pass(2 * timeoutMs);
    const asked = member.said("vote-request");
    expect(asked.map(({ to, pre, campaign }) => [to, pre, campaign])).toEqual([
      [b, true, 1],
      [c, true, 1],
    ]);
    expect(member.raft.term).toBe(0);
    member.hear("vote-reply", b, 0, { pre: true, campaign: 1, granted: true });
    expect(member.raft.role).toBe("candidate");
    expect(member.raft.term).toBe(1);
  });

  test("raft: a candidate wins with the votes of a majority for the same term (5.2)", () => {
    const member = new OneMember(founded([a, b, c, d]));
    member.pass(2 * timeoutMs);
    for (const from of [b, c])
      member.hear("vote-reply", from, 0, { pre: true, campaign: 1, granted: true });
    member.hear("vote-reply", b, 1, { pre: false, campaign: 1, granted: true });
    expect(member.raft.role).toBe("candidate");
    member.hear("vote-reply", b, 1, { pre: false, campaign: 1, granted: true });
    expect(member.raft.role).toBe("candidate");
    member.hear("vote-reply", c, 1, { pre: false, campaign: 1, granted: true });
    expect(member.raft.role).toBe("leader");
  });

  test("raft: each server votes for at most one candidate in a term, first come first served (5.2)", () => {
    const member = new OneMember(three);
    const ask = { pre: false, transfer: false, campaign: 1, lastIndex: 0, lastTerm: 0 };
    for (const from of [b, c, b]) member.hear("vote-request", from, 1, ask);
    expect(member.said("vote-reply").map(({ granted }) => granted)).toEqual([true, false, true]);
  });

  test("raft: what is meant for another disk of the same address is passed over", () => {
    const member = new OneMember(three);
    const ask = { pre: false, transfer: false, campaign: 1, lastIndex: 0, lastTerm: 0 } as const;
    const message = { kind: "vote-request", from: b, to: d, term: 1, ...ask } as const;
    member.step({ kind: "message", message });
    expect([member.raft.term, member.sent]).toEqual([0, []]);
  });

  test("raft: a vote survives a restart, and leaves only when it is durable (5.1)", () => {
    const member = new OneMember(three);
    member.prompt = false;
    const ask = { pre: false, transfer: false, campaign: 1, lastIndex: 0, lastTerm: 0 };
    member.hear("vote-request", b, 1, ask);
    expect(member.said("vote-reply")).toEqual([]);
    member.sync();
    expect(member.said("vote-reply").map(({ granted }) => granted)).toEqual([true]);
    const [write] = member.writes;
    expect([write?.term, write?.vote]).toEqual([1, b]);
    const again = new OneMember(founded([a, b, c], { term: 1, vote: b }));
    again.hear("vote-request", c, 1, ask);
    expect(again.said("vote-reply").map(({ granted }) => granted)).toEqual([false]);
  });

  test("raft: a voter refuses a candidate whose log is less up to date than its own (5.4.1)", () => {
    const entries = [command(1, 1), command(2, 3)];
    const cases = [
      [2, 3, true],
      [3, 3, true],
      [1, 4, true],
      [1, 3, false],
      [9, 2, false],
    ] as const;
    for (const [lastIndex, lastTerm, granted] of cases) {
      const member = new OneMember(founded([a, b, c], { term: 3, entries }));
      const ask = { pre: false, transfer: false, campaign: 5, lastIndex, lastTerm };
      member.hear("vote-request", b, 5, ask);
      expect(member.said("vote-reply").map((reply) => reply.granted)).toEqual([granted]);
    }
  });

  test("raft: who has heard a leader lately takes no vote and no term of a candidate (6)", () => {
    const member = new OneMember(three);
    member.hear("heartbeat", b, 1, { commit: 0, round: 1 });
    member.pass(timeoutMs - 1);
    const ask = { pre: false, transfer: false, campaign: 7, lastIndex: 9, lastTerm: 6 };
    member.hear("vote-request", c, 7, ask);
    expect(member.raft.term).toBe(1);
    expect(member.said("vote-reply")).toEqual([]);
    member.hear("vote-request", c, 7, { ...ask, transfer: true });
    expect(member.said("vote-reply").map(({ granted }) => granted)).toEqual([true]);
  });

  test("raft: a leader or candidate that sees a higher term becomes a follower (5.1)", () => {
    const member = leader();
    member.hear("append-reply", b, 9, { accepted: false, index: 1, hintIndex: 0, hintTerm: 0 });
    expect([member.raft.role, member.raft.term]).toEqual(["follower", 9]);
  });

  test("raft: a request of an older term is refused with the newer one (5.1)", () => {
    const member = new OneMember(founded([a, b, c], { term: 5 }));
    member.append(b, 4, [0, 0], [command(1, 4)]);
    expect(member.said("heartbeat-reply").map(({ term }) => term)).toEqual([5]);
    expect(member.raft.machine.log.last).toBe(0);
  });

  test("raft: PreVote of a voter in an older term counts", () => {
    const member = new OneMember(founded([a, b, c], { term: 5 }));
    member.pass(2 * timeoutMs);
    member.hear("vote-reply", b, 3, { pre: true, campaign: 6, granted: true });
    expect(member.raft.role).toBe("candidate");
  });

  test("raft: a leader that a majority does not answer steps down (thesis 6.2)", () => {
    const member = leader();
    member.pass(timeoutMs);
    expect(member.raft.role).toBe("leader");
    member.pass(timeoutMs);
    expect(member.raft.role).toBe("follower");
  });

  test("raft: a leader whose disk takes nothing for an election timeout steps down", () => {
    const member = leader();
    member.prompt = false;
    const request = member.propose();
    for (let ms = 0; ms < timeoutMs; ms += heartbeatMs) {
      expect(member.raft.role).toBe("leader");
      for (const from of [b, c]) member.hear("heartbeat-reply", from, 1, { round: 1 });
      member.pass(heartbeatMs);
    }
    expect(member.raft.role).toBe("follower");
    expect(member.refusal(request)).toBe("unknown");
  });
});

describe("raft: a member alone", () => {
  test("raft: it leads at once, and goes on while its disk takes nothing", () => {
    const member = new OneMember(founded([a]));
    member.pass(1);
    expect(member.raft.role).toBe("leader");
    member.prompt = false;
    const request = member.propose();
    for (let i = 0; i < 3; i += 1) member.pass(timeoutMs);
    expect([member.raft.role, member.outcomes.has(request)]).toEqual(["leader", false]);
    member.sync();
    expect(member.outcomes.get(request)).toEqual({ kind: "committed", index: 2 });
    expect(member.reads.get(member.read())).toBe(2);
  });
});

test("raft: who joins and knows no configuration asks for no votes, and takes the log", () => {
  const member = new OneMember(founded([]));
  for (let i = 0; i < 5; i += 1) member.pass(2 * timeoutMs);
  expect([member.raft.role, member.raft.term, member.sent]).toEqual(["follower", 0, []]);
  member.append(b, 4, [0, 0], [command(1, 4)], 1);
  expect(member.applied.map(({ index }) => index)).toEqual([1]);
});

describe("raft: replication", () => {
  test("raft: a leader sends heartbeats at once and then often enough (5.2)", () => {
    const member = new OneMember(three).elect([b, c]);
    member.pass(heartbeatMs);
    expect(member.said("heartbeat").map(({ to }) => to)).toEqual([b, c]);
  });

  test("raft: an entry is committed when a majority has it, the leader's own disk counted (5.3)", () => {
    const member = leader();
    member.prompt = false;
    const request = member.propose();
    member.accept(b, 1, 2);
    expect(member.raft.commit).toBe(1);
    member.sync();
    expect(member.raft.commit).toBe(2);
    expect(member.outcomes.get(request)).toEqual({ kind: "committed", index: 2 });
  });

  test("raft: entries of older terms are committed only by one of the present term (5.4.2)", () => {
    const entries = [command(1, 1), command(2, 1)];
    const member = new OneMember(founded([a, b, c], { term: 1, entries }));
    member.pass(2 * timeoutMs);
    member.hear("vote-reply", b, 1, { pre: true, campaign: 2, granted: true });
    member.hear("vote-reply", b, 2, { pre: false, campaign: 2, granted: true });
    expect(member.raft.role).toBe("leader");
    member.accept(b, 2, 2);
    expect(member.raft.commit).toBe(0);
    member.accept(b, 2, 3);
    expect(member.raft.commit).toBe(3);
    expect(member.applied.map(({ kind }) => kind)).toEqual(["command", "command", "no-op"]);
  });

  test("raft: an append is refused unless the log has the entry before it (5.3)", () => {
    const entries = [command(1, 1), command(2, 2)];
    const member = new OneMember(founded([a, b, c], { term: 2, entries }));
    member.append(b, 3, [5, 3], [command(6, 3)]);
    member.append(b, 3, [2, 3], [command(3, 3)]);
    const refused = member.said("append-reply");
    expect(refused.map((reply) => [reply.accepted, reply.index, reply.hintIndex])).toEqual([
      [false, 5, 2],
      [false, 2, 2],
    ]);
    expect(member.raft.machine.log.last).toBe(2);
  });

  test("raft: a conflicting entry and all behind it are replaced, a late append cuts nothing (5.3)", () => {
    const entries = [command(1, 1), command(2, 1), command(3, 1)];
    const member = new OneMember(founded([a, b, c], { term: 1, entries }));
    member.append(b, 2, [0, 0], [command(1, 1)]);
    expect(member.raft.machine.log.last).toBe(3);
    member.append(b, 2, [1, 1], [command(2, 2)]);
    expect(member.raft.machine.log.entries.map(({ term }) => term)).toEqual([1, 2]);
    expect(member.writes.at(-1)?.entries.map(({ index }) => index)).toEqual([2]);
  });

  test("raft: what is committed is never replaced, nor acknowledged as another entry", () => {
    const entries = [command(1, 1), command(2, 1)];
    const member = new OneMember(founded([a, b, c], { term: 1, commit: 2, entries }));
    member.append(b, 2, [0, 0], [command(1, 1), command(2, 2), command(3, 2)]);
    expect(member.said("append-reply").map(({ index }) => index)).toEqual([1]);
    expect(member.raft.machine.log.entries.map(({ term }) => term)).toEqual([1, 1]);
  });

  test("raft: an append is acknowledged when it is durable, and not before", () => {
    const member = new OneMember(three);
    member.hear("heartbeat", b, 1, { commit: 0, round: 1 });
    member.said("heartbeat-reply");
    member.prompt = false;
    member.append(b, 1, [0, 0], [command(1, 1)]);
    expect(member.sent).toEqual([]);
    member.sync();
    expect(member.said("append-reply").map(({ index }) => index)).toEqual([1]);
  });

  test("raft: a follower commits no more than the append has shown it (5.3)", () => {
    const entries = [command(1, 1), command(2, 1), command(3, 1)];
    const member = new OneMember(founded([a, b, c], { term: 1, entries }));
    member.append(b, 2, [1, 1], [], 3);
    expect(member.raft.commit).toBe(1);
    expect(member.applied.map(({ index }) => index)).toEqual([1]);
  });

  test("raft: a leader steps back to where the logs agree, by terms (5.3)", () => {
    const entries = [1, 1, 3, 3, 3].map((term, i) => command(i + 1, term));
    const member = new OneMember(founded([a, b, c], { term: 3, entries }));
    member.pass(2 * timeoutMs);
    member.hear("vote-reply", b, 3, { pre: true, campaign: 4, granted: true });
    member.hear("vote-reply", b, 4, { pre: false, campaign: 4, granted: true });
    member.sent = [];
    const hint = { accepted: false, index: 5, hintIndex: 4, hintTerm: 2 };
    member.hear("append-reply", c, 4, hint);
    expect(member.said("append").map(({ to, prevIndex }) => [to, prevIndex])).toEqual([[c, 2]]);
  });
});

describe("raft: reads, transfer, members", () => {
  test("raft: a read waits for a round of heartbeats that began after it (thesis 6.4)", () => {
    const member = leader();
    const request = member.read();
    const [beat] = member.said("heartbeat");
    expect(member.reads.has(request)).toBe(false);
    member.hear("heartbeat-reply", b, 1, { round: (beat?.round ?? 0) - 1 });
    expect(member.reads.has(request)).toBe(false);
    member.pass(heartbeatMs);
    member.hear("heartbeat-reply", b, 1, { round: member.said("heartbeat").at(-1)?.round ?? 0 });
    expect(member.reads.get(request)).toBe(1);
  });

  test("raft: a read waits until an entry of the leader's term is committed (thesis 6.4)", () => {
    const member = new OneMember(three);
    member.pass(2 * timeoutMs);
    member.hear("vote-reply", b, 0, { pre: true, campaign: 1, granted: true });
    member.hear("vote-reply", b, 1, { pre: false, campaign: 1, granted: true });
    const request = member.read();
    member.hear("heartbeat-reply", b, 1, { round: 1 });
    expect(member.reads.has(request)).toBe(false);
    member.accept(b, 1, 1);
    member.hear("heartbeat-reply", b, 1, { round: 2 });
    expect(member.reads.get(request)).toBe(1);
  });

  test("raft: a leader hands over to who has everything, and goes on if nothing comes of it (thesis 3.10)", () => {
    const member = leader();
    member.step({ kind: "transfer", to: b });
    expect(member.said("timeout-now").map(({ to }) => to)).toEqual([b]);
    expect(member.refusal(member.propose())).toBe("transfer");
    for (const from of [b, c]) member.hear("heartbeat-reply", from, 1, { round: 1 });
    member.pass(timeoutMs);
    expect(member.refusal(member.propose())).toBe(null);
  });

  test("raft: who is told to campaign does so without PreVote", () => {
    const member = new OneMember(three);
    member.hear("heartbeat", b, 1, { commit: 0, round: 1 });
    member.hear("timeout-now", b, 1, {});
    expect(member.said("vote-request").map(({ pre, transfer }) => [pre, transfer])).toEqual([
      [false, true],
      [false, true],
    ]);
  });

  test("raft: voters change through both majorities, then the old ones are left (6)", () => {
    const member = leader();
    member.change([a, b, c], [d]);
    member.accept(b, 1, 2);
    expect(member.refusal(member.change([a, d]))).toBe("member-behind");
    member.accept(d, 1, 2);
    const request = member.change([a, d]);
    expect(member.raft.configuration.outgoing).toEqual([a, b, c]);
    member.accept(d, 1, 3);
    expect(member.raft.commit).toBe(2);
    member.accept(b, 1, 3);
    expect(member.raft.commit).toBe(3);
    expect(member.raft.configuration).toEqual({
      ...{ voters: [a, d], outgoing: [], learners: [] },
      removed: [b, c],
    });
    member.accept(d, 1, 4);
    expect(member.outcomes.get(request)).toEqual({ kind: "committed", index: 4 });
    expect(member.refusal(member.change([a, d], [b]))).toBe("member-removed");
  });

  test("raft: one change at a time, and none before the leader has committed in its term", () => {
    const member = leader();
    member.change([a, b, c], [d]);
    expect(member.refusal(member.change([a, b]))).toBe("change-in-flight");
    const young = new OneMember(three);
    young.pass(2 * timeoutMs);
    young.hear("vote-reply", b, 0, { pre: true, campaign: 1, granted: true });
    young.hear("vote-reply", b, 1, { pre: false, campaign: 1, granted: true });
    expect(young.raft.role).toBe("leader");
    expect(young.refusal(young.change([a, b]))).toBe("change-in-flight");
  });

  test("raft: a leader that is not of the new voters leaves when that is committed (6)", () => {
    const member = leader();
    member.change([b, c]);
    for (const index of [2, 3]) for (const from of [b, c]) member.accept(from, 1, index);
    expect(member.raft.role).toBe("follower");
    expect(member.said("timeout-now")).toHaveLength(1);
    member.pass(2 * timeoutMs);
    expect(member.said("vote-request")).toEqual([]);
  });

  test("raft: a configuration that is cut from the log counts no more (6)", () => {
    const configuration = { voters: [a, b], outgoing: [], learners: [], removed: [c] };
    const entries = [{ kind: "configuration", index: 1, term: 1, configuration } as const];
    const member = new OneMember(founded([a, b, c], { term: 1, entries }));
    expect(member.raft.configuration.voters).toEqual([a, b]);
    member.append(b, 2, [0, 0], [command(1, 2)]);
    expect(member.raft.configuration.voters).toEqual([a, b, c]);
  });
});
