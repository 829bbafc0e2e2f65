// A real terminal for a program under test: a tmux server of its own, keys that go in, and the screen
// that comes out as text.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { needTool, run } from "../../bench/tools.ts";
import { cleanEnvironment } from "./cli.ts";
import { until } from "./until.ts";

export interface ScreenOptions {
  /** A folder of this screen alone. */
  readonly folder: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

export class Screen {
  readonly #tmux: readonly string[];
  #ended = false;

  private constructor(tmux: readonly string[]) {
    this.#tmux = tmux;
  }

  static open(options: ScreenOptions): Screen {
    const { folder, command, env = {}, columns = 100, rows = 30 } = options;
    mkdirSync(folder, { recursive: true });
    const tmux = [needTool("tmux", "tmux"), "-f", "/dev/null", "-S", join(folder, "tmux.sock")];
    const size = ["-x", String(columns), "-y", String(rows)];
    const environment = cleanEnvironment({ TERM: "screen-256color", LANG: "C.UTF-8", ...env });
    const child = Bun.spawnSync([...tmux, "-u", "new-session", "-d", ...size, ...command], {
      env: environment,
      stdout: "pipe",
      stderr: "pipe",
    });
    if (child.exitCode !== 0) throw new Error(`tmux: ${child.stderr.toString()}`);
    return new Screen(tmux);
  }

  /** Text as it is typed; `key` for Tab, Enter, C-c. */
  type(text: string): void {
    run([...this.#tmux, "send-keys", "-l", text], "/");
  }

  key(name: string): void {
    run([...this.#tmux, "send-keys", name], "/");
  }

  text(): string {
    const child = Bun.spawnSync([...this.#tmux, "capture-pane", "-p"]);
    return child.stdout
      .toString()
      .split("\n")
      .map((line) => line.trimEnd())
      .join("\n")
      .trimEnd();
  }

  async shows(wanted: string | RegExp): Promise<string> {
    let text = "";
    try {
      await until(`the screen shows ${String(wanted)}`, () => {
        text = this.text();
        return typeof wanted === "string" ? text.includes(wanted) : wanted.test(text);
      });
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new Error(`${words}; it shows:\n${text}`);
    }
    return text;
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    Bun.spawnSync([...this.#tmux, "kill-server"]);
  }
}
