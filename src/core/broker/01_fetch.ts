// Fetch (1), v4-18: which partitions a request means, alone or through a session (KIP-227). Reading,
// waiting and answering are in fetches.ts. A partition that is named twice is one, and the last
// mention holds, as in Kafka.
//
// Refusals: 70 unknown session, or it has become too large; 71 wrong session epoch, or the fetch
// before is not answered yet; per partition 1, 3 / 100, 56, 74, 75.

import type { FetchRequest, FetchResponse } from "../../../proto/kafka/01_fetch.ts";
import { ErrorCode } from "../base/error_code.ts";
import { noTopicId } from "../base/ids.ts";
import { topicNameMax } from "../base/limits.ts";
import { type Broker, entry } from "./broker.ts";
import { FetchPart, type FetchSession, partKey } from "./fetch_sessions.ts";
import type { FetchCall } from "./fetches.ts";

const topicIdsSince = 13;
/** Session epochs with a meaning of their own (KIP-227). */
const sessionless = -1;
const newSession = 0;

function plan(broker: Broker, call: FetchCall): void {
  const { sessionId, sessionEpoch } = call.request;
  const { fetches, now } = broker;
  const { sessions } = fetches;
  if (sessionEpoch === sessionless || sessionEpoch === newSession) {
    if (sessionId !== 0) sessions.close(sessionId);
    const parts = partsOf(call);
    const session = sessionEpoch === newSession ? sessions.open(parts, now) : null;
    return fetches.start(call, parts, session, false);
  }
  const session = sessions.get(sessionId);
  if (session === undefined) return refuse(broker, call, ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  // A client has one fetch of a session under way; after an error it makes a new session.
  if (session.epoch !== sessionEpoch || session.busy)
    return refuse(broker, call, ErrorCode.INVALID_FETCH_SESSION_EPOCH);
  if (!sessions.advance(session, now, (changing) => update(changing, call)))
    return refuse(broker, call, ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  fetches.start(call, [...session.parts.values()], session, true);
}

/** The partitions of the request, each once. */
function partsOf(call: FetchCall): FetchPart[] {
  const byId = call.version >= topicIdsSince;
  const parts: FetchPart[] = [];
  const topics = new Map<string, Map<number, FetchPart>>();
  for (const topic of call.request.topics) {
    const key = byId ? topic.topicId : topic.topic;
    const known = topics.get(key) ?? new Map<number, FetchPart>();
    topics.set(key, known);
    for (const asked of topic.partitions) {
      let part = known.get(asked.partition);
      if (part === undefined) {
        part = new FetchPart(topic.topic, byId ? topic.topicId : noTopicId, asked.partition);
        known.set(asked.partition, part);
        parts.push(part);
      }
      ask(part, asked);
    }
  }
  return parts;
}

type Asked = FetchRequest["topics"][number]["partitions"][number];

function ask(part: FetchPart, asked: Asked): void {
  part.fetchOffset = asked.fetchOffset;
  part.bytesMax = Math.max(0, asked.partitionMaxBytes);
  part.currentLeaderEpoch = asked.currentLeaderEpoch;
  part.lastFetchedEpoch = asked.lastFetchedEpoch;
}

/**
 * Partitions named in an incremental fetch are added or moved; forgotten ones leave. False: a name
 * that is no topic's, too long to be remembered.
 */
function update(session: FetchSession, call: FetchCall): boolean {
  const byId = call.version >= topicIdsSince;
  for (const topic of call.request.topics) {
    if (topic.topic.length > topicNameMax) return false;
    const id = byId ? topic.topicId : noTopicId;
    for (const asked of topic.partitions) {
      const key = partKey(topic.topic, id, asked.partition);
      let part = session.parts.get(key);
      if (part === undefined) {
        part = new FetchPart(topic.topic, id, asked.partition);
        session.parts.set(key, part);
      }
      ask(part, asked);
    }
  }
  for (const topic of call.request.forgottenTopicsData) {
    const id = byId ? topic.topicId : noTopicId;
    for (const partition of topic.partitions)
      session.parts.delete(partKey(topic.topic, id, partition));
  }
  return true;
}

function refuse(broker: Broker, call: FetchCall, code: number): void {
  broker.reply(call, {
    throttleTimeMs: 0,
    errorCode: code,
    sessionId: 0,
    responses: [],
    nodeEndpoints: [],
  });
}

export const fetchApi = entry<FetchRequest, FetchResponse>("Fetch", plan);
