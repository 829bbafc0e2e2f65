// A cluster in memory for clients under test: several nodes that move leaders about, cut connections
// before or after they append, and answer with errors, as a seed says. It judges what arrives as a
// leader does: a batch of a producer must have the next sequence, or be one of the last five.

import { ErrorCode } from "../../src/core/base/error_code.ts";
import {
  leaderEpoch,
  nodeId,
  type None,
  none,
  noTopicId,
  type Offset,
  offset,
  partitionIndex,
  producerId,
} from "../../src/core/base/ids.ts";
import type { Api, Fields, ResponseOf, Struct } from "../../proto/schema.ts";
import { apis } from "../../src/wire/apis.ts";
import {
  batchBaseSequence,
  batchProducerEpoch,
  batchProducerId,
  batchRecordsCount,
  checkBatch,
  stampBatch,
} from "../../src/wire/batch.ts";
import { decodeRequest } from "../../src/wire/codec.ts";
import { decodeRequestHeader, encodeResponseFrame, frameSize } from "../../src/wire/frame.ts";
import { DecodeRefusal } from "../../src/wire/refusal.ts";
import { Writer } from "../../src/wire/writer.ts";

const topic = "t";
const frameBytesMax = 2 ** 26;
const remembered = 5;

export interface Faults {
  /** Chance of each, for every batch that arrives: 0 to 1. */
  readonly cutBefore: number;
  readonly cutAfter: number;
  readonly refuse: number;
  readonly move: number;
}

/** Errors that say nothing was appended, and one that says it may have been. */
const refusals = [
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.LEADER_NOT_AVAILABLE,
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.NOT_ENOUGH_REPLICAS,
] as const;

interface Outcome {
  readonly errorCode: number;
  readonly baseOffset: Offset | None;
}

interface Kept {
  readonly sequence: number;
  readonly count: number;
  readonly offset: Offset;
}

interface Partition {
  leader: number;
  end: number;
  readonly batches: Uint8Array[];
  readonly producers: Map<string, Kept[]>;
}

type Node = Bun.TCPSocketListener;

export class SmallCluster {
  readonly partitions: readonly Partition[];
  readonly #nodes: readonly Node[];
  readonly #random: () => number;
  faults: Faults = { cutBefore: 0, cutAfter: 0, refuse: 0, move: 0 };
  #nextProducer = 100;
  /** How often each fault happened. */
  readonly counts = { cutBefore: 0, cutAfter: 0, refuse: 0, move: 0, duplicates: 0, gaps: 0 };

  constructor(nodes: number, partitions: number, random: () => number) {
    this.#random = random;
    this.partitions = Array.from({ length: partitions }, (_, index) => ({
      leader: index % nodes,
      end: 0,
      batches: [],
      producers: new Map(),
    }));
    this.#nodes = Array.from({ length: nodes }, (_, id) => this.#listen(id));
  }

  get addresses(): readonly string[] {
    return this.#nodes.map(({ port }) => `127.0.0.1:${port}`);
  }

  stop(): void {
    for (const node of this.#nodes) node.stop(true);
  }

  #listen(id: number): Node {
    return Bun.listen<{ held: Buffer }>({
      hostname: "127.0.0.1",
      port: 0,
      data: { held: Buffer.alloc(0) },
      socket: {
        open(socket) {
          socket.data = { held: Buffer.alloc(0) };
        },
        data: (socket, chunk) => {
          let bytes = Buffer.concat([socket.data.held, chunk]);
          for (;;) {
            const size = frameSize(bytes, 0, bytes.length, frameBytesMax);
            if (size < 4 || size > bytes.length) break;
            const answer = this.#answer(id, bytes.subarray(4, size));
            bytes = bytes.subarray(size);
            if (answer === "cut") {
              socket.terminate();
              return;
            }
            socket.write(answer);
          }
          socket.data.held = bytes;
        },
      },
    });
  }

  #answer(node: number, frame: Uint8Array): Uint8Array | "cut" {
    const header = decodeRequestHeader(frame, 0, frame.length);
    if (header instanceof DecodeRefusal) throw new Error("a header that makes no sense");
    const { apiKey, apiVersion, correlationId, bodyStart } = header;
    const reply = <Q extends Fields, R extends Fields>(
      api: Api<Q, R>,
      value: Struct<R>,
    ): Uint8Array => {
      const writer = new Writer();
      encodeResponseFrame(api, apiVersion, correlationId, writer, value);
      return writer.written();
    };
    switch (apiKey) {
      case apis.ApiVersions.key:
        return reply(apis.ApiVersions, this.#versions());
      case apis.Metadata.key:
        return reply(apis.Metadata, this.#metadata());
      case apis.InitProducerId.key: {
        this.#nextProducer += 1;
        const id = { producerId: producerId(this.#nextProducer), producerEpoch: 0 };
        return reply(apis.InitProducerId, { throttleTimeMs: 0, errorCode: 0, ...id });
      }
      case apis.Produce.key: {
        const asked = decodeRequest(apis.Produce, apiVersion, frame, bodyStart, frame.length);
        if (asked instanceof DecodeRefusal) throw new Error("a produce that makes no sense");
        const [named] = asked.topics;
        const parts = [];
        for (const { index, records } of named?.partitions ?? []) {
          const code = this.#append(node, index, records ?? new Uint8Array(0));
          if (code === "cut") return "cut";
          parts.push({ index, ...code });
        }
        const partitions = parts.map((part) => ({
          ...part,
          logAppendTimeMs: -1,
          logStartOffset: none,
          recordErrors: [],
          errorMessage: null,
          currentLeader: { leaderId: none, leaderEpoch: none } as const,
        }));
        const topics = [{ name: topic, topicId: noTopicId, partitions }];
        return reply(apis.Produce, { topics, throttleTimeMs: 0, nodeEndpoints: [] });
      }
      default:
        throw new Error(`nobody should ask for API ${apiKey} here`);
    }
  }

  #versions(): ResponseOf<typeof apis.ApiVersions> {
    const spoken = [apis.ApiVersions, apis.Metadata, apis.InitProducerId, apis.Produce];
    return {
      errorCode: 0,
      apiKeys: spoken.map(({ key, versions }) => ({
        apiKey: key,
        minVersion: versions[0],
        maxVersion: versions[1],
      })),
      throttleTimeMs: 0,
      supportedFeatures: [],
      finalizedFeaturesEpoch: -1,
      finalizedFeatures: [],
      zkMigrationReady: false,
    };
  }

  #metadata(): ResponseOf<typeof apis.Metadata> {
    return {
      throttleTimeMs: 0,
      brokers: this.#nodes.map(({ port }, id) => ({
        nodeId: nodeId(id),
        host: "127.0.0.1",
        port,
        rack: null,
      })),
      clusterId: "small",
      controllerId: nodeId(0),
      topics: [
        {
          errorCode: 0,
          name: topic,
          topicId: noTopicId,
          isInternal: false,
          partitions: this.partitions.map(({ leader }, index) => ({
            errorCode: 0,
            partitionIndex: partitionIndex(index),
            leaderId: nodeId(leader),
            leaderEpoch: leaderEpoch(0),
            replicaNodes: [nodeId(leader)],
            isrNodes: [nodeId(leader)],
            offlineReplicas: [],
          })),
          topicAuthorizedOperations: -2147483648,
        },
      ],
      clusterAuthorizedOperations: -2147483648,
      errorCode: 0,
    };
  }

  #happens(fault: keyof Faults): boolean {
    if (this.#random() >= this.faults[fault]) return false;
    this.counts[fault] += 1;
    return true;
  }

  #append(node: number, index: number, batch: Uint8Array): Outcome | "cut" {
    const partition = this.partitions[index];
    if (partition === undefined) return { errorCode: 3, baseOffset: none };
    if (this.#happens("move")) partition.leader = (partition.leader + 1) % this.#nodes.length;
    if (partition.leader !== node) {
      return { errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, baseOffset: none };
    }
    if (this.#happens("cutBefore")) return "cut";
    if (this.#happens("refuse")) {
      const pick = Math.floor(this.#random() * refusals.length);
      return { errorCode: refusals[pick] ?? 7, baseOffset: none };
    }
    const outcome = this.#judge(partition, batch);
    return this.#happens("cutAfter") ? "cut" : outcome;
  }

  #judge(partition: Partition, batch: Uint8Array): Outcome {
    const facts = new Float64Array(16);
    checkBatch(batch, 0, batch.length, facts, 0);
    if (facts[0] !== 0) return { errorCode: ErrorCode.CORRUPT_MESSAGE, baseOffset: none };
    const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
    const producer = `${batchProducerId(view, 0)}@${batchProducerEpoch(view, 0)}`;
    const sequence = batchBaseSequence(view, 0);
    const count = batchRecordsCount(view, 0);
    const kept = partition.producers.get(producer) ?? [];
    const before = kept.find((each) => each.sequence === sequence && each.count === count);
    if (before !== undefined) {
      this.counts.duplicates += 1;
      return { errorCode: 0, baseOffset: before.offset };
    }
    const last = kept.at(-1);
    if (sequence !== (last === undefined ? 0 : last.sequence + last.count)) {
      this.counts.gaps += 1;
      return { errorCode: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, baseOffset: none };
    }
    const base = offset(partition.end);
    partition.end += count;
    const stored = batch.slice();
    stampBatch(new DataView(stored.buffer), 0, base, 0);
    partition.batches.push(stored);
    kept.push({ sequence, count, offset: base });
    partition.producers.set(producer, kept.slice(-remembered));
    return { errorCode: 0, baseOffset: base };
  }
}
