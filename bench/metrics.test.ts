import { describe, expect, test } from "bun:test";
import { parseMetrics } from "./metrics.ts";

describe("metrics", () => {
  test("metrics: plain samples count, comments and samples with labels do not", () => {
    const text = '# HELP a b\n# TYPE a counter\na 12\nb_total 1.5e+3\nc{thread="x"} 7\n';
    expect(Object.fromEntries(parseMetrics(text))).toEqual({ a: 12, b_total: 1500 });
  });
});
