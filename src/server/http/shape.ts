// What a client may send, judged by one TypeBox schema that the OpenAPI document shows as well. A
// name that nothing is called is refused with the one that was probably meant.

import type { Static, TSchema } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler, type ValueError } from "@sinclair/typebox/compiler";
import { nearest } from "../../core/base/suggestion.ts";
import { Problem } from "./problems.ts";

export class Shape<T extends TSchema> {
  readonly schema: T;
  #compiled: TypeCheck<T> | null = null;

  constructor(schema: T) {
    this.schema = schema;
  }

  #check(): TypeCheck<T> {
    this.#compiled ??= TypeCompiler.Compile(this.schema);
    return this.#compiled;
  }

  fits(value: unknown): value is Static<T> {
    return this.#check().Check(value);
  }

  /** The value, or the problem that names what is wrong with it. */
  read(value: unknown, what: string): Static<T> {
    if (this.fits(value)) return value;
    throw this.refusal(value, what);
  }

  refusal(value: unknown, what: string): Problem {
    const errors = [...this.#check().Errors(value)];
    const error = errors.find(({ message }) => message === "Unexpected property") ?? errors[0];
    const at = error?.path ?? "";
    return new Problem("validation", this.#words(error, what), { pointer: at });
  }

  #words(error: ValueError | undefined, what: string): string {
    if (error === undefined) return `${what} is not what it must be. See /docs.`;
    const name = error.path.slice(error.path.lastIndexOf("/") + 1);
    const place = error.path === "" ? what : `${what} ${error.path.slice(1).replaceAll("/", ".")}`;
    switch (error.message) {
      case "Unexpected property": {
        const meant = nearest(name, Object.keys(propertiesOf(error.schema)));
        const next =
          meant === null ? `It takes ${listOf(error.schema)}.` : `Did you mean "${meant}"?`;
        return `${what} has no member "${name}". ${next}`;
      }
      case "Expected required property":
        return `${place} is missing. Add it, or see /docs.`;
      default:
        return `${place}: ${error.message.charAt(0).toLowerCase()}${error.message.slice(1)}. Correct it and send it again.`;
    }
  }
}

/** Members of an object by their names; none where it is no object. */
export function propertiesOf(schema: TSchema): Readonly<Record<string, TSchema>> {
  const properties: unknown = schema["properties"];
  const isObject = typeof properties === "object" && properties !== null;
  return isObject ? (properties as Readonly<Record<string, TSchema>>) : {}; // proof: of TypeBox's objects
}

function listOf(schema: TSchema): string {
  const names = Object.keys(propertiesOf(schema));
  return names.length === 0 ? "none" : names.join(", ");
}

/** Texts of a query as its schema wants them: numbers and booleans are read, the rest stays text. */
export function queryOf<T extends TSchema>(shape: Shape<T>, url: string): Static<T> {
  const at = url.indexOf("?");
  const given = new Map<string, unknown>();
  if (at >= 0) {
    const properties = propertiesOf(shape.schema);
    for (const [name, text] of new URLSearchParams(url.slice(at + 1)))
      given.set(name, ofText(properties[name], text));
  }
  return shape.read(Object.fromEntries(given), "the query");
}

function ofText(schema: TSchema | undefined, text: string): unknown {
  switch (schema?.["type"]) {
    case "integer":
      return /^-?[0-9]{1,16}$/.test(text) ? Number(text) : text;
    case "boolean":
      return text === "" || text === "true" ? true : text === "false" ? false : text;
    default:
      return text;
  }
}
