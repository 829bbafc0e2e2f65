// Writes the text of a decoder for one message in one version: flat locals, one object literal per
// struct with all members in table order, and one bounds check per run of fixed-size members.
//
// Names in the text: `bytes`, `view`, `p` (position), `end`, `left` (array elements still allowed),
// `reader`, and what codec.ts binds: fail, readString, readUuid, noBytes, noTopicId.

import { taggedFieldsMax } from "../core/base/limits.ts";
import type { FieldSpec } from "../../proto/schema.ts";
import {
  defaultOf,
  elementOf,
  fixedBytes,
  inlineMembers,
  isNullable,
  membersOf,
  minBytes,
  taggedMembers,
} from "./layout.ts";
import { Source } from "./source.ts";

/** Longest array that is allocated at its full length at once; longer ones grow. */
const preallocatedMax = 4096;

export function decoderText(root: FieldSpec, version: number, flexible: boolean): string {
  const writer = new DecoderText(version, flexible);
  const value = writer.struct(root);
  writer.source.line(`return ${value};`);
  return [
    "function decode(reader, start, end) {",
    "  const bytes = reader.bytes, view = reader.view;",
    "  let p = start, left = reader.elementsLeft;",
    writer.source.text(),
    "}",
  ].join("\n");
}

class DecoderText {
  readonly source = new Source();
  readonly #version: number;
  readonly #flexible: boolean;

  constructor(version: number, flexible: boolean) {
    this.#version = version;
    this.#flexible = flexible;
  }

  /** Emits the reading of a struct and returns the text of its object literal. */
  struct(field: FieldSpec): string {
    const texts = new Map<string, string>();
    const tagged = taggedMembers(field, this.#version);
    for (const { name, field: member } of tagged) {
      const local = this.source.local(name);
      this.source.line(`let ${local} = ${this.#default(member)};`);
      texts.set(name, local);
    }
    const run: (readonly [string, FieldSpec])[] = [];
    for (const [name, member] of inlineMembers(field, this.#version)) {
      if (fixedBytes(member) > 0) {
        run.push([name, member]);
        continue;
      }
      this.#fixedRun(run.splice(0), texts, false);
      const local = this.source.local(name);
      this.source.line(`let ${local};`);
      this.#read(member, local);
      texts.set(name, local);
    }
    const endsInTags = this.#flexible;
    this.#fixedRun(run, texts, endsInTags);
    if (endsInTags) this.#tags(tagged, texts);
    const members = membersOf(field).map(([name, member]) => {
      const text = texts.get(name);
      return `${name}: ${text ?? this.#default(member)}`;
    });
    return `{ ${members.join(", ")} }`;
  }

  /** Reads neighbours of fixed size behind one bounds check, which may include a byte of tags. */
  #fixedRun(
    run: readonly (readonly [string, FieldSpec])[],
    texts: Map<string, string>,
    tagByte: boolean,
  ): void {
    let size = tagByte ? 1 : 0;
    for (const [, member] of run) size += fixedBytes(member);
    if (size === 0) return;
    this.source.line(`if (end - p < ${size}) fail("truncated");`);
    let at = 0;
    for (const [name, member] of run) {
      const local = this.source.local(name);
      this.#fixed(member, local, at === 0 ? "p" : `p + ${at}`, at);
      texts.set(name, local);
      at += fixedBytes(member);
    }
    if (at > 0) this.source.line(`p += ${at};`);
  }

  #fixed(field: FieldSpec, local: string, position: string, at: number): void {
    const line = (text: string) => this.source.line(`const ${local} = ${text};`);
    switch (field.kind) {
      case "bool":
        return line(`bytes[${position}] !== 0`);
      case "int8":
        return line(`view.getInt8(${position})`);
      case "int16":
        return line(`view.getInt16(${position})`);
      case "uint16":
        return line(`view.getUint16(${position})`);
      case "int32":
        return line(`view.getInt32(${position})`);
      case "float64":
        return line(`view.getFloat64(${position})`);
      case "uuid":
        return line(`readUuid(view, ${position})`);
      default:
        return this.#int64(field, local, position, at);
    }
  }

  #int64(field: FieldSpec, local: string, position: string, at: number): void {
    const low = `view.getUint32(p + ${at + 4})`;
    this.source.line(`let ${local} = view.getInt32(${position}) * 4294967296 + ${low};`);
    this.source.open(`if (${local} > 9007199254740991 || ${local} < -9007199254740991) {`);
    if (field.unsafe === "saturate") {
      this.source.line(`${local} = ${local} > 0 ? 9007199254740991 : -9007199254740991;`);
    } else if (field.unsafe === "null-at-max") {
      const high = `view.getInt32(${position}) !== 2147483647`;
      this.source.line(`if (${high} || ${low} !== 4294967295) fail("unsafe-int64");`);
      this.source.line(`${local} = null;`);
    } else {
      this.source.line(`fail("unsafe-int64");`);
    }
    this.source.close();
  }

  /** Emits the reading of a live value into a local that exists. */
  #read(field: FieldSpec, local: string): void {
    const { source } = this;
    if (fixedBytes(field) > 0) {
      const texts = new Map<string, string>();
      this.#fixedRun([["fixed", field]], texts, false);
      source.line(`${local} = ${texts.get("fixed") ?? ""};`);
      return;
    }
    const nullable = isNullable(field, this.#version);
    if (field.kind === "struct") {
      if (!nullable) {
        source.line(`${local} = ${this.struct(field)};`);
        return;
      }
      source.line('if (p >= end) fail("truncated");');
      source.line("p += 1;");
      source.open("if (bytes[p - 1] > 127) {");
      source.line(`${local} = null;`);
      source.close("} else {");
      source.line(`${local} = ${this.struct(field)};`);
      source.close();
      return;
    }
    const length = this.#length(field.kind === "string" ? 2 : 4);
    source.open(`if (${length} < 0) {`);
    source.line(nullable ? `${local} = null;` : 'fail("null");');
    source.close("} else {");
    if (field.kind === "array") {
      this.#array(elementOf(field), local, length);
    } else {
      source.line(`if (${length} > end - p) fail("truncated");`);
      const text =
        field.kind === "string"
          ? `readString(bytes, p, ${length})`
          : `bytes.subarray(p, p + ${length})`;
      source.line(`${local} = ${text};`);
      source.line(`p += ${length};`);
    }
    source.close();
  }

  /** Emits the reading of a length or count, below 0 for null. `width`: its bytes when not compact. */
  #length(width: 2 | 4): string {
    const { source } = this;
    const local = source.local("n");
    if (this.#flexible) {
      source.line('if (p >= end) fail("truncated");');
      source.line(`let ${local} = bytes[p] - 1;`);
      source.open(`if (${local} < 127) {`);
      source.line("p += 1;");
      source.close("} else {");
      source.line(`${local} = reader.uvarint(p, end) - 1;`);
      source.line("p = reader.position;");
      source.close();
      return local;
    }
    source.line(`if (end - p < ${width}) fail("truncated");`);
    source.line(`const ${local} = view.getInt${width * 8}(p);`);
    source.line(`p += ${width};`);
    return local;
  }

  #array(element: FieldSpec, local: string, count: string): void {
    const { source } = this;
    const bytesMin = minBytes(element, this.#version, this.#flexible);
    source.line(`if (${count} * ${bytesMin} > end - p) fail("count");`);
    source.line(`left -= ${count};`);
    source.line('if (left < 0) fail("count");');
    source.line(`${local} = ${count} > ${preallocatedMax} ? [] : new Array(${count});`);
    const index = source.local("i");
    source.open(`for (let ${index} = 0; ${index} < ${count}; ${index} += 1) {`);
    const width = fixedBytes(element);
    if (width > 0) {
      // The count was judged by this width, so the bytes are there.
      const value = source.local("element");
      this.#fixed(element, value, "p", 0);
      source.line(`${local}[${index}] = ${value};`);
      source.line(`p += ${width};`);
    } else if (element.kind === "struct") {
      source.line(`${local}[${index}] = ${this.struct(element)};`);
    } else {
      const value = source.local("element");
      source.line(`let ${value};`);
      this.#read(element, value);
      source.line(`${local}[${index}] = ${value};`);
    }
    source.close();
  }

  /**
   * The tagged section, whose first byte is known to be there. Unless it is empty, known tags by
   * switch, the others skipped by length.
   */
  #tags(
    tagged: readonly { name: string; field: FieldSpec; tag: number }[],
    texts: ReadonlyMap<string, string>,
  ): void {
    const { source } = this;
    source.open("if (bytes[p] === 0) {");
    source.line("p += 1;");
    source.close("} else {");
    if (tagged.length === 0) {
      source.line("p = reader.skipTags(p, end);");
      source.close();
      return;
    }
    const count = source.local("count");
    const index = source.local("i");
    const previous = source.local("previous");
    const tag = source.local("tag");
    const size = source.local("size");
    const stop = source.local("stop");
    source.line(`const ${count} = reader.uvarint(p, end);`);
    source.line("p = reader.position;");
    source.line(`if (${count} > ${taggedFieldsMax}) fail("tags");`);
    source.line(`let ${previous} = -1;`);
    source.open(`for (let ${index} = 0; ${index} < ${count}; ${index} += 1) {`);
    source.line(`const ${tag} = reader.uvarint(p, end);`);
    source.line(`if (${tag} <= ${previous}) fail("tags");`);
    source.line(`${previous} = ${tag};`);
    source.line(`const ${size} = reader.uvarint(reader.position, end);`);
    source.line("p = reader.position;");
    source.line(`if (${size} > end - p) fail("truncated");`);
    source.line(`const ${stop} = p + ${size};`);
    source.open(`switch (${tag}) {`);
    for (const member of tagged) {
      source.open(`case ${member.tag}: {`);
      this.#read(member.field, texts.get(member.name) ?? "");
      source.line("break;");
      source.close();
    }
    source.line(`default: p = ${stop};`);
    source.close();
    source.line(`if (p !== ${stop}) fail("tags");`);
    source.close();
    source.close();
  }

  /** A value for a member that this version, or this message, does not carry. */
  #default(field: FieldSpec): string {
    return literal(field, defaultOf(field));
  }
}

/** A default as program text. */
export function literal(field: FieldSpec, value: unknown): string {
  if (value === null) return "null";
  switch (field.kind) {
    case "uuid":
      return "noTopicId";
    case "bytes":
    case "records":
      return "noBytes";
    case "array":
      return "[]";
    case "struct": {
      const members = membersOf(field).map(
        ([name, member]) => `${name}: ${literal(member, defaultOf(member))}`,
      );
      return `{ ${members.join(", ")} }`;
    }
    default:
      return JSON.stringify(value);
  }
}
