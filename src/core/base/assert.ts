// Assertions that stay on in production. They guard our own bugs; bytes of a client, a peer, a disk
// or a config file are judged by refusals instead.

/** Thrown by `assert`. The process ends with exit code 127; the simulator reports the seed. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** `message` is a literal: a template string is built even when the assertion holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that the type checker proves empty. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected value ${String(value)}`);
}

/** Documents that `condition` is sometimes true and sometimes false, and that tests cover both. */
export function maybe(condition: boolean): void {
  void condition;
}
