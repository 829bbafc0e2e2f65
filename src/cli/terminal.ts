// What a command prints: data on standard output in the form that was asked for, talk on standard
// error. Colour only for people: on a terminal, and not with NO_COLOR; CLICOLOR_FORCE insists.

import { CommandExit, CommandError, usageError } from "./failure.ts";

export const formats = ["table", "wide", "json", "yaml"] as const;
export type Format = (typeof formats)[number];

export function formatOf(text: string | undefined): Format {
  const found = formats.find((each) => each === (text ?? "table"));
  if (found === undefined) throw usageError(`-o takes ${formats.join(", ")}, not "${text}"`);
  return found;
}

export interface Column<T> {
  readonly head: string;
  readonly value: (row: T) => string | number;
  /** Only with `-o wide`. */
  readonly wide?: boolean;
}

let watched = false;

/** Whoever reads our output may have had enough of it: `pyralog consume orders | head`. */
function watch(): void {
  if (watched) return;
  watched = true;
  process.stdout.on("error", (error) => {
    if ("code" in error && error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

/** Waits while whoever reads is slower than we write. */
export function put(text: string | Uint8Array): Promise<void> {
  watch();
  const { promise, resolve } = Promise.withResolvers<void>();
  if (process.stdout.write(text)) resolve();
  else process.stdout.once("drain", resolve);
  return promise;
}

export function talk(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Through JSON, since Bun writes a zero that is held as a double as "+0". */
export function yaml(value: unknown): string {
  return Bun.YAML.stringify(JSON.parse(JSON.stringify(value)), null, 2);
}

/** Prints `rows` as a table, or `data` as JSON or YAML. */
export async function show<T>(
  format: Format,
  data: unknown,
  rows: readonly T[],
  columns: readonly Column<T>[],
): Promise<void> {
  if (format === "json") return put(`${JSON.stringify(data, null, 2)}\n`);
  if (format === "yaml") return put(`${yaml(data)}\n`);
  const shown = columns.filter(({ wide = false }) => format === "wide" || !wide);
  const cells = rows.map((row) => shown.map(({ value }) => value(row)));
  const { table } = await import("./table.ts");
  const isNumber = (index: number): boolean =>
    cells.length > 0 && cells.every((row) => typeof row[index] === "number");
  const text = table(
    shown.map(({ head }) => head),
    cells.map((row) => row.map(String)),
    shown.map((_, index) => (isNumber(index) ? "right" : "left")),
  );
  return put(`${text}\n`);
}

/** One value of which `lines` tell the parts. */
export async function showOne(
  format: Format,
  data: unknown,
  lines: readonly (readonly [name: string, value: string | number])[],
): Promise<void> {
  if (format === "json" || format === "yaml") return show(format, data, [], []);
  const width = Math.max(...lines.map(([name]) => name.length));
  return put(lines.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join(""));
}

function coloured(): boolean {
  const { env } = process;
  if ((env["CLICOLOR_FORCE"] ?? "0") !== "0") return true;
  return (env["NO_COLOR"] ?? "") === "" && process.stdout.isTTY;
}

const codes = { dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

export function paint(colour: keyof typeof codes, text: string): string {
  return coloured() ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

/** Asks before something that cannot be taken back. Without a terminal the answer must be `--yes`. */
export async function confirm(question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw usageError(`${question} Nobody is there to confirm it`, "say --yes");
  }
  const { createInterface } = await import("node:readline/promises");
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await ask.question(`${question} [y/N] `);
  ask.close();
  if (!/^y(es)?$/i.test(answer.trim())) {
    throw new CommandError(CommandExit.failed, "nothing was changed");
  }
}

/**
 * One line that is drawn again and again under the data, while both streams are a terminal. Data is
 * printed through `above`, which takes the line away first.
 */
export class StatusLine {
  readonly #shown = process.stdout.isTTY && process.stderr.isTTY;
  #visible = false;

  draw(text: string): void {
    if (!this.#shown) return;
    const columns = process.stderr.columns || 80;
    process.stderr.write(`\r\u001b[K${Bun.sliceAnsi(paint("dim", text), 0, columns - 1)}`);
    this.#visible = true;
  }

  async above(text: string): Promise<void> {
    this.clear();
    await put(text);
  }

  clear(): void {
    if (this.#visible) process.stderr.write("\r\u001b[K");
    this.#visible = false;
  }
}
