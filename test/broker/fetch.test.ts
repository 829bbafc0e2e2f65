// Fetch of the shipping broker, on disks in memory: what comes, long polls, sessions and their limits.

import { describe, expect, test } from "bun:test";
import type { FetchResponse } from "../../proto/kafka/01_fetch.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import {
  fetchSessionIdleMs,
  fetchSessionPartitionsMax,
  fetchSessionsPartitionsMax,
  fetchWaitMsMax,
  topicNameMax,
} from "../../src/core/base/limits.ts";
import type { OneNode } from "../sim/one_node.ts";
import {
  bases,
  batchOf,
  fetched,
  fetchRequest,
  produced,
  produceRequest,
  withTopic,
} from "./data_asks.ts";

describe("broker: fetch", () => {
  test("an offset inside a batch brings the whole batch", () => {
    const node = withTopic();
    produced(node, batchOf(["a", "b", "c"]));
    produced(node, batchOf(["d"]));
    expect(bases(fetched(node, 1)?.records)).toEqual([0, 3]);
    expect(bases(fetched(node, 3)?.records)).toEqual([3]);
  });

  test("the first batch comes even above max_bytes", () => {
    const node = withTopic();
    produced(node, batchOf(["x".repeat(500)]));
    produced(node, batchOf(["y"]));
    expect(bases(fetched(node, 0, { maxBytes: 10 })?.records)).toEqual([0]);
  });

  test("offsets below the log start or above the end are out of range, the end itself is empty", () => {
    const node = withTopic();
    produced(node, batchOf(["a", "b"]));
    expect(fetched(node, 3)?.errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
    expect(fetched(node, 2)).toMatchObject({ errorCode: 0, highWatermark: 2 });
    expect(fetched(node, 2)?.records?.byteLength).toBe(0);
    expect(fetched(node, 0, { index: 9 })?.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  });

  test("a long poll is woken by the high watermark, not by the append", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const poll = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 60_000 }));
    node.settle();
    expect(node.answerTo(poll)).toBeUndefined();
    node.autoSync = false;
    node.send("Produce", 9, produceRequest(batchOf(["b"])));
    node.settle();
    expect(node.answerTo(poll)).toBeUndefined();
    node.sync();
    node.settle();
    expect(bases(node.answerTo<FetchResponse>(poll)?.responses[0]?.partitions[0]?.records)).toEqual(
      [1],
    );
  });

  test("a long poll ends at max_wait with every partition it named", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const poll = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 100 }));
    node.settle();
    node.tick(90);
    expect(node.answerTo(poll)).toBeUndefined();
    node.tick(20);
    expect(node.answerTo<FetchResponse>(poll)?.responses[0]?.partitions).toHaveLength(1);
  });

  test("a long poll leaves nothing behind when its connection goes, and is bounded", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const gone = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 0x7fffffff }), 41);
    node.settle();
    expect(node.node.broker.fetches.busyConnections).toBe(1);
    node.disconnect(41);
    expect(node.node.broker.fetches.busyConnections).toBe(0);
    produced(node, batchOf(["b"]));
    expect(node.answers.some((answer) => answer.call === gone)).toBe(false);
    const long = node.send("Fetch", 12, fetchRequest(2, { maxWaitMs: 0x7fffffff }));
    node.settle();
    node.tick(fetchWaitMsMax - 100);
    expect(node.answerTo(long)).toBeUndefined();
    node.tick(200);
    expect(node.answerTo(long)).toBeDefined();
  });

  test("min_bytes waits for that many bytes", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const size = batchOf(["b"]).byteLength;
    const poll = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 60_000, minBytes: size * 2 }));
    produced(node, batchOf(["b"]));
    expect(node.answerTo(poll)).toBeUndefined();
    produced(node, batchOf(["c"]));
    expect(bases(node.answerTo<FetchResponse>(poll)?.responses[0]?.partitions[0]?.records)).toEqual(
      [1, 2],
    );
  });

  test("a session tells only what changed (KIP-227)", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const full = node.ask<FetchResponse>("Fetch", 12, fetchRequest(0, { sessionEpoch: 0 }));
    expect(full?.sessionId).toBeGreaterThan(0);
    const next = (epoch: number, offset: number | null) =>
      node.ask<FetchResponse>("Fetch", 12, {
        ...fetchRequest(offset ?? 0, { sessionId: full?.sessionId ?? 0, sessionEpoch: epoch }),
        ...(offset === null ? { topics: [] } : {}),
      });
    expect(next(1, 1)?.responses).toEqual([]);
    produced(node, batchOf(["b"]));
    expect(bases(next(2, null)?.responses[0]?.partitions[0]?.records)).toEqual([1]);
    expect(next(2, null)?.errorCode).toBe(ErrorCode.INVALID_FETCH_SESSION_EPOCH);
    expect(
      node.ask<FetchResponse>("Fetch", 12, fetchRequest(0, { sessionId: 12345, sessionEpoch: 4 }))
        ?.errorCode,
    ).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  });

  test("leader epochs: newer is unknown, one before the restart is fenced", () => {
    let node = withTopic();
    produced(node, batchOf(["a"]));
    expect(fetched(node, 0, { epoch: 1 })?.errorCode).toBe(0);
    expect(fetched(node, 0, { epoch: 2 })?.errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
    node = node.powerCut();
    expect(fetched(node, 0, { epoch: 1 })?.errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    expect(fetched(node, 0, { epoch: 2 })?.errorCode).toBe(0);
  });

  test("a long poll on a deleted topic is answered", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const poll = node.send("Fetch", 12, fetchRequest(1, { maxWaitMs: 60_000 }));
    node.settle();
    node.ask("DeleteTopics", 4, { topics: [], topicNames: ["t"], timeoutMs: 1000 });
    expect(node.answerTo<FetchResponse>(poll)?.responses[0]?.partitions[0]?.errorCode).toBe(
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    );
  });
});

describe("broker: what one fetch brings", () => {
  test("min_bytes above max_bytes waits for no more than fits", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const poll = fetchRequest(0, { minBytes: 1 << 20, maxBytes: 50, maxWaitMs: 60_000 });
    const answer = node.ask<FetchResponse>("Fetch", 12, poll);
    expect(bases(answer?.responses[0]?.partitions[0]?.records)).toEqual([0]);
  });

  test("fetch.max.bytes bounds the answer, whatever the client asks for", () => {
    const node = withTopic({ "fetch.max.bytes": "1024" });
    for (const value of ["a", "b", "c"]) produced(node, batchOf([value.repeat(400)]));
    expect(bases(fetched(node, 0)?.records)).toEqual([0, 1]);
  });

  test("a partition that is named twice is one, and the last mention holds", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    produced(node, batchOf(["b"]));
    const once = fetchRequest(0);
    const twice = { ...once, topics: [...once.topics, ...fetchRequest(1).topics] };
    const answer = node.ask<FetchResponse>("Fetch", 12, twice);
    expect(answer?.responses).toHaveLength(1);
    expect(answer?.responses[0]?.partitions).toHaveLength(1);
    expect(bases(answer?.responses[0]?.partitions[0]?.records)).toEqual([1]);
  });

  test("records missing below the high watermark are an error, told once, and no empty answer", () => {
    const node = withTopic();
    for (const value of ["a", "b", "c"]) produced(node, batchOf([value]));
    const slot = node.node.broker.image.topicByName("t")?.slotOf(0);
    if (slot === undefined) throw new Error("the topic has a partition");
    node.disk.lose(slot, 1);
    expect(bases(fetched(node, 0)?.records)).toEqual([1, 2]);
    node.disk.lose(slot, 3);
    for (const offset of [0, 2])
      expect(fetched(node, offset)?.errorCode).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(node.logs.filter((line) => line.event === "records-missing")).toHaveLength(1);
    expect(fetched(node, 3)?.errorCode).toBe(0);
  });

  test("a trim that comes between plan and read is out of range, and no fault", () => {
    const node = withTopic();
    for (const value of ["a", "b"]) produced(node, batchOf([value]));
    const slot = node.node.broker.image.topicByName("t")?.slotOf(0);
    if (slot === undefined) throw new Error("the topic has a partition");
    node.autoSync = false;
    const partitions = [{ partitionIndex: 0, offset: 2 }];
    node.send("DeleteRecords", 2, { topics: [{ name: "t", partitions }], timeoutMs: 1000 });
    node.settle();
    node.disk.lose(slot, 2);
    const fetch = node.send("Fetch", 12, fetchRequest(0));
    node.sync();
    node.settle();
    expect(node.answerTo<FetchResponse>(fetch)?.responses[0]?.partitions[0]?.errorCode).toBe(
      ErrorCode.OFFSET_OUT_OF_RANGE,
    );
    expect(node.logs.filter((line) => line.level === "error")).toEqual([]);
  });
});

describe("broker: limits of fetch sessions", () => {
  /** A request for partitions `from` .. `from + count - 1` of a topic that nobody has created. */
  function wide(count: number, sessionId: number, sessionEpoch: number, from = 0, name = "none") {
    const base = fetchRequest(0, { sessionId, sessionEpoch, name });
    const [first] = base.topics[0]?.partitions ?? [];
    if (first === undefined) throw new Error("a fetch names a partition");
    const partitions = Array.from({ length: count }, (_, i) => ({ ...first, partition: from + i }));
    return { ...base, topics: [{ topic: name, topicId: noTopicId, partitions }] };
  }
  const opened = (node: OneNode, request: ReturnType<typeof wide>) =>
    node.ask<FetchResponse>("Fetch", 12, request)?.sessionId ?? -1;

  test("max.incremental.fetch.session.cache.slots holds, and an idle session makes room", () => {
    const node = withTopic({ "max.incremental.fetch.session.cache.slots": "1" });
    const first = opened(node, wide(1, 0, 0));
    expect(first).toBeGreaterThan(0);
    expect(opened(node, wide(1, 0, 0))).toBe(0);
    node.tick(fetchSessionIdleMs);
    expect(opened(node, wide(1, 0, 0))).toBeGreaterThan(0);
    expect(node.ask<FetchResponse>("Fetch", 12, wide(0, first, 1))?.errorCode).toBe(
      ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
    );
    const none = withTopic({ "max.incremental.fetch.session.cache.slots": "0" });
    expect(opened(none, wide(1, 0, 0))).toBe(0);
  });

  test("a session that would have too many partitions is none, one that grows so is gone", () => {
    const node = withTopic();
    const { sessions } = node.node.broker.fetches;
    expect(opened(node, wide(fetchSessionPartitionsMax + 1, 0, 0))).toBe(0);
    const id = opened(node, wide(fetchSessionPartitionsMax, 0, 0));
    expect(id).toBeGreaterThan(0);
    expect(sessions.partitions).toBe(fetchSessionPartitionsMax);
    const grown = node.ask<FetchResponse>("Fetch", 12, wide(1, id, 1, fetchSessionPartitionsMax));
    expect(grown?.errorCode).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
    expect(grown?.responses).toEqual([]);
    expect(sessions.partitions).toBe(0);
    expect(sessions.get(id)).toBeUndefined();
  });

  test("all sessions together have a bound, and what is forgotten or closed counts no more", () => {
    const node = withTopic();
    const { sessions } = node.node.broker.fetches;
    const large = fetchSessionPartitionsMax;
    const left = fetchSessionsPartitionsMax - 2 * large;
    const ids = [large, large, left].map((count) => opened(node, wide(count, 0, 0)));
    expect(ids.every((id) => id > 0)).toBe(true);
    expect(opened(node, wide(1, 0, 0))).toBe(0);
    const forget = {
      ...wide(0, ids[2] ?? 0, 1),
      forgottenTopicsData: [{ topic: "none", topicId: noTopicId, partitions: [0] }],
    };
    node.ask("Fetch", 12, forget);
    expect(sessions.partitions).toBe(fetchSessionsPartitionsMax - 1);
    expect(opened(node, wide(1, 0, 0))).toBeGreaterThan(0);
    expect(opened(node, wide(large, ids[0] ?? 0, -1))).toBe(0);
    expect(sessions.partitions).toBe(fetchSessionsPartitionsMax - large);
  });

  test("a name that no topic can have is not remembered", () => {
    const node = withTopic();
    const long = "n".repeat(topicNameMax + 1);
    expect(opened(node, wide(1, 0, 0, 0, long))).toBe(0);
    const id = opened(node, wide(1, 0, 0));
    expect(node.ask<FetchResponse>("Fetch", 12, wide(1, id, 1, 0, long))?.errorCode).toBe(
      ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
    );
    expect(node.node.broker.fetches.sessions.partitions).toBe(0);
  });

  test("a second fetch of a session waits for nobody: it is refused until the first is answered", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const sessionId =
      node.ask<FetchResponse>("Fetch", 12, fetchRequest(1, { sessionEpoch: 0 }))?.sessionId ?? 0;
    const at = (offset: number, sessionEpoch: number) =>
      fetchRequest(offset, { sessionId, sessionEpoch, maxWaitMs: 60_000 });
    const first = node.send("Fetch", 12, at(1, 1), 1);
    node.settle();
    const second = node.ask<FetchResponse>("Fetch", 12, at(0, 2), 2);
    expect(second?.errorCode).toBe(ErrorCode.INVALID_FETCH_SESSION_EPOCH);
    produced(node, batchOf(["b"]));
    const found = node.answerTo<FetchResponse>(first)?.responses[0]?.partitions[0];
    expect(bases(found?.records)).toEqual([1]);
    // A connection that is gone holds nothing up.
    node.send("Fetch", 12, at(2, 2), 1);
    node.settle();
    node.disconnect(1);
    const next = node.send("Fetch", 12, at(1, 3), 2);
    node.settle();
    expect(bases(node.answerTo<FetchResponse>(next)?.responses[0]?.partitions[0]?.records)).toEqual(
      [1],
    );
  });

  test("a parked fetch holds no records", () => {
    const node = withTopic();
    produced(node, batchOf(["a"]));
    const sessionId =
      node.ask<FetchResponse>("Fetch", 12, fetchRequest(1, { sessionEpoch: 0 }))?.sessionId ?? 0;
    node.send(
      "Fetch",
      12,
      fetchRequest(0, { sessionId, sessionEpoch: 1, minBytes: 10_000, maxWaitMs: 60_000 }),
    );
    node.settle();
    expect(node.node.broker.fetches.busyConnections).toBe(1);
    const parts = [...(node.node.broker.fetches.sessions.get(sessionId)?.parts.values() ?? [])];
    expect(parts.map((part) => part.records)).toEqual([null]);
  });
});
