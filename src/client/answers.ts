// What every answer is asked first: was it refused, and is what was asked for in it.

import { ErrorCode } from "../core/base/error_code.ts";
import { KafkaError } from "./failures.ts";

export function check(code: number, subject: string, words: string | null = null): void {
  if (code !== ErrorCode.NONE) throw new KafkaError(code, subject, words);
}

/** As `check`; a topic that is not there is not waited for. */
export function lasting(code: number, subject: string, words: string | null): void {
  if (code === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) {
    throw new KafkaError(code, subject, null, false);
  }
  check(code, subject, words);
}

export function only<T>(found: readonly T[], subject: string): T {
  const [first] = found;
  if (first === undefined) {
    throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, subject, "the node left out an answer");
  }
  return first;
}
