// For tests only: a shard with a clock and a log in memory. A turn's records are logged and applied at
// once. Its answers leave at once too, unless the log is slow: then they wait for `commit`.

import { Random } from "../base/random.ts";
import { none, noTopicId, offset as asOffset, partitionIndex } from "../base/ids.ts";
import {
  type CommitRequest,
  type GroupRecord,
  type GroupSettings,
  type JoinAnswer,
  type JoinRequest,
  type Settled,
  Shard,
  type SyncAnswer,
  Turn,
  Waiter,
} from "./coordinator.ts";

export const trialSettings: GroupSettings = {
  sessionTimeoutMsMin: 6_000,
  sessionTimeoutMsMax: 1_800_000,
  initialRebalanceDelayMs: 3_000,
  groupMembersMax: 1_000,
  offsetMetadataMax: 4_096,
  offsetsRetentionMs: 7 * 24 * 3_600_000,
  retentionCheckMs: 600_000,
  recordBytesMax: 4 * 1024 * 1024,
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** In trials a subscription is a comma-separated list of topics; "?" cannot be read. */
export function subscription(...topics: string[]): Uint8Array {
  return encoder.encode(topics.join(","));
}

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

function readSubscription(bytes: Uint8Array): readonly string[] | null {
  const text = decoder.decode(bytes);
  if (text === "?") return null;
  return text === "" ? [] : text.split(",");
}

/** A request under way; `answer` is null until it leaves. */
export class Asked<A> {
  answer: A | null = null;
  readonly waiter = new Waiter<A>((_code, answer) => {
    this.answer = answer;
  });
}

export class Trial {
  settings: GroupSettings;
  shard: Shard;
  now = 1_000_000;
  /** Unix ms run apart from the monotonic ones, so that a mix-up shows. */
  wall = 1_700_000_000_000;
  log: GroupRecord[] = [];
  /** Answers wait until the log is committed. */
  slow = false;
  /** The invariants are checked after every turn; long tests check them once. */
  checked = true;
  /** Records that no power cut can take. */
  durable = 0;
  readonly #unsettled: Settled[] = [];
  #random = new Random([1, 2, 3, 4], 7);

  constructor(settings: Partial<GroupSettings> = {}) {
    this.settings = { ...trialSettings, ...settings };
    this.shard = this.reload();
  }

  /** The node starts again: everything that is not in the log is lost. */
  reload(): Shard {
    const shard = this.replayed();
    this.shard = shard;
    this.turn((turn) => shard.loaded(turn));
    return shard;
  }

  /** A shard that has read the log and is not alive. */
  replayed(): Shard {
    const shard = new Shard(this.settings, this.#random, readSubscription);
    for (const record of this.log) shard.apply(record);
    return shard;
  }

  /** Member ids come again in the order of the beginning. */
  reseed(): void {
    this.#random = new Random([1, 2, 3, 4], 7);
  }

  turn<T>(plan: (turn: Turn) => T): T {
    const turn = new Turn(this.now, this.wall);
    const result = plan(turn);
    for (const record of turn.records) {
      this.log.push(record);
      this.shard.apply(record);
    }
    this.#unsettled.push(...turn.replies);
    if (!this.slow) this.commitLog();
    if (this.checked) this.shard.invariants();
    return result;
  }

  commitLog(): void {
    this.durable = this.log.length;
    for (const reply of this.#unsettled.splice(0)) reply.settle(0);
  }

  /** The power goes: as many records survive as are durable, and `more` of the others. */
  powerCut(more: number): void {
    this.log.length = Math.min(this.durable + more, this.log.length);
    this.durable = this.log.length;
    this.#unsettled.length = 0;
    this.reload();
  }

  /** Time passes in ticks of 100 ms. */
  pass(ms: number): void {
    const end = this.now + ms;
    while (this.now < end) {
      const step = Math.min(100, end - this.now);
      this.now += step;
      this.wall += step;
      this.tick();
    }
  }

  tick(): void {
    this.turn((turn) => this.shard.tick(turn));
    if (this.shard.sweepDue(this.now)) this.turn((turn) => this.shard.sweep(turn));
  }

  join(request: Partial<JoinRequest> = {}): Asked<JoinAnswer> {
    const asked = new Asked<JoinAnswer>();
    const whole: JoinRequest = {
      groupId: "g",
      memberId: "",
      instanceId: null,
      clientId: "client",
      clientHost: "/127.0.0.1",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      protocolType: "consumer",
      protocols: [{ name: "range", metadata: subscription("t") }],
      reason: "",
      takesMemberId: true,
      skipsAssignment: true,
      ...request,
    };
    this.turn((turn) => this.shard.join(turn, asked.waiter, whole));
    return asked;
  }

  sync(
    memberId: string,
    generation: number,
    assignments: Record<string, string> = {},
    more: { instanceId?: string; protocolType?: string; protocol?: string } = {},
  ): Asked<SyncAnswer> {
    const asked = new Asked<SyncAnswer>();
    this.turn((turn) =>
      this.shard.sync(turn, asked.waiter, {
        groupId: "g",
        memberId,
        generation,
        instanceId: more.instanceId ?? null,
        protocolType: more.protocolType ?? null,
        protocol: more.protocol ?? null,
        assignments: Object.entries(assignments).map(([id, text]) => ({
          memberId: id,
          assignment: bytesOf(text),
        })),
      }),
    );
    return asked;
  }

  heartbeat(
    memberId: string,
    generation: number,
    instanceId: string | null = null,
    groupId = "g",
  ): number {
    return this.turn((turn) =>
      this.shard.heartbeat(turn, { groupId, memberId, generation, instanceId }),
    );
  }

  leave(...members: { memberId?: string; instanceId?: string }[]): readonly number[] {
    const leaving = members.map((each) => ({
      memberId: each.memberId ?? "",
      instanceId: each.instanceId ?? null,
      reason: "",
    }));
    return this.turn((turn) => this.shard.leave(turn, { groupId: "g", members: leaving })).codes;
  }

  /** Commits one offset of topic "t", partition 0, unless told otherwise. Returns its code. */
  commit(offset: number, request: Partial<CommitRequest> = {}): number | undefined {
    const whole: CommitRequest = {
      groupId: "g",
      generation: -1,
      memberId: "",
      instanceId: null,
      retentionMs: -1,
      knowsGroupIdNotFound: true,
      topics: [
        {
          name: "t",
          topicId: noTopicId,
          partitions: [
            {
              partition: partitionIndex(0),
              offset: asOffset(offset),
              leaderEpoch: none,
              metadata: "",
            },
          ],
        },
      ],
      ...request,
    };
    return this.turn((turn) => this.shard.commit(turn, whole))[0]?.[0];
  }

  committed(topic = "t", partition = 0, groupId = "g"): number | null {
    return (
      this.shard.committed(groupId, topic, noTopicId, partitionIndex(partition))?.offset ?? null
    );
  }

  /** A member by the two steps of KIP-394: the id, and the JoinGroup that waits. */
  member(request: Partial<JoinRequest> = {}): { id: string; asked: Asked<JoinAnswer> } {
    const id = this.join(request).answer?.memberId ?? "";
    return { id, asked: this.join({ ...request, memberId: id }) };
  }

  /** A stable group of as many members, and its generation; the first one leads. */
  stable(
    members: number,
    request: Partial<JoinRequest> = {},
  ): { ids: string[]; generation: number } {
    const joined = Array.from({ length: members }, () => this.member(request));
    for (let waited = 0; joined.some((each) => each.asked.answer === null); waited += 100) {
      if (waited > 10 * 60_000) throw new Error("the group does not get stable");
      this.pass(100);
    }
    const ids = joined.map((each) => each.id);
    const generation = joined[0]?.asked.answer?.generation ?? -1;
    const leader = joined[0]?.asked.answer?.leader ?? "";
    this.sync(leader, generation, Object.fromEntries(ids.map((id) => [id, `parts of ${id}`])));
    for (const id of ids) if (id !== leader) this.sync(id, generation);
    return { ids, generation };
  }

  state(groupId = "g"): string {
    return this.shard.describe(groupId)?.state ?? "Dead";
  }

  members(groupId = "g"): string[] {
    return this.shard.describe(groupId)?.members.map((member) => member.memberId) ?? [];
  }
}
