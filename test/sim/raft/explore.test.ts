// All runs within small bounds; the command explores larger ones.

import { expect, test } from "bun:test";
import { Explorer } from "./explore.ts";

const testMsMax = 120_000;
const none = { timeouts: 1, proposals: 0, crashes: 0, repeats: 0, states: 1_000_000 };

test(
  "sim: three Raft nodes contradict nothing (one timeout, one repeated message, all runs)",
  () => {
    const explored = new Explorer({ ...none, repeats: 1 }).run();
    expect(explored.finished).toBe(true);
    expect(explored.leaders).toBeGreaterThan(0);
    expect(explored.committed).toBeGreaterThan(0);
  },
  testMsMax,
);

test(
  "sim: three Raft nodes contradict nothing (two timeouts, a proposal, a crash, the first runs)",
  () => {
    const bounds = { timeouts: 2, proposals: 1, crashes: 1, repeats: 0, states: 50_000 };
    const explored = new Explorer(bounds).run();
    expect(explored.states).toBeGreaterThanOrEqual(bounds.states);
    expect(explored.leaders).toBeGreaterThan(0);
  },
  testMsMax,
);
