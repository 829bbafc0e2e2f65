// The image of the metadata: what all records up to `index` add up to. `apply` takes one record,
// decides nothing, and costs what it changes; equal records in equal order build equal images.
//
// A record that carries a guard is skipped where the guard does not hold, so that a late or
// repeated one changes nothing. `apply` says what became of it.

import { assert } from "../base/assert.ts";
import {
  type LeaderEpoch,
  leaderEpoch,
  type MetadataIndex,
  metadataIndex,
  type NodeId,
  type Offset,
  type PartitionIndex,
  type Slot,
  type Ticket,
  type TopicId,
} from "../base/ids.ts";
import type { Settings } from "../base/settings.ts";
import type { MetadataRecord, MetadataRecordOf } from "../../../proto/records/metadata.ts";
import { ConfigResource, Configs } from "./configs.ts";
import {
  type EpochEnd,
  type EpochStart,
  type PartitionPlace,
  PartitionTable,
} from "./partition_table.ts";
import { canCollide, collisionKey, isInternalTopic } from "./topic_names.ts";
import { Topic } from "./topics.ts";

export interface Node {
  readonly node: NodeId;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
  readonly diskId: string;
  readonly starts: number;
  readonly ticket: Ticket;
  /** Index of the registration: one life of the node's process. */
  readonly incarnation: MetadataIndex;
}

/** What a record changed, for those who hold state of their own beside the image. */
export type MetadataChange =
  | { readonly kind: "topic-deleted"; readonly topic: Topic; readonly slots: Int32Array }
  | { readonly kind: "configs-changed"; readonly topic: Topic; readonly slots: Int32Array }
  | { readonly kind: "epoch-opened"; readonly slot: Slot }
  | { readonly kind: "trimmed"; readonly slot: Slot; readonly offset: Offset };

export type OnChange = (change: MetadataChange) => void;

export type Applied =
  | "applied"
  /** Its guard did not hold: nothing changed. */
  | "skipped"
  /** It lies at or below the index of the image: nothing changed. */
  | "old"
  /** Records before it are missing: nothing changed. */
  | "gap";

function ignore(): void {}

export class ClusterImage {
  readonly configs: Configs;
  #index = metadataIndex(0);
  #clusterId = "";
  #featureLevel = 0;
  readonly #nodes = new Map<NodeId, Node>();
  readonly #byName = new Map<string, Topic>();
  readonly #byId = new Map<TopicId, Topic>();
  /** By the number of the topic; a deleted topic leaves a hole. */
  readonly #byNumber: (Topic | undefined)[] = [];
  /** Only names that can collide. */
  readonly #collisions = new Map<string, string>();
  #sortedNames: readonly string[] | null = null;
  readonly #partitions = new PartitionTable();
  #partitionCount = 0;
  #nextProducerId = 0;
  /** Records so far of the snapshot that is being read; null outside of one. */
  #snapshot: { records: number } | null = null;

  constructor(settings: Settings) {
    this.configs = new Configs(settings);
  }

  /** Index of the last record that was applied; 0 = none. */
  get index(): MetadataIndex {
    return this.#index;
  }
  /** Empty until the first node has registered. */
  get clusterId(): string {
    return this.#clusterId;
  }
  get featureLevel(): number {
    return this.#featureLevel;
  }
  get nextProducerId(): number {
    return this.#nextProducerId;
  }
  /** Topics that exist. */
  get topicCount(): number {
    return this.#byId.size;
  }
  /** Partitions that exist. */
  get partitionCount(): number {
    return this.#partitionCount;
  }
  /** Slots given so far, those of deleted topics included. */
  get slotCount(): number {
    return this.#partitions.count;
  }
  /** Bytes of the columns that grow with partitions. */
  get partitionBytes(): number {
    return this.#partitions.bytes;
  }
  /** True between the first and the last record of a snapshot. */
  get readsSnapshot(): boolean {
    return this.#snapshot !== null;
  }

  nodes(): Iterable<Node> {
    return this.#nodes.values();
  }
  get nodeCount(): number {
    return this.#nodes.size;
  }
  nodeOf(node: NodeId): Node | undefined {
    return this.#nodes.get(node);
  }

  topicByName(name: string): Topic | undefined {
    return this.#byName.get(name);
  }
  topicById(id: TopicId): Topic | undefined {
    return this.#byId.get(id);
  }
  /** In the order of their creation. */
  topics(): Iterable<Topic> {
    return this.#byId.values();
  }
  /** Sorted; the same array until a topic comes or goes. */
  topicNames(): readonly string[] {
    this.#sortedNames ??= [...this.#byName.keys()].sort();
    return this.#sortedNames;
  }
  /** An existing topic whose name collides with this one but is another. */
  collisionOf(name: string): string | undefined {
    const other = canCollide(name) ? this.#collisions.get(collisionKey(name)) : undefined;
    return other === name ? undefined : other;
  }

  /** Undefined: the topic was deleted. */
  slotTopic(slot: Slot): Topic | undefined {
    const number = this.#partitions.topicOf(slot);
    return number < 0 ? undefined : this.#byNumber[number];
  }
  slotPartition(slot: Slot): PartitionIndex {
    return this.#partitions.indexOf(slot);
  }
  leaderOf(slot: Slot): NodeId {
    return this.#partitions.leaderOf(slot);
  }
  epochOf(slot: Slot): LeaderEpoch {
    return this.#partitions.epochOf(slot);
  }
  /** First epoch of the present incarnation of the leader: older ones are fenced. */
  sinceOf(slot: Slot): LeaderEpoch {
    return this.#partitions.sinceOf(slot);
  }
  epochStateOf(slot: Slot): "open" | "recovering" {
    return this.#partitions.isOpen(slot) ? "open" : "recovering";
  }
  /** First offset of the open epoch, or of the one whose end recovery looks for. */
  targetStartOf(slot: Slot): Offset {
    return this.#partitions.targetStartOf(slot);
  }
  logStartOf(slot: Slot): Offset {
    return this.#partitions.logStartOf(slot);
  }
  chainOf(slot: Slot): EpochStart[] {
    return this.#partitions.chainOf(slot);
  }
  /** Highest epoch not above `asked`, and its end; see PartitionTable. */
  epochEnd(slot: Slot, asked: number, logEnd: Offset): EpochEnd {
    return this.#partitions.epochEnd(slot, asked, logEnd);
  }
  placeOf(slot: Slot): PartitionPlace {
    return this.#partitions.placeOf(slot);
  }
  asEpoch(epoch: number): LeaderEpoch {
    return leaderEpoch(epoch);
  }

  /**
   * Applies the record at `position` of the metadata log. The records of a snapshot all count as
   * standing at its index, and only an empty image takes one.
   */
  apply(record: MetadataRecord, position: number, changed: OnChange = ignore): Applied {
    if (record.kind === "snapshot") return this.#beginSnapshot(record);
    if (this.#snapshot === null) {
      if (position <= this.#index) return "old";
      if (position > this.#index + 1) return "gap";
      this.#index = metadataIndex(position);
    } else {
      this.#snapshot.records += 1;
    }
    return this.#take(record, changed) ? "applied" : "skipped";
  }

  #take(record: Exclude<MetadataRecord, { kind: "snapshot" }>, changed: OnChange): boolean {
    switch (record.kind) {
      case "cluster":
        this.#clusterId = record.clusterId;
        return true;
      case "feature-level":
        this.#featureLevel = record.level;
        return true;
      case "register":
        return this.#register(record);
      case "topic":
        return this.#addTopic(record);
      case "partitions":
        return this.#addPartitions(record);
      case "delete-topic":
        return this.#deleteTopic(record.topicId, changed);
      case "configs":
        return this.#changeConfigs(record, changed);
      case "producer-ids":
        return this.#takeProducerIds(record);
      case "seals":
        return this.#seal(record, changed);
      case "trims":
        return this.#trim(record, changed);
      case "node":
        this.#nodes.set(record.node, {
          ...fieldsOf(record),
          incarnation: metadataIndex(record.incarnation),
        });
        return true;
      case "partition-states":
        return this.#placePartitions(record);
      case "snapshot-end":
        return this.#endSnapshot(record);
    }
  }

  #register(record: MetadataRecordOf<"register">): boolean {
    this.#nodes.set(record.node, { ...fieldsOf(record), incarnation: this.#index });
    this.#partitions.assignAll(record.node);
    return true;
  }

  #addTopic(record: MetadataRecordOf<"topic">): boolean {
    if (this.#byName.has(record.name) || this.#byId.has(record.topicId)) return false;
    const { topicId, name } = record;
    this.configs.change(ConfigResource.topic, name, record.configs);
    const configs = this.configs.topicConfigs(this.configs.of(ConfigResource.topic, name));
    const number = this.#byNumber.length;
    const topic = new Topic(
      topicId,
      name,
      isInternalTopic(name),
      record.replicationFactor,
      configs,
      number,
    );
    this.#byNumber.push(topic);
    this.#byName.set(name, topic);
    this.#byId.set(topicId, topic);
    if (canCollide(name)) this.#collisions.set(collisionKey(name), name);
    this.#sortedNames = null;
    this.#extend(topic, record.partitions, record.leaders);
    return true;
  }

  #addPartitions(record: MetadataRecordOf<"partitions">): boolean {
    const topic = this.#byId.get(record.topicId);
    if (topic === undefined || record.count <= topic.slots.length) return false;
    this.#extend(topic, record.count, record.leaders);
    return true;
  }

  #extend(topic: Topic, count: number, leaders: readonly NodeId[]): void {
    const from = topic.slots.length;
    const slots = new Int32Array(count);
    slots.set(topic.slots);
    for (let i = from; i < count; i += 1) {
      const leader = leaders[(i - from) % leaders.length];
      assert(leader !== undefined, "a partition has a leader");
      slots[i] = this.#partitions.add(topic.number, i, leader);
    }
    topic.slots = slots;
    this.#partitionCount += count - from;
  }

  #deleteTopic(id: TopicId, changed: OnChange): boolean {
    const topic = this.#byId.get(id);
    if (topic === undefined) return false;
    this.#byId.delete(id);
    this.#byName.delete(topic.name);
    this.#byNumber[topic.number] = undefined;
    if (canCollide(topic.name)) this.#collisions.delete(collisionKey(topic.name));
    this.#sortedNames = null;
    this.configs.drop(ConfigResource.topic, topic.name);
    for (const slot of topic.slots) this.#partitions.remove(slot as Slot); // proof: from the table
    this.#partitionCount -= topic.slots.length;
    changed({ kind: "topic-deleted", topic, slots: topic.slots });
    return true;
  }

  #changeConfigs(record: MetadataRecordOf<"configs">, changed: OnChange): boolean {
    if (record.resource === ConfigResource.topic) {
      const topic = this.#byName.get(record.name);
      if (topic === undefined) return false;
      this.configs.change(record.resource, record.name, record.changes);
      this.#reconfigure(topic, changed);
      return true;
    }
    this.configs.change(record.resource, record.name, record.changes);
    if (record.resource === ConfigResource.broker) {
      for (const topic of this.#byId.values()) this.#reconfigure(topic, changed);
    }
    return true;
  }

  #reconfigure(topic: Topic, changed: OnChange): void {
    topic.configs = this.configs.topicConfigs(this.configs.of(ConfigResource.topic, topic.name));
    changed({ kind: "configs-changed", topic, slots: topic.slots });
  }

  #takeProducerIds(record: MetadataRecordOf<"producer-ids">): boolean {
    if (record.first < this.#nextProducerId) return false;
    this.#nextProducerId = record.first + record.count;
    return true;
  }

  #seal(record: MetadataRecordOf<"seals">, changed: OnChange): boolean {
    let took = false;
    for (const { topicId, partitions } of record.topics) {
      const topic = this.#byId.get(topicId);
      for (const { partition, epoch, end } of partitions) {
        const slot = topic?.slotOf(partition);
        if (slot === undefined || !this.#partitions.seal(slot, epoch, end)) continue;
        took = true;
        changed({ kind: "epoch-opened", slot });
      }
    }
    return took;
  }

  #trim(record: MetadataRecordOf<"trims">, changed: OnChange): boolean {
    let took = false;
    for (const { topicId, partitions } of record.topics) {
      const topic = this.#byId.get(topicId);
      for (const { partition, offset } of partitions) {
        const slot = topic?.slotOf(partition);
        if (slot === undefined || !this.#partitions.trim(slot, offset)) continue;
        took = true;
        changed({ kind: "trimmed", slot, offset });
      }
    }
    return took;
  }

  #beginSnapshot(record: MetadataRecordOf<"snapshot">): Applied {
    if (this.#index > 0 || this.#snapshot !== null)
      return record.index <= this.#index ? "old" : "gap";
    this.#index = metadataIndex(record.index);
    this.#snapshot = { records: 0 };
    return "applied";
  }

  #placePartitions(record: MetadataRecordOf<"partition-states">): boolean {
    const topic = this.#byId.get(record.topicId);
    assert(topic !== undefined, "a snapshot names a topic before its partitions");
    for (const [i, place] of record.partitions.entries()) {
      const slot = topic.slotOf(record.first + i);
      assert(slot !== undefined, "a snapshot places partitions that exist");
      this.#partitions.place(slot, place);
    }
    return true;
  }

  #endSnapshot(record: MetadataRecordOf<"snapshot-end">): boolean {
    assert(this.#snapshot !== null, "the end of a snapshot follows its beginning");
    assert(
      this.#snapshot.records === record.records + 1,
      "a snapshot holds as many records as it says",
    );
    this.#snapshot = null;
    return true;
  }
}

function fieldsOf(record: Omit<Node, "incarnation">): Omit<Node, "incarnation"> {
  const { node, host, port, rack, diskId, starts, ticket } = record;
  return { node, host, port, rack, diskId, starts, ticket };
}
