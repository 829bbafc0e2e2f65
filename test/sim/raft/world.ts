// A Raft group under everything that a seed brings: lost, repeated, late and overtaken messages,
// cuts in one direction and in both, kills, power cuts, stalled disks, pauses, damaged entries, changes
// of members, transfers. First faults go on and nothing may be contradicted; then they stop, and the
// group has to come to rest within a time.

import { type MemberId, memberId } from "../../../src/core/base/ids.ts";
import { Random } from "../../../src/core/base/random.ts";
import {
  type Entry,
  type Message,
  type Raft,
  raftLimits,
  type RaftLimits,
  unknownTerm,
} from "../../../src/core/raft/raft.ts";
import { Fingerprint } from "../fingerprint.ts";
import { Violation } from "../truth.ts";
import { SimMember, type Surroundings } from "./member.ts";
import { RaftTruth } from "./truth.ts";

/** Settings that a seed draws; a planted bug may name its own. */
export interface Knobs {
  /** Founders. */
  readonly members: number;
  readonly safetyMs: number;
  /** Faults per second of each kind; 0 = none. */
  readonly crashes: number;
  readonly cuts: number;
  readonly stalls: number;
  readonly pauses: number;
  readonly changes: number;
  readonly transfers: number;
  readonly damage: number;
  readonly snapshots: number;
  /** In 1000 messages. */
  readonly lost: number;
  readonly repeated: number;
  readonly delayMsMax: number;
  readonly syncMsMax: number;
  readonly proposals: number;
  readonly reads: number;
  readonly limits: RaftLimits;
}

export interface RaftRun {
  readonly steps: number;
  readonly messages: number;
  readonly committed: number;
  readonly acknowledged: number;
  readonly reads: number;
  readonly terms: number;
  readonly crashes: number;
  readonly repaired: number;
  readonly restored: number;
  readonly changes: number;
  readonly simulatedMs: number;
  readonly fingerprint: number;
}

const electionTimeoutMs = 150;
const heartbeatMs = 30;
const tickMs = 10;
const livenessMsMax = 5000;
/** Whoever cannot lead stops leading within so long, clocks that drift and pauses apart. */
const leadsMsMax = 4 * electionTimeoutMs;
/** Terms in a row without a leader: PreVote lets nobody raise terms who cannot be elected. */
const termsMax = 12;
/** Messages per simulated second and member. */
const messagesPerSecondMax = 12_000;
const identityMax = 12;

export function knobsOf(random: Random): Knobs {
  const some = (most: number): number => (random.below(2) === 0 ? 0 : 1 + random.below(most));
  const tiny = random.below(2) === 0;
  return {
    members: [1, 3, 3, 3, 5][random.below(5)] ?? 3,
    safetyMs: 4000,
    crashes: some(4),
    cuts: some(4),
    stalls: some(2),
    pauses: some(2),
    changes: some(3),
    transfers: some(3),
    damage: some(6),
    snapshots: some(6),
    lost: some(100),
    repeated: some(100),
    delayMsMax: 1 + random.below(40),
    syncMsMax: 1 + random.below(20),
    proposals: 10 + random.below(60),
    reads: some(20),
    limits: tiny
      ? {
          ...raftLimits,
          appendBytes: 1 + random.below(200),
          inflightMax: 1 + random.below(4),
          inflightBytesMax: 100 + random.below(500),
          uncommittedBytesMax: 500 + random.below(2000),
          requestsMax: 4 + random.below(20),
          heldMax: 4 + random.below(100),
          readsMax: 1 + random.below(5),
          chunkBytes: 8 + random.below(40),
          keptBytes: random.below(400),
          promotionLagMax: random.below(5),
        }
      : { ...raftLimits, keptBytes: random.below(2000), chunkBytes: 50 },
  };
}

function isWhole(entry: Entry): boolean {
  return entry.kind !== "damaged";
}

/** Now, or before the change that is on its way: then nobody has another copy. */
function decidesAlone({ configuration, commit, machine }: Raft): boolean {
  const { voters, outgoing } = configuration;
  const before = machine.log.configurationAt(commit).voters;
  return voters.length < 2 || outgoing.length === 1 || before.length < 2;
}

function isHead(entry: Entry): boolean {
  return entry.term !== unknownTerm;
}

export class World implements Surroundings {
  readonly random: Random;
  readonly #faults: Random;
  readonly #network: Random;
  readonly knobs: Knobs;
  readonly truth: RaftTruth;
  readonly electionTimeoutMs = electionTimeoutMs;
  readonly heartbeatMs = heartbeatMs;
  readonly members = new Map<MemberId, SimMember>();
  readonly #fingerprint = new Fingerprint();
  /** What happens at a time, in the order in which it was planned. */
  readonly #agenda = new Map<number, (() => void)[]>();
  /** `from>to` that nothing passes. */
  readonly #cut = new Set<string>();
  #now = 0;
  #faulty = true;
  #steps = 0;
  #messages = 0;
  #messagesBefore = 0;
  /** When the present leaders that another one has replaced were so first. */
  readonly #replaced = new Map<MemberId, number>();
  #commitAtRest = 0;
  #crashes = 0;
  #harmed = 0;
  #changes = 0;
  #proposal = 0;
  #identity = 0;
  /** For reading, when a run is repeated to look at it. */
  trace: ((line: string) => void) | null = null;

  constructor(seed: number, knobs: Partial<Knobs> = {}) {
    const words = [seed, seed ^ 0x5bd1e995, 0x1b873593, 0xcc9e2d51] as const;
    this.random = new Random(words, 0);
    this.#faults = new Random(words, 1);
    this.#network = new Random(words, 2);
    this.knobs = { ...knobsOf(new Random(words, 3)), ...knobs };
    this.truth = new RaftTruth(this.members);
    const founders = Array.from({ length: this.knobs.members }, () => this.#identify());
    for (const id of founders) this.#join(id, founders);
  }

  get now(): number {
    return this.#now;
  }
  get limits(): RaftLimits {
    return this.knobs.limits;
  }

  #identify(): MemberId {
    this.#identity += 1;
    return memberId(`m${this.#identity}`);
  }

  #join(id: MemberId, founders: readonly MemberId[]): SimMember {
    const member = new SimMember(id, founders, this);
    member.drift = 95 + this.random.below(11);
    this.members.set(id, member);
    member.start(this.#now);
    return member;
  }

  note(what: string): void {
    this.#fingerprint.add("note", what);
    this.trace?.(`${this.#now} ${what}`);
  }

  #at(time: number, work: () => void): void {
    const due = Math.max(time, this.#now + 1);
    const list = this.#agenda.get(due);
    if (list === undefined) this.#agenda.set(due, [work]);
    else list.push(work);
  }

  later(member: SimMember, work: () => void): void {
    const { life, disk } = member;
    const delay = 1 + this.#faults.below(this.knobs.syncMsMax);
    const run = (): void => {
      if (member.life !== life) return;
      if (disk.stalledUntil > this.#now) return this.#at(disk.stalledUntil, run);
      this.#steps += 1;
      work();
    };
    this.#at(this.#now + delay, run);
  }

  carry(message: Message): void {
    this.#messages += 1;
    const chance = this.#network.below(1000);
    const { lost, repeated } = this.knobs;
    this.#fingerprint.add("send", message);
    this.trace?.(`${this.#now} ${JSON.stringify(message)}`);
    if (this.#faulty && chance < lost) return;
    this.#deliver(message);
    if (this.#faulty && chance >= 1000 - repeated) this.#deliver(message);
  }

  #deliver(message: Message): void {
    const slow = this.#faulty && this.#network.below(100) === 0 ? 300 : 0;
    const delay = 1 + this.#network.below(this.knobs.delayMsMax) + slow;
    const arrive = (): void => {
      const to = this.members.get(message.to);
      if (to === undefined || to.raft === null) return;
      if (this.#cut.has(`${message.from}>${message.to}`)) return;
      if (to.pausedUntil > this.#now) return this.#at(to.pausedUntil, arrive);
      this.#steps += 1;
      to.step({ kind: "message", message });
    };
    this.#at(this.#now + delay, arrive);
  }

  run(): RaftRun {
    while (this.#now < this.knobs.safetyMs) {
      this.#pass();
      if (this.#now % tickMs === 0) this.#disturb();
    }
    this.#rest();
    const members = [...this.members.values()];
    const sum = (of: (member: SimMember) => number): number =>
      members.reduce((total, member) => total + of(member), 0);
    return {
      steps: this.#steps,
      messages: this.#messages,
      committed: this.truth.committedIndex,
      acknowledged: sum((member) => member.acknowledged),
      reads: sum((member) => member.readsDone),
      terms: Math.max(...members.map((member) => member.raft?.term ?? 0)),
      crashes: this.#crashes,
      repaired: this.#harmed,
      restored: sum((member) => member.restored),
      changes: this.#changes,
      simulatedMs: this.#now,
      fingerprint: this.#fingerprint.value,
    };
  }

  /** One millisecond. */
  #pass(): void {
    this.#now += 1;
    const due = this.#agenda.get(this.#now);
    if (due !== undefined) {
      this.#agenda.delete(this.#now);
      for (const work of due) work();
    }
    if (this.#now % tickMs === 0) this.#tick();
    if (this.#now % 1000 === 0) this.#budget();
  }

  #tick(): void {
    for (const member of this.members.values()) {
      if (member.raft === null || member.pausedUntil > this.#now) continue;
      this.#steps += 1;
      member.tick(this.#now);
      // A restart starts with what its disk had; snapshots come as the log grows.
      if (this.knobs.snapshots > 0 && this.#chance(this.knobs.snapshots)) member.snapshot();
    }
    this.#work();
    this.#leadership();
    this.#terms();
  }

  /** Of leaders only the newest stays, and only while its disk takes what it says. */
  #leadership(): void {
    const leaders = this.#leaders();
    const newest = Math.max(0, ...leaders.map(({ raft }) => raft?.term ?? 0));
    for (const member of this.members.values()) {
      const { id, raft, disk, pausedUntil } = member;
      const leads = raft?.role === "leader" && pausedUntil <= this.#now;
      if (leads && raft.term < newest) {
        const since = this.#replaced.get(id) ?? this.#now;
        this.#replaced.set(id, since);
        if (this.#now - since > leadsMsMax) throw new Violation(`${id} leads on without a quorum`);
      } else this.#replaced.delete(id);
      const alone = raft?.machine.alone ?? true;
      if (leads && !alone && this.#now - disk.waitsSince > leadsMsMax)
        throw new Violation(`${id} leads on with a disk that hangs`);
    }
  }

  /** A candidate had reason to think that it would be elected. */
  #terms(): void {
    const highest = Math.max(0, ...[...this.members.values()].map(({ raft }) => raft?.term ?? 0));
    if (highest - this.truth.lastLed > termsMax)
      throw new Violation(
        `terms rise to ${highest}, and the last one led was ${this.truth.lastLed}`,
      );
  }

  /** Messages do not breed messages. */
  #budget(): void {
    const sent = this.#messages - this.#messagesBefore;
    this.#messagesBefore = this.#messages;
    if (sent > messagesPerSecondMax * this.members.size)
      throw new Violation(`event budget: ${sent} messages in a second`);
  }

  /** True `perSecond` times in a second of ticks. */
  #chance(perSecond: number): boolean {
    return this.#faults.below(1000 / tickMs) < perSecond;
  }

  #any(): SimMember | undefined {
    const members = [...this.members.values()];
    return members[this.#faults.below(members.length)];
  }

  /** Whoever thinks that it leads: perhaps more than one. */
  #leaders(): SimMember[] {
    return [...this.members.values()].filter((member) => member.raft?.role === "leader");
  }

  #work(): void {
    for (const member of this.members.values()) {
      if (member.raft?.role !== "leader" && this.#faults.below(50) > 0) continue;
      if (member.pausedUntil > this.#now) continue;
      // At rest so few that the slowest follower keeps up.
      if (this.#chance(this.#faulty ? this.knobs.proposals : 5)) {
        this.#proposal += 1;
        member.propose(`p${this.#proposal}`.padEnd(this.#faults.below(60), "-"));
      }
      if (this.#chance(this.knobs.reads)) member.read();
    }
  }

  #disturb(): void {
    const { crashes, cuts, stalls, pauses, changes, transfers } = this.knobs;
    if (this.#chance(crashes)) this.#crash();
    if (this.#chance(cuts)) this.#cutLinks();
    if (this.#chance(cuts)) this.#cut.clear();
    const victim = this.#any();
    if (victim === undefined) return;
    if (this.#chance(stalls)) victim.disk.stalledUntil = this.#now + this.#faults.below(1500);
    if (this.#chance(pauses)) victim.pausedUntil = this.#now + this.#faults.below(500);
    const [leader] = this.#leaders();
    if (leader === undefined) return;
    if (this.#chance(changes)) this.#change(leader);
    if (this.#chance(transfers)) leader.step({ kind: "transfer", to: victim.id });
  }

  #crash(): void {
    const all = this.#faults.below(8) === 0;
    const victim = this.#any();
    for (const member of this.members.values()) {
      if (member.raft === null || (!all && member !== victim)) continue;
      this.#crashes += 1;
      const power = this.#faults.below(3) > 0;
      this.note(`${member.id} ${power ? "loses power" : "is killed"}`);
      const alone = decidesAlone(member.raft);
      member.stop(power);
      if (!alone) this.#harm(member);
      const restart = (): void => {
        if (member.raft !== null) return;
        this.note(`${member.id} starts`);
        member.start(this.#now);
      };
      this.#at(this.#now + 1 + this.#faults.below(400), restart);
    }
  }

  /** One copy of an entry at most, so that what was acknowledged has another one. */
  #harm(member: SimMember): void {
    if (!this.#chance(this.knobs.damage * 10)) return;
    const { durableImage, saved } = member.disk;
    const from = Math.max(durableImage.first, saved.mark.index + 1);
    const count = 1 + this.#faults.below(3);
    for (let i = 0; i < count; i += 1) {
      for (const { disk } of this.members.values())
        if (!disk.durableImage.entries.every(isHead)) return;
      const span = durableImage.last - from + 1;
      if (span <= 0) return;
      const index = from + this.#faults.below(span);
      const entry = durableImage.at(index);
      if (entry === undefined || entry.kind === "damaged" || !this.#hasCopy(member, index))
        continue;
      this.#harmed += 1;
      const head = !this.#mayLoseHead() || this.#faults.below(3) > 0;
      this.note(`${member.id} entry ${index} is damaged, head ${head}`);
      member.disk.harm(index, head);
    }
  }

  /** A lost term can be told from the copies of a majority while nothing else is damaged. */
  #mayLoseHead(): boolean {
    const members = [...this.members.values()];
    if (members.some(({ raft }) => (raft?.configuration.voters.length ?? 3) < 3)) return false;
    return members.every(({ disk }) => disk.durableImage.entries.every(isWhole));
  }

  /** Another copy is whole, or the entry is not committed. */
  #hasCopy(member: SimMember, index: number): boolean {
    const term = this.truth.committed[index - 1]?.term;
    let copies = 0;
    for (const { disk } of [...this.members.values()].filter((other) => other !== member)) {
      const there = disk.durableImage.at(index);
      if (there?.kind === "damaged") return false;
      if (there?.term === term || disk.saved.mark.index >= index) copies += 1;
    }
    return term === undefined || copies > 0;
  }

  #cutLinks(): void {
    const oneWay = this.#faults.below(2) === 0;
    const alone = this.#any()?.id;
    const halves = this.#faults.below(2) === 0;
    const left = new Set([...this.members.keys()].filter(() => this.#faults.below(2) === 0));
    for (const from of this.members.keys()) {
      for (const to of this.members.keys()) {
        const apart = halves ? left.has(from) !== left.has(to) : from === alone || to === alone;
        const direction = halves ? left.has(from) : from === alone;
        if (apart && (!oneWay || direction)) this.#cut.add(`${from}>${to}`);
      }
    }
    this.note(`links are cut: ${[...this.#cut].join(" ")}`);
  }

  #change(leader: SimMember): void {
    const { voters = [], learners = [] } = leader.raft?.configuration ?? {};
    this.#changes += 1;
    const kind = this.#faults.below(4);
    if (kind === 0 && this.#identity < identityMax) {
      const fresh = this.#join(this.#identify(), []);
      return leader.change(voters, [...learners, fresh.id]);
    }
    if (kind === 1) return leader.change([...voters, ...learners], []);
    if (kind === 2 && voters.length > 1) {
      const gone = voters[this.#faults.below(voters.length)];
      const stays = voters.filter((each) => each !== gone);
      const demoted = this.#faults.below(2) === 0 && gone !== undefined ? [gone] : [];
      return leader.change([...stays, ...learners], demoted);
    }
    // It may try to bring somebody back.
    const [back] = leader.raft?.configuration.removed ?? [];
    leader.change(voters, back === undefined ? learners.slice(1) : [...learners, back]);
  }

  /** No more faults. The group has to find a leader, commit, and agree. */
  #rest(): void {
    this.#faulty = false;
    this.#cut.clear();
    for (const member of this.members.values()) {
      member.disk.stalledUntil = 0;
      member.pausedUntil = 0;
      if (member.raft === null) member.start(this.#now);
    }
    const until = this.#now + livenessMsMax;
    this.#commitAtRest = this.truth.committedIndex;
    while (this.#now < until) {
      this.#pass();
      if (this.#now % 100 === 0 && this.#agree(this.#now - until + livenessMsMax))
        return this.#stay();
    }
    throw new Violation(`liveness: ${this.#unrest()}`);
  }

  /** Without faults nobody replaces a leader. */
  #stay(): void {
    const { lastLed } = this.truth;
    for (let ms = 0; ms < 2 * electionTimeoutMs; ms += 1) this.#pass();
    const highest = Math.max(...[...this.members.values()].map(({ raft }) => raft?.term ?? 0));
    if (highest !== lastLed)
      throw new Violation(`term ${highest} comes after ${lastLed} without a fault`);
  }

  /** Everybody in the configuration is whole and has applied what came after the faults. */
  #agree(elapsed: number): boolean {
    const [leader, ...more] = this.#leaders();
    if (elapsed < 1000 || leader === undefined || more.length > 0) return false;
    const { raft } = leader;
    if (raft === null) return false;
    const { voters, outgoing, learners } = raft.configuration;
    if (outgoing.length > 0 || raft.machine.log.configurationIndex > raft.commit) return false;
    if (raft.commit < (raft.machine.leading?.firstIndex ?? 0)) return false;
    if (this.truth.committed.slice(this.#commitAtRest).every(({ text }) => text === "no-op"))
      return false;
    return [...voters, ...learners].every((id) => {
      const member = this.members.get(id);
      if (member === undefined || member.raft === null) return false;
      const { machine } = member.raft;
      return machine.log.damaged.length === 0 && raft.commit - machine.applied < 20;
    });
  }

  #unrest(): string {
    return JSON.stringify(
      [...this.members.values()].map(({ id, raft }) => ({
        id,
        role: raft?.role,
        term: raft?.term,
        commit: raft?.commit,
        applied: raft?.applied,
        last: raft?.machine.log.last,
        damaged: raft?.machine.log.damaged,
        terms: raft?.machine.log.entries
          .slice(-8)
          .map((each) => `${each.index}:${each.term}`)
          .join(" "),
        voters: raft?.configuration.voters.join(),
        outgoing: raft?.configuration.outgoing.join(),
        learners: raft?.configuration.learners.join(),
      })),
    );
  }
}
