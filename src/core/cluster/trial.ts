// For tests only: an image with a metadata log in memory. Every command is planned, logged and
// applied at once.

import type { Command, OutcomeOf } from "../base/commands.ts";
import { nodeId, type Slot } from "../base/ids.ts";
import { Random } from "../base/random.ts";
import type { Settings } from "../base/settings.ts";
import type { MetadataRecord } from "../../../proto/records/metadata.ts";
import { ClusterImage, type MetadataChange, plan, snapshotRecords } from "./cluster.ts";

export const trialSettings: Settings = {
  nodeId: nodeId(1),
  clusterId: "AAAAAAAAAAAAAAAAAAAAAQ",
  starts: 1,
  segmentBytes: 64 * 1024 * 1024,
  version: "0.0.0-test",
  durability: "fsync",
  replicationFactor: 1,
  writeQuorum: 1,
  kafka: new Map(),
  seed: [1, 2, 3, 4],
};

export class Trial {
  readonly settings: Settings;
  readonly image: ClusterImage;
  readonly log: MetadataRecord[] = [];
  readonly changes: MetadataChange[] = [];
  readonly #random: Random;
  #starts = 0;

  constructor(kafka: Readonly<Record<string, string>> = {}) {
    this.settings = { ...trialSettings, kafka: new Map(Object.entries(kafka)) };
    this.image = new ClusterImage(this.settings);
    this.#random = new Random(this.settings.seed, 7);
    this.start();
  }

  /** The node starts once more. */
  start(node = 1): void {
    this.#starts += 1;
    this.run({
      kind: "register",
      node: nodeId(node),
      host: "127.0.0.1",
      port: 9092,
      diskId: `disk-${node}`,
      starts: this.#starts,
      ticket: 0,
      clusterId: this.settings.clusterId,
    });
  }

  run<C extends Command>(command: C): OutcomeOf<C> {
    const { records, outcome } = plan(this.image, command, this.#random);
    for (const record of records) {
      this.log.push(record);
      this.image.apply(record, this.image.index + 1, (change) => this.changes.push(change));
    }
    return outcome as OutcomeOf<C>; // proof: the outcome of a command has its kind
  }

  create(name: string, partitions = 1, configs: Readonly<Record<string, string | null>> = {}) {
    const texts = Object.entries(configs).map(([key, value]) => ({ name: key, value }));
    const topic = {
      name,
      partitions,
      replicationFactor: -1,
      assignments: [],
      configs: texts,
      internal: false,
    };
    const outcome = this.run({ kind: "create-topics", topics: [topic], validateOnly: false });
    return outcome.kind === "create-topics" ? outcome.topics[0] : undefined;
  }

  slot(name: string, partition = 0): Slot {
    const slot = this.image.topicByName(name)?.slotOf(partition);
    if (slot === undefined) throw new Error(`there is no ${name}/${partition}`);
    return slot;
  }
}

/** Everything that the image says, as records. */
export function saidBy(image: ClusterImage): MetadataRecord[] {
  const records: MetadataRecord[] = [];
  snapshotRecords(image, (record) => records.push(record));
  return records;
}

/** An image built from records: a snapshot where they begin with one, then the log behind it. */
export function built(settings: Settings, records: readonly MetadataRecord[]): ClusterImage {
  const image = new ClusterImage(settings);
  for (const record of records) image.apply(record, image.index + 1);
  return image;
}
