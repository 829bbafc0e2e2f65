// Fetch (1), v4-18: which partitions a request means, alone or through a session (KIP-227). Reading,
// waiting and answering are in fetches.ts.
//
// Refusals: 70 / 71 unknown session or wrong session epoch; per partition 1, 3 / 100, 56, 74, 75.

import type { FetchRequest, FetchResponse } from "../../../proto/kafka/01_fetch.ts";
import { ErrorCode } from "../base/error_code.ts";
import { noTopicId } from "../base/ids.ts";
import { fetchWaitMsMax } from "../base/limits.ts";
import { type Broker, entry } from "./broker.ts";
import { type FetchCall, FetchJob, FetchPart, type FetchSession, partKey } from "./fetches.ts";

const topicIdsSince = 13;
/** Session epochs with a meaning of their own (KIP-227). */
const sessionless = -1;
const newSession = 0;

function plan(broker: Broker, call: FetchCall): void {
  const { request } = call;
  const deadline = broker.now + Math.min(Math.max(0, request.maxWaitMs), fetchWaitMsMax);
  if (request.sessionEpoch === sessionless || request.sessionEpoch === newSession) {
    if (request.sessionId !== 0) broker.fetches.closeSession(request.sessionId);
    const parts = partsOf(call);
    const session =
      request.sessionEpoch === newSession && parts.length > 0 ? broker.fetches.newSession() : null;
    if (session !== null)
      for (const part of parts)
        session.parts.set(partKey(part.name, part.id, part.partition), part);
    return broker.fetches.start(new FetchJob(call, parts, session, false, deadline));
  }
  const session = broker.fetches.session(request.sessionId);
  if (session === undefined) return refuse(broker, call, ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  if (session.epoch !== request.sessionEpoch)
    return refuse(broker, call, ErrorCode.INVALID_FETCH_SESSION_EPOCH);
  session.epoch = session.epoch === 0x7fffffff ? 1 : session.epoch + 1;
  session.lastUsed = broker.now;
  update(session, call);
  broker.fetches.start(new FetchJob(call, [...session.parts.values()], session, true, deadline));
}

function partsOf(call: FetchCall): FetchPart[] {
  const byId = call.version >= topicIdsSince;
  const parts: FetchPart[] = [];
  for (const topic of call.request.topics) {
    for (const asked of topic.partitions) {
      const part = new FetchPart(topic.topic, byId ? topic.topicId : noTopicId, asked.partition);
      ask(part, asked);
      parts.push(part);
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

/** Partitions named in an incremental fetch are added or moved; forgotten ones leave. */
function update(session: FetchSession, call: FetchCall): void {
  const byId = call.version >= topicIdsSince;
  for (const topic of call.request.topics) {
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
