// The log: one line per event on standard error. An event is a literal name with flat fields, never
// a sentence built from values. On a terminal the line is for eyes, elsewhere it is JSON.
//
// pino without transports: those start a Worker from a file, which a compiled executable has not.

import pino from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type Fields = Readonly<Record<string, string | number>>;

export interface Log {
  debug(event: string, fields: Fields): void;
  info(event: string, fields: Fields): void;
  warn(event: string, fields: Fields): void;
  error(event: string, fields: Fields): void;
}

/** Where lines go; a test takes them from here. */
export interface Sink {
  write(line: string): void;
}

const colors: Readonly<Record<string, number>> = { debug: 90, info: 32, warn: 33, error: 31 };

/** `10:00:01.204 info  ready address=127.0.0.1:9092 ms=41` */
export function prettyLine(json: string, color: boolean): string {
  const line: unknown = JSON.parse(json);
  if (typeof line !== "object" || line === null) return json;
  const { level, time, event, ...fields } = { level: "", time: "", event: "", ...line };
  const paint = (code: number, text: string): string =>
    color ? `\u001b[${code}m${text}\u001b[0m` : text;
  const clock = time.slice("2026-01-01T".length, -1);
  const rest = Object.entries(fields).map(([name, value]) => {
    const text = String(value);
    return ` ${paint(90, `${name}=`)}${/[\s"]/.test(text) || text === "" ? JSON.stringify(text) : text}`;
  });
  return `${paint(90, clock)} ${paint(colors[level] ?? 0, level.padEnd(5))} ${event}${rest.join("")}\n`;
}

function standardError(): Sink {
  if (!process.stderr.isTTY) return pino.destination({ dest: 2, sync: false });
  const color = (process.env["NO_COLOR"] ?? "") === "";
  return { write: (line) => void process.stderr.write(prettyLine(line, color)) };
}

export function createLog(level: LogLevel, sink: Sink = standardError()): Log {
  const logger = pino(
    {
      level,
      base: null,
      messageKey: "event",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
  return {
    debug: (event, fields) => logger.debug(fields, event),
    info: (event, fields) => logger.info(fields, event),
    warn: (event, fields) => logger.warn(fields, event),
    error: (event, fields) => logger.error(fields, event),
  };
}
