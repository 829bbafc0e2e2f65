// Medians, ratios of pairs and their uncertainty. Pure and deterministic: the resampling has a fixed
// seed, so the same samples always give the same interval.

export interface Interval {
  readonly median: number;
  /** Bounds of the 95 % bootstrap interval of the median. */
  readonly low: number;
  readonly high: number;
}

const resampleCount = 4_000;

/** Of an even number of values the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  if (sorted.length % 2 === 1) return upper;
  return ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** `ours[i] / theirs[i]` for each pair; the lists have one length. */
export function pairRatios(ours: readonly number[], theirs: readonly number[]): number[] {
  if (ours.length !== theirs.length) throw new Error("pairs need two lists of one length");
  return ours.map((value, index) => value / (theirs[index] ?? Number.NaN));
}

/**
 * Median with the percentile bootstrap interval (Efron): medians of samples drawn with replacement,
 * their 2.5 and 97.5 percentiles. With few pairs it is wide, and that is the message.
 */
export function medianInterval(values: readonly number[]): Interval {
  const random = xorshift32(0x9e3779b9);
  const medians: number[] = [];
  for (let index = 0; index < resampleCount; index += 1) {
    const drawn = values.map(() => values[random() % values.length] ?? Number.NaN);
    medians.push(median(drawn));
  }
  medians.sort((left, right) => left - right);
  return {
    median: median(values),
    low: medians[Math.floor(resampleCount * 0.025)] ?? Number.NaN,
    high: medians[Math.ceil(resampleCount * 0.975) - 1] ?? Number.NaN,
  };
}

/** Marsaglia's xorshift with the triple 13, 17, 5; unsigned 32-bit results, never 0. */
function xorshift32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/**
 * Theil-Sen slope of `values` over `times`, per unit of time: the median of the slopes between all
 * pairs of points. A few outliers, such as a collector's peaks, do not move it.
 */
export function slope(times: readonly number[], values: readonly number[]): number {
  const slopes: number[] = [];
  for (const [left, leftTime] of times.entries()) {
    for (let right = left + 1; right < times.length; right += 1) {
      const run = (times[right] ?? Number.NaN) - leftTime;
      slopes.push(((values[right] ?? Number.NaN) - (values[left] ?? Number.NaN)) / run);
    }
  }
  return median(slopes);
}

/** Three significant digits: more would claim a precision that no run has. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
