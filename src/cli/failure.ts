// How a command says no: an exit code that a script can read, the cause, and what to do next.

export const CommandExit = {
  ok: 0,
  /** Something did not work out; the message says what. */
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** A topic, partition, group, file or profile is not there. */
  notFound: 3,
  /** The node understood and refused. */
  refused: 4,
  /** No node answered. */
  unreachable: 5,
  bug: 127,
} as const;
export type CommandExit = (typeof CommandExit)[keyof typeof CommandExit];

export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: CommandExit;
  /** A command or an action; null when the message says enough. */
  readonly next: string | null;

  constructor(code: CommandExit, message: string, next: string | null = null) {
    super(message);
    this.code = code;
    this.next = next;
  }
}

export function usageError(message: string, next: string | null = null): CommandError {
  return new CommandError(CommandExit.usage, message, next);
}
