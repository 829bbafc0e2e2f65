// The gate around the Zig fuzzer: what it says of runs as they really end.

import { expect, test } from "bun:test";
import { complaints } from "./zig.ts";

const report = "======= FUZZING REPORT =======\nStep: run test\nRuns: 0 -> 500576\n";
const bug =
  "failed with error.Planted\n" +
  "error: test 'lz4_fuzz.test.lz4: fuzz of the reader' exited with code 1; input saved to '.zig-cache/f/crash'\n";

test("fuzz: a search of the Zig parsers that found nothing is clean", () => {
  expect(complaints({ exitCode: 0, said: report, crashed: false })).toEqual([]);
});

test("fuzz: a bug in a Zig parser is seen although the build ends with 0", () => {
  expect(complaints({ exitCode: 0, said: bug + report, crashed: true })).toHaveLength(2);
  expect(complaints({ exitCode: 0, said: report, crashed: true })).toHaveLength(1);
  expect(complaints({ exitCode: 0, said: bug + report, crashed: false })).toHaveLength(1);
});

test("fuzz: a search of the Zig parsers that did not take place is not clean", () => {
  expect(complaints({ exitCode: 0, said: "", crashed: false })).toHaveLength(1);
  expect(complaints({ exitCode: 1, said: report, crashed: false })).toHaveLength(1);
});
