// Every limit of the Raft is hit once.

import { expect, test } from "bun:test";
import { memberId } from "../base/ids.ts";
import { a, b, c, command, d, e, founded, OneMember } from "../../../test/sim/raft/one_member.ts";
import type { RaftLimits } from "./raft.ts";

const entryBytes = 64;

function leader(limits: Partial<RaftLimits>): OneMember {
  return new OneMember(founded([a, b, c]), limits).elect([b, c]);
}

test("raft: proposals beyond the requests that may wait are refused (requestsMax)", () => {
  const member = leader({ requestsMax: 2 });
  const requests = [member.propose(), member.propose(), member.propose()];
  expect(requests.map((request) => member.refusal(request))).toEqual([null, null, "busy"]);
});

test("raft: bytes that are not committed are bounded, and one entry has always room (uncommittedBytesMax)", () => {
  const member = leader({ uncommittedBytesMax: 100 });
  const large = member.propose(1000);
  expect(member.refusal(large)).toBe(null);
  expect(member.refusal(member.propose())).toBe("busy");
  member.accept(b, 1, 2);
  expect(member.outcomes.get(large)?.kind).toBe("committed");
  expect(member.refusal(member.propose())).toBe(null);
});

test("raft: appends on their way are bounded in number (inflightMax)", () => {
  const member = leader({ inflightMax: 2 });
  for (let i = 0; i < 5; i += 1) member.propose();
  expect(member.said("append").filter(({ to }) => to === b)).toHaveLength(2);
  member.accept(b, 1, 2);
  expect(member.said("append").filter(({ to }) => to === b).length).toBeGreaterThan(0);
});

test("raft: appends on their way are bounded in bytes (inflightBytesMax)", () => {
  const member = leader({ inflightBytesMax: 3 * entryBytes });
  for (let i = 0; i < 5; i += 1) member.propose();
  expect(member.said("append").filter(({ to }) => to === b)).toHaveLength(3);
});

test("raft: an append has about so many bytes, and two entries whatever their size (appendBytes)", () => {
  const member = leader({ appendBytes: 1, inflightMax: 1 });
  for (let i = 0; i < 5; i += 1) member.propose(100);
  member.said("append");
  member.accept(b, 1, 2);
  const [append] = member.said("append").filter(({ to }) => to === b);
  expect(append?.entries.map(({ index }) => index)).toEqual([3, 4]);
});

test("raft: reads that wait are bounded (readsMax)", () => {
  const member = leader({ readsMax: 1 });
  const [first, second] = [member.read(), member.read()];
  expect([member.reads.get(first), member.reads.get(second)]).toEqual([undefined, "busy"]);
});

test("raft: messages that wait for the disk are bounded, the oldest goes (heldMax)", () => {
  const member = new OneMember(founded([a, b, c]), { heldMax: 2 });
  member.prompt = false;
  for (let index = 1; index <= 4; index += 1)
    member.append(b, 1, [index - 1, index === 1 ? 0 : 1], [command(index, 1)]);
  member.sync();
  expect(member.said("append-reply").map(({ index }) => index)).toEqual([3, 4]);
});

test("raft: voters and members are bounded, and each is one (votersMax, membersMax)", () => {
  const member = leader({ votersMax: 3, membersMax: 4 });
  expect(member.refusal(member.change([a, b, c, d]))).toBe("members-invalid");
  expect(member.refusal(member.change([a, b, c], [d, e]))).toBe("members-invalid");
  expect(member.refusal(member.change([a, a, b]))).toBe("members-invalid");
  expect(member.refusal(member.change([]))).toBe("members-invalid");
});

test("raft: a learner that is behind does not become a voter (promotionLagMax)", () => {
  const member = leader({ promotionLagMax: 1 });
  member.change([a, b, c], [d]);
  member.accept(b, 1, 2);
  member.accept(d, 1, 2);
  for (let i = 0; i < 2; i += 1) member.accept(b, 1, 2 + member.propose() - 1);
  const behind = member.change([a, b, c, d]);
  expect(member.refusal(behind)).toBe("member-behind");
  member.accept(d, 1, member.raft.machine.log.last);
  expect(member.refusal(member.change([a, b, c, d]))).toBe(null);
});

test("raft: of removed members so many are remembered (removedMax)", () => {
  const member = leader({ removedMax: 2 });
  const passing = ["x", "y", "z"].map((id) => memberId(id));
  for (const id of passing) {
    member.change([a, b, c], [id]);
    member.accept(b, 1, member.raft.machine.log.last);
    member.change([a, b, c]);
    member.accept(b, 1, member.raft.machine.log.last);
  }
  expect(member.raft.configuration.removed).toEqual(passing.slice(1));
});

test("raft: below a snapshot so much of the log is kept (keptBytes)", () => {
  const member = leader({ keptBytes: 2 * (entryBytes + 1) });
  for (let i = 0; i < 9; i += 1) member.propose();
  member.accept(b, 1, 10);
  member.step({ kind: "snapshot-saved", index: 10, bytes: 1 });
  expect(member.trimmed).toEqual([8]);
  expect(member.raft.machine.log.base).toBe(8);
});
