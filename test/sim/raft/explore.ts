// All runs of three nodes within bounds: election and log over the production machine. Messages are
// lost (never delivered), overtake one another, and may come twice; disks lose what is not synced.
//
//   bun test/sim/raft/explore.ts [--timeouts 3] [--proposals 1] [--crashes 1] [--repeats 1]
//                                [--states 12000000]
//
// Breadth first, so that a violation is shown by a shortest run. Exit code 0 = no violation, 1 = one.
//
// A state is a list of numbers: the three nodes, the history that the laws need, what is left of the
// bounds, and the messages on their way, sorted. Nodes, messages and histories are numbered by their
// text, and a step of a node is taken once for its text and input.

import type { Message } from "../../../src/core/raft/raft.ts";
import { Violation } from "../truth.ts";
import { firstText, ids, type NodeInput, type NodeView, stepOf, viewOf } from "./explored_node.ts";
import { StateQueue, StateSet } from "./state_set.ts";

export interface Bounds {
  readonly timeouts: number;
  readonly proposals: number;
  readonly crashes: number;
  readonly repeats: number;
  /** The search ends unfinished when it has so many. */
  readonly states: number;
}

export interface Explored {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  /** Distinct states of one node, and steps that the production machine has taken. */
  readonly nodes: number;
  readonly steps: number;
  readonly finished: boolean;
  /** Elections won, and entries committed, somewhere. */
  readonly leaders: number;
  readonly committed: number;
}

class Numbers {
  readonly #numbers = new Map<string, number>();
  readonly texts: string[] = [];

  of(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.texts.length);
    this.texts.push(text);
    return this.texts.length - 1;
  }
  text(number: number): string {
    return this.texts[number] ?? "";
  }
}

/** Where things stand in the list. */
const history = 3;
const timeoutsLeft = 4;
const proposalsLeft = 5;
const crashesLeft = 6;
const repeatsLeft = 7;
const messagesFrom = 8;

interface Outcome {
  readonly node: number;
  readonly sent: readonly number[];
  /** Terms and texts of what was applied, as committed entries. */
  readonly applied: readonly string[];
  readonly firstApplied: number;
}

/** What nobody may contradict: who led a term, and what was committed, with the term of that. */
interface History {
  readonly led: readonly (readonly [term: number, node: number])[];
  readonly committed: readonly (readonly [entry: string, by: number])[];
}

const kinds = ["deliver", "repeat", "timeout", "silence", "propose", "sync", "crash"] as const;

export class Explorer {
  readonly #bounds: Bounds;
  readonly #nodes = new Numbers();
  readonly #views: NodeView[] = [];
  readonly #messages = new Numbers();
  readonly #parsed: Message[] = [];
  readonly #histories = new Numbers();
  readonly #known: History[] = [];
  /** By node and input. */
  readonly #outcomes = new Map<number, Outcome>();
  readonly #matching = new Set<number>();
  #set: StateSet;
  #next = new StateQueue();
  #transitions = 0;
  #leaders = 0;
  #committed = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#set = new StateSet(Math.ceil(Math.log2((bounds.states * 4) / 3)) + 1);
  }

  run(): Explored {
    const { timeouts, proposals, crashes, repeats, states } = this.#bounds;
    const nodes = ids.map((id) => this.#node(firstText(id)));
    const none = this.#history({ led: [], committed: [] });
    const first = [...nodes, none, timeouts, proposals, crashes, repeats];
    let level = new StateQueue();
    level.push(this.#set.add(first, 0, 0), first);
    let depth = 0;
    for (; level.count > 0 && this.#set.size < states; depth += 1) {
      level.forEach((number, state) => {
        if (this.#set.size < states) this.#expand(number, state);
      });
      level = this.#next;
      this.#next = new StateQueue();
    }
    return {
      ...{ states: this.#set.size, transitions: this.#transitions, depth },
      ...{ nodes: this.#nodes.texts.length, steps: this.#outcomes.size },
      ...{ finished: level.count === 0, leaders: this.#leaders, committed: this.#committed },
    };
  }

  #node(text: string): number {
    const number = this.#nodes.of(text);
    this.#views[number] ??= viewOf(text);
    return number;
  }

  #view(state: readonly number[], node: number): NodeView {
    const view = this.#views[state[node] ?? 0];
    if (view === undefined) throw new Violation("a node has no view");
    return view;
  }

  #message(message: Message): number {
    const number = this.#messages.of(JSON.stringify(message));
    this.#parsed[number] ??= message;
    return number;
  }

  #history(of: History): number {
    const number = this.#histories.of(JSON.stringify(of));
    this.#known[number] ??= of;
    return number;
  }

  #expand(from: number, state: readonly number[]): void {
    for (let at = messagesFrom; at < state.length; at += 1) {
      const message = state[at] ?? 0;
      const to = ids.findIndex((id) => id === this.#parsed[message]?.to);
      this.#act(from, state, "deliver", to, message);
      if ((state[repeatsLeft] ?? 0) > 0) this.#act(from, state, "repeat", to, message);
    }
    for (let node = 0; node < ids.length; node += 1) {
      const view = this.#view(state, node);
      if (view.unsynced) this.#act(from, state, "sync", node, 0);
      if (!view.leads && (state[timeoutsLeft] ?? 0) > 0) this.#act(from, state, "timeout", node, 0);
      if (view.hears) this.#act(from, state, "silence", node, 0);
      if (view.leads && (state[proposalsLeft] ?? 0) > 0) this.#act(from, state, "propose", node, 0);
      if ((state[crashesLeft] ?? 0) > 0) this.#act(from, state, "crash", node, 0);
    }
  }

  #act(
    from: number,
    state: readonly number[],
    kind: (typeof kinds)[number],
    node: number,
    message: number,
  ): void {
    this.#transitions += 1;
    const action = 1 + kinds.indexOf(kind) + kinds.length * (node + ids.length * message);
    try {
      const next = this.#after(state, kind, node, message);
      const number = this.#set.add(next, from, action);
      if (number === 0) return;
      this.#judge(next, node);
      this.#next.push(number, next);
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      const path = [...this.#set.path(from), action].map((each) => this.#words(each));
      throw new Violation(`${words}\n  ${path.join("\n  ")}`);
    }
  }

  #words(action: number): string {
    const kind = kinds[(action - 1) % kinds.length] ?? "";
    const rest = Math.floor((action - 1) / kinds.length);
    const message = Math.floor(rest / ids.length);
    const about = kind === "deliver" || kind === "repeat" ? this.#messages.text(message) : "";
    return `${ids[rest % ids.length]} ${kind} ${about}`;
  }

  #after(
    state: readonly number[],
    kind: (typeof kinds)[number],
    node: number,
    message: number,
  ): number[] {
    const before = state[node] ?? 0;
    const prompt = (state[crashesLeft] ?? 0) === (kind === "crash" ? 1 : 0);
    const outcome = this.#outcome(before, kind, message, state[proposalsLeft] ?? 0, prompt);
    const next = state.slice(0, messagesFrom);
    next[node] = outcome.node;
    const spent = { timeout: timeoutsLeft, propose: proposalsLeft, crash: crashesLeft };
    const budget = { ...spent, repeat: repeatsLeft, deliver: 0, silence: 0, sync: 0 }[kind];
    if (budget > 0) next[budget] = (next[budget] ?? 0) - 1;
    next[history] = this.#remember(next, node, before, outcome);
    const older = (this.#views[before]?.durableTerm ?? 0) < this.#view(next, node).durableTerm;
    for (let at = messagesFrom; at < state.length; at += 1) {
      const each = state[at] ?? 0;
      const gone = kind === "deliver" && each === message;
      if (!gone && !(older && this.#isDead(next, each))) next.push(each);
    }
    for (const each of outcome.sent) if (!this.#isDead(next, each)) insert(next, each);
    return next;
  }

  /** Its receiver will never again be in a term in which it would do anything. */
  #isDead(state: readonly number[], number: number): boolean {
    const message = this.#parsed[number];
    if (message === undefined) return true;
    const { durableTerm } = this.#view(state, ids.indexOf(message.to));
    if (message.term >= durableTerm || message.kind === "vote-request") return false;
    return message.kind !== "vote-reply" || !message.pre;
  }

  #outcome(
    node: number,
    kind: (typeof kinds)[number],
    message: number,
    proposal: number,
    prompt: boolean,
  ): Outcome {
    const about = kind === "propose" ? proposal : message;
    const step = kind === "repeat" ? 0 : kinds.indexOf(kind);
    const key = (prompt ? 1 : 0) + 2 * (step + kinds.length * (about + 2 ** 18 * node));
    const known = this.#outcomes.get(key);
    if (known !== undefined) return known;
    const {
      node: text,
      sent,
      applied,
    } = stepOf(this.#nodes.text(node), this.#input(kind, about), prompt);
    const outcome = {
      node: this.#node(text),
      sent: sent.map((each) => this.#message(each)),
      applied: applied.map((entry) => JSON.stringify(entry)),
      firstApplied: applied[0]?.index ?? 0,
    };
    this.#outcomes.set(key, outcome);
    return outcome;
  }

  #input(kind: (typeof kinds)[number], about: number): NodeInput {
    if (kind === "propose") return { kind, payload: about };
    if (kind !== "deliver" && kind !== "repeat") return { kind };
    const message = this.#parsed[about];
    if (message === undefined) throw new Violation("a message is known");
    return { kind: "deliver", message };
  }

  /** Election safety, leader completeness, state machine safety. */
  #remember(state: readonly number[], node: number, before: number, outcome: Outcome): number {
    const number = state[history] ?? 0;
    const view = this.#views[outcome.node];
    const old = this.#views[before];
    const known = this.#known[number];
    if (view === undefined || old === undefined || known === undefined)
      throw new Violation("a history is known");
    const elected = view.leads && !(old.leads && old.term === view.term);
    if (!elected && outcome.applied.length === 0) return number;
    let { led, committed } = known;
    if (elected) {
      this.#leaders += 1;
      if (led.some(([term]) => term === view.term))
        throw new Violation(`election safety: two leaders in term ${view.term}`);
      led = [...led, [view.term, node]];
      for (const [at, [entry, by]] of committed.entries())
        if (by < view.term && view.log[at] !== termOf(entry))
          throw new Violation(`leader completeness: entry ${at + 1} is not there`);
    }
    for (const [i, entry] of outcome.applied.entries()) {
      const at = outcome.firstApplied + i - 1;
      const there = committed[at];
      if (there === undefined) committed = [...committed, [entry, view.term]];
      else if (there[0] !== entry) throw new Violation(`state machine safety: entry ${at + 1}`);
    }
    this.#committed += committed.length - known.committed.length;
    return this.#history({ led, committed });
  }

  /** Log matching, and that what a leader commits is durable on a majority. */
  #judge(state: readonly number[], node: number): void {
    const view = this.#view(state, node);
    const { commit } = view;
    if (view.leads && commit > 0) {
      let holds = 0;
      for (let each = 0; each < ids.length; each += 1)
        if (this.#view(state, each).durable[commit - 1] === view.log[commit - 1]) holds += 1;
      // Others may have moved on behind a newer leader: then its log has the entry.
      if (holds * 2 <= ids.length && !this.#newerHas(state, view))
        throw new Violation(`entry ${commit} is committed and durable on ${holds}`);
    }
    for (let each = 0; each < ids.length; each += 1)
      if (each !== node) this.#match(state[node] ?? 0, state[each] ?? 0);
  }

  #newerHas(state: readonly number[], { term, commit, log }: NodeView): boolean {
    return ids.some((_, each) => {
      const other = this.#view(state, each);
      return other.term > term && other.log[commit - 1] === log[commit - 1];
    });
  }

  #match(one: number, other: number): void {
    const pair = Math.min(one, other) * 2 ** 24 + Math.max(one, other);
    if (this.#matching.has(pair)) return;
    this.#matching.add(pair);
    const [left = [], right = []] = [this.#views[one]?.log, this.#views[other]?.log];
    let same = false;
    for (let at = Math.min(left.length, right.length) - 1; at >= 0; at -= 1) {
      if (left[at] === right[at]) same = true;
      else if (same) throw new Violation(`log matching: entry ${at + 1}`);
    }
  }
}

/** Into the sorted messages, once. */
function insert(state: number[], message: number): void {
  let at = state.length;
  while (at > messagesFrom && (state[at - 1] ?? 0) > message) at -= 1;
  if (at > messagesFrom && state[at - 1] === message) return;
  state.splice(at, 0, message);
}

function termOf(entry: string): number {
  return Number(/"term":([0-9]+)/.exec(entry)?.[1] ?? -1);
}

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  const value = at < 0 ? otherwise : Number(process.argv[at + 1]);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} needs a number`);
  return value;
}

if (import.meta.main) {
  const bounds = {
    timeouts: option("--timeouts", 3),
    proposals: option("--proposals", 1),
    crashes: option("--crashes", 1),
    repeats: option("--repeats", 1),
    states: option("--states", 12_000_000),
  };
  const began = performance.now();
  const explored = new Explorer(bounds).run();
  const seconds = Math.round(performance.now() - began) / 1000;
  console.log(
    JSON.stringify({ case: "raft-explorer", ...bounds, seconds, ...explored, violations: 0 }),
  );
}
