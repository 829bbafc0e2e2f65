// Profiles: named clusters, kept in profiles.toml of the user's configuration folder
// ($XDG_CONFIG_HOME/pyralog or ~/.config/pyralog), one of them current.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { nearest } from "../core/base/suggestion.ts";
import { CommandError, CommandExit, usageError } from "./failure.ts";
import { type Format, put, show, talk } from "./terminal.ts";

export interface Profile {
  readonly name: string;
  readonly bootstrap: readonly string[];
  readonly tls: boolean;
  /** File with the certificates that are trusted; null = those of the system. */
  readonly ca: string | null;
}

export interface Profiles {
  readonly current: string | null;
  readonly all: readonly Profile[];
}

export function profilesPath(): string {
  const base = process.env["XDG_CONFIG_HOME"] || join(homedir(), ".config");
  return join(base, "pyralog", "profiles.toml");
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(path: string, words: string): CommandError {
  return usageError(`${path}: ${words}`, `mend the file, or remove it`);
}

export function readProfiles(): Profiles {
  const path = profilesPath();
  if (!existsSync(path)) return { current: null, all: [] };
  let table: unknown;
  try {
    table = Bun.TOML.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw wrong(path, error instanceof Error ? error.message : String(error));
  }
  if (!isTable(table)) throw wrong(path, "is no table");
  const { current, profile } = table;
  const all = Object.entries(isTable(profile) ? profile : {}).map(([name, value]) => {
    if (!isTable(value)) throw wrong(path, `profile.${name} is no table`);
    const { bootstrap, tls = false, ca = null } = value;
    if (!Array.isArray(bootstrap)) throw wrong(path, `profile.${name}.bootstrap is no list`);
    if (typeof tls !== "boolean")
      throw wrong(path, `profile.${name}.tls is neither true nor false`);
    if (ca !== null && typeof ca !== "string") throw wrong(path, `profile.${name}.ca is no path`);
    return { name, bootstrap: bootstrap.map(String), tls, ca };
  });
  return { current: typeof current === "string" ? current : null, all };
}

/** JSON's strings are TOML's basic strings for the text that names and addresses are made of. */
function writeProfiles({ current, all }: Profiles): void {
  const path = profilesPath();
  const parts = all.map(({ name, bootstrap, tls, ca }) => {
    const addresses = bootstrap.map((each) => JSON.stringify(each)).join(", ");
    const secure = tls ? "tls = true\n" : "";
    const trusted = ca === null ? "" : `ca = ${JSON.stringify(ca)}\n`;
    return `[profile.${JSON.stringify(name)}]\nbootstrap = [${addresses}]\n${secure}${trusted}`;
  });
  const head = current === null ? "" : `current = ${JSON.stringify(current)}\n\n`;
  mkdirSync(dirname(path), { recursive: true });
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, head + parts.join("\n"));
  renameSync(fresh, path);
}

/** @throws CommandError when there is none of that name. */
export function profileNamed(name: string, { all }: Profiles = readProfiles()): Profile {
  const found = all.find((each) => each.name === name);
  if (found !== undefined) return found;
  const near = nearest(
    name,
    all.map((each) => each.name),
  );
  const hint = near === null ? "" : ` Did you mean "${near}"?`;
  const next = `pyralog profile create ${name} -b HOST:PORT`;
  throw new CommandError(CommandExit.notFound, `there is no profile "${name}".${hint}`, next);
}

export async function list(format: Format): Promise<void> {
  const { current, all } = readProfiles();
  const rows = all.map((each) => ({ ...each, current: each.name === current }));
  await show(format, rows, rows, [
    { head: "PROFILE", value: ({ name }) => name },
    { head: "CURRENT", value: (row) => (row.current ? "*" : "") },
    { head: "BOOTSTRAP", value: ({ bootstrap }) => bootstrap.join(",") },
    { head: "TLS", value: ({ tls }) => String(tls), wide: true },
    { head: "CA", value: ({ ca }) => ca ?? "", wide: true },
  ]);
}

export interface NewProfile {
  /** host:port,... */
  readonly bootstrap?: string;
  readonly tls?: boolean;
  readonly tlsCa?: string;
}

export function create(name: string, { bootstrap, tls, tlsCa }: NewProfile): void {
  if (bootstrap === undefined) throw usageError("a profile needs addresses", "say -b HOST:PORT");
  if (!/^[\w.-]+$/.test(name)) throw usageError(`"${name}" is no name: letters, digits, . _ -`);
  const { all } = readProfiles();
  const others = all.filter((each) => each.name !== name);
  const ca = tlsCa === undefined ? null : resolve(tlsCa);
  const made = { name, bootstrap: bootstrap.split(","), tls: tls === true || ca !== null, ca };
  writeProfiles({ current: name, all: [...others, made] });
  talk(`profile "${name}" is written and current`);
}

export function use(name: string): void {
  const profiles = readProfiles();
  profileNamed(name, profiles);
  writeProfiles({ ...profiles, current: name });
  talk(`profile "${name}" is current`);
}

export function remove(name: string): void {
  const profiles = readProfiles();
  profileNamed(name, profiles);
  const current = profiles.current === name ? null : profiles.current;
  writeProfiles({ current, all: profiles.all.filter((each) => each.name !== name) });
  talk(`profile "${name}" is gone`);
}

export async function current(): Promise<void> {
  const name = readProfiles().current;
  if (name === null) {
    throw new CommandError(
      CommandExit.notFound,
      "no profile is current",
      "pyralog profile use NAME",
    );
  }
  await put(`${name}\n`);
}
