// A configuration for people: the file to begin with, and every value that a node would use with
// where it comes from. Both are made from the tables that the node reads its configuration by.

import { readFileSync } from "node:fs";
import { brokerConfigByName } from "../core/cluster/cluster.ts";
import { explainConfig, kafkaPaths, locate, type Origin, ownSettings } from "./config.ts";
import { keyByPath } from "./config_keys.ts";

const width = 96;

/** Lines of a comment. */
function comment(text: string): string {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(/\s+/)) {
    if (line.length + word.length + 1 > width) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return `${[...lines, line].join("\n")}\n`;
}

function setting(name: string, value: unknown, documentation: string): string {
  const unset = value === null || value === undefined;
  return `${comment(documentation)}# ${name} =${unset ? "" : ` ${JSON.stringify(value)}`}\n\n`;
}

/** Kafka's defaults are text; what reads as a number is written as one. */
function kafkaValue(text: string | null | undefined): unknown {
  if (text === null || text === undefined) return null;
  const number = Number(text);
  return text !== "" && Number.isSafeInteger(number) && String(number) === text ? number : text;
}

/** Every key, its meaning and its default, all of it commented out. */
export function template(): string {
  const bySection = Map.groupBy(keyByPath, ([path]) => path.slice(0, path.lastIndexOf(".")));
  const sections = [...bySection].map(([section, keys]) => {
    const lines = keys.map(([path, key]) => {
      const inert = key.inert === null ? "" : ` Changes nothing: ${key.inert}.`;
      return setting(path.slice(section.length + 1), key.default, key.documentation + inert);
    });
    return `[${section}]\n${lines.join("")}`;
  });
  const kafka = [...kafkaPaths]
    .filter(([, name]) => !ownSettings.has(name))
    .map(([path, name]) => {
      const spec = brokerConfigByName.get(name);
      const value = kafkaValue(spec?.default);
      return setting(path.slice("kafka.".length), value, spec?.documentation ?? name);
    });
  return (
    "# Configuration of a Pyralog node: pyralog --config THIS-FILE\n" +
    "# What is commented out is the default. A key can also be given as PYRALOG_SECTION_KEY in the\n" +
    "# environment and as --set section.key=value; the later of these wins.\n" +
    "# For editors: pyralog config schema > node.schema.json, and here as the first line\n" +
    "#   #:schema ./node.schema.json\n\n" +
    `${sections.join("")}# Settings of Kafka under their own names, with "_" for ".".\n[kafka]\n${kafka.join("")}`
  );
}

type Schema = Record<string, unknown>;

function objectOf(properties: Schema): Schema {
  return { type: "object", additionalProperties: false, properties };
}

/** JSON schema of the file: editors complete the keys, show what they mean and mark wrong ones. */
export function schema(): object {
  const root: Schema = {};
  for (const [path, key] of keyByPath) {
    const { default: value, documentation, inert, reloadable } = key;
    const notes = [
      ...(inert === null ? [] : [`Changes nothing: ${inert}.`]),
      ...(reloadable ? ["May change while the node runs (SIGHUP)."] : []),
    ];
    put(root, path.split("."), {
      ...key.schema,
      description: [documentation, ...notes].join(" "),
      ...(value === null ? {} : { default: value }),
    });
  }
  for (const [path, name] of kafkaPaths) {
    if (ownSettings.has(name)) continue;
    const spec = brokerConfigByName.get(name);
    const value = kafkaValue(spec?.default);
    put(root, path.split("."), {
      type: ["string", "number", "boolean", "array"],
      description: spec?.documentation ?? name,
      ...(value === null ? {} : { default: value }),
    });
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of a Pyralog node",
    ...objectOf(root),
  };
}

/** Puts a leaf into nested objects, which are made on the way. */
function put(properties: Schema, [name = "", ...rest]: readonly string[], leaf: Schema): void {
  if (rest.length === 0) {
    properties[name] = leaf;
    return;
  }
  const made = properties[name];
  const inner: Schema = isObject(made) ? made.properties : {};
  properties[name] = objectOf(inner);
  put(inner, rest, leaf);
}

function isObject(value: unknown): value is { readonly properties: Schema } {
  return typeof value === "object" && value !== null && "properties" in value;
}

export interface OriginOfValue {
  readonly path: string;
  readonly value: unknown;
  readonly origin: string;
}

/** @throws ConfigError as a start would. */
export function origins(
  file: string | null,
  set: readonly string[],
  warn: (line: string) => void,
): readonly OriginOfValue[] {
  const readFile = (path: string): string => readFileSync(path, "utf8");
  const input = { file, set, env: process.env, readFile, warn };
  const { config, origins: found } = explainConfig(input);
  const text = file === null ? "" : readFile(file);
  const origin = (path: string): string => placeOf(found.get(path), file, text);
  const own = [...keyByPath.keys()].map((path) => ({
    path,
    value: valueAt(config, path),
    origin: origin(path),
  }));
  const kafka = [...kafkaPaths]
    .filter(([, name]) => !ownSettings.has(name))
    .map(([path, name]) => {
      const given = config.kafkaSettings.get(name);
      const value = kafkaValue(given ?? brokerConfigByName.get(name)?.default);
      return { path, value, origin: origin(path) };
    });
  return [...own, ...kafka];
}

function placeOf(origin: Origin | undefined, file: string | null, text: string): string {
  if (origin === undefined) return "default";
  if (origin.where !== file) return origin.where;
  return `${file}:${locate(file, text, origin.given.split(".")).line}`;
}

function valueAt(config: object, path: string): unknown {
  let at: unknown = config;
  for (const name of path.split(".")) {
    at = typeof at === "object" && at !== null ? Reflect.get(at, name) : null;
  }
  return at;
}
