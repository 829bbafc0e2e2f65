// What a client knows of the cluster, and its connections: nodes by address, topics with the leaders
// of their partitions, coordinators of groups. Everything here may be out of date: whoever is told so
// by a node calls `forget` and asks again, within a bounded time.

import { ErrorCode } from "../core/base/error_code.ts";
import { noTopicId } from "../core/base/ids.ts";
import type { RequestOf, ResponseOf } from "../../proto/schema.ts";
import { apis } from "../wire/apis.ts";
import { Connection, type ConnectionOptions, parseAddress } from "./connection.ts";
import { isStale, KafkaError, Unreachable, WrongUse } from "./failures.ts";

export interface NetworkOptions extends ConnectionOptions {
  /** Addresses to begin with, `host:port`. */
  readonly bootstrap: readonly string[];
  /** How long a request is tried again while nodes cannot be reached or leaders change. */
  readonly retryMs: number;
}

/** A node as its cluster advertises it. */
export interface NodeAddress {
  readonly id: number;
  /** host:port. */
  readonly address: string;
  readonly rack: string | null;
}

export interface PartitionMetadata {
  readonly partition: number;
  /** Node id; -1 = there is none at the moment. */
  readonly leader: number;
  readonly leaderEpoch: number;
  /** Node ids that hold copies, and those of them that hold everything committed. */
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

export interface TopicMetadata {
  readonly name: string;
  /** 22 characters of base64url. */
  readonly topicId: string;
  readonly internal: boolean;
  /** By number, without a hole. */
  readonly partitions: readonly PartitionMetadata[];
}

export interface ClusterMetadata {
  readonly clusterId: string | null;
  /** Node id; -1 = unknown. */
  readonly controller: number;
  readonly nodes: readonly NodeAddress[];
  readonly topics: readonly TopicMetadata[];
}

/** A long poll holds up what is behind it on its connection, so each purpose has its own. */
export type Purpose = "ask" | "produce" | "fetch";

const metadataAgeMsMax = 300_000;
const backoffMsMin = 25;
const backoffMsMax = 1000;

type MetadataAnswer = ResponseOf<typeof apis.Metadata>;
type TopicAnswer = MetadataAnswer["topics"][number];

interface Known {
  readonly topic: TopicMetadata;
  readonly since: number;
}

export class Network {
  readonly options: NetworkOptions;
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #nodes = new Map<number, NodeAddress>();
  readonly #topics = new Map<string, Known>();
  readonly #coordinators = new Map<string, number>();
  /** Look-ups under way, so that many askers cost one request. */
  readonly #lookups = new Map<string, Promise<TopicMetadata>>();
  #controller = -1;
  /** Address of the node that `any` found last. */
  #proven: string | null = null;
  #closed = false;

  constructor(options: NetworkOptions) {
    if (options.bootstrap.length === 0) throw new WrongUse("say at least one bootstrap address");
    for (const address of options.bootstrap) {
      if (parseAddress(address) === null) {
        throw new WrongUse(`"${address}" is no address; say host:port`);
      }
    }
    this.options = options;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const open = await Promise.allSettled(this.#connections.values());
    this.#connections.clear();
    for (const each of open) if (each.status === "fulfilled") each.value.close();
  }

  /** What is known of a topic, looked up when it is not or no longer. */
  async topic(name: string): Promise<TopicMetadata> {
    const known = this.#topics.get(name);
    if (known !== undefined && performance.now() - known.since < metadataAgeMsMax) {
      return known.topic;
    }
    let lookup = this.#lookups.get(name);
    if (lookup === undefined) {
      lookup = this.patiently(() => this.#lookUp(name)).finally(() => this.#lookups.delete(name));
      this.#lookups.set(name, lookup);
    }
    return lookup;
  }

  /** Everything: all topics, or those named, and the nodes. */
  async cluster(names: readonly string[] | null = null): Promise<ClusterMetadata> {
    return this.patiently(async () => {
      const answer = await this.#metadata(names);
      return {
        clusterId: answer.clusterId,
        controller: answer.controllerId,
        nodes: [...this.#nodes.values()],
        topics: answer.topics
          .filter(({ errorCode, name }) => errorCode === ErrorCode.NONE && name !== null)
          .map((topic) => topicOf(topic)),
      };
    });
  }

  /** The partition's leader moved, or its topic is another one by now: look it up again. */
  forget(name: string): void {
    this.#topics.delete(name);
  }

  /**
   * Runs `attempt` until it succeeds, fails for good, or `retryMs` is over; between two attempts it
   * waits, longer each time.
   */
  async patiently<T>(attempt: () => Promise<T>, retryMs = this.options.retryMs): Promise<T> {
    const deadline = performance.now() + retryMs;
    for (let attempts = 0; ; attempts += 1) {
      try {
        return await attempt();
      } catch (error) {
        const again =
          error instanceof Unreachable || (error instanceof KafkaError && error.retriable);
        const pauseMs = backoffMs(attempts);
        if (!again || this.#closed || performance.now() + pauseMs > deadline) throw error;
        await Bun.sleep(pauseMs);
      }
    }
  }

  /** The node that answered last, else the first that can be reached. */
  async any(): Promise<Connection> {
    const known = [...this.#nodes.values()].map(({ address }) => address);
    const proven = this.#proven === null ? [] : [this.#proven];
    let last: unknown = null;
    for (const address of new Set([...proven, ...known, ...this.options.bootstrap])) {
      try {
        const connection = await this.#open("ask", address);
        this.#proven = address;
        return connection;
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        last = error;
      }
    }
    throw last;
  }

  async node(id: number, purpose: Purpose = "ask"): Promise<Connection> {
    let node = this.#nodes.get(id);
    if (node === undefined) {
      await this.#metadata([]);
      node = this.#nodes.get(id);
    }
    if (node === undefined) {
      throw new KafkaError(
        ErrorCode.LEADER_NOT_AVAILABLE,
        `node ${id}`,
        "it is not in the cluster",
      );
    }
    return this.#open(purpose, node.address);
  }

  async controller(): Promise<Connection> {
    if (this.#controller < 0) await this.#metadata([]);
    return this.#controller < 0 ? this.any() : this.node(this.#controller);
  }

  /** Nodes as of the last look-up. */
  get nodes(): readonly NodeAddress[] {
    return [...this.#nodes.values()];
  }

  /** Where groups live; `use` runs again when it has moved. */
  async atCoordinator<T>(group: string, use: (connection: Connection) => Promise<T>): Promise<T> {
    return this.patiently(async () => {
      try {
        return await use(await this.#coordinator(group));
      } catch (error) {
        if (isLost(error)) this.#coordinators.delete(group);
        throw error;
      }
    });
  }

  /** What changes metadata goes to the controller; `use` runs again when that has moved. */
  async atController<T>(use: (connection: Connection) => Promise<T>): Promise<T> {
    return this.patiently(async () => {
      try {
        return await use(await this.controller());
      } catch (error) {
        if (isLost(error)) this.#controller = -1;
        throw error;
      }
    });
  }

  async #coordinator(group: string): Promise<Connection> {
    const known = this.#coordinators.get(group);
    if (known !== undefined) return this.node(known);
    const connection = await this.any();
    const version = connection.versionOf(apis.FindCoordinator);
    const single = version < 4;
    const answer = await connection.request(apis.FindCoordinator, version, {
      key: single ? group : "",
      keyType: 0,
      coordinatorKeys: single ? [] : [group],
    });
    const found = single ? answer : answer.coordinators[0];
    if (found === undefined) {
      throw new KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, `group ${group}`);
    }
    if (found.errorCode !== ErrorCode.NONE) {
      throw new KafkaError(found.errorCode, `group ${group}`, found.errorMessage);
    }
    this.#coordinators.set(group, found.nodeId);
    return this.node(found.nodeId);
  }

  async #lookUp(name: string): Promise<TopicMetadata> {
    const answer = await this.#metadata([name]);
    const topic = answer.topics[0];
    if (topic === undefined) throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, `topic ${name}`);
    if (topic.errorCode !== ErrorCode.NONE) {
      const retriable = topic.errorCode === ErrorCode.LEADER_NOT_AVAILABLE;
      throw new KafkaError(topic.errorCode, `topic ${name}`, null, retriable);
    }
    return topicOf(topic);
  }

  async #metadata(names: readonly string[] | null): Promise<MetadataAnswer> {
    const connection = await this.any();
    const version = connection.versionOf(apis.Metadata, 12);
    const answer = await connection.request(apis.Metadata, version, metadataRequest(names));
    this.#nodes.clear();
    for (const { nodeId, host, port, rack } of answer.brokers) {
      const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
      this.#nodes.set(nodeId, { id: nodeId, address, rack });
    }
    this.#controller = answer.controllerId;
    const since = performance.now();
    for (const topic of answer.topics) {
      if (topic.errorCode !== ErrorCode.NONE || topic.name === null) continue;
      this.#topics.set(topic.name, { topic: topicOf(topic), since });
    }
    return answer;
  }

  async #open(purpose: Purpose, address: string): Promise<Connection> {
    if (this.#closed) throw new WrongUse("the client is closed");
    const key = `${purpose} ${address}`;
    const known = this.#connections.get(key);
    if (known !== undefined) {
      const connection = await known;
      if (!connection.lost) return connection;
      if (this.#connections.get(key) === known) this.#connections.delete(key);
      return this.#open(purpose, address);
    }
    const opening = Connection.open(address, this.options);
    this.#connections.set(key, opening);
    try {
      return await opening;
    } catch (error) {
      this.#connections.delete(key);
      throw error;
    }
  }
}

/** After which what was known of a coordinator or controller is to be forgotten. */
function isLost(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof KafkaError && isStale(error.code));
}

/** Doubles with every attempt up to a second, with a third of chance so that clients spread. */
export function backoffMs(attempts: number): number {
  const base = Math.min(backoffMsMin * 2 ** attempts, backoffMsMax);
  return base * (0.83 + Math.random() / 3);
}

function metadataRequest(names: readonly string[] | null): RequestOf<typeof apis.Metadata> {
  return {
    topics: names?.map((name) => ({ topicId: noTopicId, name })) ?? null,
    allowAutoTopicCreation: false,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  };
}

function topicOf({ name, topicId, isInternal, partitions }: TopicAnswer): TopicMetadata {
  return {
    name: name ?? "",
    topicId,
    internal: isInternal,
    partitions: partitions
      .map(({ partitionIndex, leaderId, leaderEpoch, replicaNodes, isrNodes }) => ({
        partition: partitionIndex,
        leader: leaderId,
        leaderEpoch,
        replicas: replicaNodes,
        inSync: isrNodes,
      }))
      .sort((a, b) => a.partition - b.partition),
  };
}
