// What one setting is: its name, type, default and the values it takes, as Kafka defines them
// (ConfigDef of Apache Kafka 4.4). Values are text everywhere and stay as they were given;
// DescribeConfigs has to print every digit. A number is made of them only where one is used, and
// there it is clamped to what a number holds.

import { configTextMax } from "../base/limits.ts";

export type ConfigType =
  | "boolean"
  | "string"
  | "int"
  | "short"
  | "long"
  | "double"
  | "list"
  | "class"
  | "password";

/** Codes of DescribeConfigs v3+. */
export const configTypeCodes = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
  class: 8,
  password: 9,
} as const satisfies Record<ConfigType, number>;

export type ValueRule =
  | { readonly kind: "any" }
  | { readonly kind: "range"; readonly min: number; readonly max: number }
  /** The range, or this one value beside it. */
  | { readonly kind: "range-or"; readonly min: number; readonly max: number; readonly or: number }
  /** One of these; of a list, each element. */
  | { readonly kind: "one-of"; readonly values: readonly string[] }
  /** `*`, or partition:node pairs. */
  | { readonly kind: "throttled-replicas" };

/** A broker setting that gives a topic setting its default. */
export interface Synonym {
  readonly name: string;
  /** The broker setting counts in larger units: milliseconds per unit, or 1. */
  readonly factor: number;
}

/** Whether a broker setting may be changed while the node runs, and at which level. */
export type UpdateMode = "read-only" | "per-broker" | "cluster-wide";

export interface ConfigSpec {
  readonly name: string;
  readonly type: ConfigType;
  /** Null: not set. */
  readonly default: string | null;
  readonly rule: ValueRule;
  readonly documentation: string;
  /** Strongest first. */
  readonly synonyms: readonly Synonym[];
  readonly update: UpdateMode;
}

export const any: ValueRule = { kind: "any" };
export function atLeast(min: number): ValueRule {
  return { kind: "range", min, max: Number.POSITIVE_INFINITY };
}
export function between(min: number, max: number): ValueRule {
  return { kind: "range", min, max };
}
export function oneOf(...values: string[]): ValueRule {
  return { kind: "one-of", values };
}

/** 2^63 - 1, Kafka's way to say "no limit". */
export const longMax = "9223372036854775807";
export const intMax = "2147483647";

const integerPattern = /^[+-]?[0-9]{1,40}$/;
const doublePattern = /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[fFdD]?$/;

/**
 * Largest and smallest values as digits without sign. Digits are compared as text, because a double
 * cannot tell 2^63 - 1 from 2^63.
 */
const integerLimits = {
  short: { max: "32767", min: "32768" },
  int: { max: intMax, min: "2147483648" },
  long: { max: longMax, min: "9223372036854775808" },
} as const;

function fitsInteger(text: string, type: "short" | "int" | "long"): boolean {
  if (!integerPattern.test(text)) return false;
  const negative = text.startsWith("-");
  const digits = text.replace(/^[+-]/, "").replace(/^0+(?=[0-9])/, "");
  const limit = negative ? integerLimits[type].min : integerLimits[type].max;
  if (digits.length !== limit.length) return digits.length < limit.length;
  return digits <= limit;
}

/** Elements of a list: split at commas, trimmed; an empty text is an empty list. */
export function listOf(text: string): string[] {
  const trimmed = text.trim();
  return trimmed === "" ? [] : trimmed.split(",").map((element) => element.trim());
}

/**
 * Value of a numeric setting. Beyond 2^53 - 1 the nearest safe integer: nobody counts that far, so
 * it means "no limit". `text` has passed `problemOf`.
 */
export function numberOf(text: string): number {
  const value = Number.parseFloat(text);
  if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
  if (value < -Number.MAX_SAFE_INTEGER) return -Number.MAX_SAFE_INTEGER;
  return value;
}

/** As Kafka reads booleans: any case, spaces around it. `text` has passed `problemOf`. */
export function booleanOf(text: string): boolean {
  return text.trim().toLowerCase() === "true";
}

export function tooLong(name: string): string {
  return `the value of ${name} is longer than ${configTextMax} characters`;
}

/** Why `text` is no value of the setting, in words; null when it is one. */
export function problemOf(spec: ConfigSpec, text: string): string | null {
  if (text.length > configTextMax) return tooLong(spec.name);
  const because = typeProblem(spec, text) ?? ruleProblem(spec, text);
  return because === null ? null : `${spec.name} cannot be "${text}": ${because}`;
}

function typeProblem(spec: ConfigSpec, text: string): string | null {
  const trimmed = text.trim();
  switch (spec.type) {
    case "boolean":
      return /^(true|false)$/i.test(trimmed) ? null : "it is neither true nor false";
    case "short":
    case "int":
    case "long":
      return fitsInteger(trimmed, spec.type) ? null : `it is no ${spec.type}`;
    case "double":
      return doublePattern.test(trimmed) ? null : "it is no double";
    case "list":
      return listOf(text).includes("") ? "an element of the list is empty" : null;
    case "string":
    case "class":
    case "password":
      return null;
  }
}

function ruleProblem(spec: ConfigSpec, text: string): string | null {
  const rule = spec.rule;
  switch (rule.kind) {
    case "any":
      return null;
    case "range":
      return rangeProblem(numberOf(text), rule.min, rule.max);
    case "range-or":
      if (numberOf(text) === rule.or) return null;
      if (rangeProblem(numberOf(text), rule.min, rule.max) === null) return null;
      return `it is neither ${rule.or} nor from ${rule.min} to ${rule.max}`;
    case "one-of": {
      const elements = spec.type === "list" ? listOf(text) : [text.trim()];
      const unknown = elements.find((element) => !rule.values.includes(element));
      return unknown === undefined ? null : `it is none of ${rule.values.join(", ")}`;
    }
    case "throttled-replicas": {
      const elements = listOf(text);
      if (elements.length === 1 && elements[0] === "*") return null;
      if (elements.every((element) => /^[0-9]+:[0-9]+$/.test(element))) return null;
      return "it is neither '*' nor a list of partition:node pairs";
    }
  }
}

function rangeProblem(value: number, min: number, max: number): string | null {
  if (value < min) return `it is below ${min}`;
  if (value > max) return `it is above ${max}`;
  return null;
}
