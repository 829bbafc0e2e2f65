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

function no(why: string): never {
  throw new RangeError(why);
}

export function interpretDecode(message: AnyMessage, version: number, bytes: Uint8Array): unknown {
  return new Decoding(bytes, version, isFlexible(message, version)).struct(message.root.spec);
}

export function interpretEncode(message: AnyMessage, version: number, root: unknown): Uint8Array {
  const encoding = new Encoding(version, isFlexible(message, version));
  encoding.struct(message.root.spec, root as Members); // proof: the root of a message is a struct
  return Uint8Array.from(encoding.out);
}

class Decoding {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #version: number;
  readonly #flexible: boolean;
  #at = 0;

  constructor(bytes: Uint8Array, version: number, flexible: boolean) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#version = version;
    this.#flexible = flexible;
  }

  struct(field: FieldSpec): unknown {
    const result: Members = {};
    for (const [name, member] of membersOf(field)) result[name] = defaultOf(member);
    for (const [name, member] of inlineMembers(field, this.#version)) {
      result[name] = this.#value(member);
    }
    if (this.#flexible) this.#tags(field, result);
    return result;
  }

  #tags(field: FieldSpec, result: Members): void {
    const tagged = taggedMembers(field, this.#version);
    const count = this.#uvarint();
    if (count > taggedFieldsMax) no("too many tags");
    for (let i = 0, previous = -1; i < count; i += 1) {
      const tag = this.#uvarint();
      if (tag <= previous) no("tags out of order");
      previous = tag;
      const size = this.#uvarint();
      const stop = this.#at + size;
      if (stop > this.#bytes.length) no("truncated");
      const known = tagged.find((member) => member.tag === tag);
      if (known === undefined) this.#at = stop;
      else result[known.name] = this.#value(known.field);
      if (this.#at !== stop) no("a tagged field of another size");
    }
  }

  #value(field: FieldSpec): unknown {
    const view = this.#view;
    switch (field.kind) {
      case "bool":
        return view.getUint8(this.#take(1)) !== 0;
      case "int8":
        return view.getInt8(this.#take(1));
      case "int16":
        return view.getInt16(this.#take(2));
      case "uint16":
        return view.getUint16(this.#take(2));
      case "int32":
        return view.getInt32(this.#take(4));
      case "int64":
        return this.#int64(field);
      case "float64":
        return view.getFloat64(this.#take(8));
      case "uuid": {
        const id = this.#bytes.subarray(this.#take(16), this.#at);
        return id.toBase64({ alphabet: "base64url", omitPadding: true });
      }
      case "struct":
        if (isNullable(field, this.#version) && view.getInt8(this.#take(1)) < 0) return null;
        return this.struct(field);
      default:
        return this.#sized(field);
    }
  }

  #sized(field: FieldSpec): unknown {
    const count = this.#length(field.kind === "string" ? 2 : 4);
    if (count < 0) return isNullable(field, this.#version) ? null : no("null");
    if (field.kind === "array") {
      const element = elementOf(field);
      const least = count * minBytes(element, this.#version, this.#flexible);
      if (least > this.#bytes.length - this.#at) no("count");
      return Array.from({ length: count }, () => this.#value(element));
    }
    const content = this.#bytes.subarray(this.#take(count), this.#at);
    if (field.kind !== "string") return content;
    if (count > 32767) no("a string that is too long");
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  }

  #int64(field: FieldSpec): number | null {
    const exact = this.#view.getBigInt64(this.#take(8));
    const value = Number(exact);
    if (Number.isSafeInteger(value)) return value;
    const nearest = value > 0 ? Number.MAX_SAFE_INTEGER : -Number.MAX_SAFE_INTEGER;
    if (field.unsafe === "saturate") return nearest;
    return field.unsafe === "null-at-max" && exact === int64Max ? null : no("unsafe int64");
  }

  #length(width: 2 | 4): number {
    if (this.#flexible) return this.#uvarint() - 1;
    const at = this.#take(width);
    return width === 2 ? this.#view.getInt16(at) : this.#view.getInt32(at);
  }

  #uvarint(): number {
    let value = 0;
    for (let count = 0; ; count += 1) {
      const byte = this.#view.getUint8(this.#take(1));
      value += (byte & 127) * 2 ** (7 * count);
      if (byte >= 128 && count < 4) continue;
      if (byte >= 128 || value > 0xffffffff) no("a varint of more than 32 bits");
      if (byte === 0 && count > 0) no("a varint that is longer than it needs to be");
      return value;
    }
  }

  /** Moves over `count` bytes and returns where they start. */
  #take(count: number): number {
    if (count > this.#bytes.length - this.#at) no("truncated");
    this.#at += count;
    return this.#at - count;
  }
}

class Encoding {
  out: number[] = [];
  readonly #version: number;
  readonly #flexible: boolean;

  constructor(version: number, flexible: boolean) {
    this.#version = version;
    this.#flexible = flexible;
  }

  struct(field: FieldSpec, members: Members): void {
    for (const [name, member] of membersOf(field)) {
      const dropped = !isLive(member, this.#version) && !member.ignorable;
      if (dropped && !isSame(members[name], defaultOf(member))) no(`${name} would be lost`);
    }
    for (const [name, member] of inlineMembers(field, this.#version)) {
      this.#value(member, members[name]);
    }
    if (this.#flexible) this.#tags(field, members);
  }

  #tags(field: FieldSpec, members: Members): void {
    const present = taggedMembers(field, this.#version).filter(
      ({ name, field: member }) => !isSame(members[name], defaultOf(member)),
    );
    this.#uvarint(present.length);
    for (const { name, field: member, tag } of present) {
      const before = this.out;
      this.out = [];
      this.#value(member, members[name]);
      const body = this.out;
      this.out = before;
      this.#uvarint(tag);
      this.#uvarint(body.length);
      this.#append(body);
    }
  }

  #value(field: FieldSpec, value: unknown): void {
    switch (field.kind) {
      case "bool":
        return this.#append([value === true ? 1 : 0]);
      case "int8":
        return this.#number(1, (view) => view.setInt8(0, Number(value)));
      case "int16":
        return this.#number(2, (view) => view.setInt16(0, Number(value)));
      case "uint16":
        return this.#number(2, (view) => view.setUint16(0, Number(value)));
      case "int32":
        return this.#number(4, (view) => view.setInt32(0, Number(value)));
      case "int64": {
        const exact = value === null ? int64Max : BigInt(Number(value));
        return this.#number(8, (view) => view.setBigInt64(0, exact));
      }
      case "float64":
        return this.#number(8, (view) => view.setFloat64(0, Number(value)));
      case "uuid":
        return this.#append(Uint8Array.fromBase64(String(value), { alphabet: "base64url" }));
      case "struct":
        if (isNullable(field, this.#version)) this.#append([value === null ? 255 : 1]);
        if (value !== null) this.struct(field, value as Members); // proof: the table says struct
        return;
      default:
        return this.#sized(field, value);
    }
  }

  #sized(field: FieldSpec, value: unknown): void {
    const width = field.kind === "string" ? 2 : 4;
    if (value === null) {
      if (!isNullable(field, this.#version)) no("null");
      return this.#length(width, -1);
    }
    if (Array.isArray(value)) {
      this.#length(4, value.length);
      for (const element of value) this.#value(elementOf(field), element);
      return;
    }
    const content = typeof value === "string" ? new TextEncoder().encode(value) : value;
    const bytes = content as Uint8Array; // proof: the table says bytes or records
    this.#length(width, bytes.length);
    this.#append(bytes);
  }

  #length(width: 2 | 4, value: number): void {
    if (this.#flexible) return this.#uvarint(value + 1);
    this.#number(width, (view) => {
      if (width === 2) view.setInt16(0, value);
      else view.setInt32(0, value);
    });
  }

  #uvarint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#append([(rest % 128) + 128]);
    this.#append([rest]);
  }

  #number(width: 1 | 2 | 4 | 8, set: (view: DataView) => void): void {
    const view = new DataView(new ArrayBuffer(width));
    set(view);
    this.#append(new Uint8Array(view.buffer));
  }

  #append(bytes: Iterable<number>): void {
    for (const byte of bytes) this.out.push(byte);
  }
}

/** Equality of a value and a default, member by member. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return a === b;
  if (a instanceof Uint8Array) return a.length === 0; // the default is empty too
  if (Array.isArray(a)) return a.length === 0; // the default is empty too
  const other = b as Members; // proof: two structs of the same table
  return Object.entries(a).every(([name, value]) => isSame(value, other[name]));
}
