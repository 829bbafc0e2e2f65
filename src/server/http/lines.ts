// NDJSON produce: one line in, one line out, in order, while the request is still open. What arrives
// in one chunk of the body becomes one batch per partition; its lines are answered together. The
// body is read no further while too much waits for its answer, or for a client that does not read.

import {
  httpStreamsMax,
  jsonBytesMax,
  streamBytesInFlightMax,
  streamLinesInFlightMax,
} from "../../core/base/limits.ts";
import { asciiOf } from "./body.ts";
import type { Stream } from "./bridge.ts";
import { busy, Problem, stopped } from "./problems.ts";
import { linesMedia, type Producing } from "./producing.ts";
import { RecordReader } from "./record_text.ts";
import { json } from "./routes.ts";
import { Outcomes, Spread } from "./spread.ts";

const newline = 0x0a;
const encoder = new TextEncoder();
/** Problems that a summary names. */
const summaryProblemsMax = 100;

/** Lines that arrived together. */
interface Group {
  /** Number of each line, from 1. */
  readonly lines: readonly number[];
  readonly outcomes: Outcomes;
  readonly sent: readonly Promise<void>[];
}

/** `text` is what the bytes say, where it is known already. */
type TakeLine = (
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
  text: string | null,
) => void;

/** Cuts a body into lines; a line that is too long is told as null and passed over. */
class LineCutter {
  #rest = new Uint8Array(0);
  #restBytes = 0;
  #skipping = false;
  readonly #line: TakeLine;
  readonly #tooLong: () => void;

  constructor(line: TakeLine, tooLong: () => void) {
    this.#line = line;
    this.#tooLong = tooLong;
  }

  push(chunk: Uint8Array<ArrayBuffer>): void {
    // Decoding once for all lines costs a third of decoding each.
    const text = asciiOf(chunk);
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      this.#end(chunk, from, at, text);
      from = at + 1;
    }
    this.#keep(chunk, from);
  }

  /** The body is over: what is left is a line as well. */
  finish(): void {
    this.#end(this.#rest, 0, 0, null);
  }

  #end(chunk: Uint8Array<ArrayBuffer>, from: number, to: number, text: string | null): void {
    if (this.#skipping) {
      this.#skipping = false;
      return;
    }
    if (this.#restBytes === 0) return this.#tell(chunk, from, to, text?.slice(from, to) ?? null);
    this.#keep(chunk, from, to);
    const length = this.#restBytes;
    this.#restBytes = 0;
    if (this.#skipping) this.#skipping = false;
    else this.#tell(this.#rest, 0, length, null);
  }

  #tell(bytes: Uint8Array<ArrayBuffer>, from: number, to: number, text: string | null): void {
    if (to - from > jsonBytesMax) this.#tooLong();
    else this.#line(bytes, from, to, text);
  }

  #keep(chunk: Uint8Array<ArrayBuffer>, from: number, to = chunk.byteLength): void {
    if (this.#skipping || from === to) return;
    const length = this.#restBytes + (to - from);
    if (length > jsonBytesMax) {
      this.#skipping = true;
      this.#restBytes = 0;
      return this.#tooLong();
    }
    if (length > this.#rest.byteLength) {
      const wider = new Uint8Array(Math.min(jsonBytesMax, Math.max(length, 4096) * 2));
      wider.set(this.#rest.subarray(0, this.#restBytes));
      this.#rest = wider;
    }
    this.#rest.set(chunk.subarray(from, to), this.#restBytes);
    this.#restBytes = length;
  }
}

export class LineStream {
  readonly #producing: Producing;
  readonly #spread: Spread;
  readonly #reader = new RecordReader();
  readonly #cutter: LineCutter;
  readonly #body: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | null;
  readonly #groups: Group[] = [];
  #lines: number[] = [];
  #outcomes = new Outcomes();
  #sent: Promise<void>[] = [];
  /** Lines of the body so far, and of groups without an answer. */
  #line = 0;
  #linesInFlight = 0;
  /** Why no more is read; null = the body is over. */
  #ended: Problem | "body" | null = null;
  /** Wakes whoever waits for a group, and the reader that waits for room. */
  #wakeWriter: () => void = () => {};
  #wakeReader: () => void = () => {};
  answered = 0;
  failed = 0;
  /** Monotonic ms when the client sent or took something last. */
  lastActive: number;

  constructor(producing: Producing) {
    this.#producing = producing;
    this.lastActive = producing.bridge.host.now();
    this.#spread = new Spread(producing.bridge, producing.topic, producing.acks);
    this.#cutter = new LineCutter(
      (bytes, start, end, text) => this.#take(bytes, start, end, text),
      () => this.#tooLong(),
    );
    const { body } = producing.exchange.request;
    this.#body = body === null ? null : body.getReader();
  }

  get ended(): Problem | "body" | null {
    return this.#ended;
  }

  /** Reads the body to its end. Never fails. */
  async read(): Promise<void> {
    try {
      for (;;) {
        while (this.#full) await this.#room();
        if (this.#ended !== null) break;
        const next = await this.#body?.read();
        if (next === undefined || next.done) break;
        const { value: chunk } = next;
        this.lastActive = this.#producing.bridge.host.now();
        // Plain: `subarray` of a Buffer is slow, and so are its views.
        this.#cutter.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
        this.#group();
      }
      if (this.#ended === null) {
        this.#cutter.finish();
        this.#group();
        this.#ended = "body";
      }
    } catch {
      // The client went away while it sent. Lines that are answered stay valid.
      this.#ended = new Problem("bad-parameter", "the request ended early. Send the rest again.");
    }
    this.#wakeWriter();
  }

  /** No more is read; what was taken is answered. */
  end(why: Problem): void {
    this.#ended ??= why;
    void this.#body?.cancel().catch(() => {});
    this.#wakeReader();
    this.#wakeWriter();
  }

  /** The next lines with all their answers; null after the last. */
  async next(): Promise<Group | null> {
    for (;;) {
      const group = this.#groups[0];
      if (group !== undefined) {
        await Promise.all(group.sent);
        this.#groups.shift();
        this.lastActive = this.#producing.bridge.host.now();
        this.#linesInFlight -= group.lines.length;
        this.answered += group.lines.length;
        this.failed += group.outcomes.problems.size;
        this.#wakeReader();
        return group;
      }
      if (this.#ended !== null) return null;
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }

  get #full(): boolean {
    if (this.#ended !== null) return false;
    if (this.#linesInFlight > streamLinesInFlightMax) return true;
    return this.#spread.bytesInFlight > streamBytesInFlightMax;
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeReader = resolve;
    });
  }

  #take(bytes: Uint8Array<ArrayBuffer>, start: number, end: number, text: string | null): void {
    this.#line += 1;
    if (isBlank(bytes, start, end)) return;
    this.#lines.push(this.#line);
    const { bridge, query } = this.#producing;
    try {
      const wall = bridge.host.node.broker.wall;
      const record = this.#reader.read(bytes, start, end, wall, 0, "the record", text);
      const place =
        record.partition === null && query.partition !== undefined
          ? this.#spread.place({ key: record.key, partition: query.partition })
          : this.#spread.place(record);
      this.#spread.add(record, place, this.#outcomes, this.#sent);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#outcomes.refused(error);
    }
  }

  #tooLong(): void {
    this.#line += 1;
    this.#lines.push(this.#line);
    const next = "Send it as application/octet-stream.";
    const words = `the line is longer than ${jsonBytesMax} bytes. ${next}`;
    this.#outcomes.refused(new Problem("body-too-large", words, { bytesMax: jsonBytesMax }));
  }

  #group(): void {
    if (this.#lines.length === 0) return;
    this.#spread.flush(this.#outcomes, this.#sent);
    this.#groups.push({ lines: this.#lines, outcomes: this.#outcomes, sent: this.#sent });
    this.#linesInFlight += this.#lines.length;
    this.#lines = [];
    this.#outcomes = new Outcomes();
    this.#sent = [];
    this.#wakeWriter();
  }
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte !== 0x20 && byte !== 0x0d && byte !== 0x09) return false;
  }
  return true;
}

export function produceLines(producing: Producing): Response | Promise<Response> {
  const { bridge, exchange } = producing;
  if (bridge.streams.size >= httpStreamsMax) throw busy();
  exchange.patient();
  const stream = new LineStream(producing);
  let answers: ReadableStreamDefaultController | null = null;
  const running: Stream = {
    end: () => stream.end(stopped()),
    get lastActive() {
      return stream.lastActive;
    },
    giveUp: () => {
      stream.end(
        new Problem("timed-out", "the client was silent for too long. Send the rest again."),
      );
      over();
      answers?.error(new Error("the client was silent for too long"));
    },
  };
  bridge.streams.add(running);
  const over = (): boolean => bridge.streams.delete(running);
  void stream.read();
  const accepts = exchange.request.headers.get("accept") ?? "";
  if (!accepts.includes(linesMedia)) return summary(stream).finally(over);
  const body = new ReadableStream({
    start(controller) {
      answers = controller;
    },
    async pull(controller) {
      const group = await stream.next();
      if (group !== null) return controller.enqueue(encoder.encode(answersOf(group)));
      over();
      controller.enqueue(encoder.encode(`${JSON.stringify(lastLine(stream))}\n`));
      controller.close();
    },
    cancel() {
      over();
      stream.end(new Problem("bad-parameter", "the client went away."));
    },
  });
  return new Response(body, { headers: { "content-type": linesMedia } });
}

function answersOf({ lines, outcomes }: Group): string {
  const { offsets, partitions, problems } = outcomes;
  let text = "";
  for (let i = 0; i < lines.length; i += 1) {
    const problem = problems.size === 0 ? undefined : problems.get(i);
    text +=
      problem === undefined
        ? `{"line":${lines[i]},"partition":${partitions[i]},"offset":${offsets[i]}}\n`
        : `${JSON.stringify({ line: lines[i], problem: problem.body() })}\n`;
  }
  return text;
}

function lastLine(stream: LineStream): object {
  const { answered, failed, ended } = stream;
  const counts = { lines: answered, failed };
  return ended instanceof Problem
    ? { done: false, ...counts, problem: ended.body() }
    : { done: true, ...counts };
}

/** One answer when the body is over. */
async function summary(stream: LineStream): Promise<Response> {
  const problems: object[] = [];
  for (let group = await stream.next(); group !== null; group = await stream.next()) {
    for (const [i, problem] of group.outcomes.problems) {
      if (problems.length < summaryProblemsMax)
        problems.push({ line: group.lines[i], problem: problem.body() });
    }
  }
  if (stream.ended instanceof Problem) throw stream.ended;
  const body = { ...lastLine(stream), problems };
  return json(body, stream.failed > 0 ? 207 : 200);
}
