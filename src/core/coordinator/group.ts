// One group and its members: the volatile picture (who waits, who has joined, the state) beside what
// is durable (committed offsets and the last record of the group's metadata).
//
// States and their ways:
//   Empty -> PreparingRebalance         a member joins
//   PreparingRebalance -> CompletingRebalance   everybody has joined, or the time is up
//   CompletingRebalance -> Stable       the leader has handed in the assignment
//   CompletingRebalance | Stable -> PreparingRebalance   a member comes, changes, leaves or is silent
//   PreparingRebalance -> Empty         nobody is left
// A group that does not exist is shown as "Dead".
//
// Invariants: `awaiting` = members with a JoinGroup waiting; the leader is a member; each static
// member is a member and owns its instance id; nobody is both pending and a member; `support` counts
// how many members know each protocol.

import { assert } from "../base/assert.ts";
import type { PartitionIndex } from "../base/ids.ts";
import { Alarm, type Alarms } from "./alarms.ts";
import type { CommittedOffset, GroupMetadata } from "./records.ts";
import type { Waiter } from "./turn.ts";

export type GroupState = "Empty" | "PreparingRebalance" | "CompletingRebalance" | "Stable";

/** The protocol type of consumers, whose subscriptions the coordinator can read. */
export const consumerProtocolType = "consumer";
export const noBytes = new Uint8Array(0);

export interface Protocol {
  readonly name: string;
  readonly metadata: Uint8Array;
}

/** What JoinGroup answers; `members` is for the leader only. */
export interface JoinAnswer {
  readonly code: number;
  readonly memberId: string;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocol: string | null;
  readonly leader: string;
  readonly skipAssignment: boolean;
  readonly members: readonly JoinedMember[];
}

export interface JoinedMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly metadata: Uint8Array;
}

export interface SyncAnswer {
  readonly code: number;
  readonly protocolType: string | null;
  readonly protocol: string | null;
  readonly assignment: Uint8Array;
}

/** Who is behind an alarm. */
export type AlarmOwner =
  /** A member that is silent. */
  | { readonly kind: "session"; readonly group: Group; readonly member: Member }
  /** A member id that was given out and not used. */
  | { readonly kind: "pending"; readonly group: Group; readonly memberId: string }
  /** Members that have not joined again, or the initial delay of a new group. */
  | { readonly kind: "join"; readonly group: Group }
  /** Members that have joined and do not ask for their assignment. */
  | { readonly kind: "sync"; readonly group: Group };

export interface MemberFields {
  readonly id: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly protocolType: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly protocols: readonly Protocol[];
  readonly assignment: Uint8Array;
}

export class Member {
  readonly id: string;
  /** Null: not a static member. */
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly protocolType: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  /** Best first. */
  protocols: readonly Protocol[];
  assignment: Uint8Array;
  /** A JoinGroup that waits for the rebalance. */
  joining: Waiter<JoinAnswer> | null = null;
  /** A SyncGroup that waits for the leader. */
  syncing: Waiter<SyncAnswer> | null = null;
  /** Has not seen its first answer: nothing that waits keeps it alive. */
  fresh = false;
  readonly session: Alarm<AlarmOwner>;

  constructor(group: Group, of: MemberFields) {
    this.id = of.id;
    this.instanceId = of.instanceId;
    this.clientId = of.clientId;
    this.clientHost = of.clientHost;
    this.protocolType = of.protocolType;
    this.rebalanceTimeoutMs = of.rebalanceTimeoutMs;
    this.sessionTimeoutMs = of.sessionTimeoutMs;
    this.protocols = of.protocols;
    this.assignment = of.assignment;
    this.session = new Alarm<AlarmOwner>({ kind: "session", group, member: this });
  }

  /** The same member under another id; nothing of the new one waits. */
  successor(group: Group, id: string): Member {
    const { instanceId, clientId, clientHost, protocolType, protocols, assignment } = this;
    const { rebalanceTimeoutMs, sessionTimeoutMs } = this;
    return new Member(group, {
      id,
      instanceId,
      clientId,
      clientHost,
      protocolType,
      rebalanceTimeoutMs,
      sessionTimeoutMs,
      protocols,
      assignment,
    });
  }

  metadata(protocol: string | null): Uint8Array {
    for (const own of this.protocols) if (own.name === protocol) return own.metadata;
    return noBytes;
  }

  /** Same protocols in the same order with the same bytes. */
  matches(protocols: readonly Protocol[]): boolean {
    if (protocols.length !== this.protocols.length) return false;
    return this.protocols.every((own, at) => {
      const other = protocols[at];
      return (
        other !== undefined && own.name === other.name && sameBytes(own.metadata, other.metadata)
      );
    });
  }

  /** The first of its protocols that all members know. */
  vote(candidates: ReadonlySet<string>): string | null {
    for (const own of this.protocols) if (candidates.has(own.name)) return own.name;
    return null;
  }
}

export class Group {
  readonly id: string;
  state: GroupState = "Empty";
  /** The state before: a rebalance that started from Empty waits for the initial delay. */
  previous: GroupState = "Empty";
  generation = 0;
  protocolType: string | null = null;
  protocol: string | null = null;
  leader: string | null = null;
  /** Unix ms of the last change of state; -1 = none yet. */
  stateTimestamp = -1;
  /** Topics that the members read; null = not known. */
  subscribed: ReadonlySet<string> | null = null;

  /** In the order of joining. */
  readonly members = new Map<string, Member>();
  /** Instance id -> member id. */
  readonly statics = new Map<string, string>();
  /** Member ids given out by MEMBER_ID_REQUIRED and not used yet. */
  readonly pending = new Map<string, Alarm<AlarmOwner>>();
  /** Members of this generation that have not asked for their assignment. */
  readonly unsynced = new Set<string>();
  readonly #support = new Map<string, number>();
  awaiting = 0;

  /** Initial delay: a member came since the alarm was set. */
  memberAdded = false;
  /** Initial delay: length of the wait under way, and how long it may still be extended. */
  delayMs = 0;
  delayLeftMs = 0;
  readonly joinAlarm = new Alarm<AlarmOwner>({ kind: "join", group: this });
  readonly syncAlarm = new Alarm<AlarmOwner>({ kind: "sync", group: this });

  /** A metadata record is planned and not applied yet. */
  storing = false;
  /** Durable, changed by `apply` only: the last metadata record. */
  stored: GroupMetadata | null = null;
  /** Durable, changed by `apply` only: topic -> partition -> offset. No topic is empty. */
  readonly offsets = new Map<string, Map<PartitionIndex, CommittedOffset>>();

  constructor(id: string) {
    this.id = id;
  }

  isDurable(): boolean {
    return this.stored !== null || this.offsets.size > 0;
  }

  /** Nothing durable, nobody there, and nothing about to be either. */
  isVoid(): boolean {
    return !this.isDurable() && !this.storing && this.members.size === 0 && this.pending.size === 0;
  }

  usesConsumerProtocol(): boolean {
    return this.protocolType === consumerProtocolType;
  }

  /**
   * Whether the members read `topic`. Where that is not known, a group of consumers is taken to read
   * everything.
   */
  reads(topic: string): boolean {
    return this.subscribed === null ? this.usesConsumerProtocol() : this.subscribed.has(topic);
  }

  /** Whether a member with these protocols and those already here have one in common. */
  supports(protocolType: string, protocols: readonly Protocol[]): boolean {
    if (this.state === "Empty") return protocolType !== "" && protocols.length > 0;
    if (this.protocolType !== protocolType) return false;
    return protocols.some((each) => (this.#support.get(each.name) ?? 0) === this.members.size);
  }

  add(member: Member, joining: Waiter<JoinAnswer> | null): void {
    assert(!this.members.has(member.id), "a member is added once");
    if (member.instanceId !== null) {
      assert(!this.statics.has(member.instanceId), "an instance id has one member");
      this.statics.set(member.instanceId, member.id);
    }
    if (this.members.size === 0) this.protocolType = member.protocolType;
    if (this.leader === null) this.leader = member.id;
    this.members.set(member.id, member);
    this.pending.delete(member.id);
    this.#count(member.protocols, 1);
    this.setJoining(member, joining);
  }

  /** The member must have no request waiting: whoever removes it has answered them. */
  remove(member: Member): void {
    assert(member.joining === null, "a member that is removed waits for no rebalance");
    assert(member.syncing === null, "a member that is removed waits for no assignment");
    assert(this.members.delete(member.id), "only a member is removed");
    this.#count(member.protocols, -1);
    this.unsynced.delete(member.id);
    if (member.instanceId !== null) this.statics.delete(member.instanceId);
    if (this.leader === member.id) this.leader = this.#first()?.id ?? null;
  }

  /** Puts `next` in the place of `old`, whose instance id it takes over (KIP-345). */
  replace(old: Member, next: Member): void {
    const leads = this.leader === old.id;
    const owed = this.unsynced.has(old.id);
    this.remove(old);
    this.add(next, null);
    if (leads) this.leader = next.id;
    if (owed) this.unsynced.add(next.id);
  }

  update(
    member: Member,
    protocols: readonly Protocol[],
    rebalanceTimeoutMs: number,
    sessionTimeoutMs: number,
  ): void {
    this.#count(member.protocols, -1);
    member.protocols = protocols;
    this.#count(protocols, 1);
    member.rebalanceTimeoutMs = rebalanceTimeoutMs;
    member.sessionTimeoutMs = sessionTimeoutMs;
  }

  setJoining(member: Member, joining: Waiter<JoinAnswer> | null): void {
    if (member.joining === null && joining !== null) this.awaiting += 1;
    if (member.joining !== null && joining === null) this.awaiting -= 1;
    member.joining = joining;
  }

  allJoined(): boolean {
    return this.awaiting === this.members.size && this.pending.size === 0;
  }

  /** Longest rebalance timeout of the members. */
  rebalanceTimeoutMs(): number {
    let longest = 0;
    for (const member of this.members.values())
      longest = Math.max(longest, member.rebalanceTimeoutMs);
    return longest;
  }

  /** False when nobody has joined again: then there is no leader to choose. */
  chooseJoinedLeader(): boolean {
    const leader = this.leader === null ? undefined : this.members.get(this.leader);
    if (leader === undefined) return false;
    if (leader.joining !== null) return true;
    for (const member of this.members.values()) {
      if (member.joining === null) continue;
      this.leader = member.id;
      return true;
    }
    return false;
  }

  /** Every member votes for the best of its protocols that all know; a tie goes to the first voter. */
  chooseProtocol(): string {
    const candidates = new Set<string>();
    for (const [name, count] of this.#support)
      if (count === this.members.size) candidates.add(name);
    const votes = new Map<string, number>();
    for (const member of this.members.values()) {
      const vote = member.vote(candidates);
      if (vote !== null) votes.set(vote, (votes.get(vote) ?? 0) + 1);
    }
    let chosen: string | null = null;
    let most = 0;
    for (const [name, count] of votes) {
      if (count <= most) continue;
      chosen = name;
      most = count;
    }
    assert(chosen !== null, "members have a protocol in common");
    return chosen;
  }

  enter(state: GroupState, wall: number): void {
    this.previous = this.state;
    this.state = state;
    this.stateTimestamp = wall;
  }

  joinedMembers(): readonly JoinedMember[] {
    return [...this.members.values()].map((member) => ({
      memberId: member.id,
      instanceId: member.instanceId,
      metadata: member.metadata(this.protocol),
    }));
  }

  /** The group as a record keeps it, with the assignments given or those that the members have. */
  asMetadata(assignments: ReadonlyMap<string, Uint8Array> | null): GroupMetadata {
    return {
      protocolType: this.protocolType,
      generation: this.generation,
      protocol: this.protocol,
      leader: this.leader,
      stateTimestamp: this.stateTimestamp,
      members: [...this.members.values()].map((member) => ({
        memberId: member.id,
        instanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeoutMs: member.rebalanceTimeoutMs,
        sessionTimeoutMs: member.sessionTimeoutMs,
        subscription: member.metadata(this.protocol),
        assignment:
          assignments === null ? member.assignment : (assignments.get(member.id) ?? noBytes),
      })),
    };
  }

  turnAlarmsOff(alarms: Alarms<AlarmOwner>): void {
    alarms.off(this.joinAlarm);
    alarms.off(this.syncAlarm);
    for (const member of this.members.values()) alarms.off(member.session);
    for (const pending of this.pending.values()) alarms.off(pending);
  }

  invariants(): void {
    let awaiting = 0;
    for (const member of this.members.values()) {
      if (member.joining !== null) awaiting += 1;
      assert(!this.pending.has(member.id), "nobody is both pending and a member");
      if (member.instanceId !== null) {
        assert(
          this.statics.get(member.instanceId) === member.id,
          "a static member owns its instance id",
        );
      }
    }
    assert(awaiting === this.awaiting, "awaiting counts the members that wait for the rebalance");
    assert(this.statics.size <= this.members.size, "static members are members");
    if (this.leader !== null && this.members.size > 0) {
      assert(this.members.has(this.leader), "the leader is a member");
    }
    if (this.state === "Empty") assert(this.members.size === 0, "an empty group has no members");
    if (this.state === "Stable" || this.state === "CompletingRebalance") {
      assert(this.members.size > 0, "a group in use has members");
      assert(this.protocol !== null, "a group in use has a protocol");
    }
    if (this.state === "CompletingRebalance")
      assert(this.awaiting === 0, "nobody waits for a rebalance that is over");
    for (const partitions of this.offsets.values())
      assert(partitions.size > 0, "a topic without offsets is forgotten");
  }

  #first(): Member | undefined {
    return this.members.values().next().value;
  }

  #count(protocols: readonly Protocol[], by: 1 | -1): void {
    for (const { name } of protocols) {
      const count = (this.#support.get(name) ?? 0) + by;
      if (count === 0) this.#support.delete(name);
      else this.#support.set(name, count);
    }
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  for (let at = 0; at < a.byteLength; at += 1) if (a[at] !== b[at]) return false;
  return true;
}
