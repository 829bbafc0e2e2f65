// A data directory as bytes, and what each of them means: the format is read here by itself, so that
// a judge cannot share a mistake with the engine. Layouts: zig/frame.zig, zig/blocks.zig.

import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { crc32c } from "../../src/wire/crc32c.ts";

export const classes = [
  "frame-header",
  "payload",
  "segment-header",
  "directory",
  "checkpoint",
  "identity",
  "boot",
  "dead",
  "last-group",
] as const;
export type Class = (typeof classes)[number];

/** Bytes `start` to `end` of a file, all of one meaning. */
export interface Span {
  readonly file: string;
  readonly class: Class;
  readonly start: number;
  readonly end: number;
  readonly frame: Frame | null;
}

export interface Frame {
  readonly file: string;
  /** Number of the segment. */
  readonly slot: number;
  readonly offset: number;
  /** In the log. */
  readonly position: number;
  readonly bytes: number;
  readonly kind: number;
  readonly stream: number;
  readonly base: number;
  readonly count: number;
  /** Position up to which a sync had finished when its group closed; -1 = it does not say. */
  readonly proven: number;
}

export const batchKind = 1;
export const markKind = 6;
const paddingKind = 7;
const headerBytes = 64;
const segmentHeaderBytes = 4096;
const segmentHeaderUsed = 80;
const segmentHeaderCopy = 2048;
const markNone = 0xffffffff;
/** Cut where a header that ends in zeros is over: behind it there is nothing else. */
interface File {
  readonly size: number;
  readonly bytes: Buffer;
}

export class Image {
  readonly files: Map<string, File>;

  private constructor(files: Map<string, File>) {
    this.files = files;
  }

  static of(folder: string): Image {
    const files = new Map<string, File>();
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
      if (["log", "meta"].includes(name)) continue;
      const whole = readFileSync(join(folder, name));
      let end = whole.length;
      while (end > 0 && whole[end - 1] === 0) end -= 1;
      end = Math.min(whole.length, end + headerBytes);
      files.set(name, { size: whole.length, bytes: Buffer.from(whole.subarray(0, end)) });
    }
    return new Image(files);
  }

  /** The same with the bytes of one file changed. */
  with(name: string, change: (bytes: Buffer) => void): Image {
    const file = this.files.get(name);
    if (file === undefined) throw new Error(`no file ${name}`);
    const bytes = Buffer.from(file.bytes);
    change(bytes);
    return new Image(new Map(this.files).set(name, { ...file, bytes }));
  }

  write(folder: string): void {
    rmSync(folder, { recursive: true, force: true });
    for (const [name, { size, bytes }] of this.files) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      const fd = openSync(path, "w");
      writeSync(fd, bytes);
      ftruncateSync(fd, size);
      closeSync(fd);
    }
  }

  /** As found by the next start after the machine lost its power: another boot of the system. */
  afterReboot(): Image {
    return this.with("boot", (bytes) => {
      for (const start of [0, 4096]) {
        bytes.fill(0x5a, start + 32, start + 48);
        bytes.writeUInt32LE(crc32c(bytes, start, start + 76), start + 76);
      }
    });
  }

  /** Without the mark frame at the end, as if the process had ended a moment before. */
  withoutLastMark(): Image {
    const last = this.frames().at(-1);
    if (last === undefined || last.kind !== markKind) throw new Error("the log ends in no mark");
    return this.with(last.file, (bytes) => bytes.fill(0, last.offset, last.offset + last.bytes));
  }

  segments(): string[] {
    return [...this.files.keys()].filter((name) => /^log\/\d+\.seg$/.test(name));
  }

  /** Of the record log, in the order of the log. */
  frames(): Frame[] {
    const found = this.segments().flatMap((name) => this.#framesOf(name));
    return found.sort((a, b) => a.position - b.position);
  }

  #framesOf(name: string): Frame[] {
    const bytes = this.files.get(name)?.bytes ?? Buffer.alloc(0);
    const frames: Frame[] = [];
    if (bytes.length < segmentHeaderUsed || bytes.readUInt32LE(12) !== 1) return frames;
    const slot = bytes.readUInt32LE(48);
    const generation = bytes.readUInt32LE(52);
    const first = Number(bytes.readBigUInt64LE(56));
    for (let at = segmentHeaderBytes; at + headerBytes <= bytes.length; ) {
      if (bytes.readUInt32LE(at + 16) !== generation || bytes.readUInt32LE(at + 20) !== at) break;
      const length = bytes.readUInt32LE(at + 44);
      const kind = bytes.readUInt8(at + 2);
      const mark = bytes.readUInt32LE(at + 52);
      const position = first + at;
      const size = headerBytes + Math.ceil(length / 8) * 8;
      frames.push({
        ...{ file: name, slot, offset: at, position, bytes: headerBytes + length, kind },
        stream: bytes.readUInt32LE(at + 8),
        base: Number(bytes.readBigInt64LE(at + 24)),
        count: bytes.readUInt32LE(at + 40),
        proven: mark === markNone ? -1 : position - mark,
      });
      if (kind === paddingKind) break;
      at += size;
    }
    return frames;
  }

  /** Position from which on no mark proves that a sync had finished. */
  provenTo(): number {
    return Math.max(0, ...this.frames().map((frame) => frame.proven));
  }

  /** What every byte of the files means. Files of the metadata store are left alone. */
  spans(): Span[] {
    const spans: Span[] = [];
    const provenTo = this.provenTo();
    const frames = Map.groupBy(this.frames(), (frame) => frame.file);
    for (const [file, { size, bytes }] of this.files) {
      const add = (kind: Class, start: number, end: number, frame: Frame | null = null): void => {
        if (end > start) spans.push({ file, class: kind, start, end, frame });
      };
      if (file.endsWith(".seg") && file.startsWith("log/")) {
        add("segment-header", 0, segmentHeaderUsed);
        add("dead", segmentHeaderUsed, segmentHeaderCopy);
        add("segment-header", segmentHeaderCopy, segmentHeaderCopy + segmentHeaderUsed);
        add("dead", segmentHeaderCopy + segmentHeaderUsed, segmentHeaderBytes);
        let end = segmentHeaderBytes;
        for (const frame of frames.get(file) ?? []) {
          const { offset } = frame;
          const proven = frame.position + frame.bytes <= provenTo;
          add("dead", end, offset);
          add(proven ? "frame-header" : "last-group", offset, offset + headerBytes, frame);
          end = offset + frame.bytes;
          if (frame.kind === paddingKind) end = offset + headerBytes;
          add(proven ? "payload" : "last-group", offset + headerBytes, end, frame);
        }
        // A start looks for a frame right behind the last one.
        add("dead", end + 2 * headerBytes, size);
      } else if (file.endsWith(".dir") && file.startsWith("log/")) {
        add("directory", 0, bytes.length);
      } else if (file === "log/checkpoint") add("checkpoint", 0, bytes.length);
      else if (file === "identity" || file === "boot") {
        const used = file === "identity" ? 64 : 80;
        for (const start of [0, 4096]) add(file, start, start + used);
        add("dead", used, 4096);
      } else if (file === "LOCK") add("dead", 0, bytes.length);
    }
    return spans;
  }
}
