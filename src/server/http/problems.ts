// What an HTTP request is told when the answer is no: RFC 9457. One table has the status and title of
// every problem, another leads from Kafka's codes to it.

import { ErrorCode } from "../../core/base/error_code.ts";

export const problems = {
  "malformed-json": [400, "The JSON text is malformed"],
  "bad-parameter": [400, "A parameter cannot be read"],
  "unknown-topic": [404, "No such topic"],
  "unknown-partition": [404, "No such partition"],
  "unknown-group": [404, "No such group"],
  "unknown-setting": [404, "No such setting"],
  "not-found": [404, "Nothing is here"],
  "method-not-allowed": [405, "The path does not take this method"],
  "not-acceptable": [406, "No such representation"],
  "slow-body": [408, "The body came too slowly"],
  "topic-exists": [409, "The topic exists already"],
  "offset-mismatch": [409, "The partition ends elsewhere"],
  "group-not-empty": [409, "The group has members"],
  "body-too-large": [413, "The body is too large"],
  "record-too-large": [413, "The record is too large"],
  "unsupported-media-type": [415, "The media type is not taken here"],
  "offset-out-of-range": [416, "The partition has no such offset"],
  "upgrade-required": [426, "The path speaks another protocol"],
  validation: [422, "A value is not what it must be"],
  "invalid-topic-name": [422, "The name cannot be a topic's"],
  "invalid-config": [422, "The setting cannot have this value"],
  "invalid-partitions": [422, "The number of partitions is not possible"],
  "invalid-replication-factor": [422, "The replication factor is not possible"],
  "invalid-timestamp": [422, "The timestamp is out of range"],
  "corrupt-batch": [422, "The record batch is broken"],
  "invalid-record": [422, "A record cannot be stored"],
  "idempotency-reused": [422, "The key was used with another payload"],
  "internal-topic": [422, "The node itself writes this topic"],
  refused: [422, "The cluster refuses it"],
  "quota-exceeded": [429, "The quota is used up"],
  "internal-error": [500, "A bug of the node"],
  "not-leader": [503, "Another node leads the partition"],
  "not-enough-replicas": [503, "Too few copies can be written"],
  "coordinator-loading": [503, "The coordinator of the group is not there yet"],
  "shutting-down": [503, "The node stops"],
  busy: [503, "The node has as much to do as it takes"],
  "storage-failed": [503, "The storage does not answer"],
  "timed-out": [504, "It was not done in time; the outcome is unknown"],
  "disk-full": [507, "The disk is full"],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type Slug = keyof typeof problems;

/** Members beside those of every problem. */
type Extra = Readonly<Record<string, unknown>>;

const base = "https://pyralog.dev/problems/";

/** Thrown by whatever answers a request; the listener turns it into the answer. */
export class Problem extends Error {
  readonly slug: Slug;
  readonly extra: Extra;
  readonly headers: Readonly<Record<string, string>>;

  /** `detail` ends with what to do next. */
  constructor(
    slug: Slug,
    detail: string,
    extra: Extra = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.slug = slug;
    this.extra = extra;
    this.headers = headers;
  }

  get status(): number {
    return problems[this.slug][0];
  }

  /** As a member of a larger answer. */
  body(): Readonly<Record<string, unknown>> {
    const [status, title] = problems[this.slug];
    const detail = this.message;
    return { type: base + this.slug, title, status, detail, ...this.extra };
  }

  response(instance: string): Response {
    const retry = this.status === 503 || this.status === 429 ? { "retry-after": "1" } : {};
    return new Response(JSON.stringify({ ...this.body(), instance }), {
      status: this.status,
      headers: { "content-type": "application/problem+json", ...retry, ...this.headers },
    });
  }
}

type Known = readonly [slug: Slug, next: string];

const again = "Send it again after a pause.";
const byCode: ReadonlyMap<number, Known> = new Map<number, Known>([
  [ErrorCode.OFFSET_OUT_OF_RANGE, ["offset-out-of-range", "Ask for an offset between its ends."]],
  [ErrorCode.CORRUPT_MESSAGE, ["corrupt-batch", "Build the batch again and send it."]],
  [
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ["unknown-topic", "GET /v1/topics lists the topics; POST /v1/topics creates one."],
  ],
  [
    ErrorCode.UNKNOWN_TOPIC_ID,
    ["unknown-topic", "GET /v1/topics lists the topics; POST /v1/topics creates one."],
  ],
  [ErrorCode.LEADER_NOT_AVAILABLE, ["not-leader", again]],
  [ErrorCode.NOT_LEADER_OR_FOLLOWER, ["not-leader", again]],
  [ErrorCode.REQUEST_TIMED_OUT, ["timed-out", "Look whether it was done before you repeat it."]],
  [
    ErrorCode.MESSAGE_TOO_LARGE,
    ["record-too-large", "Send a smaller record, or raise max.message.bytes of the topic."],
  ],
  [
    ErrorCode.RECORD_LIST_TOO_LARGE,
    ["record-too-large", "Send fewer records at a time, or raise segment.bytes of the topic."],
  ],
  [ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ["coordinator-loading", again]],
  [ErrorCode.COORDINATOR_NOT_AVAILABLE, ["coordinator-loading", again]],
  [ErrorCode.NOT_COORDINATOR, ["coordinator-loading", again]],
  [
    ErrorCode.INVALID_TOPIC_EXCEPTION,
    [
      "invalid-topic-name",
      "Take up to 249 letters, digits, dots, dashes and underscores; names of the node itself are not for clients.",
    ],
  ],
  [ErrorCode.NOT_ENOUGH_REPLICAS, ["not-enough-replicas", again]],
  [ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, ["not-enough-replicas", again]],
  [
    ErrorCode.INVALID_TIMESTAMP,
    [
      "invalid-timestamp",
      "Leave the timestamp out, or keep to message.timestamp.before.max.ms and after.max.ms.",
    ],
  ],
  [ErrorCode.TOPIC_ALREADY_EXISTS, ["topic-exists", "Use it, or take another name."]],
  [ErrorCode.INVALID_PARTITIONS, ["invalid-partitions", "Take a larger number, up to 10000."]],
  [
    ErrorCode.INVALID_REPLICATION_FACTOR,
    ["invalid-replication-factor", "Take at most as many copies as there are nodes."],
  ],
  [
    ErrorCode.INVALID_CONFIG,
    ["invalid-config", "GET /v1/topics/{topic}/config shows names and values."],
  ],
  [ErrorCode.KAFKA_STORAGE_ERROR, ["storage-failed", again]],
  [ErrorCode.NON_EMPTY_GROUP, ["group-not-empty", "Stop its members first."]],
  [ErrorCode.GROUP_ID_NOT_FOUND, ["unknown-group", "GET /v1/groups lists the groups."]],
  [ErrorCode.INVALID_GROUP_ID, ["unknown-group", "GET /v1/groups lists the groups."]],
  [ErrorCode.INVALID_RECORD, ["invalid-record", "Correct the record and send it again."]],
  [ErrorCode.THROTTLING_QUOTA_EXCEEDED, ["quota-exceeded", again]],
]);

const retryable = new Set<Slug>([
  ...(["not-leader", "not-enough-replicas", "coordinator-loading", "shutting-down"] as const),
  ...(["busy", "storage-failed", "quota-exceeded", "disk-full"] as const),
]);

/** The problem that a code of Kafka means. `words` say what was wrong, without a full stop. */
export function problemOf(code: number, words: string, full = false): Problem {
  const known = byCode.get(code);
  const slug =
    full && code === ErrorCode.KAFKA_STORAGE_ERROR ? "disk-full" : (known?.[0] ?? "refused");
  const next =
    slug === "disk-full"
      ? "Free space there, or delete topics or records; writes go on by themselves."
      : (known?.[1] ?? "Correct the request and send it again.");
  const text = words === "" ? problems[slug][1] : words.replace(/\.$/, "");
  return new Problem(slug, `${text}. ${next}`, {
    kafkaCode: code,
    retryable: retryable.has(slug),
  });
}

export function stopped(): Problem {
  return new Problem(
    "shutting-down",
    "the node stops. Ask another node, or this one again later.",
    {
      retryable: true,
    },
  );
}

export function busy(): Problem {
  return new Problem("busy", "too many requests wait for the node. Send it again after a pause.", {
    retryable: true,
  });
}
