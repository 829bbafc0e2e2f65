// CreatePartitions (37), v0-3: more partitions for topics that exist. Every topic that is asked for
// has its result: clients match them by name and wait for all.
//
// Refusals per topic: 3 unknown, 7 the cluster did not take it in time, 17 internal topic, 37 the
// count is no increase, 38 too few nodes, 39 assignment, 42 named twice, 44 too many partitions.

import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from "../../../proto/kafka/37_create_partitions.ts";
import type { Verdict } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { Call } from "../base/node_contract.ts";
import { clipped, duplicatesOf, merged } from "./admin.ts";
import { type Broker, entry } from "./broker.ts";

const namedTwice: Verdict = {
  code: ErrorCode.INVALID_REQUEST,
  message: "the topic is named twice",
};

function plan(broker: Broker, call: Call<CreatePartitionsRequest, CreatePartitionsResponse>): void {
  const { validateOnly } = call.request;
  const twice = duplicatesOf(call.request.topics.map((topic) => topic.name));
  // One result for each name, as in Kafka.
  const asked = [...new Map(call.request.topics.map((topic) => [topic.name, topic])).values()];
  const early = asked.map((topic) => (twice.has(topic.name) ? namedTwice : null));
  const reply = (verdicts: readonly Verdict[]): void => {
    const results = asked.map(({ name }, i) => ({
      name,
      errorCode: verdicts[i]?.code ?? ErrorCode.NONE,
      errorMessage: clipped(verdicts[i]?.message ?? null),
    }));
    broker.reply(call, { throttleTimeMs: 0, results });
  };
  const topics = asked
    .filter((topic) => !twice.has(topic.name))
    .map(({ name, count, assignments }) => ({
      name,
      count,
      assignments: assignments === null ? null : assignments.map((each) => each.brokerIds),
    }));
  if (topics.length === 0) return reply(merged(early, []));
  broker.propose({ kind: "create-partitions", topics, validateOnly }, (outcome) => {
    const later = outcome.kind === "refused" ? topics.map(() => outcome.verdict) : outcome.topics;
    reply(merged(early, later));
  });
}

export const createPartitions = entry("CreatePartitions", plan);
