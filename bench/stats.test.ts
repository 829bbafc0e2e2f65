import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { median, medianInterval, pairRatios, rounded, slope } from "./stats.ts";

const positive = fc.double({ min: 0.001, max: 1e6, noNaN: true });

describe("stats", () => {
  test("stats: the median of an odd list is its middle, of an even list the mean of two", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  test("stats: as many values lie below the median as above it", () => {
    fc.assert(
      fc.property(fc.array(positive, { minLength: 1, maxLength: 40 }), (values) => {
        const middle = median(values);
        const below = values.filter((value) => value < middle).length;
        const above = values.filter((value) => value > middle).length;
        expect(below).toBeLessThanOrEqual(values.length / 2);
        expect(above).toBeLessThanOrEqual(values.length / 2);
      }),
    );
  });

  test("stats: an interval holds the median and stays within the values", () => {
    fc.assert(
      fc.property(fc.array(positive, { minLength: 1, maxLength: 12 }), (values) => {
        const { low, high, median: middle } = medianInterval(values);
        expect(low).toBeGreaterThanOrEqual(Math.min(...values));
        expect(high).toBeLessThanOrEqual(Math.max(...values));
        expect(low).toBeLessThanOrEqual(middle);
        expect(high).toBeGreaterThanOrEqual(middle);
      }),
      { numRuns: 30 },
    );
  });

  test("stats: the interval of one value is that value, of equal values has no width", () => {
    expect(medianInterval([7])).toEqual({ median: 7, low: 7, high: 7 });
    expect(medianInterval([2, 2, 2, 2])).toEqual({ median: 2, low: 2, high: 2 });
  });

  test("stats: the same samples give the same interval", () => {
    const values = [1.2, 0.9, 1.1, 1.4, 1, 1.3, 0.8, 1.15, 1.05];
    expect(medianInterval(values)).toEqual(medianInterval(values));
    // nine pairs: a median below the second or above the eighth value is out of the 95 %
    expect(medianInterval(values).low).toBeGreaterThanOrEqual(0.9);
    expect(medianInterval(values).high).toBeLessThanOrEqual(1.3);
  });

  test("stats: pairs are divided one by one and need two lists of one length", () => {
    expect(pairRatios([2, 9], [1, 3])).toEqual([2, 3]);
    expect(() => pairRatios([1], [1, 2])).toThrow("one length");
  });

  test("stats: the slope of a line is its factor, whatever a few outliers do", () => {
    const times = [0, 1, 2, 5, 9, 11, 14];
    const line = times.map((time) => 4 + 3 * time);
    expect(slope(times, line)).toBeCloseTo(3);
    expect(slope(times, line.with(3, 1000))).toBeCloseTo(3);
    expect(slope(times, [4, 4, 4, 4, 4, 4, 4])).toBe(0);
  });

  test("stats: figures keep three digits", () => {
    expect(rounded(1234567)).toBe(1230000);
    expect(rounded(0.0123456)).toBe(0.0123);
  });
});
