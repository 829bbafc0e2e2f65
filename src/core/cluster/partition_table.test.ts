import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type NodeId, nodeId, offset, type Slot } from "../base/ids.ts";
import { PartitionTable } from "./partition_table.ts";

const one = nodeId(1);
const two = nodeId(2);

/** Restarts `leader` and opens the next epoch of the partition at `end`. */
function restart(table: PartitionTable, at: Slot, leader: NodeId, end: number): boolean {
  table.assignAll(leader);
  return table.seal(at, table.epochOf(at), end);
}

function chain(table: PartitionTable, at: Slot): [number, number][] {
  return table.chainOf(at).map(({ epoch, start }) => [epoch, start]);
}

describe("cluster: partition table", () => {
  test("a new partition is open in epoch 1 from offset 0", () => {
    const table = new PartitionTable();
    const at = table.add(0, 0, one);
    expect(table.isOpen(at)).toBe(true);
    expect(chain(table, at)).toEqual([[1, 0]]);
    expect(table.epochEnd(at, 1, offset(7))).toEqual({ epoch: 1, end: 7 } as never);
  });

  test("a registration moves the partitions of that leader only, and they recover", () => {
    const table = new PartitionTable();
    const mine = table.add(0, 0, one);
    const other = table.add(0, 1, two);
    expect(table.assignAll(one)).toBe(1);
    expect([table.epochOf(mine), table.sinceOf(mine), table.isOpen(mine)]).toEqual([
      2,
      2,
      false,
    ] as never);
    expect([table.epochOf(other), table.isOpen(other)]).toEqual([1, true] as never);
  });

  test("an epoch that ends where it started leaves the chain at once", () => {
    const table = new PartitionTable();
    const at = table.add(0, 0, one);
    for (let start = 0; start < 5; start += 1) restart(table, at, one, 0);
    expect(chain(table, at)).toEqual([[6, 0]]);
    restart(table, at, one, 10);
    restart(table, at, one, 10);
    expect(chain(table, at)).toEqual([
      [6, 0],
      [8, 10],
    ]);
  });

  test("epochs with records stay, void ones between them do not", () => {
    const table = new PartitionTable();
    const at = table.add(0, 0, one);
    restart(table, at, one, 10);
    table.assignAll(one);
    restart(table, at, one, 25);
    expect(chain(table, at)).toEqual([
      [1, 0],
      [2, 10],
      [4, 25],
    ]);
    const ends = [0, 1, 2, 3, 4, 5].map((epoch) =>
      Object.values(table.epochEnd(at, epoch, offset(30))),
    );
    expect(ends).toEqual([
      [0, 0],
      [1, 10],
      [2, 25],
      [2, 25],
      [4, 30],
      [-1, -1],
    ]);
  });

  test("a seal is refused for another epoch, twice, below the start, and below the log start", () => {
    const table = new PartitionTable();
    const at = table.add(0, 0, one);
    expect(table.seal(at, 1, 5)).toBe(false);
    restart(table, at, one, 5);
    expect(table.seal(at, 2, 9)).toBe(false);
    table.assignAll(one);
    expect(table.seal(at, 2, 9)).toBe(false);
    expect(table.seal(at, 3, 4)).toBe(false);
    table.trim(at, 8);
    expect(table.seal(at, 3, 7)).toBe(false);
    expect(table.seal(at, 3, 8)).toBe(true);
  });

  test("trim points only rise, and epochs below them leave the chain", () => {
    const table = new PartitionTable();
    const at = table.add(0, 0, one);
    for (const end of [10, 20, 30]) restart(table, at, one, end);
    expect(table.trim(at, 15)).toBe(true);
    expect(table.trim(at, 15)).toBe(false);
    expect(table.trim(at, 3)).toBe(false);
    expect(chain(table, at)).toEqual([
      [2, 10],
      [3, 20],
      [4, 30],
    ]);
    expect(table.epochEnd(at, 1, offset(40))).toEqual({ epoch: 1, end: 15 } as never);
    table.trim(at, 30);
    expect(chain(table, at)).toEqual([[4, 30]]);
  });

  test("an epoch that was trimmed to its end leaves the chain when it is sealed", () => {
    const table = new PartitionTable();
    const at = table.add(0, 0, one);
    table.trim(at, 50);
    restart(table, at, one, 50);
    expect(chain(table, at)).toEqual([[2, 50]]);
  });

  test("cells of trimmed and removed chains are used again", () => {
    const table = new PartitionTable();
    const a = table.add(0, 0, one);
    let end = 0;
    for (let i = 0; i < 10; i += 1) restart(table, a, one, (end += 1));
    const bytes = table.bytes;
    for (let i = 0; i < 1000; i += 1) {
      restart(table, a, one, (end += 1));
      table.trim(a, end - 5);
    }
    expect(table.bytes).toBe(bytes);
    table.remove(a);
    const b = table.add(1, 0, one);
    for (let i = 1; i <= 10; i += 1) restart(table, b, one, i);
    expect(table.bytes).toBe(bytes);
    expect([a, b, table.topicOf(a)]).toEqual([0, 1, -1] as never);
  });

  test("the chain is what a plain list of epochs says (any history)", () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant("restart" as const), end: fc.nat(40), opens: fc.boolean() }),
      fc.record({ kind: fc.constant("trim" as const), to: fc.nat(60) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
        const table = new PartitionTable();
        const at = table.add(0, 0, one);
        let epoch = 1;
        let starts: [number, number][] = [[1, 0]];
        let logStart = 0;
        let open = true;
        const drop = (): void => {
          starts = starts.filter(
            (_, i) => i === starts.length - 1 || (starts[i + 1]?.[1] ?? 0) > logStart,
          );
        };
        for (const act of actions) {
          if (act.kind === "restart") {
            table.assignAll(one);
            epoch += 1;
            open = false;
            if (act.opens) {
              const last = starts.at(-1) ?? [0, 0];
              const holds = act.end >= last[1] && act.end >= logStart;
              expect(table.seal(at, epoch, act.end)).toBe(holds);
              if (holds) {
                if (act.end === last[1]) starts.pop();
                starts.push([epoch, act.end]);
                open = true;
              }
            }
          } else {
            expect(table.trim(at, act.to)).toBe(act.to > logStart);
            logStart = Math.max(logStart, act.to);
          }
          drop();
          expect(chain(table, at)).toEqual(starts);
          expect(table.isOpen(at)).toBe(open);
        }
        const copy = new PartitionTable();
        const placed = copy.add(0, 0, two);
        copy.place(placed, table.placeOf(at));
        expect(copy.placeOf(placed)).toEqual(table.placeOf(at));
      }),
    );
  });
});
