import { describe, expect, test } from "bun:test";
import { startOf } from "./consume.ts";
import { CommandError } from "./failure.ts";
import {
  bytes,
  count,
  milliseconds,
  parseCount,
  parseDuration,
  parsePair,
  parseSize,
} from "./format.ts";
import { Latencies } from "./histogram.ts";

describe("cli: numbers", () => {
  test("cli: numbers are written for people", () => {
    expect([0, 1023, 1024, 1536, 150 * 1024, 5 * 1024 ** 3].map(bytes)).toEqual([
      ...["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "150 KiB", "5.0 GiB"],
    ]);
    expect(count(612_431.4)).toBe("612,431");
    expect([0.04, 3.14159, 10, 1234.5].map(milliseconds)).toEqual(["0.0", "3.1", "10", "1235"]);
  });

  test("cli: sizes, durations and pairs are read as people write them", () => {
    expect(["100", "100B", "1KiB", "64k", "1.5 MiB", "2GB"].map(parseSize)).toEqual([
      ...[100, 100, 1024, 65_536, 1_572_864, 2e9],
    ]);
    expect(["500ms", "10s", "1.5m", "2h", "1d"].map(parseDuration)).toEqual([
      ...[500, 10_000, 90_000, 7_200_000, 86_400_000],
    ]);
    expect(parsePair("a=b=c", "-c")).toEqual(["a", "b=c"]);
  });

  test("cli: what is no number is told so", () => {
    for (const text of ["", "x", "1 parsec", "-1", "1e3"]) {
      expect(() => parseSize(text)).toThrow(CommandError);
      expect(() => parseCount(text, "-n")).toThrow(CommandError);
    }
    for (const text of ["10", "s", "1w"]) expect(() => parseDuration(text)).toThrow(CommandError);
    expect(() => parseCount("0", "-n", 1)).toThrow("at least 1");
    expect(() => parsePair("=b", "-c")).toThrow('has no "="');
  });

  test("cli: a place to begin is a word, an offset, a count, a time ago or a time", () => {
    expect(startOf("latest")).toBe("latest");
    expect(startOf("12")).toEqual({ offset: 12 });
    expect(startOf("last:5")).toEqual({ last: 5 });
    expect(startOf("2026-01-31T10:00:00Z")).toEqual({ timestamp: 1_769_853_600_000 });
    const ago = startOf("-1h");
    if (typeof ago !== "object" || !("timestamp" in ago)) throw new Error("no time");
    expect(Math.abs(Date.now() - 3_600_000 - ago.timestamp)).toBeLessThan(60_000);
    expect(() => startOf("yesterday-ish")).toThrow(CommandError);
  });
});

describe("cli: latencies", () => {
  test("cli: percentiles are those of what was added, to three digits", () => {
    const latencies = new Latencies();
    for (let i = 1; i <= 1000; i += 1) latencies.add(i / 10);
    expect(latencies.count).toBe(1000);
    for (const [percent, ms] of [
      [50, 50],
      [90, 90],
      [99, 99],
      [100, 100],
    ] as const) {
      expect(Math.abs(latencies.percentile(percent) - ms)).toBeLessThan(ms / 500);
    }
  });

  test("cli: the picture counts everything once", () => {
    const latencies = new Latencies();
    for (let i = 0; i < 300; i += 1) latencies.add(1.5);
    for (let i = 0; i < 100; i += 1) latencies.add(40);
    const shares = latencies.picture().map((line) => Number(/([\d.]+) %$/.exec(line)?.[1]));
    expect(shares.reduce((sum, each) => sum + each, 0)).toBeCloseTo(100);
    expect(shares[0]).toBe(75);
    expect(shares.at(-1)).toBe(25);
    expect(new Latencies().picture()).toEqual([]);
  });
});
