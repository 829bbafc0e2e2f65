// A short run of the requests that reach a real node over real sockets.

import { expect, test } from "bun:test";
import { fuzzLive } from "./live.ts";

test("fuzz: a node lives through harmed requests and serves a good client afterwards", async () => {
  const report = await fuzzLive(5, 4000);
  expect(report.answers).toBeGreaterThan(1000);
  expect(report.errors).toBeGreaterThan(500);
  expect(report.closed).toBeGreaterThan(500);
}, 120_000);
