// How often what goes wrong in one run, and bounds so small that every run meets them.

import {
  replicationLimits,
  type ReplicationLimits,
} from "../../../src/core/replication/settings.ts";

export const limits: ReplicationLimits = {
  ...replicationLimits,
  blocksInFlightMax: 2,
  batchesInFlightMax: 8,
  bytesInFlightMax: 64,
  laggingBytesMax: 64,
  laggingMs: 200,
  parkedBatchesMax: 6,
  parkedBytesMax: 64,
  earlyMessagesMax: 8,
  repairsInFlightMax: 2,
};

/** Chances per mille, or milliseconds. */
export interface Rates {
  readonly drop: number;
  readonly double: number;
  readonly delay: number;
  readonly cut: number;
  readonly crash: number;
  readonly powerCut: number;
  readonly powerCutAll: number;
  readonly survive: number;
  readonly diskLoss: number;
  readonly damage: number;
  readonly pause: number;
  readonly slowSync: number;
  readonly assign: number;
  readonly replace: number;
  readonly strategy: number;
  readonly transfer: number;
  readonly trim: number;
  readonly metadataDelay: number;
  readonly metadataStall: number;
  readonly produceMs: number;
}

/** Each kind of fault is off in many runs: the rest then goes deeper. */
export function drawRates(pick: (of: readonly number[]) => number): Rates {
  const one = (...of: readonly number[]): number => pick(of);
  return {
    drop: one(0, 0, 10, 50, 200),
    double: one(0, 0, 20, 100),
    delay: one(1, 3, 20, 80),
    cut: one(0, 0, 4, 15),
    crash: one(0, 0, 4, 15),
    powerCut: one(0, 0, 4, 15),
    powerCutAll: one(0, 0, 0, 10),
    survive: one(0, 300, 700),
    diskLoss: one(0, 0, 3, 10),
    damage: one(0, 0, 4),
    pause: one(0, 0, 5),
    slowSync: one(0, 20, 100),
    assign: one(0, 5, 20, 80),
    replace: one(0, 0, 10, 40),
    strategy: one(0, 0, 15),
    transfer: one(0, 0, 15),
    trim: one(0, 0, 10),
    metadataDelay: one(1, 5, 60),
    metadataStall: one(0, 0, 5),
    produceMs: one(5, 15, 40),
  };
}
