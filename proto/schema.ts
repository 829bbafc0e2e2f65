// The vocabulary of message tables: a message is data, its TypeScript type is inferred from it, and
// `wire/` compiles its codec. Nothing here runs on a hot path.

import type {
  LeaderEpoch,
  NodeId,
  None,
  Offset,
  PartitionIndex,
  ProducerId,
  TopicId,
} from "../src/core/base/ids.ts";

export type Kind =
  | "bool"
  | "int8"
  | "int16"
  | "uint16"
  | "int32"
  | "int64"
  | "float64"
  | "string"
  | "uuid"
  | "bytes"
  | "records"
  | "array"
  | "struct";

/**
 * What decoding does with an int64 of 2^53 or more (either sign): refuse the message, take the
 * nearest safe integer, or read 2^63-1 as null and refuse the rest.
 */
export type Unsafe = "refuse" | "saturate" | "null-at-max";

export interface FieldSpec {
  readonly kind: Kind;
  /** First version that carries the field. */
  readonly since: number;
  /** Last version that carries the field. */
  readonly until: number;
  /** First version in which null may be sent. */
  readonly nullableSince: number;
  /** Number of a tagged field (flexible versions only), else null. */
  readonly tag: number | null;
  /**
   * Value in versions that lack the field; undefined = null where nullable, else the kind's zero.
   */
  readonly default: unknown;
  /** A value other than the default may be dropped by a version that lacks the field. */
  readonly ignorable: boolean;
  readonly unsafe: Unsafe;
  /** Element of an array. */
  readonly of: FieldSpec | null;
  /** Members of a struct, in wire order. */
  readonly fields: Readonly<Record<string, FieldSpec>> | null;
}

/** A field of a message. `T` is its decoded type. Every method returns a new field. */
export class Field<T> {
  declare readonly type: T;
  readonly spec: FieldSpec;

  constructor(spec: FieldSpec) {
    this.spec = spec;
  }

  since(version: number): Field<T> {
    return new Field({ ...this.spec, since: version });
  }

  until(version: number): Field<T> {
    return new Field({ ...this.spec, until: version });
  }

  nullable(since = 0): Field<T | null> {
    return new Field({ ...this.spec, nullableSince: since });
  }

  tag(number: number): Field<T> {
    return new Field({ ...this.spec, tag: number });
  }

  default(value: T): Field<T> {
    return new Field({ ...this.spec, default: value });
  }

  ignorable(): Field<T> {
    return new Field({ ...this.spec, ignorable: true });
  }

  /** A promise about meaning, not a check: whoever uses the value checks its range. */
  as<U extends T>(): Field<U> {
    return new Field(this.spec);
  }
}

/**
 * "No such version": the `until` of a field that is still there, the `flexible` of old messages.
 */
export const versionMax = 32767;

function leaf<T>(kind: Kind, unsafe: Unsafe = "refuse"): Field<T> {
  return new Field({
    kind,
    since: 0,
    until: versionMax,
    nullableSince: versionMax,
    tag: null,
    default: undefined,
    ignorable: false,
    unsafe,
    of: null,
    fields: null,
  });
}

export const bool = leaf<boolean>("bool");
export const int8 = leaf<number>("int8");
export const int16 = leaf<number>("int16");
export const uint16 = leaf<number>("uint16");
export const int32 = leaf<number>("int32");
export const int64 = leaf<number>("int64");
/** For values that are only compared, so that a hostile one fails by itself, not its neighbours. */
export const int64Saturated = leaf<number>("int64", "saturate");
export const float64 = leaf<number>("float64");
export const string = leaf<string>("string");
/** 16 bytes, decoded to 22 characters of base64url; all zero = `noTopicId`. */
export const uuid = leaf<TopicId>("uuid");
/** A view of the decoded buffer, not a copy. */
export const bytes = leaf<Uint8Array>("bytes");
/** Record batches: a view of the decoded buffer, never parsed by the message codec. */
export const records = leaf<Uint8Array>("records");

export const offset = int64.as<Offset | None>();
export const offsetSaturated = int64Saturated.as<Offset | None>();
/** 2^63-1 on the wire says "the sender does not support this field": null. */
export const offsetOrAbsent = leaf<Offset | None | null>("int64", "null-at-max");
export const leaderEpoch = int32.as<LeaderEpoch | None>();
export const nodeId = int32.as<NodeId | None>();
export const partitionIndex = int32.as<PartitionIndex>();
export const producerId = int64.as<ProducerId | None>();

export type Fields = Readonly<Record<string, Field<unknown>>>;
export type Struct<F extends Fields> = { readonly [K in keyof F]: F[K]["type"] };

export function struct<F extends Fields>(fields: F): Field<Struct<F>> {
  const specs: Record<string, FieldSpec> = {};
  for (const [name, field] of Object.entries(fields)) specs[name] = field.spec;
  return new Field({ ...leaf<never>("struct").spec, fields: specs });
}

export function array<T>(of: Field<T>): Field<readonly T[]>;
export function array<F extends Fields>(of: F): Field<readonly Struct<F>[]>;
export function array(of: Field<unknown> | Fields): Field<unknown> {
  const element = of instanceof Field ? of : struct(of);
  return new Field({ ...leaf<never>("array").spec, of: element.spec });
}

/** One message in all its versions. `root` is a struct. */
export interface Message<F extends Fields> {
  readonly name: string;
  readonly versions: readonly [first: number, last: number];
  /** First flexible version: compact lengths, and tagged fields at the end of every struct. */
  readonly flexible: number;
  /** A later version than the last is read as the last, and the bytes behind it are ignored. */
  readonly forward: boolean;
  readonly root: Field<Struct<F>>;
}

/** A Kafka API: its key and the two messages that share its versions. */
export interface Api<Q extends Fields, R extends Fields> {
  readonly name: string;
  readonly key: number;
  readonly versions: readonly [first: number, last: number];
  readonly flexible: number;
  readonly request: Message<Q>;
  readonly response: Message<R>;
}

export function message<F extends Fields>(
  name: string,
  of: { versions: readonly [number, number]; flexible: number; forward?: boolean; fields: F },
): Message<F> {
  const { versions, flexible, forward = false } = of;
  return { name, versions, flexible, forward, root: struct(of.fields) };
}

export function api<Q extends Fields, R extends Fields>(
  name: string,
  of: {
    key: number;
    versions: readonly [number, number];
    flexible: number;
    request: Q;
    response: R;
  },
): Api<Q, R> {
  const { key, versions, flexible } = of;
  return {
    name,
    key,
    versions,
    flexible,
    request: message(`${name}Request`, { versions, flexible, fields: of.request }),
    response: message(`${name}Response`, { versions, flexible, fields: of.response }),
  };
}

export type MessageOf<M> = M extends Message<infer F> ? Struct<F> : never;
export type RequestOf<A> = A extends Api<infer Q, Fields> ? Struct<Q> : never;
export type ResponseOf<A> = A extends Api<Fields, infer R> ? Struct<R> : never;
