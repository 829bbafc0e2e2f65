// Requests that a client might send: values of any request table in any version, whose names, ids
// and numbers mostly mean something to the node under test. A broker refuses random words at the
// first check; these get past it. What answers bring (member ids, epochs, sessions, topic ids) is
// learned and sent back.

import type { FieldSpec } from "../../proto/schema.ts";
import { defaultOf, elementOf, isLive, isNullable, membersOf } from "../../src/wire/layout.ts";
import type { Random } from "../chaos/payload.ts";
import { batches } from "./batches.ts";
import { pick, type Vocabulary } from "./vocabulary.ts";

/** Topics that every node under test has, and how they are made. */
export const topics: readonly (readonly [
  name: string,
  partitions: number,
  configs: Readonly<Record<string, string>>,
])[] = [
  ["plain", 3, {}],
  ["compact", 1, { "cleanup.policy": "compact" }],
  ["times", 1, { "message.timestamp.type": "LogAppendTime", "pyralog.durability": "os" }],
  ["small", 1, { "max.message.bytes": "300" }],
];

const topicNames = [
  ...topics.map(([name]) => name),
  ...["plain", "made", "made2", "__consumer_offsets", "nope", "", ".", "a/b", "t".repeat(249)],
  ...["t".repeat(250), "ü", "a.b_c-d"],
];
const groups = ["g1", "g2", "g3", "", "g".repeat(300)];
const settings = [
  ...["cleanup.policy", "retention.ms", "retention.bytes", "max.message.bytes", "segment.bytes"],
  ...["min.insync.replicas", "compression.type", "pyralog.durability", "message.timestamp.type"],
  ...["message.timestamp.before.max.ms", "message.timestamp.after.max.ms", "log.retention.ms"],
  ...["consumer.session.timeout.ms", "group.max.session.timeout.ms", "interval.ms", "nope"],
  ...[
    "num.partitions",
    "offsets.retention.minutes",
    "background.threads",
    "producer.id.expiration.ms",
  ],
];
const settingValues = [
  ...["delete", "compact", "compact,delete", "-1", "0", "1", "1000", "86400000", "300", "1048576"],
  ...["9223372036854775807", "9007199254740993", "1e3", "", "true", "gzip", "producer", "fsync"],
  ...["os", "LogAppendTime", "CreateTime", "x".repeat(11_000), "0:1,1:1"],
];

/** By `parent.field`, else by `field`. A repeated word is drawn more often. */
const words: Readonly<Record<string, readonly unknown[]>> = {
  name: topicNames,
  topic: topicNames,
  topicName: topicNames,
  topicNames,
  resourceName: [...topicNames, "1", "1", "", "2", "g1"],
  key: [...groups, "tx"],
  coordinatorKeys: [...groups, "tx"],
  groupId: groups,
  groups,
  groupsNames: groups,
  "groups.groupId": groups,
  groupInstanceId: ["i1", "i2", ""],
  memberId: ["", "", "m"],
  protocolType: ["consumer", "consumer", "connect", ""],
  protocolName: ["range", "roundrobin", ""],
  "protocols.name": ["range", "roundrobin", "x"],
  "configs.name": settings,
  configurationKeys: settings,
  value: settingValues,
  transactionalId: ["tx", ""],
  clientSoftwareName: ["fuzz", "", "bad name"],
  clientSoftwareVersion: ["1.0", ""],
  clusterId: ["AAAAAAAAAAAAAAAAAAAAAQ", "other"],
  statesFilter: ["Stable", "Empty", "Dead", "?"],
  typesFilter: ["consumer", "classic", "?"],
  committedMetadata: ["", "m", "x".repeat(5000)],
  acks: [-1, -1, -1, 1, 1, 0, 2],
  replicationFactor: [1, 1, -1, 2, 0],
  brokerIds: [1, 1, 2, -1],
  nodeId: [1, -1, 2],
  replicaId: [-1, -1, -1, 0, 1, -2],
  count: [1, 2, 4, 5, 40, 10_001, 0, -1],
  numPartitions: [1, 1, 2, 3, 8, -1, 0, 40],
  index: [0, 0, 0, 1, 2, 3, -1],
  partition: [0, 0, 0, 1, 2, 3, -1],
  partitionIndex: [0, 0, 0, 1, 2, 3, -1],
  partitionIndexes: [0, 0, 1, 2, 3],
  partitions: [0, 0, 1, 2, 3],
  generationId: [1, 1, 2, -1, 0],
  generationIdOrMemberEpoch: [-1, 1, 2],
  memberEpoch: [-1, -1, 0],
  currentLeaderEpoch: [-1, -1, 0, 1],
  leaderEpoch: [0, 1, -1],
  lastFetchedEpoch: [-1, 0, 1],
  committedLeaderEpoch: [-1, 0],
  maxBytes: [1 << 20, 1, 0, 1 << 30],
  partitionMaxBytes: [1 << 20, 1 << 20, 1, 0, 300],
  maxWaitMs: [0, 0, 500, 0x7fffffff],
  minBytes: [0, 1, 1, 1 << 20, 0x7fffffff],
  sessionEpoch: [0, 0, 1, 2, -1],
  sessionId: [0, 0, 1],
  rebalanceTimeoutMs: [1000, 60_000, 0x7fffffff, 0],
  sessionTimeoutMs: [6000, 30_000, 1_800_000, 1, 0x7fffffff],
  timeoutMs: [1000, 30_000, 0],
  responsePartitionLimit: [2000, 1, 0, 10],
  committedOffset: [0, 1, 5, -1, Number.MAX_SAFE_INTEGER],
  fetchOffset: [0, 0, 1, 2, 5, -1, 1_000_000],
  logStartOffset: [-1, 0, 1],
  offset: [0, 1, 2, -1, 100, Number.MAX_SAFE_INTEGER],
  producerId: [-1, -1, 0, 1],
  producerEpoch: [-1, -1, 0, 1],
  retentionTimeMs: [-1, 1000],
  timestamp: [-1, -2, -3, -4, -5, 0, 1_700_000_000_000],
  configOperation: [0, 0, 1, 2, 3, 4],
  endpointType: [1, 1, 2, 0],
  isolationLevel: [0, 1, 2],
  keyType: [0, 0, 1, 2],
  resourceType: [2, 2, 4, 16, 32, 8, 0],
  resourceTypes: [2, 4, 16, 32],
};

const edges: Readonly<Partial<Record<FieldSpec["kind"], readonly number[]>>> = {
  int8: [-128, 127, 0, -1, 1],
  int16: [-32_768, 32_767, 0, -1, 1],
  uint16: [0, 65_535],
  int32: [-0x80000000, 0x7fffffff, 0, -1, 1, 65_536],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 0, -1, 1, 2 ** 32, 2 ** 31],
};

/** The name under which an answer brings what a request asks for under another. */
const learnedAs: Readonly<Record<string, string>> = {
  generationIdOrMemberEpoch: "generationId",
  index: "partitionIndex",
  fetchOffset: "highWatermark",
  currentLeaderEpoch: "leaderEpoch",
};

/** Draws the request of one table and version. */
export class Plausible {
  readonly #random: Random;
  readonly #version: number;
  readonly #vocabulary: Vocabulary;
  /** Chance in percent that a scalar is an edge of its kind. */
  readonly #wild: number;

  constructor(random: Random, version: number, vocabulary: Vocabulary) {
    this.#random = random;
    this.#version = version;
    this.#vocabulary = vocabulary;
    this.#wild = random.chance(40) ? 0 : random.below(12);
  }

  struct(field: FieldSpec, parent: string): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    for (const [name, member] of membersOf(field)) {
      value[name] = isLive(member, this.#version)
        ? this.#live(member, name, parent)
        : defaultOf(member);
    }
    return value;
  }

  #live(field: FieldSpec, name: string, parent: string): unknown {
    const random = this.#random;
    if (isNullable(field, this.#version) && random.chance(field.kind === "records" ? 3 : 12)) {
      return null;
    }
    if (field.tag !== null && random.chance(60))
      return defaultOf(field) ?? this.#value(field, name, parent);
    return this.#value(field, name, parent);
  }

  #value(field: FieldSpec, name: string, parent: string): unknown {
    if (field.kind === "struct") return this.struct(field, name);
    if (field.kind !== "array") return this.#scalar(field, name, parent);
    const element = elementOf(field);
    const values: unknown[] = [];
    for (let left = this.#length(); left > 0; left -= 1) {
      values.push(this.#value(element, name, parent));
    }
    return values;
  }

  #length(): number {
    const die = this.#random.below(100);
    if (die < 70) return 1;
    if (die < 92) return 2 + (die & 1);
    return die < 99 ? 0 : this.#random.below(40);
  }

  #scalar(field: FieldSpec, name: string, parent: string): unknown {
    const random = this.#random;
    switch (field.kind) {
      case "bool":
        return random.chance(name === "validateOnly" ? 20 : 50);
      case "bytes":
        return new Uint8Array(random.chance(5) ? random.below(3000) : random.below(20));
      case "records":
        return batches(random, this.#vocabulary);
      case "uuid":
        return this.#vocabulary.draw("topicId", "string", random) ?? "AAAAAAAAAAAAAAAAAAAABQ";
      case "string":
        return this.#string(name, parent);
      case "float64":
        return random.word();
      default:
        return this.#number(field, name);
    }
  }

  #number(field: FieldSpec, name: string): number {
    const random = this.#random;
    const edge = edges[field.kind];
    if (edge !== undefined && random.chance(this.#wild)) return pick(edge, random);
    if (random.chance(40)) {
      const learned = this.#vocabulary.draw(learnedAs[name] ?? name, "number", random);
      if (typeof learned === "number" && fits(learned, edge)) return learned;
    }
    const word = pick(words[name] ?? edge ?? [0], random);
    return typeof word === "number" ? word : 0;
  }

  #string(name: string, parent: string): string {
    const random = this.#random;
    if (random.chance(this.#wild)) {
      return random.chance(50) ? "y".repeat(random.below(400)) : `${random.word()}`;
    }
    if (name === "memberId" && random.chance(70)) {
      const learned = this.#vocabulary.draw(name, "string", random);
      if (typeof learned === "string") return learned;
    }
    const word = pick(words[`${parent}.${name}`] ?? words[name] ?? [""], random);
    return typeof word === "string" ? word : "";
  }
}

function fits(value: number, edge: readonly number[] | undefined): boolean {
  const [low = 0, high = 0] = edge ?? [];
  return value >= low && value <= high;
}
