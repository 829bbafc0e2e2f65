// How the process ends when the environment leaves no way to go on: one exit code per reason, and
// one line that says what happened, to what, and what to do next. Bugs exit with 127.

export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** Another process holds the data directory. */
  locked: 10,
  /** The data directory is of a newer or foreign format. */
  format: 11,
  /** A write or sync of the log failed. */
  diskFailed: 12,
  /** The data directory cannot be written: read-only or no permission. */
  readOnly: 13,
  /** A port is in use or may not be bound. */
  bind: 14,
  /** The storage library could not be loaded. */
  library: 15,
  /** No room for what a start has to write; a full disk with a log on it is opened. */
  diskFull: 16,
  bug: 127,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export class FatalError extends Error {
  override readonly name = "FatalError";
  readonly code: ExitCode;

  constructor(code: ExitCode, message: string) {
    super(message);
    this.code = code;
  }
}
