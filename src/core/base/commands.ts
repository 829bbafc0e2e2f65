// Commands for the metadata machine and their outcomes: what the data thread asks of the control
// thread. A command is judged when it is planned, against everything that was appended before; the
// guards of epochs and trim points are judged again where their records are applied.

import type { LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId } from "./ids.ts";

export interface TopicToCreate {
  readonly name: string;
  /** -1 = the default of the cluster. */
  readonly partitions: number;
  /** -1 = the default of the cluster. */
  readonly replicationFactor: number;
  /** Explicit assignment by partition, or empty. */
  readonly assignments: readonly {
    readonly partition: number;
    readonly nodes: readonly number[];
  }[];
  readonly configs: readonly { readonly name: string; readonly value: string | null }[];
  /** Topics of our own (`__consumer_offsets`) may be created by nobody else. */
  readonly internal: boolean;
}

export interface ConfigChange {
  readonly resource: "topic" | "broker" | "group" | "client-metrics";
  readonly name: string;
  /** True: `operations` are the whole new set (AlterConfigs); false: changes (IncrementalAlterConfigs). */
  readonly replace: boolean;
  readonly operations: readonly {
    readonly name: string;
    readonly operation: "set" | "delete" | "append" | "subtract";
    readonly value: string | null;
  }[];
}

export type Command =
  | {
      readonly kind: "register";
      readonly node: NodeId;
      readonly host: string;
      readonly port: number;
      readonly diskId: string;
      readonly starts: number;
      readonly ticket: number;
      readonly clusterId: string;
    }
  | {
      readonly kind: "create-topics";
      readonly topics: readonly TopicToCreate[];
      readonly validateOnly: boolean;
    }
  | { readonly kind: "delete-topics"; readonly topics: readonly TopicId[] }
  | {
      readonly kind: "create-partitions";
      readonly topics: readonly {
        readonly name: string;
        readonly count: number;
        readonly assignments: readonly (readonly number[])[] | null;
      }[];
      readonly validateOnly: boolean;
    }
  | {
      readonly kind: "alter-configs";
      readonly changes: readonly ConfigChange[];
      readonly validateOnly: boolean;
    }
  | { readonly kind: "allocate-producer-ids"; readonly count: number }
  /**
   * The end of the epoch before `epoch` is known: `epoch` opens there. A seal is skipped unless
   * `epoch` is current and recovering, and `end` lies at or above the log start and the start of the
   * epoch that ends. At most `sealsPerCommandMax`.
   */
  | {
      readonly kind: "commit-seals";
      readonly seals: readonly {
        readonly topic: TopicId;
        readonly partition: PartitionIndex;
        readonly epoch: LeaderEpoch;
        readonly end: Offset;
      }[];
    }
  | {
      readonly kind: "trim";
      readonly trims: readonly {
        readonly topic: TopicId;
        readonly partition: PartitionIndex;
        readonly offset: Offset;
      }[];
    };

/** Kafka's code and a sentence for a person; code 0 = done. */
export interface Verdict {
  readonly code: number;
  readonly message: string | null;
}

export interface CreatedTopic extends Verdict {
  readonly name: string;
  readonly id: TopicId | null;
  readonly partitions: number;
  readonly replicationFactor: number;
}

export type Outcome =
  | { readonly kind: "register"; readonly verdict: Verdict }
  | { readonly kind: "create-topics"; readonly topics: readonly CreatedTopic[] }
  | { readonly kind: "delete-topics"; readonly topics: readonly Verdict[] }
  | { readonly kind: "create-partitions"; readonly topics: readonly Verdict[] }
  | { readonly kind: "alter-configs"; readonly changes: readonly Verdict[] }
  | {
      readonly kind: "allocate-producer-ids";
      readonly verdict: Verdict;
      readonly first: number;
      readonly count: number;
    }
  | { readonly kind: "commit-seals" }
  | { readonly kind: "trim" }
  /** The metadata log cannot take it now (full, stopping); code is retriable. */
  | { readonly kind: "refused"; readonly verdict: Verdict };

export type OutcomeOf<C extends Command> =
  | Extract<Outcome, { kind: C["kind"] }>
  | Extract<Outcome, { kind: "refused" }>;
