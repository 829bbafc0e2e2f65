// Latencies with three significant digits, and their picture in text, as the only user of
// hdr-histogram-js. Its plain build: the other one needs WebAssembly to be set up first.

import { build, type Histogram } from "hdr-histogram-js";

/** Microseconds; what is longer counts as this. */
const longest = 600_000_000;
const pictureRowsMax = 12;
const barWidth = 40;

export class Latencies {
  readonly #histogram: Histogram = build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: longest,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });

  add(ms: number): void {
    this.#histogram.recordValue(Math.max(1, Math.min(longest, Math.round(ms * 1000))));
  }

  /** Milliseconds. */
  percentile(percent: number): number {
    return this.#histogram.getValueAtPercentile(percent) / 1000;
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  get max(): number {
    return this.#histogram.maxValue / 1000;
  }

  get mean(): number {
    return this.#histogram.mean / 1000;
  }

  /** Counts between bounds that double, a line each. */
  picture(): readonly string[] {
    const rows = this.#rows();
    const most = Math.max(1, ...rows.map(({ count }) => count));
    return rows.map(({ from, to, count }) => {
      const bar = "█".repeat(Math.round((count / most) * barWidth)).padEnd(barWidth);
      const share = ((count / Math.max(1, this.count)) * 100).toFixed(1).padStart(5);
      return `${label(from)} – ${label(to)} ms  ${bar} ${share} %`;
    });
  }

  #rows(): readonly { readonly from: number; readonly to: number; readonly count: number }[] {
    const least = this.#histogram.minNonZeroValue;
    const rows = [];
    let from = 1;
    while (from * 2 <= least) from *= 2;
    for (; from <= this.#histogram.maxValue; from *= 2) {
      const count = countBelow(this.#histogram, from * 2) - countBelow(this.#histogram, from);
      rows.push({ from: from / 1000, to: (from * 2) / 1000, count });
    }
    if (rows.length <= pictureRowsMax) return rows;
    const [last] = rows.slice(-1);
    const shown = rows.slice(0, pictureRowsMax);
    const rest = rows.slice(pictureRowsMax).reduce((sum, { count }) => sum + count, 0);
    const from0 = shown.at(-1)?.to ?? 0;
    return [...shown, { from: from0, to: last?.to ?? from0, count: rest }];
  }
}

/** Values below `bound`, by the share of them. */
function countBelow(histogram: Histogram, bound: number): number {
  let low = 0;
  let high = histogram.totalCount;
  while (low < high) {
    const middle = Math.floor((low + high + 1) / 2);
    const percent = (middle / histogram.totalCount) * 100;
    if (histogram.getValueAtPercentile(percent) < bound) low = middle;
    else high = middle - 1;
  }
  return low;
}

function label(ms: number): string {
  const text = ms < 1 ? ms.toFixed(3) : ms < 10 ? ms.toFixed(2) : ms.toFixed(0);
  return text.padStart(7);
}
