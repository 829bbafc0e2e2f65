// Many nodes under one seed: the replication that ships, on disks that lose and a network that harms,
// with a metadata log that is linearizable and late. First everything fails, then nothing does: what
// was promised must hold all the time, and in the end everything must work again.
//
// The same seed gives the same run, step by step. Each seed draws its own rates of faults, many of
// them zero, so that seeds differ in kind.

import type { CopysetStrategy } from "../../../src/core/base/copyset.ts";
import type { PartitionEpochs } from "../../../src/core/base/epochs.ts";
import { type NodeId, type Offset, type Slot } from "../../../src/core/base/ids.ts";
import { Random } from "../../../src/core/base/random.ts";
import type { Proposal } from "../../../src/core/replication/effects.ts";
import type { PeerMessage } from "../../../src/core/replication/messages.ts";
import { rowReader, type RowReader } from "../../../src/core/replication/row_reader.ts";
import { Agenda } from "./agenda.ts";
import { Host, type World } from "./host.ts";
import { Judge, Violation } from "./judge.ts";
import { Metadata } from "./metadata.ts";
import { drawRates, limits, type Rates } from "./rates.ts";

export const strategies: readonly CopysetStrategy[] = [
  "per_partition",
  "per_record_hybrid",
  "per_record_coordinator",
];

export interface Options {
  readonly seed: number;
  /** Null: the seed decides. */
  readonly strategy: CopysetStrategy | null;
  /** Rates that the seed does not decide; `os` = 1 makes copies count before they are synced. */
  readonly knobs: Readonly<Record<string, number>>;
}

export interface Outcome {
  readonly nodes: number;
  readonly strategy: CopysetStrategy;
  readonly virtualMs: number;
  readonly steps: number;
  readonly messages: number;
  readonly acked: number;
  readonly reads: number;
  readonly seals: number;
  readonly softBumps: number;
  readonly losses: number;
  readonly lossyFailures: number;
  readonly crashes: number;
  readonly stale: number;
  readonly fingerprint: number;
}

const tickMs = 10;
const healMsMax = 60_000;
/** Messages that one virtual second may cost per node: a storm of resends is a bug. */
const messagesPerNodeSecondMax = 20_000;

export class Simulation implements World {
  readonly limits = limits;
  readonly #random: Random;
  readonly #agenda = new Agenda();
  readonly #rates: Rates;
  readonly #strategy: CopysetStrategy;
  readonly #metadata: Metadata;
  readonly #judge: Judge;
  readonly #hosts: Host[] = [];
  readonly #slots: readonly Slot[];
  readonly #cuts = new Set<number>();
  readonly #stalled = new Set<NodeId>();
  readonly #slow = new Set<NodeId>();
  /** Nodes that may lose copies for good in this run. */
  readonly #lossyMax: number;
  readonly #readers = new Map<number, { reader: RowReader; at: Offset; slot: Slot; host: Host }>();
  #requests = 0;
  #values = 0;
  #messages = 0;
  #crashes = 0;
  /** Batches that a life has taken and not answered. */
  readonly #owed = new Set<{ readonly host: Host; readonly life: number }>();
  #isHealing = false;
  #hash = 0x811c9dc5;
  /** Each delivered message and step in words, while `--trace` asks for it. */
  log: ((text: string) => void) | null = null;

  constructor({ seed, strategy, knobs }: Options) {
    this.#random = new Random([seed, seed ^ 0x2545f491, 0x1b873593, 0xcc9e2d51], 1);
    const random = this.#random;
    this.#strategy = strategy ?? this.#pick(strategies);
    this.#rates = { ...drawRates((of) => this.#pick(of)), ...knobs };
    const count = this.#chance(20) ? 50 : 3 + random.below(8);
    const width = this.#chance(100) ? 1 : 3;
    const writeQuorum = width === 1 ? 1 : this.#pick([2, 2, 2, 2, 3, 1]);
    const drawn = this.#pick(["fsync", "fsync", "os"] as const);
    const durability = knobs["os"] === 1 ? "os" : knobs["os"] === 0 ? "fsync" : drawn;
    this.#lossyMax = writeQuorum === 2 ? 1 : 0;
    const rules = { width, writeQuorum, durability, shift: random.below(3) };
    this.#metadata = new Metadata(rules, random, (slot, record, partition) =>
      this.#judge.ended(slot, record, partition),
    );
    this.#judge = new Judge(
      () => this.#metadata,
      () => this.#hosts,
    );
    for (let node = 0; node < count; node += 1) {
      this.#metadata.register(node as NodeId, false);
      this.#hosts.push(new Host(node as NodeId, this));
    }
    this.#slots = Array.from({ length: 1 + random.below(3) }, (_, slot) => slot as Slot);
    for (const slot of this.#slots)
      this.#metadata.create(slot, this.#strategy, random.below(count) as NodeId);
    for (const host of this.#hosts) this.#boot(host);
  }

  #pick<T>(of: readonly [T, ...T[]] | readonly T[]): T {
    const one = of[this.#random.below(of.length)];
    if (one === undefined) throw new Error("a choice has choices");
    return one;
  }

  #chance(perMille: number): boolean {
    return perMille > 0 && this.#random.below(1000) < perMille;
  }

  // ---- the world of a host

  plan(host: Host, delay: number, run: () => void): void {
    const { life } = host;
    this.#agenda.plan(delay, () => {
      if (host.life === life) run();
    });
  }

  send(from: Host, to: NodeId, message: PeerMessage): void {
    this.#judge.sent(from.node, to, message);
    this.#messages += 1;
    if (message.kind === "read-answer") {
      const { slot, request, answer } = message;
      const epochs = from.replicator?.member.epochsOf(slot);
      const asked = this.#readers.get(request);
      if (asked === undefined || epochs === undefined) this.#judge.shown(slot, from.node, answer);
      else this.#judge.read(slot, from.node, asked.at, answer, epochs);
      this.#agenda.plan(this.#delay(), () => this.#readAnswered(message));
      return;
    }
    if (from.node === to) return this.plan(from, 0, () => this.#deliver(from.node, to, message));
    if (!this.#isHealing && this.#chance(this.#rates.drop)) return;
    const deliver = (): void => this.#deliver(from.node, to, message);
    this.#agenda.plan(this.#delay(), deliver);
    if (!this.#isHealing && this.#chance(this.#rates.double))
      this.#agenda.plan(this.#delay() * 3, deliver);
  }

  #delay(): number {
    const max = this.#isHealing ? 2 : this.#rates.delay;
    const heavy = !this.#isHealing && this.#chance(10) ? 20 : 1;
    return (0.1 + (this.#random.below(1000) / 1000) * max) * heavy;
  }

  #deliver(from: NodeId, to: NodeId, message: PeerMessage): void {
    const host = this.#host(to);
    if (this.#cuts.has(from * 1000 + to)) return;
    if (host.isPaused) {
      this.#agenda.plan(5, () => this.#deliver(from, to, message));
      return;
    }
    if (host.replicator === null) return;
    this.trace(`${from}>${to} ${message.kind} ${textOf(message)}`);
    host.receive(from, message);
    this.#bounds(host);
  }

  propose(from: Host, proposal: Proposal): void {
    if (!this.#isHealing && this.#chance(this.#rates.drop)) return;
    const delay = this.#metadataDelay(from.node);
    this.#agenda.plan(delay, () => {
      this.trace(`propose ${from.node} ${JSON.stringify(proposal)}`);
      const before = this.#metadata.log.length;
      this.#metadata.apply(proposal);
      this.#spread(before);
    });
  }

  pull(host: Host): void {
    this.plan(host, this.#delay() + 1, () => this.#catchUp(host, this.#metadata.log.length));
  }

  diskDelay(host: Host): { readonly write: number; readonly sync: number } {
    const isStuck =
      !this.#isHealing && (this.#chance(this.#rates.slowSync) || this.#slow.has(host.node));
    const sync = isStuck ? this.#random.below(400) : 0.2 + this.#random.below(300) / 100;
    return { write: 0.1 + this.#random.below(100) / 100, sync };
  }

  readDelay(): number {
    return 0.1 + this.#random.below(200) / 100;
  }

  coin(): boolean {
    return this.#random.below(2) === 0;
  }

  trace(text: string): void {
    for (let i = 0; i < text.length; i += 1)
      this.#hash = Math.imul(this.#hash ^ text.charCodeAt(i), 0x01000193);
    this.log?.(`${this.#agenda.now.toFixed(2)} ${text}`);
  }

  // ---- metadata

  #metadataDelay(node: NodeId): number {
    if (this.#isHealing) return 1 + this.#random.below(3);
    const stall = this.#stalled.has(node) ? 500 : 0;
    return 1 + this.#random.below(this.#rates.metadataDelay * 4) / 2 + stall;
  }

  /** Everybody learns what is new, each with its own delay and in order. */
  #spread(before: number): void {
    const { length } = this.#metadata.log;
    if (length === before) return;
    for (const host of this.#hosts) {
      if (!host.isUp) continue;
      this.plan(host, this.#metadataDelay(host.node), () => this.#catchUp(host, length));
    }
  }

  #catchUp(host: Host, upTo: number): void {
    while (host.isUp && host.applied < upTo) {
      const change = this.#metadata.log[host.applied];
      if (change === undefined) return;
      this.trace(`learn ${host.node} ${host.applied}`);
      host.learn(change);
    }
  }

  /** A process starts: its registration is applied, and from that state on it learns. */
  #boot(host: Host, isLossy = false): void {
    const streams = host.copies.recover();
    const before = this.#metadata.log.length;
    const record =
      host.life === 0 && before === this.#metadata.nodes.size + this.#slots.length
        ? this.#metadata.nodes.get(host.node)
        : this.#metadata.register(host.node, isLossy);
    if (record === undefined) throw new Error("the node is registered");
    // What the former life led or recovered gets another epoch, now or when the controller looks.
    if (host.life > 0 && this.coin())
      for (const slot of this.#slots) {
        const current = this.#metadata.current(slot);
        if (current.leader === host.node) this.#assign(slot, current.epoch);
      }
    this.trace(`boot ${host.node} ${isLossy}`);
    const { log, nodes, partitions } = this.#metadata;
    host.start(record, streams, nodes.values(), partitions, log.length);
    this.#spread(before);
  }

  // ---- faults

  #host(node: NodeId): Host {
    const host = this.#hosts[node];
    if (host === undefined) throw new Error("the node exists");
    return host;
  }

  #down(): ReadonlySet<NodeId> {
    return new Set(this.#hosts.filter(({ isUp }) => !isUp).map(({ node }) => node));
  }

  #assign(slot: Slot, epoch: number): void {
    const live = this.#hosts.filter((host) => host.isUp && !host.isPaused);
    const leader = this.#pick(live.length > 0 ? live : this.#hosts).node;
    const before = this.#metadata.log.length;
    if (!this.#metadata.assign(slot, epoch, leader, this.#down())) return;
    this.trace(`assign ${slot} ${epoch + 1} to ${leader}`);
    this.#spread(before);
  }

  #kill(host: Host, how: "crash" | "power" | "disk"): void {
    if (!host.isUp) return;
    this.trace(`${how} ${host.node}`);
    this.#crashes += 1;
    host.stop();
    const isOs = this.#metadata.rules.durability === "os";
    let isLossy = false;
    const registeredAt = { index: Number.MAX_SAFE_INTEGER };
    const lose = (copy: Parameters<Judge["lost"]>[1]): void => {
      const limit = isOs ? host.copies.written : host.copies.durable;
      if (copy.ticket <= limit) this.#judge.lost(host.node, copy, () => registeredAt.index);
    };
    if (how === "crash") host.copies.crash();
    else if (how === "power") {
      isLossy = isOs;
      host.copies.cutPower(this.#random, this.#rates.survive, lose);
    } else {
      isLossy = true;
      host.copies.lose(lose);
    }
    const back = this.#isHealing ? 5 : 5 + this.#random.below(this.#chance(300) ? 4000 : 400);
    this.plan(host, back, () => {
      this.#boot(host, isLossy);
      registeredAt.index = this.#metadata.nodes.get(host.node)?.incarnation ?? 0;
    });
  }

  #faults(): void {
    const rates = this.#rates;
    const random = this.#random;
    const isOs = this.#metadata.rules.durability === "os";
    for (const host of this.#hosts) {
      const mayLose = this.#judge.lossyFailures < this.#lossyMax;
      if (this.#chance(rates.crash)) this.#kill(host, "crash");
      if (this.#chance(rates.powerCut) && host.isUp && (!isOs || mayLose)) {
        if (isOs) this.#judge.lossyFailures += 1;
        this.#kill(host, "power");
      }
      if (mayLose && host.isUp && this.#chance(rates.diskLoss)) {
        this.#judge.lossyFailures += 1;
        this.#kill(host, "disk");
      }
      if (this.#chance(rates.pause) && host.isUp) {
        host.isPaused = true;
        this.plan(host, 50 + random.below(1500), () => {
          host.isPaused = false;
        });
      }
      if (mayLose && this.#chance(rates.damage)) this.#damage(host);
      if (this.#chance(rates.cut)) this.#cut(host);
      if (this.#chance(rates.metadataStall)) {
        this.#stalled.add(host.node);
        this.#agenda.plan(random.below(3000), () => this.#stalled.delete(host.node));
      }
      if (this.#chance(rates.slowSync / 20)) {
        this.#slow.add(host.node);
        this.#agenda.plan(random.below(2000), () => this.#slow.delete(host.node));
      }
    }
    if (this.#chance(rates.powerCutAll)) {
      this.#judge.powerCutsOfAll += 1;
      for (const host of this.#hosts) this.#kill(host, "power");
    }
  }

  /** One copy of one node is unreadable from now on. */
  #damage(host: Host): void {
    const copies = [...host.copies.copiesOf(this.#pick(this.#slots)).values()];
    const copy = copies[this.#random.below(Math.max(1, copies.length))];
    if (copy === undefined || copy.ticket > host.copies.durable) return;
    this.#judge.lossyFailures += 1;
    copy.isDamaged = true;
    this.#judge.lost(host.node, copy, () => Number.MAX_SAFE_INTEGER);
  }

  /** A node, or a group of nodes, is cut off: from all, or in one direction only. */
  #cut(host: Host): void {
    const random = this.#random;
    const side = this.#hosts.filter((one) => one === host || this.#chance(300));
    const ways = random.below(3);
    const cuts: number[] = [];
    for (const { node: a } of side)
      for (const { node: b } of this.#hosts) {
        if (side.some(({ node }) => node === b)) continue;
        if (ways !== 1) cuts.push(a * 1000 + b);
        if (ways !== 2) cuts.push(b * 1000 + a);
      }
    for (const cut of cuts) this.#cuts.add(cut);
    this.#agenda.plan(50 + random.below(2500), () => {
      for (const cut of cuts) this.#cuts.delete(cut);
    });
  }

  // ---- the controller and the operator

  #control(): void {
    for (const slot of this.#slots) {
      const { leader, epoch, leaderIncarnation } = this.#metadata.current(slot);
      const host = this.#host(leader);
      const isOld = this.#metadata.nodes.get(leader)?.incarnation !== leaderIncarnation;
      const isGone = !host.isUp || isOld;
      if (isGone && this.#chance(300)) this.#assign(slot, epoch);
      else if (this.#metadata.resigned.has(slot) && this.#chance(500)) this.#assign(slot, epoch);
      else if (!this.#isHealing) this.#operate(slot, epoch, host);
    }
  }

  #operate(slot: Slot, epoch: number, host: Host): void {
    const rates = this.#rates;
    if (this.#chance(rates.assign)) this.#assign(slot, epoch);
    const before = this.#metadata.log.length;
    if (this.#chance(rates.strategy)) this.#metadata.strategies[slot] = this.#pick(strategies);
    if (this.#chance(rates.replace + rates.strategy)) this.#metadata.replace(slot, this.#down());
    if (this.#chance(rates.trim)) this.#trim(slot, epoch);
    this.#spread(before);
    if (this.#chance(rates.transfer)) {
      const to = this.#pick(this.#hosts).node;
      host.replicator?.leaderOf(slot)?.freeze(to, this.#agenda.now, host);
    }
  }

  /** Only the leader of the current epoch says how far it may go. */
  #trim(slot: Slot, epoch: number): void {
    for (const host of this.#hosts) {
      const leader = host.replicator?.leaderOf(slot);
      if (leader === undefined || leader.currentEpoch !== epoch) continue;
      const bases = this.#judge.ackedOf(slot).filter(({ end }) => end <= leader.committedTo);
      const acked = bases[this.#random.below(Math.max(1, bases.length))];
      if (acked === undefined || this.#chance(500)) return;
      const logStart = this.#chance(300) ? leader.committedTo : acked.base;
      this.#judge.trimmed(slot, logStart);
      this.#metadata.trim(slot, logStart as Offset);
      return;
    }
  }

  // ---- clients

  #produce(): void {
    const slot = this.#pick(this.#slots);
    const leading = this.#hosts.filter((host) => {
      const { replicator } = host;
      if (replicator === null || host.isPaused) return false;
      return replicator.leaderOf(slot) !== undefined || replicator.recoveryOf(slot) !== undefined;
    });
    if (leading.length === 0) return;
    const host = this.#pick(leading);
    this.#values += 1;
    const count = 1 + this.#random.below(3);
    const { life } = host;
    const owed = { host, life };
    let isAnswered = false;
    const answer = (): void => {
      if (isAnswered) throw new Violation("I15: a batch is answered twice");
      isAnswered = true;
      this.#owed.delete(owed);
    };
    const produced = host.replicator?.produce(
      slot,
      count,
      this.#values,
      new Uint8Array(8),
      {
        committed: (_slot, base, end) => {
          answer();
          if (host.life !== life) throw new Violation("a dead process speaks");
          const epoch = host.replicator?.leaderOf(slot)?.currentEpoch ?? 0;
          this.trace(`acked ${slot} ${epoch} ${base}`);
          this.#judge.acked(slot, epoch, base, end, host.applied);
        },
        failed: answer,
      },
      host,
    );
    if (produced === "taken" && !isAnswered) this.#owed.add(owed);
  }

  #read(): void {
    const host = this.#pick(this.#hosts);
    const slot = this.#pick(this.#slots);
    const member = host.replicator?.member;
    const epochs = member?.epochsOf(slot);
    if (member === undefined || epochs === undefined || host.isPaused) return;
    const isLeader = host.replicator?.leaderOf(slot);
    const highWatermark = isLeader?.committedTo ?? member.highWatermarkOf(slot);
    const bases = this.#judge.ackedOf(slot);
    // Mostly what is new: that is where the dangers are.
    const back = this.#random.below(2) === 0 ? 4 : bases.length;
    const acked = bases[Math.max(0, bases.length - 1 - this.#random.below(Math.max(1, back)))];
    if (acked === undefined || acked.base >= highWatermark) return;
    if (this.#chance(100)) this.#readAsClient(slot, acked.base as Offset);
    const reader = rowReader(epochs, acked.base as Offset, this.#random.below(3));
    if (reader === null) return;
    this.#requests += 1;
    this.#readers.set(this.#requests, { reader, at: acked.base as Offset, slot, host });
    this.#ask(this.#requests, epochs, highWatermark);
  }

  /** A client names any high watermark it likes. */
  #readAsClient(slot: Slot, base: Offset): void {
    const host = this.#pick(this.#hosts);
    const at = (base + this.#random.below(3)) as Offset;
    const highWatermark = (base + this.#random.below(20)) as Offset;
    const highWatermarkEpoch = this.#metadata.current(slot).epoch;
    const message = { kind: "read", request: 0, slot, offset: at } as const;
    const named = { ...message, highWatermark, highWatermarkEpoch };
    host.replicator?.member.read(host.node, named, false, host);
  }

  #ask(request: number, epochs: PartitionEpochs, highWatermark: Offset): void {
    const job = this.#readers.get(request);
    const to = job?.reader.next() ?? null;
    if (job === undefined || to === null) {
      this.#readers.delete(request);
      return;
    }
    const { slot, at: offset, host } = job;
    const message = { kind: "read", request, slot, offset, highWatermark } as const;
    const highWatermarkEpoch = epochs.current;
    this.#deliverRead(host.node, to, { ...message, highWatermarkEpoch });
  }

  #deliverRead(from: NodeId, to: NodeId, message: PeerMessage): void {
    this.#agenda.plan(this.#delay(), () => this.#deliver(from, to, message));
  }

  #readAnswered(message: Extract<PeerMessage, { kind: "read-answer" }>): void {
    const job = this.#readers.get(message.request);
    if (job === undefined) return;
    const { host, slot, at, reader } = job;
    const verdict = reader.take(message.answer);
    if (verdict !== null) {
      this.#readers.delete(message.request);
      const isExcused = this.#judge.powerCutsOfAll > 0 || this.#judge.lossyFailures > 0;
      if (verdict.kind === "lost" && !isExcused)
        throw new Violation(`I6: every member of the row denies offset ${at} of slot ${slot}`);
      return;
    }
    const member = host.replicator?.member;
    const known = member?.epochsOf(slot);
    if (member === undefined || known === undefined) this.#readers.delete(message.request);
    else this.#ask(message.request, known, member.highWatermarkOf(slot));
  }

  /** Invariant 18. */
  #bounds(host: Host): void {
    for (const slot of this.#slots) {
      const leader = host.replicator?.leaderOf(slot);
      if (leader === undefined) continue;
      if (leader.bytesInFlight > limits.bytesInFlightMax)
        throw new Violation(`I18: ${leader.bytesInFlight} bytes in flight`);
      if (leader.bytesHeld > limits.laggingBytesMax + limits.bytesInFlightMax)
        throw new Violation(`I18: ${leader.bytesHeld} bytes held for members that lag`);
    }
  }

  // ---- the run

  run(): Outcome {
    const lengthMs = 2000 + this.#random.below(6000);
    this.#every(tickMs, () => this.#tick());
    this.#every(this.#rates.produceMs, () => this.#produce());
    this.#every(7, () => this.#read());
    this.#every(50, () => this.#control());
    this.#every(100, () => {
      if (!this.#isHealing) this.#faults();
    });
    this.#agenda.runTo(lengthMs);
    this.#heal();
    const { softBumps, seals, losses, rejected } = this.#metadata;
    const seconds = this.#agenda.now / 1000;
    const perNodeSecond = this.#messages / this.#hosts.length / seconds;
    if (perNodeSecond > messagesPerNodeSecondMax)
      throw new Violation(`I20: ${Math.round(perNodeSecond)} messages per node and second`);
    return {
      nodes: this.#hosts.length,
      strategy: this.#strategy,
      virtualMs: Math.round(this.#agenda.now),
      steps: this.#agenda.steps,
      messages: this.#messages,
      acked: this.#judge.ackedCount,
      reads: this.#judge.reads,
      seals,
      softBumps,
      losses,
      lossyFailures: this.#judge.lossyFailures,
      crashes: this.#crashes,
      stale: rejected,
      fingerprint: this.#hash >>> 0,
    };
  }

  #every(ms: number, run: () => void): void {
    this.#agenda.plan(ms, () => {
      run();
      this.#every(ms, run);
    });
  }

  #tick(): void {
    for (const host of this.#hosts) if (!host.isPaused) host.tick(this.#agenda.now);
  }

  /** No more faults: every partition takes writes again, and every copy grows back. */
  #heal(): void {
    this.#isHealing = true;
    this.#cuts.clear();
    this.#stalled.clear();
    this.#slow.clear();
    for (const host of this.#hosts) {
      host.isPaused = false;
      this.#catchUp(host, this.#metadata.log.length);
    }
    const away = this.#sendAway();
    const acked = this.#slots.map((slot) => this.#judge.ackedOf(slot).length);
    this.#until("a partition takes no writes", () =>
      this.#slots.every((slot) => this.#judge.ackedOf(slot).length > (acked[slot] ?? 0) + 2),
    );
    if (away !== null) this.#boot(away);
    // A bump closes what is open, so that everything written so far is compared.
    const epochs = this.#slots.map((slot) => this.#metadata.current(slot).epoch);
    for (const slot of this.#slots) this.#metadata.replace(slot, new Set());
    this.#spread(0);
    this.#until("an epoch stays open", () =>
      this.#slots.every((slot) => {
        const current = this.#metadata.current(slot);
        return current.epoch > (epochs[slot] ?? 0) && current.state === "open";
      }),
    );
    this.#agenda.runTo(this.#agenda.now + 300);
    for (const { replicator } of this.#hosts) replicator?.scrub();
    this.#until("a copy is never pulled", () =>
      this.#hosts.every(({ replicator }) => replicator?.repairCount === 0),
    );
    const isLimbo = ({ isLimbo: limbo }: { readonly isLimbo: boolean }): boolean => limbo;
    this.#until("a node stays in limbo", () => ![...this.#metadata.nodes.values()].some(isLimbo));
    for (const slot of this.#slots) this.#judge.final(slot, true);
    const old = [...this.#owed];
    this.#until("a batch is never answered", () =>
      old.every((owed) => !this.#owed.has(owed) || owed.host.life !== owed.life),
    );
  }

  /** One silent node must hold up nobody, unless others have lost what it may have. */
  #sendAway(): Host | null {
    const { writeQuorum, width, durability } = this.#metadata.rules;
    const isWhole = this.#judge.lossyFailures === 0 && this.#judge.powerCutsOfAll === 0;
    const host = this.#pick(this.#hosts);
    if (!isWhole || writeQuorum !== 2 || width !== 3 || durability === "os" || !host.isUp)
      return null;
    this.trace(`away ${host.node}`);
    host.stop();
    host.copies.crash();
    return host;
  }

  #until(words: string, isDone: () => boolean): void {
    const end = this.#agenda.now + healMsMax;
    while (!isDone()) {
      if (this.#agenda.now > end) throw new Violation(`I20: ${words}`);
      this.#agenda.runTo(this.#agenda.now + 50);
    }
  }
}

function textOf(message: PeerMessage): string {
  const shown = (_: string, value: unknown): unknown =>
    ArrayBuffer.isView(value) ? [...(value as Float64Array)].join() : value;
  return JSON.stringify(message, shown);
}
