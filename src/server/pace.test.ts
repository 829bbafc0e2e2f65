import { expect, test } from "bun:test";
import { Pace, tickMs } from "./pace.ts";

/** Runs a pace until `holds`; the intervals are those that its ticks were meant to wait. */
function paced(busy: () => boolean) {
  const intervals: number[] = [];
  let holds: () => boolean = () => false;
  let done: () => void = () => {};
  const pace = new Pace((_now, intervalMs) => {
    intervals.push(intervalMs);
    if (holds()) done();
  }, busy);
  const until = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      holds = condition;
      done = resolve;
    });
  return { pace, intervals, until };
}

test("server: ticks slow down when nothing comes in, and work brings the next one at once", async () => {
  const { pace, intervals, until } = paced(() => false);
  pace.start();
  expect(intervals).toEqual([tickMs]);
  await until(() => (intervals.at(-1) ?? 0) > tickMs);
  const quick = intervals.filter((each) => each === tickMs).length;
  expect(quick).toBe(100);
  const before = intervals.length;
  pace.touch();
  expect(intervals).toHaveLength(before + 1);
  expect(intervals.at(-1)).toBe(tickMs);
  pace.stop();
});

test("server: a thread with work of its own keeps the quick pace, and comes back to it", async () => {
  let busy = true;
  const { pace, intervals, until } = paced(() => busy);
  pace.start();
  await until(() => intervals.length > 120);
  expect(new Set(intervals)).toEqual(new Set([tickMs]));
  busy = false;
  await until(() => (intervals.at(-1) ?? 0) > tickMs);
  busy = true;
  await until(() => intervals.at(-1) === tickMs);
  pace.stop();
});
