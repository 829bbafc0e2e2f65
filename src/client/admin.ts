// Administration: topics, their settings and partitions, nodes. What changes metadata goes to the
// controller. Each call is about one thing and throws when that is refused.

import { ErrorCode } from "../core/base/error_code.ts";
import { none, offset as offsetId, partitionIndex } from "../core/base/ids.ts";
import { apis } from "../wire/apis.ts";
import { check, lasting, only } from "./answers.ts";
import { KafkaError } from "./failures.ts";
import { Groups } from "./groups.ts";
import { backoffMs, type ClusterMetadata, type Network, type TopicMetadata } from "./network.ts";
import {
  type FoundOffset,
  keyOf,
  leaderOf,
  listOffsets,
  type PartitionId,
  type TimeQuery,
} from "./offsets.ts";

export interface NewTopic {
  readonly name: string;
  /** Default: the cluster's. */
  readonly partitions?: number;
  /** Copies of each record. Default: the cluster's. */
  readonly replicas?: number;
  /** Settings that differ from the defaults, under Kafka's names. */
  readonly configs?: Readonly<Record<string, string>>;
  /** Check only. */
  readonly dryRun?: boolean;
}

export interface CreatedTopic {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: number;
  readonly replicas: number;
}

export interface Setting {
  readonly name: string;
  /** Null: secret, or not set. */
  readonly value: string | null;
  /** Who said so. */
  readonly source: "topic" | "node" | "cluster" | "file" | "default" | "unknown";
  readonly readOnly: boolean;
  readonly documentation: string | null;
}

export interface PartitionSize extends PartitionId {
  readonly node: number;
  /** Bytes in the log. */
  readonly bytes: number;
}

const sources: Readonly<Record<number, Setting["source"]>> = {
  1: "topic",
  2: "node",
  3: "cluster",
  4: "file",
  5: "default",
};
const seenMsMax = 10_000;
const topicResource = 2;
const set = 0;
const unset = 1;

export class Admin {
  /** Consumer groups and their offsets. */
  readonly groups: Groups;
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
    this.groups = new Groups(network);
  }

  /** Nodes and all topics. */
  cluster(): Promise<ClusterMetadata> {
    return this.#network.cluster();
  }

  /** @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION */
  topic(name: string): Promise<TopicMetadata> {
    this.#network.forget(name);
    return this.#network.topic(name);
  }

  /** @throws KafkaError TOPIC_ALREADY_EXISTS and others. */
  async createTopic(topic: NewTopic): Promise<CreatedTopic> {
    const made = await this.#create(topic);
    if (topic.dryRun !== true) await this.#seen(topic.name, 1);
    return made;
  }

  #create(topic: NewTopic): Promise<CreatedTopic> {
    return this.#network.atController(async (connection) => {
      const version = connection.versionOf(apis.CreateTopics);
      const answer = await connection.request(apis.CreateTopics, version, {
        topics: [
          {
            name: topic.name,
            numPartitions: topic.partitions ?? -1,
            replicationFactor: topic.replicas ?? -1,
            assignments: [],
            configs: Object.entries(topic.configs ?? {}).map(([name, value]) => ({ name, value })),
          },
        ],
        timeoutMs: this.#timeoutMs,
        validateOnly: topic.dryRun ?? false,
      });
      const made = only(answer.topics, `topic ${topic.name}`);
      check(made.errorCode, `topic ${topic.name}`, made.errorMessage);
      this.#network.forget(topic.name);
      return {
        name: made.name,
        topicId: made.topicId,
        partitions: made.numPartitions,
        replicas: made.replicationFactor,
      };
    });
  }

  /** Deletes the topic and its records. */
  async deleteTopic(name: string): Promise<void> {
    await this.#network.atController(async (connection) => {
      const version = connection.versionOf(apis.DeleteTopics, 5);
      const answer = await connection.request(apis.DeleteTopics, version, {
        topics: [],
        topicNames: [name],
        timeoutMs: this.#timeoutMs,
      });
      this.#network.forget(name);
      const gone = only(answer.responses, `topic ${name}`);
      lasting(gone.errorCode, `topic ${name}`, gone.errorMessage);
    });
  }

  /** Raises the number of partitions to `count`. */
  async addPartitions(name: string, count: number): Promise<void> {
    await this.#network.atController(async (connection) => {
      const version = connection.versionOf(apis.CreatePartitions);
      const answer = await connection.request(apis.CreatePartitions, version, {
        topics: [{ name, count, assignments: null }],
        timeoutMs: this.#timeoutMs,
        validateOnly: false,
      });
      this.#network.forget(name);
      const grown = only(answer.results, `topic ${name}`);
      lasting(grown.errorCode, `topic ${name}`, grown.errorMessage);
    });
    await this.#seen(name, count);
  }

  /**
   * What the controller has decided, other nodes learn a little later: waits until the one that
   * answers us knows it, so that the next call finds what this one made. Not for ever: it is decided.
   */
  async #seen(name: string, partitions: number): Promise<void> {
    const deadline = performance.now() + seenMsMax;
    for (let attempts = 0; performance.now() < deadline; attempts += 1) {
      try {
        const topic = await this.topic(name);
        if (topic.partitions.length >= partitions) return;
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
      }
      await Bun.sleep(backoffMs(attempts));
    }
  }

  /** All settings of a topic with where each came from. */
  async topicConfigs(name: string): Promise<readonly Setting[]> {
    return this.#network.patiently(async () => {
      const connection = await this.#network.any();
      const version = connection.versionOf(apis.DescribeConfigs);
      const answer = await connection.request(apis.DescribeConfigs, version, {
        resources: [{ resourceType: topicResource, resourceName: name, configurationKeys: null }],
        includeSynonyms: false,
        includeDocumentation: true,
      });
      const found = only(answer.results, `topic ${name}`);
      lasting(found.errorCode, `topic ${name}`, found.errorMessage);
      return found.configs.map(({ name: key, value, configSource, readOnly, documentation }) => ({
        name: key,
        value,
        source: sources[configSource] ?? "unknown",
        readOnly,
        documentation,
      }));
    });
  }

  /** Sets single settings of a topic; null takes one back to its default. Others stay. */
  async configureTopic(
    name: string,
    changes: Readonly<Record<string, string | null>>,
  ): Promise<void> {
    await this.#network.atController(async (connection) => {
      const version = connection.versionOf(apis.IncrementalAlterConfigs);
      const answer = await connection.request(apis.IncrementalAlterConfigs, version, {
        resources: [
          {
            resourceType: topicResource,
            resourceName: name,
            configs: Object.entries(changes).map(([key, value]) => ({
              name: key,
              configOperation: value === null ? unset : set,
              value,
            })),
          },
        ],
        validateOnly: false,
      });
      const changed = only(answer.responses, `topic ${name}`);
      lasting(changed.errorCode, `topic ${name}`, changed.errorMessage);
    });
  }

  /** Offsets by time, or `Time.earliest` and `Time.latest`, in the order of the queries. */
  offsets(queries: readonly TimeQuery[]): Promise<readonly FoundOffset[]> {
    return listOffsets(this.#network, queries);
  }

  /**
   * Deletes the records of a partition below `before`; -1 = all that are committed.
   * @returns the first offset that is left.
   */
  async deleteRecords(topic: string, partition: number, before: number): Promise<number> {
    const id = { topic, partition };
    return this.#network.patiently(async () => {
      const connection = await this.#network.node(await leaderOf(this.#network, id));
      const version = connection.versionOf(apis.DeleteRecords);
      const offset = before < 0 ? none : offsetId(before);
      const answer = await connection.request(apis.DeleteRecords, version, {
        topics: [
          { name: topic, partitions: [{ partitionIndex: partitionIndex(partition), offset }] },
        ],
        timeoutMs: this.#timeoutMs,
      });
      const trimmed = only(only(answer.topics, keyOf(id)).partitions, keyOf(id));
      if (trimmed.errorCode === ErrorCode.NOT_LEADER_OR_FOLLOWER) this.#network.forget(topic);
      check(trimmed.errorCode, keyOf(id));
      return trimmed.lowWatermark;
    });
  }

  /** Bytes of partitions in the logs of all nodes; null = of all topics. */
  async sizes(topic: string | null = null): Promise<readonly PartitionSize[]> {
    const topics =
      topic === null
        ? null
        : [
            {
              topic,
              partitions: (await this.topic(topic)).partitions.map(({ partition }) =>
                partitionIndex(partition),
              ),
            },
          ];
    await this.#network.cluster([]);
    const each = this.#network.nodes.map(async ({ id }) => {
      const connection = await this.#network.node(id);
      const version = connection.versionOf(apis.DescribeLogDirs);
      const answer = await connection.request(apis.DescribeLogDirs, version, { topics });
      check(answer.errorCode, `node ${id}`);
      return answer.results.flatMap((dir) =>
        dir.topics.flatMap(({ name, partitions }) =>
          partitions.map(({ partitionIndex: partition, partitionSize }) => ({
            node: id,
            topic: name,
            partition,
            bytes: partitionSize,
          })),
        ),
      );
    });
    return (await Promise.all(each)).flat();
  }

  get #timeoutMs(): number {
    return this.#network.options.requestTimeoutMs;
  }
}
