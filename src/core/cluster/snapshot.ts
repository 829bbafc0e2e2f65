// A snapshot: the records that build an equal image. Its order is fixed by the image's own order,
// so equal images have equal snapshots.

import { type PartitionIndex, partitionIndex, type Slot } from "../base/ids.ts";
import type { MetadataRecord } from "../../../proto/records/metadata.ts";
import { ConfigResource } from "./configs.ts";
import type { ClusterImage } from "./image.ts";
import type { PartitionPlace } from "./partition_table.ts";
import type { Topic } from "./topics.ts";

/** Partitions of one record, so that no record grows without bound. */
const partitionsPerRecord = 1024;

/** Hands every record of a snapshot of the image to `each`, in order. */
export function snapshotRecords(image: ClusterImage, each: (record: MetadataRecord) => void): void {
  let records = 0;
  const count = (record: MetadataRecord): void => {
    records += 1;
    each(record);
  };
  each({ kind: "snapshot", index: image.index });
  count({ kind: "cluster", clusterId: image.clusterId });
  count({ kind: "feature-level", level: image.featureLevel });
  for (const node of image.nodes()) count({ kind: "node", ...node });
  for (const resource of [
    ConfigResource.broker,
    ConfigResource.clientMetrics,
    ConfigResource.group,
  ]) {
    for (const name of image.configs.names(resource)) {
      count({
        kind: "configs",
        resource,
        name,
        changes: [...pairs(image.configs.of(resource, name))],
      });
    }
  }
  for (const topic of image.topics()) snapshotTopic(image, topic, count);
  count({ kind: "producer-ids", first: image.nextProducerId, count: 0 });
  each({ kind: "snapshot-end", records });
}

function* pairs(texts: ReadonlyMap<string, string>): Generator<{ name: string; value: string }> {
  for (const [name, value] of texts) yield { name, value };
}

function snapshotTopic(
  image: ClusterImage,
  topic: Topic,
  each: (record: MetadataRecord) => void,
): void {
  const first = topic.slotOf(0);
  if (first === undefined) return;
  each({
    kind: "topic",
    topicId: topic.id,
    name: topic.name,
    partitions: topic.slots.length,
    replicationFactor: topic.replicationFactor,
    leaders: [image.leaderOf(first)],
    configs: [...pairs(image.configs.of(ConfigResource.topic, topic.name))],
  });
  for (let from = 0; from < topic.slots.length; from += partitionsPerRecord) {
    const slots = topic.slots.subarray(from, from + partitionsPerRecord);
    const partitions: PartitionPlace[] = [];
    for (const slot of slots) partitions.push(image.placeOf(slot as Slot)); // proof: from the image
    const start: PartitionIndex = partitionIndex(from);
    each({ kind: "partition-states", topicId: topic.id, first: start, partitions });
  }
}
