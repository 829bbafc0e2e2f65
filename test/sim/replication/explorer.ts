// Every state of seal and recovery that a small cluster can reach, over the machines that ship: five
// nodes, rows of three, W = 2, two records, the epoch that wrote them and the one that ends it.
//
//   bun test/sim/replication/explorer.ts [--states 10000000] [--walks 1000] [--restarts 1] [--lossy 1] [--ticks 0]
//
// Messages stay in the network once they are sent: whichever order, loss and doubling is possible is a
// path. A step of a machine depends on its state and its input alone, so each pair is computed once,
// and a state of the cluster is a few small numbers.

import { parseArgs } from "node:util";
import { memberAt, type Placement, rowOf } from "../../../src/core/base/copyset.ts";
import {
  type EpochRecord,
  epochRecord,
  ownerOf,
  type PartitionEpochs,
} from "../../../src/core/base/epochs.ts";
import type { LeaderEpoch, NodeId, Offset, Slot } from "../../../src/core/base/ids.ts";
import { Random } from "../../../src/core/base/random.ts";
import { AckQueue } from "../../../src/core/replication/ack_queue.ts";
import type { Proposal } from "../../../src/core/replication/effects.ts";
import type { BatchCopy, PeerMessage } from "../../../src/core/replication/messages.ts";
import { Replicator } from "../../../src/core/replication/replicator.ts";
import { replicationLimits } from "../../../src/core/replication/settings.ts";
import { cloned, textOf } from "./clone.ts";
import { Machine, Recorder, type Registry } from "./machine.ts";
import { NumberSet } from "./number_set.ts";
import type { Change } from "./metadata.ts";

export interface Bounds {
  readonly states: number;
  /** Random ways to the end before every state is looked at. */
  readonly walks: number;
  /** Power cuts that keep what was synced, disks that are lost, ticks of the first leader. */
  readonly restarts: number;
  readonly lossy: number;
  readonly ticks: number;
}

export interface Explored {
  readonly states: number;
  /** Distinct states that the walks met. */
  readonly walked: number;
  readonly transitions: number;
  readonly machineStates: number;
  readonly sealed: number;
  readonly deepest: number;
  /** False: the bound was reached first. */
  readonly isComplete: boolean;
}

const nodes = [0, 1, 2, 3, 4] as NodeId[];
const slot = 0 as Slot;
const records = 2;
const width = 3;
const writeQuorum = 2;
const tickMs = 1000;
const payload = new Uint8Array(1);

function ring(version: number): Placement {
  const members = nodes.flatMap((node) => [node, (node + 1) % 5, (node + 2) % 5]);
  const strategy = "per_record_coordinator";
  const table = { id: 1, version, strategy, width, members: Int32Array.from(members) } as const;
  return { table, salt: 0, shift: 0, writeQuorum };
}

const placement = ring(1);
const limits = { ...replicationLimits, earlyMessagesMax: 2 };

function epochOf(epoch: number, leader: number, state: EpochRecord["state"]): EpochRecord {
  return {
    epoch: epoch as LeaderEpoch,
    leader: leader as NodeId,
    leaderIncarnation: leader + 1,
    state,
    start: (state === "open" ? 0 : -1) as Offset,
    end: -1,
    placement,
    lossPossible: false,
  };
}

/** What one machine has to say after one input. */
interface Step {
  readonly host: number;
  readonly messages: readonly number[];
  readonly proposals: readonly number[];
  /** High watermark of the first epoch's leader; -1 = not its leader. */
  readonly committed: number;
}

type MachineInput =
  | { readonly kind: "message"; readonly id: number }
  | { readonly kind: "sync" | "append" | "tick" }
  | { readonly kind: "learn"; readonly change: Change; readonly name: string }
  | {
      readonly kind: "restart";
      readonly isLossy: boolean;
      readonly log: readonly Change[];
      readonly name: string;
    };

/** Something that may happen; it brings no state, one or several. */
type Move = (take: (after: State) => void) => void;

/** The cluster in numbers. */
interface State {
  readonly hosts: readonly number[];
  /** Ascending ids. */
  readonly messages: readonly number[];
  readonly proposals: readonly number[];
  readonly metadata: number;
  readonly restarts: number;
  readonly lossy: number;
}

class Names<T> {
  readonly ids = new Map<string, number>();
  readonly values: T[] = [];

  id(text: string, value: () => T): number {
    let id = this.ids.get(text);
    if (id === undefined) {
      id = this.values.length;
      this.ids.set(text, id);
      this.values.push(value());
    }
    return id;
  }

  of(id: number): T {
    const value = this.values[id];
    if (value === undefined) throw new Error("the name is known");
    return value;
  }
}

interface Sent {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly message: PeerMessage;
}

const shared = new WeakSet<object>([placement, payload, limits]);

export class Explorer implements Registry {
  readonly #bounds: Bounds;
  readonly #messages = new Names<Sent>();
  readonly #proposals = new Names<Proposal>();
  readonly #machines = new Names<Machine>();
  readonly #logs = new Names<readonly Change[]>();
  /** By machine state and input. */
  readonly #steps = new Map<number, Step>();
  /** Inputs that are no messages. */
  readonly #inputs = new Names<string>();
  readonly #seen = new NumberSet();
  readonly #walked = new NumberSet();
  #transitions = 0;
  #sealed = 0;
  #deepest = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** First walks that go anywhere, then every state, deepest first. */
  run(): Explored {
    const random = new Random([1, 2, 3, 4], 0);
    const first = this.#start();
    for (let walk = 0; walk < this.#bounds.walks; walk += 1) this.#walk(first, random);
    const waiting: { readonly state: State; readonly depth: number }[] = [];
    const from = { state: first, depth: 0 };
    for (let next: typeof from | undefined = from; next !== undefined; next = waiting.pop()) {
      const { state, depth } = next;
      if (this.#seen.size >= this.#bounds.states) return this.#outcome(false);
      this.#deepest = Math.max(this.#deepest, depth);
      this.#each(state, (after) => {
        if (this.#meet(after)) waiting.push({ state: after, depth: depth + 1 });
      });
    }
    return this.#outcome(true);
  }

  /** Ends where nothing can happen any more: messages are only added, so it does. */
  #walk(first: State, random: Random): void {
    for (let state: State | undefined = first, depth = 0; state !== undefined; depth += 1) {
      this.#deepest = Math.max(this.#deepest, depth);
      const moves = this.#moves(state);
      const next: State[] = [];
      while (next.length === 0 && moves.length > 0)
        for (const move of moves.splice(random.below(moves.length), 1))
          move((after) => next.push(after));
      this.#transitions += next.length;
      state = next[random.below(Math.max(1, next.length))];
      if (state !== undefined) this.#walked.add(hashOf(state));
    }
  }

  /** True: it is new. */
  #meet(state: State): boolean {
    this.#transitions += 1;
    return this.#seen.add(hashOf(state));
  }

  #outcome(isComplete: boolean): Explored {
    const { size } = this.#seen;
    const walked = this.#walked.size;
    const machineStates = this.#machines.values.length;
    const [transitions, sealed, deepest] = [this.#transitions, this.#sealed, this.#deepest];
    return { states: size, walked, transitions, machineStates, sealed, deepest, isComplete };
  }

  #start(): State {
    const first = epochOf(1, 0, "open");
    const epochs: PartitionEpochs = {
      current: first.epoch,
      logStart: 0 as Offset,
      durability: "fsync",
      placement,
      epochs: [first],
    };
    const log: Change[] = nodes.map((node) => {
      const record = { node, incarnation: node + 1, isLimbo: false };
      return { kind: "node", record };
    });
    log.push({ kind: "partition", slot, epochs });
    const metadata = this.#log(log);
    const hosts = nodes.map((node) => {
      const record = { node, incarnation: node + 1, isLimbo: false };
      const machine = new Machine(new Replicator(record, limits, []));
      const effects = new Recorder(this, node, machine);
      for (const change of this.#logs.of(metadata)) effects.learn(change);
      return this.#machine(machine);
    });
    return { hosts, messages: [], proposals: [], metadata, restarts: 0, lossy: 0 };
  }

  // ---- names

  #log(log: readonly Change[]): number {
    const text = JSON.stringify(log, (_, value: unknown) =>
      ArrayBuffer.isView(value) ? 0 : value,
    );
    return this.#logs.id(text, () => {
      for (const change of log) if (change.kind === "partition") this.#share(change.epochs);
      return log;
    });
  }

  /** The log behind one more entry; `what` names the entry. */
  #extended(metadata: number, what: string, entry: (log: readonly Change[]) => Change): number {
    const key = `${metadata} ${what}`;
    const had = this.#extensions.get(key);
    if (had !== undefined) return had;
    const log = this.#logs.of(metadata);
    const longer = this.#log([...log, entry(log)]);
    this.#extensions.set(key, longer);
    return longer;
  }

  readonly #extensions = new Map<string, number>();

  #share(epochs: PartitionEpochs): void {
    shared.add(epochs);
    for (const record of epochs.epochs) shared.add(record);
  }

  message(from: NodeId, to: NodeId, message: PeerMessage): number {
    const text = JSON.stringify([from, to, message], (_, value: unknown) =>
      ArrayBuffer.isView(value) ? [...(value as Float64Array)] : value,
    );
    return this.#messages.id(text, () => {
      shared.add(message);
      return { from, to, message };
    });
  }

  proposal(proposal: Proposal): number {
    return this.#proposals.id(JSON.stringify(proposal), () => proposal);
  }

  #machine(machine: Machine): number {
    const text = textOf(machine, (value) => this.#nameOf(value));
    return this.#machines.id(text, () => machine);
  }

  readonly #names = new WeakMap<object, string>();

  #nameOf(value: object): string | null {
    if (value === payload) return "payload";
    if (value === limits) return "limits";
    if (value instanceof AckQueue) return queueText(value);
    if (!shared.has(value)) return null;
    let name = this.#names.get(value);
    if (name === undefined) {
      name = JSON.stringify(value, (_, one: unknown) =>
        ArrayBuffer.isView(one) ? [...(one as Float64Array)] : one,
      );
      this.#names.set(value, name);
    }
    return name;
  }

  // ---- steps

  #step(node: number, host: number, input: MachineInput): Step {
    const key = host * 2 ** 20 + this.#inputId(input);
    const had = this.#steps.get(key);
    if (had !== undefined) return had;
    const machine = cloned(this.#machines.of(host), (value) => shared.has(value));
    const recorder = new Recorder(this, node as NodeId, machine);
    this.#perform(recorder, machine, node as NodeId, input);
    recorder.settle();
    const leader = machine.replicator.leaderOf(slot);
    const committed = leader?.currentEpoch === 1 ? leader.committedTo : -1;
    const { messages, proposals } = recorder;
    const step = { host: this.#machine(machine), messages, proposals, committed };
    this.#steps.set(key, step);
    return step;
  }

  /** Messages are even, the rest is odd. */
  #inputId(input: MachineInput): number {
    if (input.kind === "message") return input.id * 2;
    const name = input.kind === "learn" || input.kind === "restart" ? input.name : input.kind;
    return this.#inputs.id(name, () => name) * 2 + 1;
  }

  #perform(recorder: Recorder, machine: Machine, node: NodeId, input: MachineInput): void {
    switch (input.kind) {
      case "message": {
        const { from, message } = this.#messages.of(input.id);
        machine.replicator.receive(from, message, recorder);
        return;
      }
      case "sync":
        machine.copies.write();
        machine.copies.sync(machine.copies.written);
        recorder.report();
        return;
      case "append":
        machine.appended += 1;
        machine.replicator.produce(slot, 1, machine.appended, payload, null, recorder);
        return;
      case "tick":
        machine.ticks += 1;
        machine.replicator.tick(machine.ticks * tickMs, recorder);
        return;
      case "learn":
        recorder.learn(input.change);
        return;
      case "restart": {
        const lose = (copy: { readonly copy: BatchCopy; readonly ticket: number }): void => {
          if (copy.ticket <= machine.copies.durable) machine.lost.push(copy.copy.base);
        };
        if (input.isLossy) machine.copies.lose(lose);
        else machine.copies.crashToDurable();
        const streams = machine.copies.recover();
        const registration = input.log.at(-1);
        if (registration?.kind !== "node") throw new Error("a restart registers");
        machine.replicator = new Replicator(registration.record, limits, streams);
        machine.applied = input.log.length;
        recorder.report();
        for (const change of input.log) {
          if (change.kind === "node") machine.replicator.nodeApplied(change.record, recorder);
        }
        const newest = input.log.findLast(({ kind }) => kind === "partition");
        if (newest?.kind === "partition")
          machine.replicator.registered(slot, newest.epochs, recorder);
        return void node;
      }
    }
  }

  // ---- the cluster

  #each(state: State, take: (after: State) => void): void {
    for (const move of this.#moves(state)) move(take);
  }

  #moves(state: State): Move[] {
    const log = this.#logs.of(state.metadata);
    const moves: Move[] = state.messages.map((id) => {
      const { to } = this.#messages.of(id);
      return (take) => this.#move(state, to, { kind: "message", id }, take);
    });
    const add = (node: number, input: MachineInput): void => {
      moves.push((take) => this.#move(state, node, input, take));
    };
    for (const node of nodes) {
      const machine = this.#machines.of(state.hosts[node] ?? 0);
      if (machine.copies.staged > machine.copies.durable) add(node, { kind: "sync" });
      const change = log[machine.applied];
      const name = `l${state.metadata}.${machine.applied}`;
      if (change !== undefined) add(node, { kind: "learn", change, name });
    }
    const leader = this.#machines.of(state.hosts[0] ?? 0);
    if (leader.replicator.leaderOf(slot)?.currentEpoch === 1) {
      if (leader.appended < records) add(0, { kind: "append" });
      if (leader.ticks < this.#bounds.ticks) add(0, { kind: "tick" });
    }
    moves.push((take) => this.#restarts(state, log, take));
    if (newestOf(log).current === 1) moves.push((take) => take(this.#assign(state)));
    for (const id of state.proposals)
      moves.push((take) => this.#decide(state, log, this.#proposals.of(id), take));
    return moves;
  }

  #move(state: State, node: number, input: MachineInput, take: (after: State) => void): void {
    const before = state.hosts[node] ?? 0;
    const { host, messages, proposals, committed } = this.#step(node, before, input);
    const isNew =
      host !== before ||
      messages.some((id) => !state.messages.includes(id)) ||
      proposals.some((id) => !state.proposals.includes(id));
    if (!isNew) return;
    const after = {
      ...state,
      hosts: state.hosts.with(node, host),
      messages: merged(state.messages, messages),
      proposals: merged(state.proposals, proposals),
    };
    this.#judge(after, node, committed);
    take(after);
  }

  /** Nodes that lead nothing here; the others would need another epoch. */
  #restarts(state: State, log: readonly Change[], take: (after: State) => void): void {
    for (const node of nodes.slice(2)) {
      for (const isLossy of [false, true]) {
        const isAllowed = isLossy
          ? state.lossy < this.#bounds.lossy
          : state.restarts < this.#bounds.restarts;
        if (!isAllowed) continue;
        const metadata = this.#extended(state.metadata, `r${node}${isLossy}`, () => {
          const record = { node, incarnation: log.length + 1, isLimbo: isLossy };
          return { kind: "node", record };
        });
        const registered = this.#logs.of(metadata);
        const name = `r${metadata}`;
        const after = {
          ...state,
          metadata,
          lossy: state.lossy + (isLossy ? 1 : 0),
          restarts: state.restarts + (isLossy ? 0 : 1),
        };
        const input = { kind: "restart", isLossy, log: registered, name } as const;
        this.#move(after, node, input, take);
      }
    }
  }

  #assign(state: State): State {
    const metadata = this.#extended(state.metadata, "assign", (log) => {
      const epochs = newestOf(log);
      const record = epochOf(2, 1, "recovering");
      const next = { ...epochs, current: record.epoch, epochs: [...epochs.epochs, record] };
      return { kind: "partition", slot, epochs: next };
    });
    return { ...state, metadata };
  }

  #decide(
    state: State,
    log: readonly Change[],
    proposal: Proposal,
    take: (after: State) => void,
  ): void {
    if (proposal.kind !== "commit-seal") return;
    const epochs = newestOf(log);
    const first = epochRecord(epochs, 1);
    const second = epochRecord(epochs, 2);
    if (second?.state !== "recovering" || first === undefined || first.end >= 0) return;
    const { end } = proposal;
    this.#judgeEnd(state, end);
    this.#sealed += 1;
    const metadata = this.#extended(state.metadata, `end${end}`, () => {
      const sealed: EpochRecord = { ...first, state: "sealed", end };
      const opened: EpochRecord = { ...second, state: "open", start: end };
      const kept = end > 0 ? [sealed, opened] : [opened];
      return { kind: "partition", slot, epochs: { ...epochs, epochs: kept } };
    });
    take({ ...state, metadata });
  }

  // ---- invariants

  #judge(state: State, node: number, committed: number): void {
    const epochs = newestOf(this.#logs.of(state.metadata));
    const second = epochRecord(epochs, 2);
    // The first leader's commits are its clients' acknowledgements.
    if (second?.state === "open" && committed > second.start)
      throw new Error(`offset ${second.start} is acknowledged, the end is ${second.start}`);
    if (committed > 0) this.#copied(state, 0, committed, "acknowledged");
    const { replicator, copies } = this.#machines.of(state.hosts[node] ?? 0);
    const known = replicator.member.epochsOf(slot);
    if (known === undefined || second?.state !== "open") return;
    for (let at = second.start; at < replicator.member.highWatermarkOf(slot); at += 1) {
      const owner = ownerOf(known, at);
      if (owner?.epoch === 1 && copies.find(slot, 1, at) !== undefined)
        throw new Error(`node ${node} shows an orphan at ${at}`);
    }
  }

  #judgeEnd(state: State, end: number): void {
    const leader = this.#machines.of(state.hosts[0] ?? 0).replicator.leaderOf(slot);
    const acked = leader?.currentEpoch === 1 ? leader.committedTo : 0;
    if (acked > end) throw new Error(`offset ${end} was acknowledged, the end is ${end}`);
    this.#copied(state, 0, end, "sealed");
  }

  #copied(state: State, from: number, to: number, how: string): void {
    for (let base = from; base < to; base += 1) {
      const row = rowOf(placement, base);
      let copies = 0;
      for (let position = 0; position < width; position += 1) {
        const machine = this.#machines.of(
          state.hosts[memberAt(placement.table, row, position)] ?? 0,
        );
        const copy = machine.copies.find(slot, 1, base);
        const isDurable = copy !== undefined && copy.ticket <= machine.copies.durable;
        if (isDurable || machine.lost.includes(base)) copies += 1;
      }
      if (copies < writeQuorum) throw new Error(`offset ${base} is ${how} with ${copies} copies`);
    }
  }
}

/** What waits in a queue, and not where in its ring. */
function queueText(queue: AckQueue): string {
  const { head, count, tickets } = queue as unknown as {
    readonly head: number;
    readonly count: number;
    readonly tickets: Float64Array;
  };
  const waiting = Array.from({ length: count }, (_, i) =>
    JSON.stringify(queue.at((head + i) & (tickets.length - 1))),
  );
  return waiting.join();
}

function newestOf(log: readonly Change[]): PartitionEpochs {
  for (let at = log.length - 1; at >= 0; at -= 1) {
    const change = log[at];
    if (change?.kind === "partition") return change.epochs;
  }
  throw new Error("the partition exists");
}

function merged(a: readonly number[], b: readonly number[]): readonly number[] {
  const added = b.filter((id) => !a.includes(id));
  return added.length === 0 ? a : [...new Set([...a, ...added])].sort((x, y) => x - y);
}

/** 53 bits of two FNV-1a hashes; never 0. Two of ten million states collide with a chance of 0.6 %. */
function hashOf(state: State): number {
  const { hosts, messages, proposals, metadata, restarts, lossy } = state;
  let high = 0x811c9dc5;
  let low = 0x2b5a3f17;
  const mix = (value: number): void => {
    high = Math.imul(high ^ value, 0x01000193);
    low = Math.imul(low ^ (value + 0x9e3779b9), 0x85ebca6b);
    high ^= high >>> 15;
    low ^= low >>> 13;
  };
  for (const host of hosts) mix(host);
  mix(-1);
  for (const id of messages) mix(id);
  mix(-2);
  for (const id of proposals) mix(id);
  mix(metadata * 16 + restarts * 4 + lossy);
  return ((high >>> 0) & 0x1fffff) * 2 ** 32 + (low >>> 0) + 1;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      states: { type: "string", default: "10000000" },
      walks: { type: "string", default: "1000" },
      restarts: { type: "string", default: "1" },
      lossy: { type: "string", default: "1" },
      ticks: { type: "string", default: "0" },
    },
  });
  const bounds = {
    states: Number(values.states),
    walks: Number(values.walks),
    restarts: Number(values.restarts),
    lossy: Number(values.lossy),
    ticks: Number(values.ticks),
  };
  const began = process.cpuUsage();
  const explored = new Explorer(bounds).run();
  const used = process.cpuUsage(began);
  const cpuSeconds = Math.round((used.user + used.system) / 1e6);
  console.log(JSON.stringify({ case: "replication-explorer", ...bounds, ...explored, cpuSeconds }));
}
