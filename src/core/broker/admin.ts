// What the administrative APIs share: bits of authorised operations, texts that go to a client, and
// resource types.

import type { Verdict } from "../base/commands.ts";
import type { NodeId } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import type { Node } from "../cluster/cluster.ts";
import type { Broker } from "./broker.ts";

/** "Not asked for" in the fields of authorised operations. */
export const operationsUnknown = -2147483648;

// One bit per operation, by Kafka's number: read 3, write 4, create 5, delete 6, alter 7, describe
// 8, cluster action 9, describe configs 10, alter configs 11, idempotent write 12. Without an
// authorizer every operation that a resource knows is allowed.

/** Create, alter, describe, cluster action, describe and alter configs, idempotent write. */
export const clusterOperations = 0b1_1111_1010_0000;
/** Read, write, create, delete, alter, describe, describe and alter configs. */
export const topicOperations = 0b1101_1111_1000;

/** A message may repeat what the client sent, and a string on the wire has a limit. */
const messageCharsMax = 1000;

export function clipped(message: string | null): string | null {
  if (message === null || message.length <= messageCharsMax) return message;
  return `${message.slice(0, messageCharsMax)}...`;
}

/** Resource types of the configuration APIs, by Kafka's numbers. */
export const ResourceType = {
  topic: 2,
  broker: 4,
  brokerLogger: 8,
  clientMetrics: 16,
  group: 32,
} as const;

export const changeResources: ReadonlyMap<number, "topic" | "broker" | "client-metrics" | "group"> =
  new Map([
    [ResourceType.topic, "topic"],
    [ResourceType.broker, "broker"],
    [ResourceType.clientMetrics, "client-metrics"],
    [ResourceType.group, "group"],
  ]);

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

/** This node is told where the client has found it; others are where they registered. */
export function addressOf(broker: Broker, call: Call, node: Node): Address {
  if (node.node !== broker.settings.nodeId)
    return { host: node.host, port: node.port, rack: node.rack };
  return { host: call.host, port: call.port, rack: broker.image.configs.brokerText("broker.rack") };
}

/** Rows of one member, shared: an answer may name 100,000 partitions. */
export class Rows {
  readonly #rows = new Map<NodeId, readonly NodeId[]>();

  of(leader: NodeId): readonly NodeId[] {
    let row = this.#rows.get(leader);
    if (row === undefined) {
      row = [leader];
      this.#rows.set(leader, row);
    }
    return row;
  }
}

export const noNodes: readonly NodeId[] = [];

/** Names that appear more than once. */
export function duplicatesOf<T>(names: Iterable<T>): ReadonlySet<T> {
  const seen = new Set<T>();
  const twice = new Set<T>();
  for (const name of names) {
    if (seen.has(name)) twice.add(name);
    seen.add(name);
  }
  return twice;
}

/**
 * Puts the verdicts on the requests that were judged worth proposing back among all of them:
 * `early[i]` is the verdict on request i, or null where the next of `later` belongs.
 */
export function merged(early: readonly (Verdict | null)[], later: readonly Verdict[]): Verdict[] {
  const unanswered: Verdict = { code: -1, message: "the cluster gave no answer" };
  let next = 0;
  return early.map((verdict) => {
    if (verdict !== null) return verdict;
    const outcome = later[next] ?? unanswered;
    next += 1;
    return outcome;
  });
}
