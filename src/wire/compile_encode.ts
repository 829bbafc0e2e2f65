// Writes the text of an encoder for one message in one version: one reservation per run of
// fixed-size members, lengths first, tagged members last. Values that the version cannot carry are
// bugs of ours and fail an assertion that names the field.
//
// Names in the text: `writer`, `bytes`, `view`, `p` (position), and what codec.ts binds: bug,
// writeUuid, noTopicId.

import type { FieldSpec } from "../../proto/schema.ts";
import {
  defaultOf,
  elementOf,
  fixedBytes,
  inlineMembers,
  isLive,
  isNullable,
  membersOf,
  taggedMembers,
  type TaggedMember,
} from "./layout.ts";
import { Source } from "./source.ts";

export function encoderText(
  name: string,
  root: FieldSpec,
  version: number,
  flexible: boolean,
): string {
  const text = new EncoderText(version, flexible);
  text.struct(root, "value", name);
  text.source.line("writer.position = p;");
  return [
    "function encode(writer, value) {",
    "  let bytes = writer.bytes, view = writer.view, p = writer.position;",
    text.source.text(),
    "}",
  ].join("\n");
}

interface Fixed {
  readonly field: FieldSpec;
  /** Text of the value. */
  readonly value: string;
  readonly path: string;
}

class EncoderText {
  readonly source = new Source();
  readonly #version: number;
  readonly #flexible: boolean;

  constructor(version: number, flexible: boolean) {
    this.#version = version;
    this.#flexible = flexible;
  }

  struct(field: FieldSpec, value: string, path: string): void {
    const { source } = this;
    for (const [name, member] of membersOf(field)) {
      if (isLive(member, this.#version) || member.ignorable) continue;
      const text = `${path}.${name} is not in this version`;
      source.line(`if (!(${isDefault(member, `${value}.${name}`)})) bug("${text}");`);
    }
    const run: Fixed[] = [];
    for (const [name, member] of inlineMembers(field, this.#version)) {
      const fixed = { field: member, value: `${value}.${name}`, path: `${path}.${name}` };
      if (fixedBytes(member) > 0) {
        run.push(fixed);
        continue;
      }
      this.#fixedRun(run.splice(0), false);
      const local = source.local(name);
      source.line(`const ${local} = ${fixed.value};`);
      this.#write(member, local, fixed.path);
    }
    const tagged = this.#flexible ? taggedMembers(field, this.#version) : [];
    const emptyTags = this.#flexible && tagged.length === 0;
    this.#fixedRun(run, emptyTags);
    if (tagged.length > 0) this.#tags(tagged, value, path);
  }

  /** Writes neighbours of fixed size behind one reservation; `tagByte` adds an empty tag section. */
  #fixedRun(run: readonly Fixed[], tagByte: boolean): void {
    const { source } = this;
    let size = tagByte ? 1 : 0;
    for (const { field } of run) size += fixedBytes(field);
    if (size === 0) return;
    this.#reserve(String(size));
    let at = 0;
    for (const fixed of run) {
      this.#fixed(fixed, at);
      at += fixedBytes(fixed.field);
    }
    if (tagByte) source.line(`bytes[p + ${at}] = 0;`);
    source.line(`p += ${size};`);
  }

  #fixed({ field, value, path }: Fixed, at: number): void {
    const { source } = this;
    const local = source.local("x");
    source.line(`const ${local} = ${value};`);
    const require = (condition: string) =>
      source.line(`if (!(${condition})) bug("${path} fits its type");`);
    switch (field.kind) {
      case "bool":
        require(`typeof ${local} === "boolean"`);
        return source.line(`bytes[p + ${at}] = ${local} ? 1 : 0;`);
      case "int8":
        require(`(${local} << 24) >> 24 === ${local}`);
        return source.line(`bytes[p + ${at}] = ${local};`);
      case "int16":
        require(`(${local} << 16) >> 16 === ${local}`);
        return source.line(`view.setInt16(p + ${at}, ${local});`);
      case "uint16":
        require(`(${local} & 65535) === ${local}`);
        return source.line(`view.setUint16(p + ${at}, ${local});`);
      case "int32":
        require(`(${local} | 0) === ${local}`);
        return source.line(`view.setInt32(p + ${at}, ${local});`);
      case "float64":
        require(`typeof ${local} === "number"`);
        return source.line(`view.setFloat64(p + ${at}, ${local});`);
      case "uuid":
        return source.line(`writeUuid(bytes, p + ${at}, ${local});`);
      default:
        return this.#int64(field, local, path, at);
    }
  }

  #int64(field: FieldSpec, local: string, path: string, at: number): void {
    const { source } = this;
    const absent = field.unsafe === "null-at-max";
    if (absent) {
      source.open(`if (${local} === null) {`);
      source.line(`view.setInt32(p + ${at}, 2147483647);`);
      source.line(`view.setInt32(p + ${at + 4}, -1);`);
      source.close("} else {");
    }
    source.line(`if (!Number.isSafeInteger(${local})) bug("${path} is a safe integer");`);
    source.line(`view.setInt32(p + ${at}, Math.floor(${local} / 4294967296));`);
    source.line(`view.setInt32(p + ${at + 4}, ${local} | 0);`);
    if (absent) source.close();
  }

  /** Writes a live value held in a local. */
  #write(field: FieldSpec, local: string, path: string): void {
    const { source } = this;
    if (fixedBytes(field) > 0) return this.#fixedRun([{ field, value: local, path }], false);
    const nullable = isNullable(field, this.#version);
    source.open(`if (${local} === null) {`);
    if (nullable) this.#null(field);
    else source.line(`bug("${path} is not null");`);
    source.close("} else {");
    switch (field.kind) {
      case "struct":
        if (nullable) {
          source.line("writer.reserve(p, 1);");
          this.#reload();
          source.line("bytes[p] = 1;");
          source.line("p += 1;");
        }
        this.struct(field, local, path);
        break;
      case "array":
        this.#array(elementOf(field), local, path);
        break;
      default:
        source.line(`p = writer.${this.#method(field)}(p, ${local});`);
        this.#reload();
    }
    source.close();
  }

  #method(field: FieldSpec): string {
    switch (field.kind) {
      case "string":
        return this.#flexible ? "compactString" : "string";
      case "records":
        return this.#flexible ? "compactRecords" : "sizedRecords";
      default:
        return this.#flexible ? "compactBytes" : "sizedBytes";
    }
  }

  #null(field: FieldSpec): void {
    const { source } = this;
    source.line("writer.reserve(p, 4);");
    this.#reload();
    if (field.kind === "struct") {
      source.line("bytes[p] = 255;");
      source.line("p += 1;");
    } else if (this.#flexible) {
      source.line("bytes[p] = 0;");
      source.line("p += 1;");
    } else {
      const width = field.kind === "string" ? 2 : 4;
      source.line(`view.setInt${width * 8}(p, -1);`);
      source.line(`p += ${width};`);
    }
  }

  #array(element: FieldSpec, local: string, path: string): void {
    const { source } = this;
    const count = source.local("n");
    source.line(`const ${count} = ${local}.length;`);
    // Elements of fixed size are reserved with the count, all at once.
    const width = fixedBytes(element);
    this.#reserve(width > 0 ? `5 + ${count} * ${width}` : "5");
    if (this.#flexible) {
      source.open(`if (${count} < 127) {`);
      source.line(`bytes[p] = ${count} + 1;`);
      source.line("p += 1;");
      source.close("} else {");
      source.line(`p = writer.uvarint(p, ${count} + 1);`);
      source.close();
    } else {
      source.line(`view.setInt32(p, ${count});`);
      source.line("p += 4;");
    }
    const index = source.local("i");
    const value = source.local("element");
    source.open(`for (let ${index} = 0; ${index} < ${count}; ${index} += 1) {`);
    source.line(`const ${value} = ${local}[${index}];`);
    if (width > 0) {
      this.#fixed({ field: element, value, path }, 0);
      source.line(`p += ${width};`);
    } else if (element.kind === "struct") this.struct(element, value, path);
    else this.#write(element, value, path);
    source.close();
  }

  /** Makes room for as many bytes as the text `size` says. */
  #reserve(size: string): void {
    this.source.open(`if (p + ${size} > bytes.length) {`);
    this.source.line(`writer.reserve(p, ${size});`);
    this.#reload();
    this.source.close();
  }

  /** Only members that differ from their default are written. */
  #tags(tagged: readonly TaggedMember[], value: string, path: string): void {
    const { source } = this;
    const present = tagged.map(({ name, field }) => {
      const local = source.local(name);
      source.line(`const ${local} = !(${isDefault(field, `${value}.${name}`)});`);
      return local;
    });
    const count = present.map((local) => `(${local} ? 1 : 0)`).join(" + ");
    source.line(`p = writer.uvarint(p, ${count});`);
    this.#reload();
    tagged.forEach(({ name, field, tag }, index) => {
      source.open(`if (${present[index] ?? ""}) {`);
      const start = source.local("start");
      const local = source.local(name);
      source.line(`const ${start} = writer.uvarint(p, ${tag});`);
      source.line(`const ${local} = ${value}.${name};`);
      source.line(`writer.reserve(${start}, 1);`);
      this.#reload();
      source.line(`p = ${start} + 1;`);
      this.#write(field, local, `${path}.${name}`);
      source.line(`p = writer.patchSize(${start}, p);`);
      this.#reload();
      source.close();
    });
  }

  #reload(): void {
    this.source.line("bytes = writer.bytes; view = writer.view;");
  }
}

/** Text of the question whether `value` is the field's default. */
function isDefault(field: FieldSpec, value: string): string {
  const declared = defaultOf(field);
  if (declared === null) return `${value} === null`;
  switch (field.kind) {
    case "uuid":
      return `${value} === noTopicId`;
    case "bytes":
    case "records":
    case "array":
      return `(${value} !== null && ${value}.length === 0)`;
    case "struct":
      return membersOf(field)
        .map(([name, member]) => isDefault(member, `${value}.${name}`))
        .join(" && ");
    default:
      return `${value} === ${JSON.stringify(declared)}`;
  }
}
