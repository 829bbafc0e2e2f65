// `pyralog config ...`: a commented file to begin with, a check of one, and what a node would use and
// where each value comes from. The server reads configurations; it comes in as `ConfigurationDoor`.

import { existsSync, writeFileSync } from "node:fs";
import { CommandError, CommandExit } from "./failure.ts";
import { type Format, put, show, talk } from "./terminal.ts";

/** A value as a node would use it. */
export interface Origin {
  /** "storage.cache.max_size" */
  readonly path: string;
  readonly value: unknown;
  /** "default", "node.toml:3", "PYRALOG_SERVER_NODE_ID", "--set". */
  readonly origin: string;
}

/** What the server knows of configurations. A wrong one is an error of the name ConfigError. */
export interface ConfigurationDoor {
  /** A file with every key, each explained, the defaults commented out. */
  template(): string;
  /** JSON schema of the file, for editors. */
  schema(): object;
  /** Every key with its value; `warn` is told what changes nothing. */
  origins(
    file: string | null,
    set: readonly string[],
    warn: (line: string) => void,
  ): readonly Origin[];
}

function warn(line: string): void {
  talk(`pyralog: warning: ${line}`);
}

export async function init(
  door: ConfigurationDoor,
  file: string,
  { force }: { readonly force?: boolean },
): Promise<void> {
  if (file === "-") return put(door.template());
  if (existsSync(file) && force !== true) {
    const next = "say another name, or --force to write over it";
    throw new CommandError(CommandExit.failed, `${file} is there already`, next);
  }
  writeFileSync(file, door.template());
  talk(`${file} is written; start with it: pyralog --config ${file}`);
}

export function showSchema(door: ConfigurationDoor): Promise<void> {
  return put(`${JSON.stringify(door.schema(), null, 2)}\n`);
}

export function check(
  door: ConfigurationDoor,
  file: string | null,
  { set }: { readonly set: readonly string[] },
): void {
  door.origins(file, set, warn);
  talk(`${file ?? "the configuration"} is good`);
}

export async function showConfig(
  door: ConfigurationDoor,
  format: Format,
  file: string | null,
  options: {
    readonly set: readonly string[];
    readonly origin?: boolean;
    readonly changed?: boolean;
  },
): Promise<void> {
  const all = door
    .origins(file, options.set, warn)
    .filter(({ origin }) => options.changed !== true || origin !== "default");
  const data = Object.fromEntries(
    all.map(({ path, value, origin }) => [
      path,
      options.origin === true ? { value, origin } : value,
    ]),
  );
  await show(format, data, all, [
    { head: "KEY", value: ({ path }) => path },
    { head: "VALUE", value: ({ value }) => (value === null ? "" : JSON.stringify(value)) },
    ...(options.origin === true ? [{ head: "ORIGIN", value: ({ origin }: Origin) => origin }] : []),
  ]);
}
