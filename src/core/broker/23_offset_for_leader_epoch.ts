// OffsetForLeaderEpoch (23), v2-4: where an epoch ended, from the epoch chain of the metadata. A
// consumer asks after a change of leader whether what it has read is still there (KIP-320); the
// answer is the highest epoch that is not above the one it names, and its end. -1 and -1: nothing
// is known of such an epoch.
//
// Refusals per partition: 3 unknown, 56, 74 the client knows an older leader, 75 a newer one.

import type {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
} from "../../../proto/kafka/23_offset_for_leader_epoch.ts";
import { ErrorCode } from "../base/error_code.ts";
import { type LeaderEpoch, none, type None, type Offset } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { type Broker, entry } from "./broker.ts";

type Asked = OffsetForLeaderEpochRequest["topics"][number]["partitions"][number];
type Answer = OffsetForLeaderEpochResponse["topics"][number]["partitions"][number];

function plan(
  broker: Broker,
  call: Call<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>,
): void {
  const topics = call.request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: new Array<Answer>(partitions.length),
  }));
  let open = 1;
  const finished = (): void => {
    open -= 1;
    if (open === 0) broker.reply(call, { throttleTimeMs: 0, topics });
  };
  for (const [t, { topic, partitions }] of call.request.topics.entries()) {
    for (const [p, asked] of partitions.entries()) {
      open += 1;
      one(broker, topic, asked, (answer) => {
        const answers = topics[t]?.partitions;
        if (answers !== undefined) answers[p] = answer;
        finished();
      });
    }
  }
  finished();
}

function one(broker: Broker, topic: string, asked: Asked, done: (answer: Answer) => void): void {
  const found = (
    errorCode: number,
    leaderEpoch: LeaderEpoch | None,
    endOffset: Offset | None,
  ): void => {
    done({ errorCode, partition: asked.partition, leaderEpoch, endOffset });
  };
  const refuse = (code: number): void => found(code, none, none);
  const slot = broker.image.topicByName(topic)?.slotOf(asked.partition);
  if (slot === undefined) return refuse(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  broker.whenOpen(slot, (code) => {
    if (code !== ErrorCode.NONE) return refuse(code);
    const { image, partitions } = broker;
    const known = asked.currentLeaderEpoch;
    if (known > partitions.epochOf(slot)) return refuse(ErrorCode.UNKNOWN_LEADER_EPOCH);
    if (known >= 0 && known < image.sinceOf(slot)) return refuse(ErrorCode.FENCED_LEADER_EPOCH);
    const { epoch, end } = image.epochEnd(slot, asked.leaderEpoch, partitions.endOf(slot));
    found(ErrorCode.NONE, epoch, end);
  });
}

export const offsetForLeaderEpoch = entry("OffsetForLeaderEpoch", plan);
