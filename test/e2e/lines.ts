// A text file of numbered lines and a judge that takes what a consumer prints: every line once, its
// bytes unchanged, and file order within each partition.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../chaos/payload.ts";

const words = [
  ..."produce fetch offset partition größe batch fsync ☃ segment epoch leader zstd".split(" "),
  ..."naïve 0000000000 ---------- aaaaaaaaaaaaaaaaaaaaaaaa {} [] \\n 'quoted' a=b,c=d".split(" "),
];

/** `first` is the number of the first line: files of one topic must not share numbers. */
export class LineFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly first: number;
  /** Start of each line, and the end of the last one behind its newline. */
  readonly #starts: Uint32Array;

  constructor(folder: string, size: number, first = 0) {
    const { text, starts } = makeLines(size, first);
    this.bytes = text;
    this.first = first;
    this.#starts = starts;
    this.path = join(folder, `lines-${first}.txt`);
    writeFileSync(this.path, text);
  }

  get count(): number {
    return this.#starts.length - 1;
  }

  /** Line number `first + index` without its newline. */
  line(index: number): Buffer {
    const start = this.#starts[index] ?? 0;
    return this.bytes.subarray(start, (this.#starts[index + 1] ?? 1) - 1);
  }
}

/** Lines from a few to some hundred bytes, some that compress well and some that do not. */
function makeLines(size: number, first: number): { text: Buffer; starts: Uint32Array } {
  const random = new Random(first + 1);
  const lines: string[] = [];
  const starts = [0];
  for (let total = 0; total < size; ) {
    const parts = [String(first + lines.length)];
    for (let count = random.below(24); count > 0; count -= 1) {
      const word = words[random.below(words.length)] ?? "";
      parts.push(random.chance(30) ? (random.word() >>> 0).toString(36) : word);
    }
    const line = `${parts.join(" ")}\n`;
    lines.push(line);
    total += Buffer.byteLength(line);
    starts.push(total);
  }
  return { text: Buffer.from(lines.join("")), starts: Uint32Array.from(starts) };
}

/** What kcat prints for a record so that `LineJudge` can read it. */
export const lineFormat = "%p %o %s\\n";

const space = 0x20;
const newline = 0x0a;

/** Takes the output of any number of consumers that share one file. */
export class LineJudge {
  readonly #file: LineFile;
  readonly #seen: Uint8Array;
  /** By partition: the last offset and the last line number. */
  readonly #last = new Map<number, { offset: number; line: number }>();
  readonly #rest = new Map<unknown, Buffer>();
  readonly #complaints: string[] = [];
  count = 0;

  constructor(file: LineFile) {
    this.#file = file;
    this.#seen = new Uint8Array(file.count);
  }

  /** Output of one consumer, cut anywhere. */
  take(consumer: unknown, chunk: Uint8Array): void {
    const rest = this.#rest.get(consumer);
    const bytes = rest === undefined ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      this.#line(bytes.subarray(start, end));
      start = end + 1;
    }
    this.#rest.set(consumer, bytes.subarray(start));
  }

  #line(printed: Buffer): void {
    const afterPartition = printed.indexOf(space);
    const afterOffset = printed.indexOf(space, afterPartition + 1);
    const partition = Number(printed.toString("latin1", 0, afterPartition));
    const offset = Number(printed.toString("latin1", afterPartition + 1, afterOffset));
    const content = printed.subarray(afterOffset + 1);
    const index = Number.parseInt(content.toString("latin1", 0, 12), 10) - this.#file.first;
    this.count += 1;
    const where = `${partition}@${offset}`;
    if (!(index >= 0 && index < this.#file.count) || !content.equals(this.#file.line(index))) {
      this.#complain(`${where} is no line of the file: ${content.toString("utf8").slice(0, 80)}`);
      return;
    }
    if (this.#seen[index] !== 0) this.#complain(`line ${index} twice, now at ${where}`);
    this.#seen[index] = 1;
    const last = this.#last.get(partition);
    if (last !== undefined && offset !== last.offset + 1) {
      this.#complain(`${where} follows offset ${last.offset}`);
    }
    if (last !== undefined && index <= last.line) {
      this.#complain(`line ${index} at ${where} follows line ${last.line}`);
    }
    this.#last.set(partition, { offset, line: index });
  }

  #complain(words: string): void {
    if (this.#complaints.length < 20) this.#complaints.push(words);
  }

  /** Everything that is wrong; empty when every line came once and in order. */
  complaints(): string[] {
    const missing = this.#seen.reduce((sum, seen) => sum + (seen === 0 ? 1 : 0), 0);
    const ends = [...this.#rest.values()].filter((rest) => rest.length > 0);
    return [
      ...this.#complaints,
      ...(missing > 0 ? [`${missing} of ${this.#file.count} lines are missing`] : []),
      ...ends.map((rest) => `output ends within a line: ${rest.toString("utf8").slice(0, 80)}`),
    ];
  }

  get partitions(): number {
    return this.#last.size;
  }
}
