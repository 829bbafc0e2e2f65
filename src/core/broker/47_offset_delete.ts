// OffsetDelete (47), v0: forget offsets of a group, except for topics that its members read.
//
// Refusals: 14, 15, 16, 24 group id empty, 68 members of a protocol that cannot be read, 69 no such
// group. Per partition: 3 unknown topic or partition, 86 the group reads the topic.

import type {
  OffsetDeleteRequest,
  OffsetDeleteResponse,
} from "../../../proto/kafka/47_offset_delete.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { PartitionIndex } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { type Broker, entry } from "./broker.ts";

type DeleteCall = Call<OffsetDeleteRequest, OffsetDeleteResponse>;

function plan(broker: Broker, call: DeleteCall): void {
  const { groupId, topics } = call.request;
  const exists = (name: string, partition: PartitionIndex): boolean =>
    broker.image.topicByName(name)?.slotOf(partition) !== undefined;
  const known = topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions
      .map((each) => each.partitionIndex)
      .filter((partition) => exists(name, partition)),
  }));
  // Judged now: the topic may be gone when the answer comes.
  const unknown = topics.map(({ name, partitions }) =>
    partitions.map((each) => !exists(name, each.partitionIndex)),
  );
  broker.groups.ask(
    groupId,
    (shard, turn) => shard.deleteOffsets(turn, { groupId, topics: known }),
    (code, answer) => {
      const whole = answer?.code ?? code;
      const answers = topics.map((topic, t) => ({
        name: topic.name,
        partitions: topic.partitions.map(({ partitionIndex }, p) => ({
          partitionIndex,
          errorCode: unknown[t]?.[p]
            ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            : (answer?.codes[t] ?? ErrorCode.NONE),
        })),
      }));
      broker.reply(call, {
        errorCode: whole,
        throttleTimeMs: 0,
        topics: whole === ErrorCode.NONE ? answers : [],
      });
    },
  );
}

export const offsetDelete = entry<OffsetDeleteRequest, OffsetDeleteResponse>("OffsetDelete", plan);
