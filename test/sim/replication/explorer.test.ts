import { expect, test } from "bun:test";
import { Explorer } from "./explorer.ts";

const testMsMax = 120_000;

test(
  "replication: no way through seal and recovery loses or shows what it must not (bounded)",
  () => {
    const bounds = { states: 20_000, walks: 150, restarts: 1, lossy: 1, ticks: 0 };
    const explored = new Explorer(bounds).run();
    expect(explored.states).toBeGreaterThanOrEqual(bounds.states);
    expect(explored.walked).toBeGreaterThan(bounds.walks * 10);
    expect(explored.sealed).toBeGreaterThan(bounds.walks / 2);
  },
  testMsMax,
);
