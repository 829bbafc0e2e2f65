// The broker: what a Kafka request means. Each API has a file `NN_name.ts` with a `plan` function;
// this file is what they stand on: the committed metadata, the partitions, the effects of the
// current step, and the continuations that wait for an input.

import { assert } from "../base/assert.ts";
import type { Command, Outcome, OutcomeOf } from "../base/commands.ts";
import type { Slot } from "../base/ids.ts";
import type { Call, Effects, ReadOutcome, ReadPart } from "../base/node_contract.ts";
import type { Settings } from "../base/settings.ts";

/** One Kafka API: registered in apis.ts, which is what ApiVersions advertises. */
export interface ApiEntry {
  /** Name of the table in proto/kafka; key and versions come from there. */
  readonly name: string;
  plan(broker: Broker, call: Call): void;
}

/** Ties the types of request and response to the name of a table. */
export function entry<Q, R>(name: string, plan: (broker: Broker, call: Call<Q, R>) => void): ApiEntry {
  return { name, plan: (broker, call) => plan(broker, call as Call<Q, R>) }; // proof: the server decodes by this name
}

export interface Broker {
  readonly settings: Settings;
  /** Monotonic milliseconds of the newest tick. */
  readonly now: number;
  /** Unix milliseconds of the newest tick. */
  readonly wall: number;
  /** Effects of the current step. */
  readonly effects: Effects;

  reply<Q, R>(call: Call<Q, R>, response: R): void;
  /** Proposes a metadata command; `done` runs in a later step, after its metadata is applied here. */
  propose<C extends Command>(command: C, done: (outcome: OutcomeOf<C>) => void): void;
  /**
   * Runs `then` with 0 once the partition is open (at once when it is), or with Kafka's code when it
   * cannot be opened.
   */
  whenOpen(slot: Slot, then: (code: number) => void): void;
  /**
   * Appends one batch of our own (built by wire, base offset 0) to an open partition. `done` runs
   * with 0 once it is committed, with Kafka's code otherwise; calls complete in order. False when
   * the disk takes nothing now: nothing was appended and `done` will not run.
   */
  appendOwn(slot: Slot, batch: Uint8Array, count: number, done: (code: number) => void): boolean;
  /** One read; `done` runs in a later step, and the records are valid only while it runs. */
  read(parts: readonly ReadPart[], bytesMax: number, done: (parts: readonly ReadOutcome[]) => void): void;
}

export type { Command, Outcome };
export { assert };
