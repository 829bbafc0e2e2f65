// Numbers as people write and read them.

import { usageError } from "./failure.ts";

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** 1536 -> "1.5 KiB". */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** 612431 -> "612,431". */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function milliseconds(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

/** Local time of the day: "10:00:00.112". */
export function timeOfDay(timestamp: number): string {
  if (timestamp < 0) return "--:--:--.---";
  const date = new Date(timestamp);
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  kib: 1024,
  kb: 1000,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  mb: 1e6,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  gb: 1e9,
};

/** "1KiB", "64k", "100". */
export function parseSize(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = sizeUnits[(match?.[2] ?? "").toLowerCase()];
  if (match === null || unit === undefined) {
    throw usageError(`"${text}" is no size`, "say 100, 64k or 1MiB");
  }
  return Math.round(Number(match[1]) * unit);
}

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** "10s", "500ms", "2h", in milliseconds. */
export function parseDuration(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)$/.exec(text.trim());
  const unit = durationUnits[match?.[2] ?? ""];
  if (match === null || unit === undefined) {
    throw usageError(`"${text}" is no duration`, "say 500ms, 10s, 5m, 2h or 1d");
  }
  return Number(match[1]) * unit;
}

export function parseCount(text: string, what: string, least = 0): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least) {
    throw usageError(`${what} must be a whole number of at least ${least}, not "${text}"`);
  }
  return value;
}

/** "name=value". */
export function parsePair(text: string, what: string): readonly [name: string, value: string] {
  const at = text.indexOf("=");
  if (at <= 0) throw usageError(`${what} "${text}" has no "="`, `say ${what} NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}
