import { describe, expect, test } from "bun:test";
import { type CopysetStrategy, nodesetOf, positionOf, rowOf, rowsOf } from "../base/copyset.ts";
import { nodeId } from "../base/ids.ts";
import { Random } from "../base/random.ts";
import { generateTable } from "./copyset_tables.ts";

const strategies: readonly CopysetStrategy[] = [
  "per_partition",
  "per_record_hybrid",
  "per_record_coordinator",
];
const leader = nodeId(0);

function tableOf(strategy: CopysetStrategy, count: number, width = 3, seed = 1, racks = 1) {
  const candidates = Array.from({ length: count }, (_, node) => ({
    node: nodeId(node),
    rack: String(node % racks),
  }));
  const random = new Random([seed, 2, 3, 4], 0);
  return generateTable(
    { id: 1, version: 1, strategy, width, leader, candidates, turn: seed },
    random,
  );
}

describe("cluster: copyset tables", () => {
  for (const strategy of strategies)
    test(`cluster: every row has distinct members and never too few (${strategy})`, () => {
      for (let count = 3; count <= 50; count += 1)
        for (const width of [1, 2, 3]) {
          const { members } = tableOf(strategy, count, width, count);
          expect(members.length % width).toBe(0);
          for (let from = 0; from < members.length; from += width)
            expect(new Set(members.slice(from, from + width)).size).toBe(width);
        }
    });

  test("cluster: per-partition has one row, the leader first", () => {
    expect(rowsOf(tableOf("per_partition", 9))).toBe(1);
    expect(tableOf("per_partition", 9).members[0]).toBe(leader);
  });

  test("cluster: hybrid has the leader in every row, the others equally often", () => {
    const table = tableOf("per_record_hybrid", 9);
    for (let row = 0; row < rowsOf(table); row += 1) expect(positionOf(table, row, leader)).toBe(0);
    for (let node = 1; node < 9; node += 1)
      expect(table.members.filter((member) => member === node)).toHaveLength(2);
  });

  test("cluster: coordinator keeps the leader out, and uses every other node equally often", () => {
    for (let count = 4; count <= 50; count += 1)
      for (let seed = 1; seed < 6; seed += 1) {
        const table = tableOf("per_record_coordinator", count, 3, seed);
        expect(nodesetOf(table)).toHaveLength(count - 1);
        expect(nodesetOf(table)).not.toContain(leader);
        const uses = new Set(
          nodesetOf(table).map((node) => table.members.filter((one) => one === node).length),
        );
        expect(uses.size).toBe(1);
      }
  });

  test("cluster: coordinator takes the leader in where the rows need it", () => {
    expect(nodesetOf(tableOf("per_record_coordinator", 3))).toHaveLength(3);
  });

  test("cluster: the row of one partition spans the racks", () => {
    const { members } = tableOf("per_partition", 9, 3, 3, 3);
    expect(new Set([...members].slice(1).map((node) => node % 3)).size).toBe(2);
  });

  for (const strategy of ["per_record_hybrid", "per_record_coordinator"] as const)
    test(`cluster: blocks spread evenly over the nodes (${strategy}, 10 nodes, 1,024 blocks)`, () => {
      const table = tableOf(strategy, 10);
      const placement = { table, salt: 5, shift: 12, writeQuorum: 2 };
      const load = new Map<number, number>();
      for (let block = 0; block < 1024; block += 1) {
        const row = rowOf(placement, block * 4096);
        for (const node of table.members.slice(row * 3, row * 3 + 3))
          if (node !== leader) load.set(node, (load.get(node) ?? 0) + 1);
      }
      expect(load.size).toBe(9);
      const loads = [...load.values()];
      const mean = loads.reduce((sum, one) => sum + one, 0) / loads.length;
      expect(Math.max(...loads) / mean).toBeLessThan(1.02);
      expect(Math.min(...loads) / mean).toBeGreaterThan(0.98);
    });
});
