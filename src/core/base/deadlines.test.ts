import { expect, test } from "bun:test";
import fc from "fast-check";
import { Deadlines } from "./deadlines.ts";

test("base: every deadline fires once, not before its time and not after the next tick behind it", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ deadline: fc.integer({ min: 0, max: 5000 }), cancelled: fc.boolean() }),
        { maxLength: 200 },
      ),
      fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 40 }),
      (wanted, jumps) => {
        const deadlines = new Deadlines<{ deadline: number; cancelled: boolean }>();
        for (const timed of wanted) deadlines.add(timed.deadline, timed);
        const fired = new Set<object>();
        let now = 0;
        for (const jump of [...jumps, 6000]) {
          now += jump;
          deadlines.advance(now, (timed) => {
            expect(fired.has(timed)).toBe(false);
            expect(timed.deadline).toBeLessThanOrEqual(now);
            fired.add(timed);
          });
          for (const timed of wanted) {
            if (!timed.cancelled && timed.deadline <= now - 20) expect(fired.has(timed)).toBe(true);
          }
        }
        for (const timed of wanted) expect(fired.has(timed)).toBe(!timed.cancelled);
      },
    ),
  );
});
