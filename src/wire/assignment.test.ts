import { expect, test } from "bun:test";
import { assignmentOf } from "./assignment.ts";

/** v0: topic "ab" with partitions 3 and 7, no bytes of the assignor's own. */
const hex = "0000 00000001 0002 6162 00000002 00000003 00000007 ffffffff";
const bytes = Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));

test("wire: an assignment names its partitions", () => {
  expect(assignmentOf(bytes)).toEqual([
    { topic: "ab", partition: 3 },
    { topic: "ab", partition: 7 },
  ]);
});

test("wire: bytes that are no assignment are none (cut anywhere, counts without end)", () => {
  for (let cut = 0; cut < bytes.length - 4; cut += 1)
    expect(assignmentOf(bytes.subarray(0, cut))).toEqual([]);
  expect(assignmentOf(Uint8Array.of(0, 0, 0x7f, 255, 255, 255, 0, 0, 0, 0))).toEqual([]);
});
