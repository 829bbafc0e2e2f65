// What the oracles written in JavaScript share: values that they can carry, the forms in which they
// want them, and the comparison of what they give back.

import { expect } from "bun:test";
import fc from "fast-check";
import type { FieldSpec } from "../../../proto/schema.ts";
import { type AnyApi, apis } from "../../../src/wire/apis.ts";
import { decodeMessage, encodeMessage } from "../../../src/wire/codec.ts";
import {
  type AnyMessage,
  defaultOf,
  elementOf,
  isLive,
  membersOf,
} from "../../../src/wire/layout.ts";
import { buildBatch } from "../../../src/wire/records.ts";
import { Writer } from "../../../src/wire/writer.ts";
import { valuesOf } from "../../wire/arbitrary.ts";
import { kafkaName } from "./names.ts";

export type Members = Readonly<Record<string, unknown>>;

/** Every API that has a table, with each of its versions. */
export const pairs: readonly (readonly [AnyApi, number])[] = Object.values(apis).flatMap((api) => {
  const [first, last] = api.versions;
  return Array.from({ length: last - first + 1 }, (_, i) => [api, first + i] as const);
});

/** One uncompressed batch: a decoder that opens `records` finds one there. */
const someRecords = buildBatch([
  { key: Uint8Array.of(1), value: Uint8Array.of(2, 3), timestamp: 1_700_000_000_000 },
]);

/** What an oracle cannot say or will not take. */
export interface Limits {
  /** Tagged members keep their default. */
  readonly tags: boolean;
  /** Arrays and strings are never null. */
  readonly nulls: boolean;
  /** Member path -> the only value that the oracle writes, or takes. */
  readonly fixed: Readonly<Record<string, unknown>>;
}

/** Random values of a message that fit the limits; error codes are 0, since clients throw on them. */
export function samples(
  message: AnyMessage,
  version: number,
  limits: Limits,
  count: number,
): readonly Members[] {
  const drawn = fc.sample(valuesOf(message.root.spec, version), { seed: 7, numRuns: count });
  return drawn.map(
    (value) => limited(message.root.spec, value, version, message.name, limits) as Members,
  ); // proof: a root is a struct
}

function limited(
  field: FieldSpec,
  value: unknown,
  version: number,
  path: string,
  limits: Limits,
): unknown {
  if (path in limits.fixed) return limits.fixed[path];
  if (field.kind === "records") return someRecords;
  if (path.endsWith("rrorCode")) return 0;
  if (field.tag !== null && !limits.tags) return defaultOf(field);
  if (value === null) return limits.nulls ? null : notNull(field);
  if (field.kind === "array") {
    const element = elementOf(field);
    return (value as readonly unknown[]).map((one) => limited(element, one, version, path, limits)); // proof: the table
  }
  if (field.kind !== "struct") return value;
  const members: Record<string, unknown> = {};
  for (const [name, member] of membersOf(field)) {
    const inner = (value as Members)[name]; // proof: the table
    members[name] = isLive(member, version)
      ? limited(member, inner, version, `${path}.${name}`, limits)
      : inner;
  }
  return members;
}

function notNull(field: FieldSpec): unknown {
  return defaultOf({ ...field, default: undefined, nullableSince: 32767 });
}

/** Forms that an oracle wants values in. */
export interface Forms {
  readonly int64: (value: number) => unknown;
  readonly uuid: (bytes: Buffer) => unknown;
  /** Names that the oracle uses beside Kafka's, by member path. */
  readonly names: Readonly<Record<string, string>>;
  /** The oracle reads a null array as an empty one. */
  readonly nullIsEmpty: boolean;
}

export function theirName(path: string, forms: Forms): string {
  return forms.names[path] ?? kafkaName(path);
}

/** A value of ours in the oracle's form. */
export function toTheirs(
  field: FieldSpec,
  value: unknown,
  version: number,
  path: string,
  forms: Forms,
): unknown {
  if (value === null) return null;
  switch (field.kind) {
    case "int64":
      return forms.int64(value as number); // proof here and below: the table
    case "uuid":
      return forms.uuid(Buffer.from(value as string, "base64url"));
    case "bytes":
    case "records":
      return Buffer.from(value as Uint8Array);
    case "array": {
      const element = elementOf(field);
      return (value as readonly unknown[]).map((one) =>
        toTheirs(element, one, version, path, forms),
      );
    }
    case "struct": {
      const members: Record<string, unknown> = {};
      for (const [name, member] of membersOf(field)) {
        if (!isLive(member, version)) continue;
        const inner = `${path}.${name}`;
        const form = toTheirs(member, (value as Members)[name], version, inner, forms);
        members[theirName(inner, forms)] = form;
      }
      return members;
    }
    default:
      return value;
  }
}

/** What an oracle read, member by member; members in `unread` are those that it does not keep. */
export function expectSame(
  field: FieldSpec,
  theirs: unknown,
  ours: unknown,
  version: number,
  path: string,
  forms: Forms,
  unread: ReadonlySet<string>,
): void {
  if (unread.has(path) || (field.tag !== null && theirs === undefined)) return;
  const where = (value: unknown): readonly [string, unknown] => [path, value];
  if (ours === null && field.kind === "array" && forms.nullIsEmpty) {
    return void expect(where(theirs)).toEqual(where([]));
  }
  if (ours === null) return void expect(where(theirs ?? null)).toEqual(where(null));
  switch (field.kind) {
    case "int64":
      return void expect(where(Number(theirs))).toEqual(where(ours));
    case "uuid":
      return void expect(where(idOf(String(theirs)))).toEqual(where(ours));
    case "bytes":
      return void expect(where(Buffer.from(theirs as Uint8Array).toString("hex"))).toEqual(
        where(Buffer.from(ours as Uint8Array).toString("hex")),
      );
    case "records":
      return void expect(where(Array.isArray(theirs) ? theirs.length : theirs)).toEqual(where(1));
    case "array": {
      const list = theirs as readonly unknown[];
      const expected = ours as readonly unknown[];
      expect(where(list.length)).toEqual(where(expected.length));
      expected.forEach((one, index) =>
        expectSame(elementOf(field), list[index], one, version, path, forms, unread),
      );
      return;
    }
    case "struct":
      for (const [name, member] of membersOf(field)) {
        if (!isLive(member, version)) continue;
        const inner = `${path}.${name}`;
        const read = (theirs as Members)[theirName(inner, forms)];
        expectSame(member, read, (ours as Members)[name], version, inner, forms, unread);
      }
      return;
    default:
      expect(where(theirs)).toEqual(where(ours));
  }
}

/** An id in hexadecimal, with dashes or without, or in base64, as we print it. */
function idOf(text: string): string {
  const plain = text.replaceAll("-", "");
  const hex = /^[0-9a-f]{32}$/.test(plain);
  return Buffer.from(hex ? plain : text, hex ? "hex" : "base64url").toString("base64url");
}

const writer = new Writer();

export function encoded(message: AnyMessage, version: number, value: Members): Buffer {
  writer.reset();
  encodeMessage(message, version, writer, value);
  return Buffer.from(writer.written());
}

/**
 * Reads what an oracle wrote: it means `value`, and writing it again gives the same bytes, unless
 * the oracle is wordy: then it writes tagged fields that hold their default.
 */
export function expectRead(
  message: AnyMessage,
  version: number,
  bytes: Uint8Array,
  value: Members,
  wordy = false,
): void {
  const decoded = decodeMessage(message, version, bytes);
  expect(decoded).toEqual(value);
  if (wordy) return;
  expect(encoded(message, version, decoded as Members).toString("hex")).toBe(
    Buffer.from(bytes).toString("hex"),
  );
}
