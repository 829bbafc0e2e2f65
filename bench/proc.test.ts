import { describe, expect, test } from "bun:test";
import { parseIo } from "./proc.ts";

describe("proc", () => {
  test("proc: of /proc/PID/io the calls on files and both directions of the disk count", () => {
    const text =
      "rchar: 10\nwchar: 20\nsyscr: 1\nsyscw: 2\nread_bytes: 30\nwrite_bytes: 40\n" +
      "cancelled_write_bytes: 50\n";
    const expected = { fileReadBytes: 10, diskReadBytes: 30, diskWrittenBytes: 40 };
    expect(parseIo(text)).toEqual(expected);
  });

  test("proc: a process that has gone did nothing", () => {
    expect(parseIo("")).toEqual({ fileReadBytes: 0, diskReadBytes: 0, diskWrittenBytes: 0 });
  });
});
