// The judge of lines sees each kind of fault.

import { afterAll, expect, test } from "bun:test";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { LineFile, LineJudge } from "./lines.ts";

const folder = scratchDir("lines");
const file = new LineFile(folder, 2000, 500);
afterAll(() => removeScratchDir(folder));

interface Printed {
  readonly partition: number;
  readonly offset: number;
  readonly text: string;
}

/** The file as two partitions would print it. */
function printed(): Printed[] {
  return Array.from({ length: file.count }, (_, index) => ({
    partition: index % 2,
    offset: 7 + Math.floor(index / 2),
    text: file.line(index).toString(),
  }));
}

function complaints(lines: readonly Printed[], tail = ""): string[] {
  const judge = new LineJudge(file);
  const text = lines.map((line) => `${line.partition} ${line.offset} ${line.text}\n`).join("");
  const bytes = Buffer.from(text + tail);
  for (let start = 0; start < bytes.length; start += 7)
    judge.take(0, bytes.subarray(start, start + 7));
  return judge.complaints();
}

test("lines: a whole file in order has no complaints", () => {
  expect(file.count).toBeGreaterThan(10);
  expect(complaints(printed())).toEqual([]);
});

test("lines: a missing line, a repeated line and a line out of order are seen", () => {
  const all = printed();
  expect(complaints(all.slice(0, -1))).toEqual([`1 of ${file.count} lines are missing`]);
  const [first, second, third] = all;
  if (!first || !second || !third) throw new Error("the file is too short");
  const last = Math.max(...all.filter((line) => line.partition === 0).map((line) => line.offset));
  expect(complaints([...all, { ...first, offset: last + 1 }])).toHaveLength(2);
  const swapped = [{ ...first, text: third.text }, second, { ...third, text: first.text }];
  expect(complaints([...swapped, ...all.slice(3)]).length).toBeGreaterThan(0);
});

test("lines: a changed byte and a cut line are seen", () => {
  const all = printed();
  const changed = all.map((line, index) =>
    index === 4 ? { ...line, text: `${line.text}x` } : line,
  );
  expect(complaints(changed)).toHaveLength(3); // the line, the gap that it leaves, the missing line
  expect(complaints(all, "1 99 5")).toEqual(["output ends within a line: 1 99 5"]);
});

test("lines: a gap between offsets is seen", () => {
  const all = printed();
  const gapped = all.map((line, index) =>
    index < 4 ? line : { ...line, offset: line.offset + 1 },
  );
  expect(complaints(gapped)).toHaveLength(2); // once for each partition
});
