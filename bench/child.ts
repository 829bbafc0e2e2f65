// A server or a load generator as a child process: started, watched, stopped by its pid, and never
// left behind, not even when this process is killed.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const living = new Set<Child>();
const running = new Set<Bun.Subprocess>();
const scratchDirs = new Set<string>();

export interface ChildOptions {
  readonly command: readonly string[];
  /** Where stdout and stderr go, in the order in which they were written. */
  readonly logPath: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** False: start it directly, without the step that lets the kernel end it with us. */
  readonly guarded?: boolean;
}

export class Child {
  readonly pid: number;
  readonly #process: Bun.Subprocess;
  readonly #logPath: string;

  constructor(options: ChildOptions) {
    const log = openSync(options.logPath, "a");
    // The kernel kills the child when this process dies in a way that runs no exit handler.
    const setpriv = options.guarded === false ? null : Bun.which("setpriv");
    const guard = setpriv === null ? [] : [setpriv, "--pdeathsig", "KILL", "--"];
    try {
      this.#process = Bun.spawn([...guard, ...options.command], {
        stdin: "ignore",
        stdout: log,
        stderr: log,
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      });
    } finally {
      closeSync(log);
    }
    this.pid = this.#process.pid;
    this.#logPath = options.logPath;
    living.add(this);
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Exit code; negative numbers never occur, a signal shows as 128 + its number. */
  get exited(): Promise<number> {
    return this.#process.exited.then((code) => {
      living.delete(this);
      return code;
    });
  }

  log(): string {
    return readFileSync(this.#logPath, "utf8");
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.#process.kill(signal);
  }

  /** Asks with SIGTERM; after `deadlineMs` no longer asks. Returns the exit code. */
  async stop(deadlineMs = 10_000): Promise<number> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), deadlineMs);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }
}

/** Runs to the end beside everything else; its output is what it printed on stdout. */
export async function output(
  command: readonly string[],
  options: {
    readonly timeoutMs?: number;
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
    /** Exit codes that are no failure; default: 0 alone. */
    readonly codes?: readonly number[];
  } = {},
): Promise<string> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  running.add(child);
  const [text, words, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  running.delete(child);
  if ((options.codes ?? [0]).includes(code)) return text;
  const said = `${text}${words}`.slice(-4000);
  throw new Error(`${command.join(" ")}\nended with ${code}:\n${said}`);
}

process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
  for (const child of running) child.kill("SIGKILL");
  for (const folder of scratchDirs) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder that is gone at the latest when this process ends. */
export function scratchDir(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `pyralog-${name}-`));
  scratchDirs.add(folder);
  return folder;
}

export function removeScratchDir(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  scratchDirs.delete(folder);
}

/** Turns Ctrl-C and SIGTERM into an ordinary exit, so that the exit handler above runs. */
export function exitOnSignals(): void {
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
}

/**
 * Calls `probe` until it returns a value. The pause between two tries is no assumption about how
 * long a server needs; `deadlineMs` is. A child that ends early fails at once with its last words.
 */
export async function waitUntil<T>(
  what: string,
  child: Child | undefined,
  deadlineMs: number,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    const words = child === undefined ? "" : `\n${child.log().slice(-3000)}`;
    if (child !== undefined && !child.running) throw new Error(`${what}: the server ended${words}`);
    if (performance.now() > deadline) throw new Error(`${what}: not in ${deadlineMs} ms${words}`);
    await Bun.sleep(20);
  }
}

/** A loopback port that nobody listens on now. Servers that cannot bind port 0 and report need it. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const port = listener.port;
  listener.stop(true);
  return port;
}
