// A topic as the image knows it. Its settings are one object, shared by all topics that set nothing
// themselves.

import type { Slot, TopicId } from "../base/ids.ts";
import type { TopicConfigs } from "./configs.ts";

export class Topic {
  readonly id: TopicId;
  readonly name: string;
  /** Written by the nodes themselves. */
  readonly internal: boolean;
  readonly replicationFactor: number;
  /** Slot of partition i. Another array after partitions were added. */
  slots: Int32Array;
  /** Another object after a change of the settings. */
  configs: TopicConfigs;
  /** Number within the image, for the partition table. */
  readonly number: number;

  constructor(
    id: TopicId,
    name: string,
    internal: boolean,
    replicationFactor: number,
    configs: TopicConfigs,
    number: number,
  ) {
    this.id = id;
    this.name = name;
    this.internal = internal;
    this.replicationFactor = replicationFactor;
    this.slots = new Int32Array(0);
    this.configs = configs;
    this.number = number;
  }

  slotOf(partition: number): Slot | undefined {
    return this.slots[partition] as Slot | undefined; // proof: filled from the partition table
  }

  get compacts(): boolean {
    return this.configs.compacts;
  }
  get deletes(): boolean {
    return this.configs.deletes;
  }
  get compressionType(): string {
    return this.configs.compressionType;
  }
  get durability(): "fsync" | "os" {
    return this.configs.durability;
  }
  get logAppendTime(): boolean {
    return this.configs.logAppendTime;
  }
  get maxDecompressedBytes(): number {
    return this.configs.maxDecompressedBytes;
  }
  get maxMessageBytes(): number {
    return this.configs.maxMessageBytes;
  }
  get minInsyncReplicas(): number {
    return this.configs.minInsyncReplicas;
  }
  get retentionBytes(): number {
    return this.configs.retentionBytes;
  }
  get retentionMs(): number {
    return this.configs.retentionMs;
  }
  get segmentBytes(): number {
    return this.configs.segmentBytes;
  }
  get timestampAfterMaxMs(): number {
    return this.configs.timestampAfterMaxMs;
  }
  get timestampBeforeMaxMs(): number {
    return this.configs.timestampBeforeMaxMs;
  }
}
