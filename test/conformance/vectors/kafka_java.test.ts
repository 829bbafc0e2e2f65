// Our tables and codecs against Kafka's own: its message definitions field by field, and its message
// classes over random values of every message in every version: same bytes, same meaning.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { kafkaLibs } from "../../../bench/peers/kafka.ts";
import { cached, needJava, needTool, run } from "../../../bench/tools.ts";
import type { FieldSpec } from "../../../proto/schema.ts";
import { encodeMessage } from "../../../src/wire/codec.ts";
import {
  type AnyMessage,
  defaultOf,
  elementOf,
  isFlexible,
  isLive,
  isNullable,
  membersOf,
} from "../../../src/wire/layout.ts";
import { Writer } from "../../../src/wire/writer.ts";
import { allMessages, allVersions, valuesOf } from "../../wire/arbitrary.ts";
import { kafkaClass, kafkaName } from "./names.ts";

const seed = 44;
const runs = 15;
const kafkas = (message: AnyMessage): boolean => !message.name.startsWith("Everything");

/** Keys of `__consumer_offsets`: our version is the record's type, Kafka's class has version 0. */
const isKey = (message: AnyMessage): boolean => message.name.endsWith("Key");

/** Folder of the compiled oracle, keyed by its source. */
function classes(libs: string): string {
  const source = join(import.meta.dir, "KafkaCodec.java");
  const key = Bun.hash(readFileSync(source)).toString(36);
  return cached(`java-codec-${key}`, (scratch) => {
    const compiler = needTool("javac", "openjdk-17-jdk-headless");
    run([compiler, "-cp", `${libs}/*`, "-d", scratch, source], scratch);
    return scratch;
  });
}

class Oracle {
  readonly #child;
  #text = "";
  readonly #lines: AsyncIterator<string>;

  constructor() {
    const libs = kafkaLibs();
    const quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error";
    const classPath = `${classes(libs)}:${libs}/*`;
    this.#child = Bun.spawn([needJava(17), "-Xmx256M", quiet, "-cp", classPath, "KafkaCodec"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#lines = this.#read();
  }

  async *#read(): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      this.#text += decoder.decode(chunk, { stream: true });
      const lines = this.#text.split("\n");
      this.#text = lines.pop() ?? "";
      yield* lines;
    }
  }

  async ask(line: string): Promise<string> {
    await this.#child.stdin.write(`${line}\n`);
    await this.#child.stdin.flush();
    const answer = await this.#lines.next();
    if (answer.done === true) throw new Error("the oracle ended");
    if (answer.value.startsWith("error")) throw new Error(`${answer.value}: ${line.slice(0, 200)}`);
    return answer.value;
  }

  async end(): Promise<void> {
    await this.#child.stdin.end();
    await this.#child.exited;
  }
}

let oracle: Oracle;
beforeAll(() => {
  oracle = new Oracle();
}, 120_000);
afterAll(() => oracle.end());

/** A value of ours as Kafka's JSON has it, by names that Kafka uses; absent = not in this version. */
function asJson(field: FieldSpec, value: unknown, version: number, path: string): unknown {
  if (value === null) return null;
  switch (field.kind) {
    case "array":
      return (value as readonly unknown[]).map((one) =>
        asJson(elementOf(field), one, version, path),
      );
    case "struct": {
      const members: Record<string, unknown> = {};
      for (const [name, member] of membersOf(field)) {
        if (!isLive(member, version)) continue;
        const inner = (value as Readonly<Record<string, unknown>>)[name];
        const text = asJson(member, inner, version, `${path}.${name}`);
        members[kafkaName(`${path}.${name}`)] = text;
      }
      return members;
    }
    case "records":
      return ""; // Kafka's JSON leaves record batches out; the bytes are compared
    case "bytes":
      return Buffer.from(value as Uint8Array).toString("base64");
    default:
      return value;
  }
}

/** Adds to Kafka's JSON what it leaves out: tagged members that hold their default. */
function withDefaults(field: FieldSpec, json: unknown, version: number, path: string): unknown {
  if (json === null || json === undefined) return json;
  if (field.kind === "array") {
    return (json as unknown[]).map((one) => withDefaults(elementOf(field), one, version, path));
  }
  if (field.kind !== "struct") return json;
  const members = { ...(json as Record<string, unknown>) };
  for (const [name, member] of membersOf(field)) {
    if (!isLive(member, version)) continue;
    const inner = `${path}.${name}`;
    const key = kafkaName(inner);
    members[key] =
      key in members || member.tag === null
        ? withDefaults(member, members[key], version, inner)
        : asJson(member, defaultOf(member), version, inner);
  }
  return members;
}

describe("wire: Kafka's own message classes", () => {
  const writer = new Writer();
  for (const [message, version] of allVersions) {
    if (!kafkas(message)) continue;
    test(`wire: Kafka reads and writes the same bytes (${message.name} v${version})`, async () => {
      const spec = message.root.spec;
      const theirs = isKey(message) ? 0 : version;
      for (const value of fc.sample(valuesOf(spec, version), { seed, numRuns: runs })) {
        writer.reset();
        encodeMessage(message, version, writer, value);
        const hex = writer.written().toHex();
        const answer = await oracle.ask(`codec ${kafkaClass(message.name)} ${theirs} ${hex}`);
        const [again, json = ""] = answer.split("\t");
        expect(again).toBe(hex);
        const said: unknown = JSON.parse(Buffer.from(json, "base64").toString("utf8"));
        expect(withDefaults(spec, said, version, message.name)).toEqual(
          asJson(spec, value, version, message.name),
        );
      }
    });
  }
});

/** A field of Kafka's definition, as far as it is compared. */
interface KafkaField {
  readonly name: string;
  readonly type: string;
  readonly versions: string;
  readonly nullableVersions?: string;
  readonly taggedVersions?: string;
  readonly tag?: number;
  readonly default?: string | number | boolean;
  readonly fields?: readonly KafkaField[];
}

interface KafkaMessage {
  readonly validVersions: string;
  readonly flexibleVersions: string;
  readonly latestVersionUnstable?: boolean;
  readonly fields: readonly KafkaField[];
  readonly commonStructs?: readonly (KafkaField & { fields: readonly KafkaField[] })[];
}

function range(text: string | undefined): readonly [number, number] {
  if (text === undefined || text === "none" || text === "") return [1, 0];
  const [first = "0", last] = text.split("-");
  if (first.endsWith("+")) return [Number.parseInt(first, 10), 32767];
  return [Number(first), Number(last ?? first)];
}

function isIn([first, last]: readonly [number, number], version: number): boolean {
  return first <= version && version <= last;
}

/** Kafka's default of a field, as a value of ours; undefined = it has none that we could compare. */
function kafkaDefault(field: KafkaField): unknown {
  const declared = field.default;
  if (declared === "null" || declared === "9223372036854775807") return null;
  if (field.type === "bool") return String(declared ?? false).toLowerCase() === "true";
  if (field.nullableVersions !== undefined && declared === undefined) return undefined;
  if (field.type === "string") return declared ?? "";
  return /^u?int/.test(field.type) ? Number(declared ?? 0) : undefined;
}

const small = (name: string): string => (name[0] ?? "").toLowerCase() + name.slice(1);

/** Compares the members of a struct in one version; Kafka's keys have a version of their own. */
function compareFields(
  ours: FieldSpec,
  theirs: readonly KafkaField[],
  of: { definition: KafkaMessage; version: number; theirVersion: number },
  path: string,
): void {
  const { definition, version, theirVersion } = of;
  const live = theirs.filter((field) => isIn(range(field.versions), theirVersion));
  const mine = membersOf(ours).filter(([, member]) => isLive(member, version));
  expect([path, ...mine.map(([name]) => kafkaName(`${path}.${name}`))]).toEqual([
    path,
    ...live.map((field) => small(field.name)),
  ]);
  for (const [index, [name, member]] of mine.entries()) {
    const field = live[index];
    if (field === undefined) throw new Error("both lists have the same length");
    const inner = `${path}.${name}`;
    const array = field.type.startsWith("[]");
    const type = array ? field.type.slice(2) : field.type;
    const structured = /^[A-Z]/.test(type);
    const scalar = array ? elementOf(member) : member;
    // Only a default that is seen on the wire, or where a version lacks the field, has to be Kafka's.
    const declared = alwaysThere(field, definition) ? undefined : kafkaDefault(field);
    expect({
      inner,
      array: member.kind === "array",
      kind: scalar.kind,
      nullable: isNullable(member, version),
      tag: member.tag,
      byDefault: defaultOf(member),
    }).toEqual({
      inner,
      array,
      kind: (structured ? "struct" : type) as typeof scalar.kind, // proof: compared, not used
      nullable: isIn(range(field.nullableVersions), theirVersion),
      tag: isIn(range(field.taggedVersions), theirVersion) ? (field.tag ?? null) : null,
      byDefault: declared === undefined ? defaultOf(member) : declared,
    });
    if (!structured) continue;
    const common = definition.commonStructs?.find((each) => each.name === type);
    compareFields(scalar, field.fields ?? common?.fields ?? [], of, inner);
  }
}

/** In every version and without a tag: its default is never seen on the wire. */
function alwaysThere(field: KafkaField, definition: KafkaMessage): boolean {
  const [first, last] = range(field.versions);
  const [oldest, newest] = range(definition.validVersions);
  return field.taggedVersions === undefined && first <= oldest && last >= newest;
}

describe("proto: Kafka's definitions", () => {
  for (const message of allMessages) {
    if (!kafkas(message)) continue;
    test(`proto: the table says what Kafka's definition says (${message.name})`, async () => {
      const text = Buffer.from(await oracle.ask(`spec ${message.name}`), "base64").toString("utf8");
      const plain = text
        .replaceAll(/^\s*\/\/.*$/gm, "")
        .replaceAll(/:\s*9223372036854775807/g, ': "9223372036854775807"');
      const definition = JSON.parse(plain) as KafkaMessage;
      const [first, last] = range(definition.validVersions);
      if (!isKey(message)) {
        const newest = definition.latestVersionUnstable === true ? last - 1 : last;
        const response = message.name.endsWith("InitProducerIdResponse") ? last - 1 : newest;
        expect([...message.versions]).toEqual([first, response]);
      }
      for (let version = message.versions[0]; version <= message.versions[1]; version += 1) {
        const theirs = isKey(message) ? 0 : version;
        const flexible = isIn(range(definition.flexibleVersions), theirs);
        expect([version, isFlexible(message, version)]).toEqual([version, flexible]);
        const of = { definition, version, theirVersion: theirs };
        compareFields(message.root.spec, definition.fields, of, message.name);
      }
    });
  }
});
