// Values of any message in any version, drawn from its table: what the property tests, the
// differential tests and the fuzz loop are fed with.

import fc from "fast-check";
import { apis } from "../../src/wire/apis.ts";
import { readUuid } from "../../src/wire/text.ts";
import {
  type AnyMessage,
  defaultOf,
  elementOf,
  isLive,
  isNullable,
  membersOf,
} from "../../src/wire/layout.ts";
import type { FieldSpec } from "../../proto/schema.ts";
import {
  GroupMetadataKey,
  GroupMetadataValue,
  OffsetCommitKey,
  OffsetCommitValue,
} from "../../proto/records/consumer_offsets.ts";
import {
  ConsumerProtocolAssignment,
  ConsumerProtocolSubscription,
} from "../../proto/records/consumer_protocol.ts";
import { Everything, EverythingOld } from "./everything.ts";

/** Every message that has a table, and two that hold what no real one has. */
export const allMessages: readonly AnyMessage[] = [
  ...Object.values(apis).flatMap((api) => [api.request, api.response]),
  OffsetCommitKey,
  OffsetCommitValue,
  GroupMetadataKey,
  GroupMetadataValue,
  ConsumerProtocolSubscription,
  ConsumerProtocolAssignment,
  Everything,
  EverythingOld,
];

/** Every pair of message and version. */
export const allVersions: readonly (readonly [AnyMessage, number])[] = allMessages.flatMap(
  (message) => {
    const [first, last] = message.versions;
    return Array.from({ length: last - first + 1 }, (_, i) => [message, first + i] as const);
  },
);

const text = fc.oneof(
  { weight: 6, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
  { weight: 1, arbitrary: fc.string({ minLength: 60, maxLength: 300 }) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", minLength: 60, maxLength: 90 }) },
);
const byteString = fc.uint8Array({ maxLength: 200 });
const int64 = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.constant(-1));
const uuid = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => readUuid(new DataView(bytes.buffer, bytes.byteOffset), 0));

function scalar(field: FieldSpec): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case "bool":
      return fc.boolean();
    case "int8":
      return fc.integer({ min: -0x80, max: 0x7f });
    case "int16":
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case "uint16":
      return fc.integer({ min: 0, max: 0xffff });
    case "int32":
      return fc.integer();
    case "int64":
      return field.unsafe === "null-at-max" ? fc.option(int64, { nil: null }) : int64;
    case "float64":
      return fc.double();
    case "string":
      return text;
    case "uuid":
      return uuid;
    default:
      return byteString;
  }
}

/** A live value; a good part of them defaults, so that tagged members come and go. */
function live(field: FieldSpec, version: number): fc.Arbitrary<unknown> {
  let value: fc.Arbitrary<unknown>;
  if (field.kind === "struct") value = valuesOf(field, version);
  else if (field.kind === "array") {
    value = fc.array(live(elementOf(field), version), { maxLength: 4 });
  } else value = scalar(field);
  if (isNullable(field, version)) value = fc.option(value, { nil: null, freq: 4 });
  if (field.tag !== null || field.default !== undefined) {
    const byDefault = defaultOf(field);
    const allowed = byDefault !== null || isNullable(field, version) || field.kind === "int64";
    if (allowed) value = fc.oneof(value, fc.constant(byDefault));
  }
  return value;
}

/** Structs of the table as decoding would give them: members that the version lacks are default. */
export function valuesOf(field: FieldSpec, version: number): fc.Arbitrary<Record<string, unknown>> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const [name, member] of membersOf(field)) {
    members[name] = isLive(member, version)
      ? live(member, version)
      : fc.constant(null).map(() => defaultOf(member));
  }
  return fc.record(members, { noNullPrototype: true });
}
