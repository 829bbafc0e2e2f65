// A small crowd of hostile clients. The large one is `bun test/chaos/hostile.ts`; how much of their
// speed the good ones keep is judged there, because other work on the machine decides it as well.

import { expect, test } from "bun:test";
import { growthMbMax, hostile } from "./hostile.ts";

const hostility = { idle: 100, slow: 20, half: 10, deaf: 30, floods: 1, liars: 10 };

test("chaos: good clients get through beside hostile ones, and the node is as before (170 clients)", async () => {
  const report = await hostile({ seconds: 2, rounds: 1, hostility, settings: [] });
  expect(Math.min(...report.produce_mb_s, ...report.consume_mb_s)).toBeGreaterThan(0);
  expect(report.descriptors.most).toBeGreaterThan(report.descriptors.before + 100);
  expect(report.descriptors.after).toBeLessThan(report.descriptors.before + 10);
  expect(report.rss_mb.beside - report.rss_mb.alone).toBeLessThan(growthMbMax);
}, 240_000);
