import { expect, test } from "bun:test";
import fc from "fast-check";
import { Alarm, Alarms } from "./alarms.ts";

function ringer(): { alarms: Alarms<string>; rung: string[]; advance: (now: number) => void } {
  const alarms = new Alarms<string>();
  const rung: string[] = [];
  return { alarms, rung, advance: (now) => alarms.advance(now, (owner) => rung.push(owner)) };
}

test("coordinator: an alarm rings once, when it is due", () => {
  const { alarms, rung, advance } = ringer();
  const alarm = new Alarm("a");
  alarms.set(alarm, 0, 50);
  advance(40);
  expect(rung).toEqual([]);
  advance(50);
  advance(1_000);
  expect(rung).toEqual(["a"]);
});

test("coordinator: an alarm may move back and forth, and off", () => {
  const { alarms, rung, advance } = ringer();
  const [back, forth, off] = [new Alarm("back"), new Alarm("forth"), new Alarm("off")];
  alarms.set(back, 0, 100);
  alarms.set(back, 0, 300);
  alarms.set(forth, 0, 300);
  alarms.set(forth, 0, 100);
  alarms.set(off, 0, 100);
  alarms.off(off);
  advance(200);
  expect(rung).toEqual(["forth"]);
  advance(400);
  expect(rung).toEqual(["forth", "back"]);
});

test("coordinator: alarms ring as a plain list of deadlines says (random moves)", () => {
  const step = fc.record({
    wait: fc.nat(25_000),
    alarm: fc.nat(3),
    delay: fc.option(fc.nat(40_000)),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { alarms, rung, advance } = ringer();
      const each = ["a", "b", "c", "d"].map((name) => new Alarm(name));
      const due = new Map<string, number>();
      let now = 0;
      for (const { wait, alarm, delay } of steps) {
        now += wait - (wait % 10);
        advance(now);
        const late = [...due].filter(([, at]) => at <= now).map(([name]) => name);
        for (const name of late) due.delete(name);
        expect([...rung.splice(0)].sort()).toEqual(late.sort());
        const chosen = each[alarm];
        if (chosen === undefined) continue;
        if (delay === null) {
          alarms.off(chosen);
          due.delete(chosen.owner);
        } else {
          // The wheel counts in tens; a deadline of now is due at the next look.
          const at = now + 10 + delay - (delay % 10);
          alarms.set(chosen, now, at);
          due.set(chosen.owner, at);
        }
      }
    }),
    { numRuns: 300 },
  );
});
