// DeleteRecords (21), v0-2: raises the log start offset; -1 stands for the high watermark. A trim
// below the present log start changes nothing and succeeds. The low watermark in the answer is the
// log start afterwards.
//
// Refusals per partition: 1 offset beyond the high watermark or below -1, 3 unknown, 7 the cluster
// did not take it in time, 17 internal topic, 44 the topic deletes nothing (cleanup.policy), 56.

import type {
  DeleteRecordsRequest,
  DeleteRecordsResponse,
} from "../../../proto/kafka/21_delete_records.ts";
import { ErrorCode } from "../base/error_code.ts";
import { none, offset, type Slot } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { type Broker, entry } from "./broker.ts";

type Answer = DeleteRecordsResponse["topics"][number]["partitions"][number];
type Asked = DeleteRecordsRequest["topics"][number]["partitions"][number];
type DeleteCall = Call<DeleteRecordsRequest, DeleteRecordsResponse>;

/** Stands for the high watermark. */
const highWatermark = -1;

/** One partition on its way; slot -1 = unknown. */
interface Job {
  readonly topic: number;
  readonly asked: Asked;
  readonly slot: number;
  code: number;
}

function plan(broker: Broker, call: DeleteCall): void {
  const jobs: Job[] = [];
  for (const [topic, { name, partitions }] of call.request.topics.entries()) {
    const known = broker.image.topicByName(name);
    for (const asked of partitions) {
      jobs.push({
        topic,
        asked,
        slot: known?.slotOf(asked.partitionIndex) ?? -1,
        code: ErrorCode.NONE,
      });
    }
  }
  let open = 1;
  const opened = (): void => {
    open -= 1;
    if (open === 0) trim(broker, call, jobs);
  };
  for (const job of jobs) {
    if (job.slot < 0) {
      job.code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
      continue;
    }
    open += 1;
    broker.whenOpen(slotOf(job), (code) => {
      job.code = code;
      opened();
    });
  }
  opened();
}

function slotOf(job: Job): Slot {
  return job.slot as Slot; // proof: not negative, so it came from the image
}

function trim(broker: Broker, call: DeleteCall, jobs: readonly Job[]): void {
  const { image, partitions } = broker;
  const trims = [];
  for (const job of jobs) {
    if (job.code !== ErrorCode.NONE) continue;
    const slot = slotOf(job);
    job.code = judge(broker, job);
    const topic = image.slotTopic(slot);
    if (job.code !== ErrorCode.NONE || topic === undefined) continue;
    const to =
      job.asked.offset === highWatermark
        ? partitions.highWatermarkOf(slot)
        : offset(job.asked.offset);
    if (to > partitions.logStartOf(slot))
      trims.push({ topic: topic.id, partition: image.slotPartition(slot), offset: to });
  }
  if (trims.length === 0) return answer(broker, call, jobs);
  broker.propose({ kind: "trim", trims }, (outcome) => {
    if (outcome.kind === "refused") {
      for (const job of jobs) if (job.code === ErrorCode.NONE) job.code = outcome.verdict.code;
    }
    answer(broker, call, jobs);
  });
}

function judge(broker: Broker, job: Job): number {
  const slot = slotOf(job);
  const topic = broker.image.slotTopic(slot);
  if (topic === undefined) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  if (topic.internal) return ErrorCode.INVALID_TOPIC_EXCEPTION;
  if (!topic.deletes) return ErrorCode.POLICY_VIOLATION;
  const wanted = job.asked.offset;
  if (wanted < highWatermark || wanted > broker.partitions.highWatermarkOf(slot))
    return ErrorCode.OFFSET_OUT_OF_RANGE;
  return ErrorCode.NONE;
}

function answer(broker: Broker, call: DeleteCall, jobs: readonly Job[]): void {
  const topics = call.request.topics.map(({ name }) => ({ name, partitions: new Array<Answer>() }));
  for (const { topic, asked, slot, code } of jobs) {
    const { partitionIndex } = asked;
    const at = slot as Slot; // proof: of the image where there is no error
    const lowWatermark = code === ErrorCode.NONE ? broker.partitions.logStartOf(at) : none;
    topics[topic]?.partitions.push({ partitionIndex, lowWatermark, errorCode: code });
  }
  broker.reply(call, { throttleTimeMs: 0, topics });
}

export const deleteRecords = entry("DeleteRecords", plan);
