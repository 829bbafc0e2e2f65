// Lines of progress on standard error, and child processes that are watched while they run. A step
// that takes long says every few seconds that it is still alive.

import { dirname, resolve } from "node:path";

export const root = resolve(dirname(Bun.fileURLToPath(import.meta.url)), "..");
const heartbeatMs = 15_000;
const drainMsMax = 5_000;

/** Something that a person must mend; the message says what and how. */
export class SetupError extends Error {
  override readonly name = "SetupError";
}

/** Standard error is for people; standard output stays free for results. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function seconds(startMs: number): string {
  return `${((performance.now() - startMs) / 1000).toFixed(1)} s`;
}

/** Says `what` at once and repeats it with the time spent until the returned function is called. */
export function heartbeat(what: () => string): () => void {
  const startMs = performance.now();
  const timer = setInterval(() => say(`  ... ${what()}, ${seconds(startMs)}`), heartbeatMs);
  return () => clearInterval(timer);
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called with each piece of output as it comes; the whole of it is returned as well. */
  readonly onText?: (text: string) => void;
  /** The process group is killed after this long. */
  readonly limitMs?: number;
}

export interface RunResult {
  /** null when a signal ended the process. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Standard output and standard error in order of arrival. */
  readonly text: string;
  readonly timedOut: boolean;
}

const running = new Set<number>();

/** A child is the leader of its own process group, so that whatever it started ends with it. */
function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

const trapped = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function endChildren(signal: NodeJS.Signals): void {
  for (const pid of running) killGroup(pid, "SIGKILL");
  process.exit(signal === "SIGINT" ? 130 : 143);
}

/** Signals are trapped only while children run: an entry file may have other plans for them. */
function watch(pid: number): void {
  if (running.size === 0) for (const signal of trapped) process.on(signal, endChildren);
  running.add(pid);
}

function unwatch(pid: number): void {
  running.delete(pid);
  if (running.size === 0) for (const signal of trapped) process.off(signal, endChildren);
}

async function drain(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
}

/** Runs a command to its end. Nothing that it started outlives it. */
export async function run(
  command: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    detached: true,
  });
  watch(child.pid);
  let timedOut = false;
  const limit =
    options.limitMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          killGroup(child.pid, "SIGKILL");
        }, options.limitMs);
  const pieces: string[] = [];
  const take = (text: string): void => {
    pieces.push(text);
    options.onText?.(text);
  };
  const drained = Promise.all([drain(child.stdout, take), drain(child.stderr, take)]);
  await child.exited;
  clearTimeout(limit);
  killGroup(child.pid, "SIGKILL");
  // A grandchild that left the group may hold the pipes open for ever.
  await Promise.race([drained, Bun.sleep(drainMsMax)]);
  unwatch(child.pid);
  const signal = child.signalCode === null ? null : String(child.signalCode);
  return { exitCode: child.exitCode, signal, text: pieces.join(""), timedOut };
}

/** Runs a step of the set-up, alive on the terminal, and stops everything when it fails. */
export async function checked(command: readonly string[], what: string): Promise<RunResult> {
  const stop = heartbeat(() => what);
  const result = await run(command);
  stop();
  if (result.exitCode === 0) return result;
  say(result.text.trimEnd());
  const ended = result.exitCode === null ? `signal ${result.signal}` : `code ${result.exitCode}`;
  throw new SetupError(`${what} failed (${ended}): ${command.join(" ")}`);
}
