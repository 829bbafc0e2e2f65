// Damage and snapshots at one member.

import { describe, expect, test } from "bun:test";
import {
  a,
  b,
  c,
  command,
  founded,
  heartbeatMs,
  OneMember,
  timeoutMs,
} from "../../../test/sim/raft/one_member.ts";
import { type Entry, nobody, unknownTerm } from "./raft.ts";

function harmed(index: number, term: number, commit = 0): OneMember {
  const entries: Entry[] = [1, 2, 3, 4].map((at) => command(at, at < 3 ? 1 : 2));
  entries[index - 1] = { kind: "damaged", index, term };
  return new OneMember(founded([a, b, c], { term: 2, commit, entries }));
}

describe("raft: damage", () => {
  test("raft: a member with damage does not campaign", () => {
    const member = harmed(2, 1);
    for (let i = 0; i < 10; i += 1) member.pass(timeoutMs);
    expect(member.said("vote-request")).toEqual([]);
  });

  test("raft: it grants votes to logs that reach as far as its own did, and to no other", () => {
    for (const [lastIndex, granted] of [
      [4, true],
      [3, false],
    ] as const) {
      const ask = { pre: false, transfer: false, campaign: 3, lastIndex, lastTerm: 2 };
      const member = harmed(4, 2);
      member.hear("vote-request", b, 3, ask);
      expect(member.said("vote-reply").map((reply) => reply.granted)).toEqual([granted]);
    }
  });

  test("raft: a lost term counts as the highest that it can be", () => {
    const ask = { pre: false, transfer: false, campaign: 4, lastIndex: 9 };
    const member = harmed(4, unknownTerm);
    member.hear("vote-request", b, 4, { ...ask, lastTerm: 1 });
    expect(member.said("vote-reply").map((reply) => reply.granted)).toEqual([false]);
  });

  test("raft: it asks everybody, takes the same entry, and nothing else", () => {
    const member = harmed(2, 1, 4);
    member.pass(heartbeatMs);
    expect(member.said("repair-request").map(({ to, index }) => [to, index])).toEqual([
      [b, 2],
      [c, 2],
    ]);
    expect(member.applied.map(({ index }) => index)).toEqual([1]);
    const reply = { index: 2, entryTerm: 1, prevTerm: 1, nextTerm: 2, committed: true };
    member.hear("repair-reply", b, 2, { ...reply, entry: command(2, 2) });
    expect(member.raft.machine.log.damaged).toEqual([2]);
    member.hear("repair-reply", b, 2, { ...reply, entry: command(2, 1) });
    expect(member.raft.machine.log.damaged).toEqual([]);
    expect(member.writes.at(-1)?.repaired.map(({ index }) => index)).toEqual([2]);
    expect(member.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
  });

  test("raft: what is repaired is acknowledged when it is durable", () => {
    const member = harmed(2, 1);
    member.hear("heartbeat", b, 2, { commit: 0, round: 1 });
    member.prompt = false;
    member.append(b, 2, [1, 1], [command(2, 1), command(3, 2)]);
    expect(member.said("append-reply")).toEqual([]);
    member.sync();
    expect(member.said("append-reply").map(({ index }) => index)).toEqual([3]);
  });

  test("raft: behind damage nothing is acknowledged, and the leader is asked", () => {
    const member = harmed(2, 1);
    member.append(b, 2, [4, 2], []);
    const [reply] = member.said("append-reply");
    expect([reply?.accepted, reply?.hintIndex]).toEqual([false, 1]);
    member.pass(heartbeatMs);
    expect(member.said("repair-request").map(({ to }) => to)).toEqual([b]);
  });

  test("raft: an entry whose term is lost is taken with the one behind it that proves it", () => {
    const member = harmed(2, unknownTerm);
    const reply = { index: 2, entryTerm: unknownTerm, prevTerm: 1, committed: false };
    member.hear("repair-reply", b, 2, { ...reply, entry: command(2, 1), nextTerm: 1 });
    expect(member.raft.machine.log.damaged).toEqual([2]);
    member.hear("repair-reply", b, 2, { ...reply, entry: command(2, 1), nextTerm: 2 });
    expect(member.raft.machine.log.damaged).toEqual([]);
  });

  test("raft: a lost last entry gives way to a committed one that follows the same entry", () => {
    const reply = { index: 4, entryTerm: unknownTerm, nextTerm: 0, committed: true };
    const member = harmed(4, unknownTerm);
    member.hear("repair-reply", b, 2, { ...reply, entry: command(4, 2), prevTerm: 1 });
    expect(member.raft.machine.log.damaged).toEqual([4]);
    member.hear("repair-reply", b, 2, { ...reply, entry: command(4, 2), prevTerm: 2 });
    expect(member.raft.machine.log.damaged).toEqual([]);
  });

  test("raft: it is cut when so many lack it in a later term that nobody can commit it", () => {
    const member = harmed(4, 2);
    const lacks = {
      index: 4,
      entryTerm: 2,
      entry: null,
      prevTerm: 0,
      nextTerm: 0,
      committed: false,
    };
    member.hear("repair-reply", b, 2, lacks);
    expect(member.raft.term).toBe(2);
    member.hear("repair-reply", c, 2, lacks);
    expect([member.raft.term, member.raft.machine.log.damaged]).toEqual([3, [4]]);
    for (const from of [b, c]) member.hear("repair-reply", from, 3, lacks);
    expect([member.raft.machine.log.last, member.raft.machine.log.damaged]).toEqual([3, []]);
  });

  test("raft: who lacks one entry says nothing of the next damaged one", () => {
    const entries: Entry[] = [command(1, 1)];
    for (const index of [2, 3]) entries.push({ kind: "damaged", index, term: 1 });
    const member = new OneMember(founded([a, b, c], { term: 3, entries }));
    const lacks = { entryTerm: 1, entry: null, prevTerm: 0, nextTerm: 0, committed: false };
    member.hear("repair-reply", b, 3, { ...lacks, index: 2 });
    const reply = { index: 2, entryTerm: 1, prevTerm: 1, nextTerm: 0, committed: false };
    member.hear("repair-reply", c, 3, { ...reply, entry: command(2, 1) });
    expect(member.raft.machine.log.damaged).toEqual([3]);
    member.hear("repair-reply", c, 3, { ...lacks, index: 3 });
    expect(member.raft.machine.log.damaged).toEqual([3]);
    member.hear("repair-reply", b, 3, { ...lacks, index: 3 });
    expect(member.raft.machine.log.last).toBe(2);
  });

  test("raft: what is known to be committed is never cut", () => {
    const member = harmed(4, 2, 4);
    const lacks = {
      index: 4,
      entryTerm: 2,
      entry: null,
      prevTerm: 0,
      nextTerm: 0,
      committed: false,
    };
    for (const from of [b, c]) member.hear("repair-reply", from, 9, lacks);
    expect(member.raft.machine.log.damaged).toEqual([4]);
  });

  test("raft: a member says that it lacks an entry only while it hears no leader", () => {
    const member = new OneMember(founded([a, b, c]));
    member.hear("repair-request", c, 1, { index: 4, entryTerm: 1 });
    expect(member.said("repair-reply").map(({ entry }) => entry)).toEqual([null]);
    member.hear("heartbeat", b, 1, { commit: 0, round: 1 });
    member.hear("repair-request", c, 1, { index: 4, entryTerm: 1 });
    expect(member.said("repair-reply")).toEqual([]);
  });
});

describe("raft: snapshots", () => {
  const mark = { index: 5, term: 1, configuration: { ...nobody, voters: [a, b, c] }, bytes: 4 };
  const chunk = (text: string): Uint8Array => new TextEncoder().encode(text);

  test("raft: chunks are taken in order, and the log gives way when the whole is durable", () => {
    const member = new OneMember(founded([a, b, c], { term: 1, entries: [command(1, 1)] }));
    member.hear("heartbeat", b, 1, { commit: 0, round: 1 });
    const say = (position: number, text: string): void =>
      member.hear("snapshot-chunk", b, 1, { snapshot: mark, position, chunk: chunk(text) });
    for (const [position, text] of [
      [0, "ab"],
      [0, "ab"],
      [3, "x"],
      [2, "cd"],
    ] as const)
      say(position, text);
    expect(member.said("snapshot-reply").map(({ position }) => position)).toEqual([2, 2, 2, 4]);
    expect(member.taken).toHaveLength(2);
    expect(member.raft.machine.log.last).toBe(1);
    member.step({ kind: "snapshot-installed", index: 5 });
    expect([member.raft.machine.log.base, member.raft.applied, member.restored]).toEqual([
      5,
      5,
      [5],
    ]);
    expect(member.writes.at(-1)?.reset).toEqual({ index: 5, term: 1 });
    expect(member.said("append-reply").map(({ index }) => index)).toEqual([5]);
  });

  test("raft: a snapshot that was refused comes again from the beginning", () => {
    const member = new OneMember(founded([a, b, c]));
    member.hear("snapshot-chunk", b, 1, { snapshot: mark, position: 0, chunk: chunk("abcd") });
    member.step({ kind: "snapshot-refused", index: 5 });
    member.hear("snapshot-chunk", b, 1, { snapshot: mark, position: 4, chunk: chunk("") });
    expect(member.said("snapshot-reply").map(({ position }) => position)).toEqual([4, 0]);
  });

  test("raft: what a snapshot does not cover of the same log stays", () => {
    const entries = [1, 2, 3, 4, 5, 6, 7].map((at) => command(at, 1));
    entries[2] = { kind: "damaged", index: 3, term: 1 };
    const member = new OneMember(founded([a, b, c], { term: 1, entries }));
    member.hear("snapshot-chunk", b, 1, { snapshot: mark, position: 0, chunk: chunk("abcd") });
    member.step({ kind: "snapshot-installed", index: 5 });
    const { log } = member.raft.machine;
    expect([log.base, log.last, log.damaged]).toEqual([5, 7, []]);
  });

  test("raft: a start between snapshot and reset keeps the log only where it agrees", () => {
    const entries = [4, 5, 6].map((at) => command(at, 1));
    const other = [4, 5, 6].map((at) => command(at, 2));
    const same = new OneMember(founded([a, b, c], { term: 2, snapshot: mark, entries }));
    expect(same.raft.machine.log.last).toBe(6);
    const gone = new OneMember(founded([a, b, c], { term: 2, snapshot: mark, entries: other }));
    expect(gone.raft.machine.log.last).toBe(5);
  });

  test("raft: a member that the log does not reach gets the snapshot", () => {
    const stored = founded([a, b, c], { term: 1, snapshot: mark });
    const member = new OneMember(stored).elect([b]);
    const refused = { accepted: false, index: 5, hintIndex: 2, hintTerm: 1 };
    member.hear("append-reply", c, 2, refused);
    expect(member.chunks.map(({ to, position }) => [to, position])).toEqual([[c, 0]]);
    expect(member.raft.sendsSnapshot).toBe(true);
    member.hear("snapshot-reply", c, 2, { index: 5, position: 2 });
    expect(member.chunks.at(-1)?.position).toBe(2);
    member.accept(c, 2, 5);
    expect(member.raft.sendsSnapshot).toBe(false);
  });
});
