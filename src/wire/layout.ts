// What a table means in one version: questions that both the compiler and the interpreter ask.

import { assert } from "../core/base/assert.ts";
import { noTopicId } from "../core/base/ids.ts";
import { nestingMax } from "../core/base/limits.ts";
import { type FieldSpec, type Fields, type Message, versionMax } from "../../proto/schema.ts";

export type AnyMessage = Message<Fields>;

export function isFlexible(message: AnyMessage, version: number): boolean {
  return version >= message.flexible;
}

export function hasVersion(message: AnyMessage, version: number): boolean {
  return version >= message.versions[0] && version <= message.versions[1];
}

export function isLive(field: FieldSpec, version: number): boolean {
  return field.since <= version && version <= field.until;
}

export function isNullable(field: FieldSpec, version: number): boolean {
  return version >= field.nullableSince;
}

/** Members of a struct in wire order. */
export function membersOf(field: FieldSpec): readonly (readonly [string, FieldSpec])[] {
  assert(field.fields !== null, "a struct has members");
  return Object.entries(field.fields);
}

export function elementOf(field: FieldSpec): FieldSpec {
  assert(field.of !== null, "an array has an element");
  return field.of;
}

/** Live members that are written in place. */
export function inlineMembers(
  field: FieldSpec,
  version: number,
): readonly (readonly [string, FieldSpec])[] {
  return membersOf(field).filter(([, f]) => isLive(f, version) && f.tag === null);
}

export interface TaggedMember {
  readonly name: string;
  readonly field: FieldSpec;
  readonly tag: number;
}

/** Live members of the tagged section, ascending. */
export function taggedMembers(field: FieldSpec, version: number): readonly TaggedMember[] {
  const tagged: TaggedMember[] = [];
  for (const [name, member] of membersOf(field)) {
    if (member.tag !== null && isLive(member, version)) {
      tagged.push({ name, field: member, tag: member.tag });
    }
  }
  return tagged.sort((a, b) => a.tag - b.tag);
}

/** Bytes of a kind that always takes the same number of them, else 0. */
export function fixedBytes(field: FieldSpec): number {
  switch (field.kind) {
    case "bool":
    case "int8":
      return 1;
    case "int16":
    case "uint16":
      return 2;
    case "int32":
      return 4;
    case "int64":
    case "float64":
      return 8;
    case "uuid":
      return 16;
    default:
      return 0;
  }
}

/** The fewest bytes that a live value can take: what judges the count of an array. */
export function minBytes(field: FieldSpec, version: number, flexible: boolean): number {
  switch (field.kind) {
    case "string":
      return flexible ? 1 : 2;
    case "bytes":
    case "records":
    case "array":
      return flexible ? 1 : 4;
    case "struct": {
      if (isNullable(field, version)) return 1;
      let sum = flexible ? 1 : 0;
      for (const [, member] of inlineMembers(field, version)) {
        sum += minBytes(member, version, flexible);
      }
      return sum;
    }
    default:
      return fixedBytes(field);
  }
}

/** The declared default; where none is declared, null if that is ever allowed, else the zero. */
export function defaultOf(field: FieldSpec): unknown {
  if (field.default !== undefined) return field.default;
  if (field.nullableSince < versionMax) return null;
  switch (field.kind) {
    case "bool":
      return false;
    case "string":
      return "";
    case "uuid":
      return noTopicId;
    case "bytes":
      return new Uint8Array(0);
    case "records":
      return null;
    case "array":
      return [];
    case "struct": {
      const value: Record<string, unknown> = {};
      for (const [name, member] of membersOf(field)) value[name] = defaultOf(member);
      return value;
    }
    default:
      return 0;
  }
}

/** A table that the codec could not honour is a bug of ours: found when it is first used. */
export function checkTable(message: AnyMessage): void {
  for (let version = message.versions[0]; version <= message.versions[1]; version += 1) {
    checkStruct(message.root.spec, version, isFlexible(message, version), 1);
  }
}

function checkStruct(field: FieldSpec, version: number, flexible: boolean, depth: number): void {
  assert(depth <= nestingMax, "a message nests within the limit");
  for (const [name, member] of membersOf(field)) {
    assert(/^[a-zA-Z][a-zA-Z0-9]*$/.test(name), "a member is named by a plain word");
    if (!isLive(member, version)) continue;
    assert(member.tag === null || flexible, "tagged fields exist in flexible versions only");
    assert(!isNullable(member, version) || fixedBytes(member) === 0, "a number is never null");
    checkField(member, version, flexible, depth + 1);
  }
}

function checkField(field: FieldSpec, version: number, flexible: boolean, depth: number): void {
  if (field.kind === "struct") checkStruct(field, version, flexible, depth);
  if (field.kind !== "array") return;
  const element = elementOf(field);
  assert(minBytes(element, version, flexible) > 0, "an array element takes at least a byte");
  assert(!isNullable(element, version), "array elements are not nullable");
  assert(depth <= nestingMax, "a message nests within the limit");
  checkField(element, version, flexible, depth + 1);
}
