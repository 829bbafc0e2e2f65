// What the configuration tells the core, already validated. Kafka's broker settings keep their own
// names and their text, because DescribeConfigs must print every digit that was given.

import type { NodeId } from "./ids.ts";

export interface Settings {
  readonly nodeId: NodeId;
  /** Kafka's cluster id: 22 characters of base64url. */
  readonly clusterId: string;
  readonly version: string;
  /** Count of starts of the data directory: which life of the node this is. */
  readonly starts: number;
  /** Size of a segment of the node's log. */
  readonly segmentBytes: number;
  /** Durability of topics that do not set their own. */
  readonly durability: "fsync" | "os";
  readonly replicationFactor: number;
  readonly writeQuorum: number;
  /** Settings of `[kafka]` that the configuration sets, under Kafka's names ("num.partitions"). */
  readonly kafka: ReadonlyMap<string, string>;
  /** 128 bits for the pseudo-random source. */
  readonly seed: readonly [number, number, number, number];
}
