// Shapes that more than one route takes or gives. The OpenAPI document shows them as they stand here.

import { type TSchema, Type } from "@sinclair/typebox";
import { httpPageMax } from "../../core/base/limits.ts";

export const offsetSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const partitionSchema = Type.Integer({ minimum: 0, maximum: 2_147_483_647 });
export const nodeSchema = Type.Integer({ minimum: 0, maximum: 2_147_483_647 });
export const timeSchema = Type.String({
  description: "RFC 3339, with milliseconds.",
  examples: ["2026-01-02T03:04:05.678Z"],
});
export const topicNameSchema = Type.String({
  minLength: 1,
  maxLength: 249,
  examples: ["orders"],
});

export const problemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: "What is wrong, and what to do next." }),
    instance: Type.Optional(Type.String()),
    kafkaCode: Type.Optional(Type.Integer()),
    retryable: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: true },
);

/** Members of the query of every list. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: httpPageMax, description: "Rows of one page." }),
  ),
  cursor: Type.Optional(Type.String({ description: "nextCursor of the page before." })),
  prefix: Type.Optional(Type.String({ description: "Only names that begin so." })),
};

export function pageOf<T extends TSchema>(row: T) {
  return Type.Object({
    items: Type.Array(row),
    nextCursor: Type.Union([Type.String(), Type.Null()]),
  });
}

interface PageAsked {
  readonly limit?: number;
  readonly cursor?: string;
  readonly prefix?: string;
}

interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

const pageDefault = 100;

/** The rows behind the cursor, by name. */
export function paged<T>(
  rows: readonly T[],
  nameOf: (row: T) => string,
  { limit = pageDefault, cursor = "", prefix = "" }: PageAsked,
): Page<T> {
  const sorted = rows
    .filter((row) => nameOf(row).startsWith(prefix) && nameOf(row) > cursor)
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const items = sorted.slice(0, limit);
  const last = items[items.length - 1];
  const more = last !== undefined && sorted.length > items.length;
  return { items, nextCursor: more ? nameOf(last) : null };
}

export function isoTime(ms: number): string | null {
  return ms >= 0 && ms <= 8.64e15 ? new Date(ms).toISOString() : null;
}
