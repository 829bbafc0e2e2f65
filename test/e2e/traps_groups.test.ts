// What other new brokers got wrong about groups, each as a test of its own.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { code, createTopic, latest, listOffset, produce } from "../harness/apis.ts";
import { encodeBatch } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import {
  alone,
  findCoordinator,
  heartbeat,
  joinGroup,
  leaveGroup,
  offsetCommit,
  offsetFetch,
  syncGroup,
} from "../harness/groups.ts";
import { kcat } from "../harness/kcat.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";
import { GroupMember, type Worked } from "./member.ts";

const testMsMax = 120_000;
let server: Server;
let connection: Connection;

beforeAll(async () => {
  server = await Server.start({ kafka: { "group.initial.rebalance.delay.ms": 0 } });
  connection = await Connection.open(server.address);
}, testMsMax);

afterAll(async () => {
  connection?.close();
  await server?.stop();
  await server?.dispose();
}, testMsMax);

async function topic(name: string, partitions: number): Promise<string> {
  expect((await createTopic(connection, name, { partitions })).error).toBe(code.none);
  await until(`${name} answers`, async () => {
    const ends = await Promise.all(
      Array.from({ length: partitions }, (_, index) => listOffset(connection, name, index, latest)),
    );
    return ends.every((end) => end.error === code.none);
  });
  return name;
}

async function coordinator(group: string): Promise<string> {
  await until(`${group} has a coordinator`, async () => {
    if ((await findCoordinator(connection, group)) !== code.none) return false;
    return (await offsetFetch(connection, group, "any", [0])).error === code.none;
  });
  return group;
}

/** Overlaps mean that a record was handed out twice, gaps that one was skipped. */
function expectWorkedOnce(worked: readonly Worked[], partitions: number, ends: number): void {
  for (let partition = 0; partition < partitions; partition += 1) {
    const steps = worked
      .filter((each) => each.partition === partition)
      .toSorted((left, right) => left.start - right.start);
    expect(steps.map((step) => step.start)).toEqual([0, ...steps.slice(0, -1).map((s) => s.end)]);
    expect(steps.at(-1)?.end).toBe(ends);
  }
}

test(
  "groups: members that come and go at the same time are never unknown, and work is done once",
  async () => {
    const partitions = 6;
    const batches = 40;
    const name = await topic("rebalances", partitions);
    const group = await coordinator("rebalancing");
    const value = Buffer.from("work");
    for (let partition = 0; partition < partitions; partition += 1) {
      for (let index = 0; index < batches; index += 1) {
        const records = [1, 2, 3].map(() => ({ key: null, value, timestamp: Date.now() }));
        expect((await produce(connection, name, partition, encodeBatch(records))).error).toBe(0);
      }
    }
    const job = { address: server.address, group, topic: name, partitions };
    const members = [await GroupMember.start(job), await GroupMember.start(job)];
    const gone: GroupMember[] = [];
    const worked = (): Worked[] => [...members, ...gone].flatMap((member) => member.worked);
    const steady = (): boolean =>
      new Set(members.map((member) => member.generation)).size === 1 &&
      members.flatMap((member) => member.assigned).length === partitions;
    // Three more at once, in the middle of the work; then two leave at once.
    await until("some work is done", () => worked().length > 20);
    members.push(...(await Promise.all([1, 2, 3].map(() => GroupMember.start(job)))));
    await until("five share the partitions", steady);
    const leavers = members.splice(0, 2);
    gone.push(...leavers);
    await Promise.all(leavers.map((member) => member.leave()));
    await until("three share the partitions", steady);
    await until("all work is done", () => worked().length >= partitions * batches);
    await Promise.all(members.map((member) => member.leave()));
    expectWorkedOnce(worked(), partitions, batches * 3);
    const errors = [...members, ...gone].flatMap((member) => member.errors);
    expect(errors.filter((error) => error.endsWith(` ${code.unknownMemberId}`))).toEqual([]);
  },
  testMsMax,
);

test(
  "groups: a member without partitions gets an assignment of no bytes, not a missing one",
  async () => {
    const group = await coordinator("empty-assignment");
    const joined = await joinGroup(connection, group, { topics: ["nothing"] });
    expect(joined.error).toBe(code.none);
    // The leader names nobody.
    const synced = await syncGroup(connection, group, joined.generation, joined.memberId);
    expect(synced.error).toBe(code.none);
    expect(synced.assignment).not.toBeNull();
    expect(synced.assignment).toHaveLength(0);
    expect(await leaveGroup(connection, group, joined.memberId)).toBe(code.none);
  },
  testMsMax,
);

test(
  "groups: more members than partitions, and the idle one stays a member",
  async () => {
    const name = await topic("narrow", 1);
    const group = await coordinator("crowd");
    await kcat(server.address, ["-P", "-t", name], "one\ntwo\nthree\n");
    const job = { address: server.address, group, topic: name, partitions: 1 };
    const members = await Promise.all([1, 2, 3].map(() => GroupMember.start(job)));
    await until("one of three has the partition", () => {
      const generations = new Set(members.map((member) => member.generation));
      const assigned = members.flatMap((member) => member.assigned);
      return generations.size === 1 && !generations.has(-1) && assigned.length === 1;
    });
    await until("the work is done", async () => {
      const { commits } = await offsetFetch(connection, group, name, [0]);
      return commits[0]?.offset === 3;
    });
    for (const member of members) await member.leave();
    const unknown = members
      .flatMap((member) => member.errors)
      .filter((each) => each.endsWith(" 25"));
    expect(unknown).toEqual([]);
  },
  testMsMax,
);

test("groups: commit metadata comes back as it was committed", async () => {
  const name = await topic("commented", 4);
  const group = await coordinator("comments");
  const longest = "x".repeat(4096); // offset.metadata.max.bytes
  const commits = ["", "größe ☃", longest, "plain"].map((metadata, partition) => ({
    partition,
    offset: partition + 10,
    metadata,
  }));
  const codes = await offsetCommit(connection, alone(group), name, commits);
  expect([...codes.values()]).toEqual([0, 0, 0, 0]);
  const found = await offsetFetch(connection, group, name, [0, 1, 2, 3]);
  expect(found.error).toBe(code.none);
  expect(found.commits.toSorted((left, right) => left.partition - right.partition)).toEqual(
    commits,
  );
});

test("groups: commit metadata that is too long is refused and changes nothing", async () => {
  const name = await topic("talkative", 1);
  const group = await coordinator("talkers");
  const good = { partition: 0, offset: 5, metadata: "good" };
  await offsetCommit(connection, alone(group), name, [good]);
  const long = { partition: 0, offset: 6, metadata: "x".repeat(4097) };
  const codes = await offsetCommit(connection, alone(group), name, [long]);
  expect(codes.get(0)).toBe(code.offsetMetadataTooLarge);
  expect((await offsetFetch(connection, group, name, [0])).commits).toEqual([good]);
});

test("groups: a commit from outside is refused while the group has members", async () => {
  const name = await topic("guarded", 1);
  const group = await coordinator("guards");
  const joined = await joinGroup(connection, group, { topics: [name] });
  await syncGroup(connection, group, joined.generation, joined.memberId);
  const commit = { partition: 0, offset: 1, metadata: "" };
  const outside = await offsetCommit(connection, alone(group), name, [commit]);
  expect(outside.get(0)).toBe(code.unknownMemberId);
  const stale = { group, generation: joined.generation - 1, memberId: joined.memberId };
  const behind = await offsetCommit(connection, stale, name, [commit]);
  expect(behind.get(0)).toBe(code.illegalGeneration);
  const inside = { group, generation: joined.generation, memberId: joined.memberId };
  expect((await offsetCommit(connection, inside, name, [commit])).get(0)).toBe(code.none);
  expect(await leaveGroup(connection, group, joined.memberId)).toBe(code.none);
});

test("groups: nothing committed reads as -1 and no error", async () => {
  const name = await topic("untouched", 1);
  const group = await coordinator("nobody");
  const found = await offsetFetch(connection, group, name, [0]);
  expect(found.error).toBe(code.none);
  expect(found.commits[0]?.offset).toBe(-1);
});

test(
  "groups: a silent member is expelled after its session, and the others go on",
  async () => {
    const group = await coordinator("silence");
    const silent = await Connection.open(server.address);
    const first = await joinGroup(silent, group, {
      sessionTimeoutMs: 6000,
      rebalanceTimeoutMs: 6000,
    });
    expect((await syncGroup(silent, group, first.generation, first.memberId)).error).toBe(
      code.none,
    );
    // The second waits until the first joins again or is expelled; the first never speaks again.
    const second = await joinGroup(connection, group, { sessionTimeoutMs: 30_000 });
    expect(second.error).toBe(code.none);
    expect(second.leader).toBe(second.memberId);
    expect(second.members.map((member) => member.id)).toEqual([second.memberId]);
    expect(await heartbeat(silent, group, first.generation, first.memberId)).toBe(
      code.unknownMemberId,
    );
    silent.close();
    await leaveGroup(connection, group, second.memberId);
  },
  testMsMax,
);

test(
  "groups: members, offsets and metadata survive kill -9",
  async () => {
    const name = await topic("survivors", 2);
    const group = await coordinator("surviving");
    const joined = await joinGroup(connection, group, {
      topics: [name],
      sessionTimeoutMs: 120_000,
      rebalanceTimeoutMs: 120_000,
    });
    await syncGroup(connection, group, joined.generation, joined.memberId);
    const member = { group, generation: joined.generation, memberId: joined.memberId };
    const commit = { partition: 1, offset: 42, metadata: "before the kill" };
    expect((await offsetCommit(connection, member, name, [commit])).get(1)).toBe(code.none);
    await server.kill9();
    await server.start();
    connection = await Connection.open(server.address);
    await coordinator(group);
    expect((await offsetFetch(connection, group, name, [1])).commits).toEqual([commit]);
    expect(await heartbeat(connection, group, joined.generation, joined.memberId)).toBe(code.none);
    const next = { ...commit, offset: 43 };
    expect((await offsetCommit(connection, member, name, [next])).get(1)).toBe(code.none);
  },
  testMsMax,
);
