// Records of the metadata log: what the control thread appends and every node applies, in order.
// A record travels as the value of a Kafka record without a key:
//
//   frame version (one byte, 1) | type (unsigned varint) | version (unsigned varint) | body
//
// The body is the flexible encoding of its table. Numbers of types are never reused. A reader that
// meets a type or a version that it does not know refuses the log: it would build another image.
//
// Records that move an epoch or a trim point carry what their guard needs, so that the guard can be
// judged where they are applied.

import type { LeaderEpoch, NodeId, Offset, Ticket } from "../../src/core/base/ids.ts";
import {
  type Fields,
  type Message,
  type MessageOf,
  array,
  int16,
  int32,
  int64,
  int8,
  message,
  partitionIndex,
  string,
  uuid,
} from "../schema.ts";

const node = int32.as<NodeId>();
const epoch = int32.as<LeaderEpoch>();
const offset = int64.as<Offset>();

function record<F extends Fields>(name: string, fields: F): Message<F> {
  return message(name, { versions: [0, 0], flexible: 0, fields });
}

const registration = {
  node,
  /** Address for peers and tools; clients are told the listener that they used. */
  host: string,
  port: int32,
  rack: string.nullable(),
  /** Identity of the data directory: random, never reused. */
  diskId: string,
  /** How often the directory was started, this start included. */
  starts: int64,
  /** Durable ticket of the node's log at its start. */
  ticket: int64.as<Ticket>(),
};

/** First record of a cluster: the identity of everything that follows. */
export const ClusterRecord = record("ClusterRecord", { clusterId: string });

/** What formats and messages the whole cluster may use. */
export const FeatureLevelRecord = record("FeatureLevelRecord", { level: int16 });

/**
 * A node has started: its incarnation is the index of this record. Every partition that it leads
 * goes to its next epoch, in recovery, without a record of its own.
 */
export const RegisterRecord = record("RegisterRecord", registration);

export const TopicRecord = record("TopicRecord", {
  topicId: uuid,
  name: string,
  partitions: int32,
  replicationFactor: int16,
  /** Leader of partition i = leaders[i mod length]. Epoch 1 is open and starts at offset 0. */
  leaders: array(node),
  configs: array({ name: string, value: string }),
});

/** The topic has `count` partitions from now on. */
export const PartitionsRecord = record("PartitionsRecord", {
  topicId: uuid,
  count: int32,
  /** Leader of the i-th new partition = leaders[i mod length]. */
  leaders: array(node),
});

export const DeleteTopicRecord = record("DeleteTopicRecord", { topicId: uuid });

/** Changes of the settings of one resource. */
export const ConfigsRecord = record("ConfigsRecord", {
  /** 2 = topic, 4 = node (without a name: all nodes), 16 = client metrics, 32 = group. */
  resource: int8,
  name: string,
  /** A null value takes the setting out. */
  changes: array({ name: string, value: string.nullable() }),
});

/** Producer ids first .. first + count - 1 are handed out. */
export const ProducerIdsRecord = record("ProducerIdsRecord", { first: int64, count: int32 });

/** CommitSeal, many in one record: the epoch before `epoch` ends, and `epoch` opens, at `end`. */
export const SealsRecord = record("SealsRecord", {
  topics: array({
    topicId: uuid,
    partitions: array({ partition: partitionIndex, epoch, end: offset }),
  }),
});

/** Nothing below `offset` may be read again. */
export const TrimsRecord = record("TrimsRecord", {
  topics: array({ topicId: uuid, partitions: array({ partition: partitionIndex, offset }) }),
});

/** Opens a snapshot of the image at `index`; all records up to the end of it have that index. */
export const SnapshotRecord = record("SnapshotRecord", { index: int64 });

/** In snapshots: a registered node. */
export const NodeRecord = record("NodeRecord", { ...registration, incarnation: int64 });

/** In snapshots: where the partitions from `first` on stand. */
export const PartitionStatesRecord = record("PartitionStatesRecord", {
  topicId: uuid,
  first: partitionIndex,
  partitions: array({
    leader: node,
    epoch,
    since: epoch,
    logStart: offset,
    /** The epoch whose end is not known; it is `epoch` unless that is recovering. */
    target: epoch,
    targetStart: offset,
    /** Sealed epochs that hold records, newest first; each ends where the one before it starts. */
    sealed: array({ epoch, start: offset }),
  }),
});

/** Closes a snapshot. Without it the snapshot is not whole. */
export const SnapshotEndRecord = record("SnapshotEndRecord", {
  /** Records of the snapshot, without the first and this one. */
  records: int32,
});

/** Every table with its number. */
export const metadataTables = {
  cluster: { type: 1, table: ClusterRecord },
  "feature-level": { type: 2, table: FeatureLevelRecord },
  register: { type: 3, table: RegisterRecord },
  topic: { type: 4, table: TopicRecord },
  partitions: { type: 5, table: PartitionsRecord },
  "delete-topic": { type: 6, table: DeleteTopicRecord },
  configs: { type: 7, table: ConfigsRecord },
  "producer-ids": { type: 8, table: ProducerIdsRecord },
  seals: { type: 9, table: SealsRecord },
  trims: { type: 10, table: TrimsRecord },
  snapshot: { type: 100, table: SnapshotRecord },
  node: { type: 101, table: NodeRecord },
  "partition-states": { type: 102, table: PartitionStatesRecord },
  "snapshot-end": { type: 103, table: SnapshotEndRecord },
} as const;

export type MetadataKind = keyof typeof metadataTables;

/** One record of the metadata log, told apart by `kind`. */
export type MetadataRecord = {
  [K in MetadataKind]: { readonly kind: K } & MessageOf<(typeof metadataTables)[K]["table"]>;
}[MetadataKind];

export type MetadataRecordOf<K extends MetadataKind> = Extract<MetadataRecord, { kind: K }>;
