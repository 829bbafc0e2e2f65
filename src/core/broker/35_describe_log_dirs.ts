// DescribeLogDirs (35), v1-5. A node has one directory, and no partition has a file in it: the
// sizes are the live bytes that the log counts for each. A partition that was not opened since the
// start counts 0. A partition that is named twice is told once, as in Kafka.

import type {
  DescribeLogDirsRequest,
  DescribeLogDirsResponse,
} from "../../../proto/kafka/35_describe_log_dirs.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { Slot } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import type { Topic } from "../cluster/cluster.ts";
import { type Broker, entry } from "./broker.ts";
import { PartitionSet } from "./partition_set.ts";

type TopicAnswer = DescribeLogDirsResponse["results"][number]["topics"][number];

const unknownBytes = -1;

function plan(broker: Broker, call: Call<DescribeLogDirsRequest, DescribeLogDirsResponse>): void {
  const { topics: asked } = call.request;
  const topics: TopicAnswer[] = [];
  if (asked === null) {
    for (const topic of broker.image.topics())
      topics.push(describe(broker, topic, topic.slots.keys()));
  } else {
    const seen = new PartitionSet();
    for (const { topic: name, partitions } of asked) {
      const topic = broker.image.topicByName(name);
      const once = partitions.filter((partition) => seen.add(name, partition));
      if (topic !== undefined) topics.push(describe(broker, topic, once));
    }
  }
  const directory = {
    errorCode: broker.takesWrites ? ErrorCode.NONE : ErrorCode.KAFKA_STORAGE_ERROR,
    logDir: broker.image.configs.brokerText("log.dirs") ?? "",
    topics,
    totalBytes: unknownBytes,
    usableBytes: unknownBytes,
    isCordoned: false,
  };
  broker.reply(call, { throttleTimeMs: 0, errorCode: ErrorCode.NONE, results: [directory] });
}

function describe(broker: Broker, topic: Topic, partitions: Iterable<number>): TopicAnswer {
  const answers: TopicAnswer["partitions"][number][] = [];
  for (const index of partitions) {
    const slot: Slot | undefined = topic.slotOf(index);
    if (slot === undefined) continue;
    const partitionIndex = broker.image.slotPartition(slot);
    answers.push({
      partitionIndex,
      partitionSize: broker.partitions.isOpen(slot) ? broker.effects.bytesOf(slot) : 0,
      offsetLag: 0,
      isFutureKey: false,
    });
  }
  return { name: topic.name, partitions: answers };
}

export const describeLogDirs = entry("DescribeLogDirs", plan);
