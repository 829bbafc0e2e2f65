// DeleteTopics (20), v1-6: by name, from v6 on also by id. The answer comes when the topic is gone
// from the metadata of this node.
//
// Refusals per topic: 3 unknown name, 7 the cluster did not take it in time, 17 internal topic, 42
// neither or both of name and id, or named twice (told once), 73 (42 before v3) delete.topic.enable
// is false, 100 unknown id.

import type {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from "../../../proto/kafka/20_delete_topics.ts";
import type { Verdict } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { noTopicId, type TopicId } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { clipped, duplicatesOf, merged } from "./admin.ts";
import { type Broker, entry } from "./broker.ts";

type Answer = DeleteTopicsResponse["responses"][number];

interface Asked {
  readonly name: string | null;
  readonly id: TopicId;
}

const namesOnlyUntil = 5;
const deletionDisabledSince = 3;

function plan(broker: Broker, call: Call<DeleteTopicsRequest, DeleteTopicsResponse>): void {
  const { request, version } = call;
  const asked: Asked[] =
    version <= namesOnlyUntil
      ? request.topicNames.map((name) => ({ name, id: noTopicId }))
      : request.topics.map((topic) => ({ name: topic.name, id: topic.topicId }));
  const resolved = once(resolve(broker, asked));
  const reply = (verdicts: readonly Verdict[]): void => {
    const responses = resolved.map((topic, i) => answerOf(topic, verdicts[i]));
    broker.reply(call, { throttleTimeMs: 0, responses });
  };
  if (!broker.image.configs.brokerBoolean("delete.topic.enable")) {
    const code =
      version < deletionDisabledSince
        ? ErrorCode.INVALID_REQUEST
        : ErrorCode.TOPIC_DELETION_DISABLED;
    return reply(resolved.map(() => ({ code, message: "delete.topic.enable is false" })));
  }
  const early = resolved.map((topic) => topic.verdict);
  const topics = resolved.filter((topic) => topic.verdict === null).map((topic) => topic.id);
  if (topics.length === 0) return reply(merged(early, []));
  broker.propose({ kind: "delete-topics", topics }, (outcome) => {
    const later = outcome.kind === "refused" ? topics.map(() => outcome.verdict) : outcome.topics;
    reply(merged(early, later));
  });
}

interface Resolved extends Asked {
  /** Null: to be proposed. */
  readonly verdict: Verdict | null;
}

function resolve(broker: Broker, asked: readonly Asked[]): Resolved[] {
  const named = asked
    .map((each) => (each.id === noTopicId ? each.name : null))
    .filter((name) => name !== null);
  const namesTwice = duplicatesOf(named);
  const sensible = asked.filter((each) => (each.name === null) !== (each.id === noTopicId));
  const idsTwice = duplicatesOf(
    sensible.map((each) => idOf(broker, each)).filter((id) => id !== noTopicId),
  );
  return asked.map((each) => resolveOne(broker, each, namesTwice, idsTwice));
}

/** What was named twice in the same way is answered once. */
function once(all: readonly Resolved[]): Resolved[] {
  const seen = new Set<string>();
  return all.filter(({ name, id, verdict }) => {
    if (verdict?.code !== ErrorCode.INVALID_REQUEST || (name === null && id === noTopicId))
      return true;
    const key = `${name} ${id}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function idOf(broker: Broker, asked: Asked): TopicId {
  if (asked.id !== noTopicId || asked.name === null) return asked.id;
  return broker.image.topicByName(asked.name)?.id ?? noTopicId;
}

function resolveOne(
  broker: Broker,
  asked: Asked,
  namesTwice: ReadonlySet<string>,
  idsTwice: ReadonlySet<TopicId>,
): Resolved {
  const refused = (code: number, message: string): Resolved => ({
    ...asked,
    verdict: { code, message },
  });
  const { name, id } = asked;
  const invalid = ErrorCode.INVALID_REQUEST;
  if (name === null && id === noTopicId)
    return refused(invalid, "the topic has neither name nor id");
  if (name !== null && id !== noTopicId) return refused(invalid, "the topic has both name and id");
  if (name !== null && namesTwice.has(name)) return refused(invalid, "the topic is named twice");
  if (idsTwice.has(idOf(broker, asked))) return refused(invalid, "the topic is named twice");
  if (name !== null) {
    const topic = broker.image.topicByName(name);
    if (topic !== undefined) return { name, id: topic.id, verdict: null };
    return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic ${name}`);
  }
  const topic = broker.image.topicById(id);
  if (topic !== undefined) return { name: topic.name, id, verdict: null };
  return refused(ErrorCode.UNKNOWN_TOPIC_ID, "there is no topic with this id");
}

function answerOf(topic: Resolved, verdict: Verdict | undefined): Answer {
  return {
    name: topic.name,
    topicId: topic.id,
    errorCode: verdict?.code ?? ErrorCode.NONE,
    errorMessage: clipped(verdict?.message ?? null),
  };
}

export const deleteTopics = entry("DeleteTopics", plan);
