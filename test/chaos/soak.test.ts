import { describe, expect, test } from "bun:test";
import { drift, lows } from "./soak.ts";

/** A sample each five seconds for so many minutes. */
function timesOf(minutes: number): number[] {
  return Array.from({ length: minutes * 12 }, (_, index) => 180 + index * 5);
}

/** What a collector makes of a constant need: up for `period` samples, then down again. */
function saw(index: number, period: number): number {
  return 150 + (30 * (index % period)) / period;
}

describe("soak", () => {
  test("soak: drift is the growth over the whole time, as a share of the median", () => {
    const times = timesOf(12);
    const grown = times.map((_, index) => 100 + (10 * index) / (times.length - 1));
    expect(drift(times, grown)).toBeCloseTo(10 / 105);
    expect(
      drift(
        times,
        times.map(() => 7),
      ),
    ).toBe(0);
  });

  test("soak: the lows of a collector's saw are flat, whatever its period", () => {
    const times = timesOf(12);
    for (const period of [3, 7, 13, 19, 23]) {
      const lowest = lows(
        times,
        times.map((_, index) => saw(index, period)),
      );
      expect(lowest.values).toHaveLength(6);
      expect(Math.abs(drift(lowest.times, lowest.values))).toBeLessThan(0.01);
    }
  });

  test("soak: a leak below a saw is seen (2 % in 12 minutes)", () => {
    const times = timesOf(12);
    for (const period of [3, 7, 13, 19]) {
      const leaking = times.map((_, index) => saw(index, period) + (3.6 * index) / times.length);
      const lowest = lows(times, leaking);
      expect(drift(lowest.times, lowest.values)).toBeGreaterThan(0.01);
    }
  });

  test("soak: a window that has hardly begun does not count", () => {
    const times = [...timesOf(4), 180 + 240, 180 + 245];
    const values = times.map((_, index) => (index < 48 ? 100 : 130));
    expect(lows(times, values)).toEqual({ times: [0, 120], values: [100, 100] });
  });
});
