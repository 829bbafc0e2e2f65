// What can go wrong for a client, as three classes: the cluster said no (KafkaError), nobody could be
// reached (Unreachable), or what was asked for makes no sense (WrongUse). A caller that has to choose
// what to do next reads the class and `retriable`, never the words.

import { ErrorCode } from "../core/base/error_code.ts";

/** Codes after which the same request may succeed, as Kafka's own clients know them. */
const retriableCodes: ReadonlySet<number> = new Set([
  ErrorCode.CORRUPT_MESSAGE,
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.LEADER_NOT_AVAILABLE,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.REQUEST_TIMED_OUT,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.NOT_ENOUGH_REPLICAS,
  ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  ErrorCode.NOT_CONTROLLER,
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
  ErrorCode.INVALID_FETCH_SESSION_EPOCH,
  ErrorCode.LISTENER_NOT_FOUND,
  ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.UNKNOWN_LEADER_EPOCH,
  ErrorCode.OFFSET_NOT_AVAILABLE,
  ErrorCode.UNSTABLE_OFFSET_COMMIT,
  ErrorCode.THROTTLING_QUOTA_EXCEEDED,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.INCONSISTENT_TOPIC_ID,
]);

/** Retriable codes that say that what is known of leaders or coordinators is out of date. */
const staleCodes: ReadonlySet<number> = new Set([
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.LEADER_NOT_AVAILABLE,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.NOT_CONTROLLER,
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.LISTENER_NOT_FOUND,
  ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.UNKNOWN_LEADER_EPOCH,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.INCONSISTENT_TOPIC_ID,
]);

const nameByCode: ReadonlyMap<number, string> = new Map(
  Object.entries(ErrorCode).map(([name, code]): readonly [number, string] => [code, name]),
);

/** Kafka's name of an error code; "ERROR_999" for one that this library does not know. */
export function codeName(code: number): string {
  return nameByCode.get(code) ?? `ERROR_${code}`;
}

export function isRetriable(code: number): boolean {
  return retriableCodes.has(code);
}

export function isStale(code: number): boolean {
  return staleCodes.has(code);
}

/** The cluster refused. `retriable`: the same request may succeed later. */
export class KafkaError extends Error {
  override readonly name = "KafkaError";
  /** Kafka's number. */
  readonly code: number;
  /** Kafka's name, such as "TOPIC_ALREADY_EXISTS". */
  readonly codeName: string;
  readonly retriable: boolean;
  /** What it was about: "topic orders", "orders/3"; empty when the whole request was refused. */
  readonly subject: string;

  constructor(
    code: number,
    subject: string,
    words: string | null = null,
    retriable = isRetriable(code),
  ) {
    const said = words === null || words === "" ? codeName(code) : `${words} (${codeName(code)})`;
    super(subject === "" ? said : `${subject}: ${said}`);
    this.code = code;
    this.codeName = codeName(code);
    this.retriable = retriable;
    this.subject = subject;
  }
}

/**
 * A connection could not be made, broke, or gave no answer in time. Whether a request that was
 * under way has been carried out is unknown.
 */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
  /** host:port. */
  readonly address: string;

  constructor(address: string, words: string) {
    super(`${address}: ${words}`);
    this.address = address;
  }
}

/** The caller asked for what cannot be: a partition that is not there, a client that is closed. */
export class WrongUse extends Error {
  override readonly name = "WrongUse";
}
