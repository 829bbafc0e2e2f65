// Some flips of every class of bytes. The long run is `bun test/chaos/flips.ts`.

import { expect, test } from "bun:test";
import { flips } from "./flips.ts";
import { classes } from "./image.ts";

/** Three directories, each class in turn, four times. */
const count = 3 * classes.length * 4;

test(`chaos: a flipped bit costs a batch that says so, or nothing (${count} flips)`, async () => {
  const report = await flips(20_260_101, count);
  for (const each of classes) expect(report.classes[each].flips).toBe(12);
  expect(report.classes.payload.damaged).toBe(12);
  expect(report.classes.dead.damaged).toBe(0);
  expect(report.whileOpen).toBeGreaterThan(0);
}, 240_000);
