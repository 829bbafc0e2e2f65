// The log: what a line holds, which level it takes, and how it reads on a terminal.

import { expect, test } from "bun:test";
import { createLog, prettyLine } from "./log.ts";

function lines(level: "debug" | "info" | "warn" | "error"): string[] {
  const written: string[] = [];
  const log = createLog(level, { write: (line) => void written.push(line) });
  log.debug("opened", { connection: 7 });
  log.info("ready", { address: "127.0.0.1:9092", ms: 41 });
  log.warn("recovered", { tornBytes: 0 });
  log.error("damaged", { segment: 3 });
  return written;
}

test("server: a log line is JSON with level, time, event and flat fields", () => {
  const line: unknown = JSON.parse(lines("info")[0] ?? "");
  expect(line).toEqual({
    level: "info",
    time: expect.stringMatching(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z$/),
    event: "ready",
    address: "127.0.0.1:9092",
    ms: 41,
  });
});

test("server: the log takes its level and above", () => {
  expect(lines("debug")).toHaveLength(4);
  expect(lines("info")).toHaveLength(3);
  expect(lines("warn")).toHaveLength(2);
  expect(lines("error")).toHaveLength(1);
});

test("server: on a terminal a log line is one line for eyes", () => {
  const json =
    '{"level":"warn","time":"2026-11-24T10:00:01.204Z","event":"slow","disk":"a b","ms":7}\n';
  expect(prettyLine(json, false)).toBe('10:00:01.204 warn  slow disk="a b" ms=7\n');
  expect(prettyLine(json, true)).toContain("\u001b[33mwarn \u001b[0m slow");
});
