import { expect, test } from "bun:test";
import vectors from "../../../test/data/copyset/rows.json";
import { memberAt, negativeQuorum, positionOf, rowOf } from "./copyset.ts";

function placed(rows: readonly (readonly number[])[], salt: number, shift: number) {
  const members = Int32Array.from(rows.flat());
  const table = { id: 1, version: 1, strategy: "per_partition", width: 3, members } as const;
  return { table, salt, shift, writeQuorum: 2 };
}

test("base: rows are those of the vectors that every language computes", () => {
  expect(vectors.cases.length).toBeGreaterThan(50);
  for (const { rows, salt, shift, offset, row, members } of vectors.cases) {
    const placement = placed(rows, salt, shift);
    expect(rowOf(placement, offset)).toBe(row);
    members.forEach((node, position) => {
      expect(Number(memberAt(placement.table, row, position))).toBe(node);
      expect(positionOf(placement.table, row, memberAt(placement.table, row, position))).toBe(
        position,
      );
    });
  }
});

test("base: so many absent answers leave fewer than W members", () => {
  for (const writeQuorum of [1, 2, 3])
    expect(3 - negativeQuorum({ ...placed([[1, 2, 3]], 0, 0), writeQuorum })).toBe(writeQuorum - 1);
});
