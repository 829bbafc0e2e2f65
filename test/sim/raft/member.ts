// One member in the simulation: a process with the shipping Raft, its disk, its state machine and
// its clients. It performs effects and hands everything to the judge.

import { type MemberId, ticket, type Ticket } from "../../../src/core/base/ids.ts";
import type { Random } from "../../../src/core/base/random.ts";
import {
  type Entry,
  type Index,
  type Message,
  Raft,
  type RaftEffects,
  type RaftInput,
  type RaftLimits,
  type RaftOutcome,
  type Refusal,
  type SnapshotChunk,
  type SnapshotMark,
  type Write,
} from "../../../src/core/raft/raft.ts";
import { Violation } from "../truth.ts";
import { RaftDisk, type SavedSnapshot } from "./disk.ts";
import { type RaftTruth, textOf } from "./truth.ts";

/** What the world does for a member. */
export interface Surroundings {
  readonly random: Random;
  readonly now: number;
  readonly truth: RaftTruth;
  readonly limits: RaftLimits;
  readonly electionTimeoutMs: number;
  readonly heartbeatMs: number;
  /** Takes a message away; it may arrive. */
  carry(message: Message): void;
  /** Calls back when the disk has done so much work, unless the process has ended by then. */
  later(member: SimMember, work: () => void): void;
  note(what: string): void;
}

const state = { count: 0, hash: 0 };

export class SimMember implements RaftEffects {
  readonly id: MemberId;
  readonly disk: RaftDisk;
  readonly #world: Surroundings;
  raft: Raft | null = null;
  /** Rises with every start: what belongs to an older process is void. */
  life = 0;
  pausedUntil = 0;
  /** Percent of real time that its clock counts. */
  drift = 100;
  /** When this process began, in simulated time. */
  #bornAt = 0;
  /** The state machine: how many entries, and a hash over all of them. */
  state = { ...state };
  stateIndex: Index = 0;
  #syncing = false;
  #snapshotAsked: Index = 0;
  #chunks: Uint8Array[] = [];
  readonly #proposals = new Map<number, string>();
  readonly #reads = new Map<number, Index>();
  #request = 0;
  acknowledged = 0;
  readsDone = 0;
  restored = 0;

  constructor(id: MemberId, founders: readonly MemberId[], world: Surroundings) {
    this.id = id;
    this.disk = new RaftDisk(founders);
    this.#world = world;
  }

  start(now: number): void {
    this.life += 1;
    this.#bornAt = now;
    this.#syncing = false;
    this.#snapshotAsked = 0;
    this.#chunks = [];
    this.#proposals.clear();
    this.#reads.clear();
    this.#load(this.disk.saved);
    const { random, limits, electionTimeoutMs, heartbeatMs } = this.#world;
    const seed = [random.uint32(), random.uint32(), random.uint32(), random.uint32()] as const;
    const settings = { member: this.id, electionTimeoutMs, heartbeatMs, seed, limits };
    this.raft = new Raft(settings, this.disk.stored());
  }

  /** The process ends; with the power, writes that are not durable may go as well. */
  stop(power: boolean): void {
    const { unsynced } = this.disk;
    this.disk.cut(power ? this.#world.random.below(unsynced + 1) : unsynced);
    this.raft = null;
    this.life += 1;
  }

  #load(saved: SavedSnapshot): void {
    this.stateIndex = saved.mark.index;
    const text = new TextDecoder().decode(saved.bytes);
    const [count = "0", hash = "0"] = text.split(" ");
    this.state = { count: Number(count), hash: Number(hash) };
  }

  step(input: RaftInput): void {
    const { raft } = this;
    if (raft === null) return;
    const { commit, configuration } = raft;
    raft.step(input, this);
    this.#world.truth.stepped(this, commit, configuration);
  }

  tick(now: number): void {
    const elapsed = ((now - this.#bornAt) * this.drift) / 100;
    this.step({ kind: "tick", now: Math.floor(elapsed) });
  }

  propose(text: string): void {
    this.#request += 1;
    this.#proposals.set(this.#request, text);
    const payload = new TextEncoder().encode(text);
    this.step({ kind: "propose", request: this.#request, payload });
  }

  read(): void {
    this.#request += 1;
    this.#reads.set(this.#request, this.#world.truth.committedIndex);
    this.step({ kind: "read", request: this.#request });
  }

  change(voters: readonly MemberId[], learners: readonly MemberId[]): void {
    this.#request += 1;
    this.step({ kind: "change", request: this.#request, voters, learners });
  }

  /** Asks for a snapshot of what is applied, unless one is being written. */
  snapshot(): void {
    const { raft } = this;
    if (raft === null || this.#snapshotAsked > 0 || raft.sendsSnapshot) return;
    if (this.stateIndex <= this.disk.saved.mark.index) return;
    const index = this.stateIndex;
    this.#snapshotAsked = index;
    const { count, hash } = this.state;
    const text = `${count} ${hash} `.padEnd(40 + (hash % 40), ".");
    const bytes = new TextEncoder().encode(text);
    const { log } = raft.machine;
    const configuration = log.configurationAt(index);
    const mark = { index, term: log.termAt(index) ?? 0, configuration, bytes: bytes.byteLength };
    this.#world.later(this, () => {
      this.#snapshotAsked = 0;
      if (index <= this.disk.saved.mark.index) return;
      this.disk.saved = { mark, bytes };
      this.step({ kind: "snapshot-saved", index, bytes: bytes.byteLength });
    });
  }

  // Effects.

  send(message: Message): void {
    this.#world.truth.said(this, message);
    this.#world.carry(message);
  }

  sendChunk(chunk: Omit<SnapshotChunk, "chunk">, bytesMax: number): void {
    const { mark, bytes } = this.disk.saved;
    if (mark.index !== chunk.snapshot.index) return;
    const { position } = chunk;
    this.send({ ...chunk, chunk: bytes.slice(position, position + bytesMax) });
  }

  persist(write: Write): Ticket {
    const { raft, disk } = this;
    if (raft !== null) {
      for (const entry of [...write.entries, ...write.repaired])
        this.#world.truth.wrote(this.id, entry, raft.machine.log.termAt(entry.index - 1));
    }
    const at = disk.write(write, this.#world.now);
    this.#sync();
    return ticket(at);
  }

  /** One sync at a time covers everything that was written when it began. */
  #sync(): void {
    if (this.#syncing) return;
    this.#syncing = true;
    const upTo = this.disk.tail;
    this.#world.later(this, () => {
      this.#syncing = false;
      this.disk.sync(upTo);
      if (this.disk.tail > upTo) this.#sync();
      this.step({ kind: "persisted", ticket: ticket(upTo) });
    });
  }

  apply(entry: Entry): void {
    if (entry.index !== this.stateIndex + 1)
      throw new Violation(`${this.id} applies ${entry.index} behind ${this.stateIndex}`);
    this.#world.truth.applied(this, entry);
    this.stateIndex = entry.index;
    const text = textOf(entry);
    let { hash } = this.state;
    for (let i = 0; i < text.length; i += 1)
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
    this.state = { count: this.state.count + 1, hash };
  }

  takeChunk(snapshot: SnapshotMark, position: number, chunk: Uint8Array): void {
    if (position === 0) this.#chunks = [];
    this.#chunks.push(chunk);
    if (position + chunk.byteLength < snapshot.bytes) return;
    const bytes = new Uint8Array(Buffer.concat(this.#chunks));
    const { index } = snapshot;
    this.#world.later(this, () => {
      const refused = this.#world.random.below(20) === 0;
      if (refused || bytes.byteLength !== snapshot.bytes) {
        return this.step({ kind: "snapshot-refused", index });
      }
      if (index > this.disk.saved.mark.index) this.disk.saved = { mark: snapshot, bytes };
      this.step({ kind: "snapshot-installed", index });
    });
  }

  restore(snapshot: SnapshotMark): void {
    if (this.disk.saved.mark.index !== snapshot.index)
      throw new Violation(`${this.id} restores ${snapshot.index}, which is not durable`);
    this.#load(this.disk.saved);
    if (this.state.count !== snapshot.index)
      throw new Violation(`${this.id} restores ${this.state.count} entries at ${snapshot.index}`);
    this.restored += 1;
    this.#world.note(`${this.id} restores ${snapshot.index}`);
  }

  trim(index: Index): void {
    if (index > this.disk.saved.mark.index)
      throw new Violation(`${this.id} trims ${index} without a snapshot`);
    this.disk.trim(index);
  }

  outcome(request: number, outcome: RaftOutcome): void {
    const text = this.#proposals.get(request);
    if (text === undefined) return;
    this.#proposals.delete(request);
    if (outcome.kind === "committed") {
      this.acknowledged += 1;
      this.#world.truth.acknowledged(outcome.index, `command ${text}`);
    } else if (outcome.refusal !== "unknown") {
      this.#world.truth.refused(`command ${text}`);
    }
  }

  readable(request: number, index: Index): void {
    const asked = this.#reads.get(request);
    if (asked === undefined || this.raft === null)
      throw new Violation("nobody asked for this read");
    this.#reads.delete(request);
    this.readsDone += 1;
    if (index > this.stateIndex) throw new Violation(`a read of ${index} at ${this.stateIndex}`);
    this.#world.truth.read(this.raft, asked);
  }

  readRefused(request: number, _refusal: Refusal): void {
    this.#reads.delete(request);
  }

  log(level: string, event: string): void {
    this.#world.note(`${this.id} ${event}`);
    if (level === "error") throw new Violation(`${this.id} says ${event}`);
  }
}
