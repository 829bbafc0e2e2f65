// Errors of the client library, the server's configuration and the operating system as a command ends
// with them. What is none of these is a bug. Loaded when there is an error, with the client library.

import { DamagedBatch, KafkaError, Unreachable, WrongUse } from "../client/client.ts";
import { CommandError, CommandExit, usageError } from "./failure.ts";

/** What to do about a refusal, by Kafka's name of it. */
const cures: Readonly<Record<string, string>> = {
  TOPIC_ALREADY_EXISTS: "look at it: pyralog topic describe NAME",
  INVALID_PARTITIONS: "partitions can only be added: ask for more than there are",
  INVALID_REPLICATION_FACTOR: "ask for at most as many copies as there are nodes: -r 1",
  INVALID_TOPIC_EXCEPTION: "use letters, digits, '.', '_' and '-', at most 249 of them",
  INVALID_CONFIG: "see what there is: pyralog topic config NAME",
  MESSAGE_TOO_LARGE:
    "raise the topic's limit: pyralog topic config NAME --set max.message.bytes=BYTES",
  NON_EMPTY_GROUP: "stop its members first: pyralog group describe GROUP",
  OFFSET_OUT_OF_RANGE: "see which offsets there are: pyralog topic describe NAME",
  INVALID_RECORD: "a compacted topic takes records with a key only: -k KEY",
};

const notFound = new Set(["UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_ID", "GROUP_ID_NOT_FOUND"]);

/** The error as a command ends with it; null: a bug. */
export function failureOf(error: unknown): CommandError | null {
  if (error instanceof CommandError) return error;
  if (error instanceof KafkaError) {
    if (error.codeName === "GROUP_ID_NOT_FOUND") {
      const next = "see which there are: pyralog group list";
      return new CommandError(CommandExit.notFound, `there is no ${error.subject}`, next);
    }
    const code = notFound.has(error.codeName) ? CommandExit.notFound : CommandExit.refused;
    return new CommandError(code, error.message, cures[error.codeName] ?? null);
  }
  if (error instanceof Unreachable) {
    const next = "is a node running there? pyralog doctor · other address: -b HOST:PORT";
    return new CommandError(CommandExit.unreachable, error.message, next);
  }
  if (error instanceof WrongUse) return new CommandError(CommandExit.usage, error.message);
  if (error instanceof DamagedBatch) {
    const next = "look at the node's log; read around it: pyralog consume TOPIC --from OFFSET";
    return new CommandError(CommandExit.failed, error.message, next);
  }
  // Of the operating system: its words name the file.
  if (error instanceof Error && "syscall" in error) {
    return new CommandError(CommandExit.failed, error.message);
  }
  // The server's, which reads configurations: known by its name, since no code of it is loaded here.
  if (error instanceof Error && error.name === "ConfigError") return usageError(error.message);
  return null;
}
