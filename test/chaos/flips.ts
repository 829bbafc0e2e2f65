// Flips bits in the files of data directories, and reads everything that is left.
//
//   bun test/chaos/flips.ts [--count 2000] [--seed N] [--only INDEX]
//
// The directories are written and opened by the shipping library: one after a clean stop, one after
// a kill, one after a power cut whose newest group nothing proves yet. Classes of bytes take turns;
// within a class the place is random. Every fourth flip strikes a store that is open.
//
// What must hold: no byte is served that was not written; a batch that is lost answers damage, with
// the file and the position that was struck, and its stream; a flip costs one batch at most, and in
// dead bytes nothing. A flip in the group that no mark proves may look like a torn tail: it is
// a class apart. Prints one line of JSON; the first violation ends with code 1 and its place.

import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { exitOnSignals, removeScratchDir, scratchDir } from "../../bench/child.ts";
import { Random } from "./payload.ts";
import { batchKind, type Class, classes, type Frame, type Image, type Span } from "./image.ts";
import { Shelf, type Verdict, type Written } from "./shelf.ts";

export interface FlipsReport {
  readonly seed: number;
  readonly count: number;
  /** By class of the bytes: flips, and batches that answered damage. */
  readonly classes: Readonly<Record<Class, { flips: number; damaged: number }>>;
  readonly images: Readonly<Record<string, number>>;
  readonly whileOpen: number;
  /** Flips in the last group, which no mark proves, that were cut off as a torn tail. */
  readonly torn: number;
}

export class Violation extends Error {
  override readonly name = "Violation";
}

interface Subject {
  readonly name: string;
  readonly image: Image;
  readonly spans: ReadonlyMap<Class, readonly Span[]>;
}

function subjectOf(name: string, image: Image): Subject {
  const spans = Map.groupBy(image.spans(), (span) => span.class);
  for (const each of classes) {
    if (!spans.has(each)) throw new Error(`the ${name} directory has no ${each}`);
  }
  return { name, image, spans };
}

interface Flip {
  readonly subject: Subject;
  readonly span: Span;
  readonly at: number;
  readonly bit: number;
  readonly whileOpen: boolean;
}

function choose(subjects: readonly Subject[], seed: number, index: number): Flip {
  const random = new Random(seed, index);
  const subject = subjects[index % subjects.length];
  const wanted = classes[Math.floor(index / subjects.length) % classes.length];
  const spans = wanted === undefined ? undefined : subject?.spans.get(wanted);
  if (subject === undefined || spans === undefined) throw new Error("every class has its bytes");
  let left = random.below(spans.reduce((sum, span) => sum + span.end - span.start, 0));
  const span = spans.find((each) => {
    left -= each.end - each.start;
    return left < 0;
  });
  if (span === undefined) throw new Error("a place lies in a span");
  const bit = random.below(8);
  return { subject, span, at: span.end + left, bit, whileOpen: random.chance(25) };
}

function flipBit(path: string, at: number, bit: number): void {
  const fd = openSync(path, "r+");
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ (1 << bit);
  writeSync(fd, byte, 0, 1, at);
  closeSync(fd);
}

/** What one flip did, judged. Returns the batches that were lost, and whether a tail was cut. */
function judge(flip: Flip, verdict: Verdict): { damaged: number; torn: boolean } {
  const { span } = flip;
  const { frame } = span;
  if (verdict.refused !== null) throw new Violation(`the directory is refused: ${verdict.refused}`);
  if (verdict.wrong !== null) throw new Violation(verdict.wrong);
  if (verdict.missing > 0 && span.class !== "last-group") {
    throw new Violation(`${verdict.missing} batches are gone without a word`);
  }
  const [lost] = verdict.damaged;
  if (lost === undefined) return { damaged: 0, torn: verdict.missing > 0 };
  if (verdict.damaged.length > 1) throw new Violation(`${verdict.damaged.length} batches are lost`);
  if (frame === null) throw new Violation(`a batch is lost by a flip in ${span.class}`);
  judgeReport(frame, lost, verdict);
  return { damaged: 1, torn: verdict.missing > 0 };
}

/** Damage is told with file and position, and with the stream that it hit. */
function judgeReport(frame: Frame, lost: Written, verdict: Verdict): void {
  if (frame.kind !== batchKind) throw new Violation("a batch is lost by a flip in another frame");
  if (lost.stream !== frame.stream || lost.base !== frame.base) {
    throw new Violation(`batch ${lost.base} of stream ${lost.stream} is lost by a flip in another`);
  }
  const told = verdict.reports.find(
    (report) =>
      report.segment === frame.slot &&
      report.stream === frame.stream &&
      report.position >= frame.position &&
      report.position < frame.position + frame.bytes,
  );
  if (told === undefined) {
    const reports = JSON.stringify(verdict.reports);
    throw new Violation(`not reported at its place: ${reports}`);
  }
}

function words(flip: Flip, index: number, seed: number): string {
  const { subject, span, at, bit, whileOpen } = flip;
  const frame = span.frame === null ? "" : ` frame ${JSON.stringify(span.frame)}`;
  return (
    `${subject.name} directory, ${span.file} position ${at} bit ${bit} (${span.class})${frame}` +
    `${whileOpen ? ", while open" : ""}\n` +
    `again: bun test/chaos/flips.ts --seed ${seed} --only ${index}`
  );
}

async function strike(shelf: Shelf, flip: Flip, folder: string): Promise<Verdict> {
  flip.subject.image.write(folder);
  const hit = (): void => flipBit(join(folder, flip.span.file), flip.at, flip.bit);
  if (!flip.whileOpen) hit();
  return shelf.read(folder, flip.whileOpen ? hit : () => {});
}

/** `only`: one flip of the run. */
export async function flips(
  seed: number,
  count: number,
  only: number | null = null,
): Promise<FlipsReport> {
  const folder = scratchDir("flips");
  const zero = (): { flips: number; damaged: number } => ({ flips: 0, damaged: 0 });
  const byClass = Object.fromEntries(classes.map((each) => [each, zero()])) as Record<
    Class,
    { flips: number; damaged: number }
  >; // proof: one entry for every class
  const images: Record<string, number> = {};
  let tornTails = 0;
  let whileOpen = 0;
  try {
    const shelf = new Shelf();
    const made = await shelf.make(join(folder, "made"), seed);
    const subjects = [
      subjectOf("clean", made.clean),
      subjectOf("killed", made.killed),
      subjectOf("cut", made.killed.withoutLastMark().afterReboot()),
    ];
    for (const { name, image } of subjects) {
      image.write(join(folder, "whole"));
      const { refused, wrong, missing, damaged, reports } = await shelf.read(join(folder, "whole"));
      const sound = refused === null && wrong === null && missing === 0;
      if (!sound || damaged.length > 0 || reports.length > 0)
        throw new Error(`the ${name} directory is not sound before any flip: ${wrong ?? refused}`);
    }
    for (let index = only ?? 0; index < (only === null ? count : only + 1); index += 1) {
      const flip = choose(subjects, seed, index);
      try {
        const verdict = await strike(shelf, flip, join(folder, "struck"));
        const { damaged, torn } = judge(flip, verdict);
        const sum = byClass[flip.span.class];
        sum.flips += 1;
        sum.damaged += damaged;
        images[flip.subject.name] = (images[flip.subject.name] ?? 0) + 1;
        if (flip.whileOpen) whileOpen += 1;
        if (torn) tornTails += 1;
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        throw new Violation(`${error.message}\n${words(flip, index, seed)}`);
      }
    }
  } finally {
    removeScratchDir(folder);
  }
  return { seed, count, classes: byClass, images, whileOpen, torn: tornTails };
}

if (import.meta.main) {
  exitOnSignals();
  const args = process.argv.slice(2);
  const value = (name: string): number | null => {
    const at = args.indexOf(name);
    return at < 0 ? null : Number(args[at + 1]);
  };
  const seed = value("--seed") ?? Math.floor(Math.random() * 2 ** 31);
  try {
    const report = await flips(seed, value("--count") ?? 2000, value("--only"));
    console.log(JSON.stringify({ case: "flips", ...report }));
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    console.log(error.message);
    process.exit(1);
  }
}
