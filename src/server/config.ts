// Reads the configuration of a node. Defaults, then the file (TOML), then PYRALOG_SECTION_KEY of the
// environment, then `--set section.key=value`: the later wins. What is wrong stops the start with
// the place and the way out; what changes nothing is a warning.

import { parse, TomlError } from "smol-toml";
import {
  brokerConfigByName,
  kafkaSettingNames,
  kafkaSettingProblem,
  numberOf,
} from "../core/cluster/cluster.ts";
import { keyByPath, type Sections, sectionsOf } from "./config_keys.ts";
import { nearest } from "../core/base/suggestion.ts";

/** Settings of `[kafka]` that the server itself obeys; all others are the core's. */
const serverKafkaNames = [
  "connections_max_idle_ms",
  "log_retention_check_interval_ms",
  "max_connections",
  "socket_request_max_bytes",
] as const;

export interface Config extends Sections {
  readonly kafka: { readonly [K in (typeof serverKafkaNames)[number]]: number };
  /** Everything set in `[kafka]`, as it was given, under Kafka's names ("num.partitions"). */
  readonly kafkaSettings: ReadonlyMap<string, string>;
}

export interface ConfigInput {
  /** Path of the file; null = defaults only. */
  readonly file: string | null;
  /** Arguments of `--set`, in order. */
  readonly set: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => string;
  readonly warn: (line: string) => void;
}

/** The configuration cannot be used. The process exits with 2. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;

  constructor(message: string, place: Place = nowhere) {
    super(
      place.file === null ? message : `${place.file}:${place.line}:${place.column}: ${message}`,
    );
    this.file = place.file;
    this.line = place.line;
    this.column = place.column;
  }
}

interface Place {
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

const nowhere: Place = { file: null, line: null, column: null };

/** Variables of ours that are no settings. */
const otherVariables = new Set([
  ...["PYRALOG_BOOTSTRAP", "PYRALOG_PROFILE"],
  ...["PYRALOG_NATIVE_LIB", "PYRALOG_TRACE_FFI", "PYRALOG_ZIG"],
]);

/** Names of `[kafka]` that have a setting of their own here. */
export const ownSettings: ReadonlyMap<string, string> = new Map([
  ["advertised.listeners", "server.advertised_addr"],
  ["broker.id", "server.node_id"],
  ["listeners", "server.bind_addr"],
  ["log.dirs", "server.data_dir"],
  ["node.id", "server.node_id"],
  ["pyralog.durability", "replication.durability"],
]);

/** Names of `[kafka]` that say the same as a setting of ours, and may be used for it. */
const aliases: ReadonlyMap<string, string> = new Map([
  ["kafka.default_replication_factor", "replication.replication_factor"],
  ["kafka.min_insync_replicas", "replication.write_quorum"],
]);

/** Path in the file -> Kafka's name. */
export const kafkaPaths: ReadonlyMap<string, string> = new Map(
  kafkaSettingNames.map((name) => [`kafka.${name.replaceAll(".", "_")}`, name]),
);

function settablePaths(): readonly string[] {
  const kafka = [...kafkaPaths].filter(([, name]) => !ownSettings.has(name)).map(([path]) => path);
  return [...keyByPath.keys(), ...kafka];
}

const paths = settablePaths();
const sections = new Set(paths.map((path) => path.slice(0, path.lastIndexOf("."))));

function variableOf(path: string): string {
  return `PYRALOG_${path.replaceAll(".", "_").toUpperCase()}`;
}

const pathByVariable: ReadonlyMap<string, string> = new Map([
  ...paths.map((path): readonly [string, string] => [variableOf(path), path]),
  ["PYRALOG_NODE_ID", "server.node_id"],
]);

/** Who gave a value: a file, a variable or "--set", and under which path. */
export interface Origin {
  readonly where: string;
  readonly given: string;
}

/** What has been given so far, and where; a later source overwrites an earlier one. */
class Given {
  readonly values = new Map<string, unknown>();
  readonly kafka = new Map<string, string>();
  /** By path, `[kafka]` included. */
  readonly origins = new Map<string, Origin>();
  readonly #warn: (line: string) => void;

  constructor(warn: (line: string) => void) {
    this.#warn = warn;
  }

  /** `where` reads as "node.toml", "--set"; `place` is known for values of a file. */
  set(given: string, raw: unknown, fromText: boolean, where: string, place: Place): void {
    const path = aliases.get(given) ?? given;
    const kafkaName = kafkaPaths.get(path);
    if (kafkaName !== undefined) {
      this.#setKafka(given, kafkaName, raw, place);
      this.origins.set(path, { where, given });
      return;
    }
    const key = keyByPath.get(path);
    if (key === undefined) throw new ConfigError(`unknown setting "${given}"${hint(given)}`, place);
    const read = key.read(fromText && typeof raw === "string" ? key.ofText(raw) : raw);
    if (read.kind === "wrong") {
      throw new ConfigError(`${given} must be ${read.wanted}, not ${shown(raw)}`, place);
    }
    if (key.inert !== null) this.#warn(`${given} (${where}) changes nothing: ${key.inert}`);
    this.values.set(path, read.value);
    this.origins.set(path, { where, given });
  }

  #setKafka(given: string, name: string, raw: unknown, place: Place): void {
    const own = ownSettings.get(name);
    if (own !== undefined) throw new ConfigError(`${given} is set by ${own} here`, place);
    const text = kafkaText(raw);
    if (text === null) throw new ConfigError(`${given} must be a text, a number or a list`, place);
    const problem = kafkaSettingProblem(name, text);
    if (problem !== null) throw new ConfigError(`${given}: ${problem}`, place);
    this.kafka.set(name, text);
  }
}

/** Kafka's settings are text; a number keeps every digit that was given. */
function kafkaText(raw: unknown): string | null {
  switch (typeof raw) {
    case "string":
      return raw;
    case "number":
    case "bigint":
    case "boolean":
      return String(raw);
    default:
      return Array.isArray(raw) && raw.every((each) => typeof each === "string")
        ? raw.join(",")
        : null;
  }
}

function shown(raw: unknown): string {
  return typeof raw === "bigint" ? raw.toString() : (JSON.stringify(raw) ?? String(raw));
}

function hint(given: string): string {
  const dotted = given.replace(
    /^kafka\.(.*)$/s,
    (_, name: string) => `kafka.${name.replaceAll(".", "_")}`,
  );
  const last = given.slice(given.lastIndexOf(".") + 1);
  const moved = paths.find((path) => path.endsWith(`.${last}`));
  const near = nearest(given, paths) ?? nearest(given, sections);
  const best = paths.includes(dotted) ? dotted : (near ?? moved ?? null);
  return best === null ? "" : `; did you mean "${best}"?`;
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}

type Leaf = readonly [path: readonly string[], value: unknown];

/** Every value of the file, depth first; of an unknown section without any, the section. */
function leaves(table: Readonly<Record<string, unknown>>, prefix: readonly string[]): Leaf[] {
  return Object.entries(table).flatMap(([name, value]): Leaf[] => {
    const path = [...prefix, name];
    if (!isTable(value) || keyByPath.has(path.join("."))) return [[path, value]];
    if (Object.keys(value).length > 0) return leaves(value, path);
    return sections.has(path.join(".")) ? [] : [[path, value]];
  });
}

function parseToml(text: string): Readonly<Record<string, unknown>> {
  return parse(text, { integersAsBigInt: "asNeeded" });
}

function holds(table: unknown, path: readonly string[]): boolean {
  let at = table;
  for (const name of path) {
    if (!isTable(at) || !Object.hasOwn(at, name)) return false;
    at = at[name];
  }
  return true;
}

/**
 * Where a value stands. The parser does not say, so it is asked about ever longer beginnings of the
 * file: the statement that ends the first one to hold the value is the one.
 */
export function locate(file: string, text: string, path: readonly string[]): Place {
  const lines = text.split("\n");
  let start = 0;
  for (let end = 1; end <= lines.length; end += 1) {
    try {
      const found = holds(parseToml(lines.slice(0, end).join("\n")), path);
      if (found) break;
      start = end;
    } catch (error) {
      // A beginning that stops inside a statement does not parse; the next line may end it.
      if (!(error instanceof TomlError)) throw error;
    }
  }
  while (/^\s*(#.*)?$/.test(lines[start] ?? "x")) start += 1;
  const line = lines[start] ?? "";
  const name = path.at(-1) ?? "";
  return { file, line: start + 1, column: Math.max(line.indexOf(name), 0) + 1 };
}

/** smol-toml knows the place, Bun's parser has the better words. */
function syntaxError(file: string, text: string, error: TomlError): ConfigError {
  let words = error.message.split("\n")[0]?.replace("Invalid TOML document: ", "") ?? "";
  try {
    Bun.TOML.parse(text);
  } catch (other) {
    if (other instanceof Error) words = other.message.replace("TOML Parse error: ", "");
  }
  const place = { file, line: error.line, column: error.column };
  return new ConfigError(`${words}\n\n${error.codeblock.trimEnd()}`, place);
}

function readToml(file: string, input: ConfigInput, given: Given): void {
  let text: string;
  try {
    text = input.readFile(file);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    const words = code === "ENOENT" ? "there is no such file" : String(error);
    throw new ConfigError(`cannot read the configuration ${file}: ${words}`);
  }
  let table: Readonly<Record<string, unknown>>;
  try {
    table = parseToml(text);
  } catch (error) {
    if (error instanceof TomlError) throw syntaxError(file, text, error);
    throw error;
  }
  for (const [path, raw] of leaves(table, [])) {
    try {
      given.set(path.join("."), raw, false, file, nowhere);
    } catch (error) {
      // Only a value that is wrong needs its place.
      if (error instanceof ConfigError)
        throw new ConfigError(error.message, locate(file, text, path));
      throw error;
    }
  }
}

function readEnvironment(input: ConfigInput, given: Given): void {
  for (const [name, text] of Object.entries(input.env)) {
    if (!name.startsWith("PYRALOG_") || otherVariables.has(name)) continue;
    if (text === undefined || text === "") continue;
    const path = pathByVariable.get(name);
    if (path === undefined) {
      const best = nearest(name, pathByVariable.keys());
      input.warn(`${name} is no setting${best === null ? "" : `; did you mean ${best}?`}`);
      continue;
    }
    try {
      given.set(path, text, true, name, nowhere);
    } catch (error) {
      if (error instanceof ConfigError) throw new ConfigError(`${name}: ${error.message}`);
      throw error;
    }
  }
}

function readArguments(input: ConfigInput, given: Given): void {
  for (const argument of input.set) {
    const at = argument.indexOf("=");
    if (at <= 0) throw new ConfigError(`--set ${argument}: say section.key=value`);
    try {
      given.set(
        argument.slice(0, at).trim(),
        argument.slice(at + 1).trim(),
        true,
        "--set",
        nowhere,
      );
    } catch (error) {
      if (error instanceof ConfigError) throw new ConfigError(`--set: ${error.message}`);
      throw error;
    }
  }
}

function isLoopback(address: string): boolean {
  const host = address.slice(0, address.lastIndexOf(":"));
  return host === "localhost" || host === "[::1]" || /^127\.[0-9]+\.[0-9]+\.[0-9]+$/.test(host);
}

function port(address: string): string {
  return address.slice(address.lastIndexOf(":") + 1);
}

/** Relations between settings; each names what to change. */
function check(given: Sections, kafka: ReadonlyMap<string, string>): void {
  const { server, cluster, replication, security } = given;
  if (cluster.bootstrap_servers.length > 0) {
    throw new ConfigError(
      "cluster.bootstrap_servers must be empty: this version runs a single node",
    );
  }
  const copies: readonly (readonly [string, number])[] = [
    ["replication.replication_factor", replication.replication_factor],
    [
      "kafka.offsets_topic_replication_factor",
      numberOf(kafka.get("offsets.topic.replication.factor") ?? "1"),
    ],
  ];
  for (const [name, count] of copies) {
    if (count > 1)
      throw new ConfigError(
        `${name} = ${count} needs ${count} nodes, and this is one; set it to 1`,
      );
  }
  const { replication_factor: factor, write_quorum: quorum } = replication;
  if (quorum > factor) {
    throw new ConfigError(
      `replication.write_quorum = ${quorum} can never be met with replication.replication_factor = ${factor}`,
    );
  }
  const derived = factor - quorum + 1;
  if (replication.read_quorum !== null && replication.read_quorum !== derived) {
    throw new ConfigError(
      `replication.read_quorum follows from the other two and is ${derived}, not ${replication.read_quorum}; leave it out`,
    );
  }
  const listeners = [
    ["kafka", "bind_addr", server.bind_addr],
    ["http", "http_addr", server.http_addr],
  ] as const;
  for (const [listener, name, address] of listeners) {
    if (address === null || isLoopback(address)) continue;
    if (security.insecure_listeners.includes(listener)) continue;
    throw new ConfigError(
      `server.${name} = "${address}" lets everybody on the network in: this listener has no authentication and no TLS.\n` +
        "For this machine only:\n" +
        `  [server]\n  ${name} = "127.0.0.1:${port(address)}"\n` +
        "To open it all the same:\n" +
        `  [security]\n  insecure_listeners = ["${listener}"]`,
    );
  }
}

/** What Kafka's tools want to see, though it is set elsewhere here. */
function derivedKafka(given: Sections): readonly (readonly [string, string])[] {
  const { bind_addr, advertised_addr, data_dir } = given.server;
  return [
    ["listeners", `PLAINTEXT://${bind_addr}`],
    ["advertised.listeners", `PLAINTEXT://${advertised_addr ?? bind_addr}`],
    ["log.dirs", data_dir],
  ];
}

export function loadConfig(input: ConfigInput): Config {
  return explainConfig(input).config;
}

/** The configuration, and who gave what of it; a path without an origin has its default. */
export function explainConfig(input: ConfigInput): {
  readonly config: Config;
  readonly origins: ReadonlyMap<string, Origin>;
} {
  const given = new Given(input.warn);
  if (input.file !== null) readToml(input.file, input, given);
  readEnvironment(input, given);
  readArguments(input, given);
  const values = sectionsOf(given.values);
  check(values, given.kafka);
  for (const [name, text] of derivedKafka(values)) given.kafka.set(name, text);
  const number = (snake: string): number => {
    const name = kafkaPaths.get(`kafka.${snake}`) ?? "";
    return numberOf(given.kafka.get(name) ?? brokerConfigByName.get(name)?.default ?? "");
  };
  const config = {
    ...values,
    kafka: {
      connections_max_idle_ms: number("connections_max_idle_ms"),
      log_retention_check_interval_ms: number("log_retention_check_interval_ms"),
      max_connections: number("max_connections"),
      socket_request_max_bytes: number("socket_request_max_bytes"),
    },
    kafkaSettings: given.kafka,
  };
  return { config, origins: given.origins };
}
