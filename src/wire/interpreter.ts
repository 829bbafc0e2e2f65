// The reference codec: walks a table and the bytes side by side, one field at a time. It shares no
// code with the compiled codec but the questions of layout.ts, and exists to be compared with it.
// Decoding throws RangeError for every message that it refuses.

import { taggedFieldsMax } from "../core/base/limits.ts";
import type { FieldSpec } from "../../proto/schema.ts";
import {
  type AnyMessage,
  defaultOf,
  elementOf,
  inlineMembers,
  isFlexible,
  isLive,
  isNullable,
  membersOf,
  minBytes,
  taggedMembers,
} from "./layout.ts";

type Members = Record<string, unknown>;
const int64Max = 2n ** 63n - 1n;
const safeMax = Number.MAX_SAFE_INTEGER;

function no(why: string): never {
  throw new RangeError(why);
}

export function interpretDecode(message: AnyMessage, version: number, bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flexible = isFlexible(message, version);
  let at = 0;

  function take(count: number): number {
    if (count > bytes.length - at) no("truncated");
    at += count;
    return at - count;
  }
  function uvarint(): number {
    for (let count = 1, value = 0; ; count += 1) {
      const byte = view.getUint8(take(1));
      value += (byte & 127) * 2 ** (7 * (count - 1));
      if (byte >= 128 && count < 5) continue;
      if (byte >= 128 || value > 0xffffffff) no("a varint of more than 32 bits");
      if (byte === 0 && count > 1) no("a varint that is longer than it needs to be");
      return value;
    }
  }
  function length(width: 2 | 4): number {
    if (flexible) return uvarint() - 1;
    return width === 2 ? view.getInt16(take(2)) : view.getInt32(take(4));
  }
  function int64(field: FieldSpec): number | null {
    const exact = view.getBigInt64(take(8));
    const value = Number(exact);
    if (Number.isSafeInteger(value)) return value;
    if (field.unsafe === "saturate") return value > 0 ? safeMax : -safeMax;
    return field.unsafe === "null-at-max" && exact === int64Max ? null : no("unsafe int64");
  }
  function sized(field: FieldSpec, version: number): unknown {
    const count = length(field.kind === "string" ? 2 : 4);
    if (count < 0) return isNullable(field, version) ? null : no("null");
    if (field.kind === "array") {
      const element = elementOf(field);
      if (count * minBytes(element, version, flexible) > bytes.length - at) no("count");
      return Array.from({ length: count }, () => value(element));
    }
    const start = take(count);
    if (field.kind !== "string") return bytes.subarray(start, at);
    if (count > 32767) no("a string that is too long");
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(start, at),
    );
  }
  function struct(field: FieldSpec): unknown {
    const result: Members = {};
    for (const [name, member] of membersOf(field)) result[name] = defaultOf(member);
    for (const [name, member] of inlineMembers(field, version)) result[name] = value(member);
    if (!flexible) return result;
    const tagged = taggedMembers(field, version);
    const count = uvarint();
    if (count > taggedFieldsMax) no("too many tags");
    for (let i = 0, previous = -1; i < count; i += 1) {
      const tag = uvarint();
      if (tag <= previous) no("tags out of order");
      previous = tag;
      const size = uvarint();
      const stop = at + size;
      if (stop > bytes.length) no("truncated");
      const known = tagged.find((member) => member.tag === tag);
      if (known === undefined) at = stop;
      else result[known.name] = value(known.field);
      if (at !== stop) no("a tagged field of another size");
    }
    return result;
  }
  function value(field: FieldSpec): unknown {
    switch (field.kind) {
      case "bool":
        return view.getUint8(take(1)) !== 0;
      case "int8":
        return view.getInt8(take(1));
      case "int16":
        return view.getInt16(take(2));
      case "uint16":
        return view.getUint16(take(2));
      case "int32":
        return view.getInt32(take(4));
      case "int64":
        return int64(field);
      case "float64":
        return view.getFloat64(take(8));
      case "uuid":
        return bytes.subarray(take(16), at).toBase64({ alphabet: "base64url", omitPadding: true });
      case "struct":
        if (isNullable(field, version) && view.getInt8(take(1)) < 0) return null;
        return struct(field);
      default:
        return sized(field, version);
    }
  }
  return struct(message.root.spec);
}

export function interpretEncode(message: AnyMessage, version: number, root: unknown): Uint8Array {
  const flexible = isFlexible(message, version);
  let out: number[] = [];

  function number(width: 1 | 2 | 4 | 8, set: (view: DataView) => void): void {
    const view = new DataView(new ArrayBuffer(width));
    set(view);
    out.push(...new Uint8Array(view.buffer));
  }
  function uvarint(value: number): void {
    for (let rest = value; ; rest = Math.floor(rest / 128)) {
      if (rest < 128) return void out.push(rest);
      out.push((rest % 128) + 128);
    }
  }
  function length(width: 2 | 4, value: number): void {
    if (flexible) uvarint(value + 1);
    else if (width === 2) number(2, (view) => view.setInt16(0, value));
    else number(4, (view) => view.setInt32(0, value));
  }
  function struct(field: FieldSpec, members: Members): void {
    for (const [name, member] of membersOf(field)) {
      const dropped = !isLive(member, version) && !member.ignorable;
      if (dropped && !isSame(members[name], defaultOf(member))) no(`${name} would be lost`);
    }
    for (const [name, member] of inlineMembers(field, version)) write(member, members[name]);
    if (!flexible) return;
    const present = taggedMembers(field, version).filter(
      ({ name, field: member }) => !isSame(members[name], defaultOf(member)),
    );
    uvarint(present.length);
    for (const { name, field: member, tag } of present) {
      uvarint(tag);
      const before = out;
      out = [];
      write(member, members[name]);
      const body = out;
      out = before;
      uvarint(body.length);
      for (const byte of body) out.push(byte);
    }
  }
  function write(field: FieldSpec, value: unknown): void {
    switch (field.kind) {
      case "bool":
        return void out.push(value === true ? 1 : 0);
      case "int8":
        return number(1, (view) => view.setInt8(0, Number(value)));
      case "int16":
        return number(2, (view) => view.setInt16(0, Number(value)));
      case "uint16":
        return number(2, (view) => view.setUint16(0, Number(value)));
      case "int32":
        return number(4, (view) => view.setInt32(0, Number(value)));
      case "int64":
        return number(8, (view) =>
          view.setBigInt64(0, value === null ? int64Max : BigInt(Number(value))),
        );
      case "float64":
        return number(8, (view) => view.setFloat64(0, Number(value)));
      case "uuid":
        return void out.push(...Uint8Array.fromBase64(String(value), { alphabet: "base64url" }));
      case "struct":
        if (isNullable(field, version)) out.push(value === null ? 255 : 1);
        if (value !== null) struct(field, value as Members); // proof: the table says struct
        return;
      default:
        return sized(field, value);
    }
  }
  function sized(field: FieldSpec, value: unknown): void {
    const width = field.kind === "string" ? 2 : 4;
    if (value === null) {
      if (!isNullable(field, version)) no("null");
      return length(width, -1);
    }
    if (Array.isArray(value)) {
      length(4, value.length);
      for (const element of value) write(elementOf(field), element);
      return;
    }
    const source = typeof value === "string" ? new TextEncoder().encode(value) : value;
    const bytes = source as Uint8Array; // proof: the table says bytes or records
    length(width, bytes.length);
    for (const byte of bytes) out.push(byte);
  }

  struct(message.root.spec, root as Members); // proof: the root of a message is a struct
  return Uint8Array.from(out);
}

/** Equality of a value and a default, member by member. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return a === b;
  if (a instanceof Uint8Array || Array.isArray(a)) {
    return (a as ArrayLike<unknown>).length === 0 && (b as ArrayLike<unknown>).length === 0; // proof: defaults of both are empty
  }
  const other = b as Members; // proof: two structs of the same table
  return Object.entries(a).every(([name, value]) => isSame(value, other[name]));
}
