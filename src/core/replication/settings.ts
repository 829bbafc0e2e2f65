// The bounds and intervals of replication, as one value: the server takes them as they are named in
// `base/limits.ts`, the simulator makes them tiny.

import * as limits from "../base/limits.ts";

export interface ReplicationLimits {
  readonly blocksInFlightMax: number;
  readonly batchesInFlightMax: number;
  readonly bytesInFlightMax: number;
  readonly laggingBytesMax: number;
  readonly laggingMs: number;
  readonly resendMs: number;
  readonly releaseMs: number;
  readonly askAgainMs: number;
  readonly leaderBelowWMs: number;
  readonly parkedBatchesMax: number;
  readonly parkedBytesMax: number;
  readonly earlyMessagesMax: number;
  readonly repairsInFlightMax: number;
}

export const replicationLimits: ReplicationLimits = {
  blocksInFlightMax: limits.blocksInFlightMax,
  batchesInFlightMax: limits.replicationBatchesMax,
  bytesInFlightMax: limits.replicationBytesMax,
  laggingBytesMax: limits.laggingBytesMax,
  laggingMs: limits.laggingMs,
  resendMs: limits.resendMs,
  releaseMs: limits.releaseMs,
  askAgainMs: limits.askAgainMs,
  leaderBelowWMs: limits.leaderBelowWMs,
  parkedBatchesMax: limits.parkedBatchesMax,
  parkedBytesMax: limits.parkedBytesMax,
  earlyMessagesMax: limits.earlyMessagesMax,
  repairsInFlightMax: limits.repairsInFlightMax,
};
