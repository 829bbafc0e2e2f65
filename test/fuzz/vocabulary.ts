// What a fuzzer has learned from answers, field by field, and how it chooses among values.

import type { FieldSpec } from "../../proto/schema.ts";
import { elementOf, isLive, membersOf } from "../../src/wire/layout.ts";
import type { Random } from "../chaos/payload.ts";

/** Values remembered per field. */
const learnedMax = 8;
const learnedStringMax = 300;

export class Vocabulary {
  readonly #learned = new Map<string, unknown[]>();
  #next = 0;

  /** Takes over the scalars of an answer. */
  learn(field: FieldSpec, version: number, value: unknown, name: string): void {
    if (value === null || value === undefined) return;
    if (field.kind === "struct") {
      const struct = value as Readonly<Record<string, unknown>>; // proof: decoded by this table
      for (const [member, spec] of membersOf(field)) {
        if (isLive(spec, version)) this.learn(spec, version, struct[member], member);
      }
    } else if (field.kind === "array") {
      const elements = value as readonly unknown[]; // proof: decoded by this table
      // The first and the last stand for the rest: a long answer must not cost its length.
      for (const element of [elements[0], elements.at(-1)]) {
        this.learn(elementOf(field), version, element, name);
      }
    } else if (typeof value === "number" || typeof value === "string") {
      if (typeof value === "string" && value.length > learnedStringMax) return;
      const known = this.#learned.get(name);
      if (known === undefined) this.#learned.set(name, [value]);
      else if (known.length < learnedMax) known.push(value);
      else known[this.#next++ % learnedMax] = value;
    }
  }

  draw(name: string, type: "number" | "string", random: Random): unknown {
    const known = this.#learned.get(name);
    if (known === undefined) return undefined;
    const value = known[random.below(known.length)];
    return typeof value === type ? value : undefined;
  }
}

export function pick<T>(values: readonly T[], random: Random): T {
  const value = values[random.below(values.length)];
  if (value === undefined) throw new Error("a choice among nothing");
  return value;
}
