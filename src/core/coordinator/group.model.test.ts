// A group against a plain table: clients join, sync, commit, leave and crash, time passes, the power
// goes at any moment and takes any part of what was not committed.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { none, noTopicId, offset, partitionIndex } from "../base/ids.ts";
import type { GroupRecord, JoinAnswer, SyncAnswer } from "./coordinator.ts";
import { type Asked, subscription, textOf, Trial } from "./trial.ts";

const partitions = 4;
/** Beside busy neighbours; timing decides nothing here. */
const longMs = 120_000;

type Step =
  | { readonly kind: "advance" | "leave" | "crash"; readonly client: number }
  | { readonly kind: "commit"; readonly client: number; readonly partition: number }
  | { readonly kind: "pass"; readonly ms: number }
  /** Everybody goes on for some seconds. */
  | { readonly kind: "calm" }
  | { readonly kind: "commit-log" }
  | { readonly kind: "power-cut"; readonly more: number }
  | { readonly kind: "replay" };

const client = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant("advance" as const), client }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("commit" as const),
      client,
      partition: fc.nat(partitions - 1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("leave" as const, "crash" as const), client }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(100, 1_000, 3_000, 7_000, 11_000),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: "calm" as const }) },
  { weight: 4, arbitrary: fc.constant({ kind: "commit-log" as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("power-cut" as const), more: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "replay" as const }) },
);

interface Held {
  readonly generation: number;
  readonly parts: readonly number[];
}

/** A consumer as clients are written: it does the next thing that the answers so far ask for. */
class Consumer {
  readonly instanceId: string | null;
  memberId = "";
  join: Asked<JoinAnswer> | null = null;
  sync: Asked<SyncAnswer> | null = null;
  joined: JoinAnswer | null = null;
  held: Held | null = null;

  constructor(instanceId: string | null) {
    this.instanceId = instanceId;
  }

  forget(): void {
    this.memberId = "";
    this.join = null;
    this.sync = null;
    this.joined = null;
    this.held = null;
  }

  /** Connections are gone with the node: what was asked is not answered any more. */
  disconnect(): void {
    this.join = null;
    this.sync = null;
    this.joined = null;
  }
}

class World {
  readonly trial = new Trial({ groupMembersMax: 3 });
  readonly consumers = [
    new Consumer(null),
    new Consumer(null),
    new Consumer("static"),
    new Consumer(null),
  ];
  /** Generation -> partition -> who was told that it owns it. */
  readonly owners = new Map<number, Map<number, string>>();
  newest = 0;
  /** Partition -> offsets that a fetch may show: the last one answered, and those under way. */
  readonly possible = new Map<number, Set<number>>();
  next = 1;

  constructor() {
    this.trial.slow = true;
  }

  run(step: Step): void {
    switch (step.kind) {
      case "advance":
        return this.advance(this.consumer(step.client));
      case "commit":
        return this.commit(this.consumer(step.client), step.partition);
      case "leave": {
        const consumer = this.consumer(step.client);
        if (consumer.memberId !== "") this.trial.leave({ memberId: consumer.memberId });
        return consumer.forget();
      }
      case "crash":
        return this.consumer(step.client).forget();
      case "pass":
        return this.trial.pass(step.ms);
      case "calm":
        for (let i = 0; i < 8; i += 1) {
          for (const each of this.consumers) this.advance(each);
          this.trial.pass(1_000);
          this.trial.commitLog();
        }
        return;
      case "commit-log":
        return this.trial.commitLog();
      case "power-cut":
        this.trial.powerCut(step.more);
        for (const each of this.consumers) each.disconnect();
        return;
      case "replay":
        return this.replay();
    }
  }

  consumer(at: number): Consumer {
    const consumer = this.consumers[at];
    if (consumer === undefined) throw new Error("no such consumer");
    return consumer;
  }

  advance(consumer: Consumer): void {
    if (consumer.join !== null) return this.joinAnswered(consumer, consumer.join.answer);
    if (consumer.sync !== null) return this.syncAnswered(consumer, consumer.sync.answer);
    if (consumer.joined !== null) {
      const { generation, members } = consumer.joined;
      const shares: Record<string, string> = {};
      for (const [at, member] of members.entries()) {
        shares[member.memberId] = Array.from({ length: partitions }, (_, part) => part)
          .filter((part) => part % members.length === at)
          .join(",");
      }
      const more = consumer.instanceId === null ? {} : { instanceId: consumer.instanceId };
      consumer.sync = this.trial.sync(consumer.memberId, generation, shares, more);
      return;
    }
    if (consumer.held !== null) {
      const code = this.trial.heartbeat(
        consumer.memberId,
        consumer.held.generation,
        consumer.instanceId,
      );
      if (code === 0) return;
      consumer.held = null;
      if (code !== 27) consumer.forget();
    }
    consumer.join = this.trial.join({
      memberId: consumer.memberId,
      instanceId: consumer.instanceId,
      protocols: [{ name: "range", metadata: subscription("t") }],
      rebalanceTimeoutMs: 8_000,
    });
  }

  joinAnswered(consumer: Consumer, answer: JoinAnswer | null): void {
    if (answer === null) return;
    consumer.join = null;
    if (answer.code === 79) consumer.memberId = answer.memberId;
    else if (answer.code !== 0) consumer.forget();
    else {
      consumer.memberId = answer.memberId;
      consumer.joined = answer;
    }
  }

  syncAnswered(consumer: Consumer, answer: SyncAnswer | null): void {
    if (answer === null) return;
    const generation = consumer.joined?.generation ?? -1;
    consumer.sync = null;
    consumer.joined = null;
    if (answer.code !== 0) {
      if (answer.code !== 27) consumer.forget();
      return;
    }
    const text = textOf(answer.assignment);
    consumer.held = { generation, parts: text === "" ? [] : text.split(",").map(Number) };
    this.newest = Math.max(this.newest, generation);
    const owners = this.owners.get(generation) ?? new Map<number, string>();
    this.owners.set(generation, owners);
    for (const part of consumer.held.parts) {
      const owner = owners.get(part);
      // A static member that came back holds the place of its former self.
      const own =
        owner === undefined || owner === consumer.memberId || owner === consumer.instanceId;
      expect([part, own]).toEqual([part, true]);
      owners.set(part, consumer.instanceId ?? consumer.memberId);
    }
  }

  commit(consumer: Consumer, partition: number): void {
    const held = consumer.held;
    if (held === null || !held.parts.includes(partition)) return;
    const value = this.next++;
    const code = this.trial.turn((turn) => {
      const codes = this.trial.shard.commit(turn, {
        groupId: "g",
        generation: held.generation,
        memberId: consumer.memberId,
        instanceId: consumer.instanceId,
        retentionMs: -1,
        knowsGroupIdNotFound: true,
        topics: [
          {
            name: "t",
            topicId: noTopicId,
            partitions: [
              {
                partition: partitionIndex(partition),
                offset: offset(value),
                leaderEpoch: none,
                metadata: "",
              },
            ],
          },
        ],
      });
      if (codes[0]?.[0] === 0) {
        const possible = this.possible.get(partition) ?? new Set<number>();
        this.possible.set(partition, possible.add(value));
        turn.replies.push({
          settle: () => {
            for (const older of possible) if (older < value) possible.delete(older);
            this.acked.set(partition, value);
          },
        });
      }
      return codes[0]?.[0];
    });
    if (code === 0) expect(held.generation).toBeGreaterThanOrEqual(this.newest);
  }

  readonly acked = new Map<number, number>();

  /** What the log keeps is what the shard keeps. */
  replay(): void {
    const records = [...this.trial.replayed().liveRecords()];
    expect(byKey(records)).toEqual(byKey([...this.trial.shard.liveRecords()]));
  }

  check(): void {
    for (let part = 0; part < partitions; part += 1) {
      const committed = this.trial.committed("t", part);
      const acked = this.acked.get(part);
      if (acked !== undefined) expect(committed ?? -1).toBeGreaterThanOrEqual(acked);
      if (committed !== null) expect(this.possible.get(part)?.has(committed)).toBe(true);
    }
  }
}

function byKey(records: readonly GroupRecord[]): [string, GroupRecord][] {
  const key = (record: GroupRecord): string =>
    "topic" in record ? `${record.topic}-${record.partition}` : "";
  return records
    .map((record): [string, GroupRecord] => [`${record.group}/${key(record)}`, record])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

test(
  "coordinator: one owner per partition, no commit lost or taken from an old generation (random histories with power cuts)",
  () => {
    let stable = 0;
    let commits = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 220, size: "max" }), (steps) => {
        const world = new World();
        for (const each of steps) {
          world.run(each);
          world.check();
        }
        world.trial.commitLog();
        world.replay();
        world.check();
        stable += world.owners.size;
        commits += world.acked.size;
      }),
      { numRuns: 150 },
    );
    // The histories reach what they are about.
    expect(stable).toBeGreaterThan(100);
    expect(commits).toBeGreaterThan(50);
  },
  longMs,
);

test(
  "coordinator: the same steps give the same records (random histories, twice)",
  () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const [one, two] = [new World(), new World()];
        for (const each of steps) {
          one.run(each);
          two.run(each);
        }
        expect(one.trial.log).toEqual(two.trial.log);
      }),
      { numRuns: 100 },
    );
  },
  longMs,
);
