// A store filled by the shipping library, and a reader of everything that it still has.

import { leaderEpoch, offset, partitionIndex, type TopicId } from "../../src/core/base/ids.ts";
import {
  type Completion,
  CompletionKind,
  Directory,
  type DirectoryOptions,
  type OpenFailure,
  resolveLibrary,
  Status,
  type Store,
} from "../../src/storage/storage.ts";
import { stampBatch } from "../../src/wire/batch.ts";
import { buildBatch } from "../../src/wire/records.ts";
import { until } from "../harness/until.ts";
import { Image, markKind } from "./image.ts";
import { Random } from "./payload.ts";

const options: DirectoryOptions = {
  segmentBytes: 1024 * 1024,
  ringBytes: 1024 * 1024,
  indexInterval: 4096,
  enableMmap: true,
  flushIntervalMs: 5,
  retentionCheckMs: 60_000,
  scrubBytesPerSecond: 0,
};
const streams = 6;
/** Of one life, and how many of them wait for one sync. */
const batches = 600;
const groupBatches = 5;
const epoch = leaderEpoch(3);
const time = 1_700_000_000_000;

/** A batch that was acknowledged, as it must be served. */
export interface Written {
  readonly stream: number;
  readonly base: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

export interface Verdict {
  /** The directory does not open, in the library's words. */
  readonly refused: string | null;
  /** Something was served that was not written, or a state is not what it was. */
  readonly wrong: string | null;
  /** Batches behind an end that is lower than it was. */
  readonly missing: number;
  readonly damaged: readonly Written[];
  readonly reports: readonly Completion[];
}

function topicOf(index: number): TopicId {
  const bytes = Buffer.alloc(16, index + 1);
  return bytes.toString("base64url") as TopicId; // proof: 16 bytes in base64url
}

function batchOf(random: Random, base: number): { count: number; bytes: Uint8Array } {
  const count = 1 + random.below(4);
  const large = random.chance(4);
  const bytes = buildBatch(
    Array.from({ length: count }, (_, i) => {
      const value = new Uint8Array(large ? 5000 + random.below(9000) : random.below(2500));
      for (let at = 0; at < value.length; at += 1) value[at] = random.word();
      return { key: null, value, timestamp: time + base + i };
    }),
  );
  return { count, bytes };
}

interface Open {
  readonly store: Store;
  readonly events: Completion[];
  readonly poll: () => void;
  close(): void;
}

export class Shelf {
  readonly #library: string;
  #written: Written[][] = [];

  constructor() {
    const resolved = resolveLibrary(".");
    if (resolved.kind !== "found") throw new Error(resolved.tried.join("\n"));
    this.#library = resolved.path;
  }

  #open(folder: string): Open | OpenFailure {
    const directory = Directory.open(this.#library, folder, options);
    if (!(directory instanceof Directory)) return directory;
    const store = directory.log;
    const events: Completion[] = [];
    const poll = (): void => {
      const progress = store.poll();
      if (progress.failure !== 0) throw new Error(`the store failed: ${progress.failure}`);
      events.push(...progress.completions);
    };
    return { store, events, poll, close: () => directory.close(true) };
  }

  /** A directory with sealed segments, a checkpoint and an open one; before and after its stop. */
  async make(folder: string, seed: number): Promise<{ clean: Image; killed: Image }> {
    const random = new Random(seed, -1);
    this.#written = Array.from({ length: streams }, () => []);
    // The checkpoint is of the first life, so the start behind the second has frames to replay.
    const first = await this.#fill(folder, random);
    first.close();
    const second = await this.#fill(folder, random);
    let killed = Image.of(folder);
    await until("segments are sealed and a mark ends the log", async () => {
      second.poll();
      await Bun.sleep(20);
      killed = Image.of(folder);
      const sealed = [...killed.files.keys()].filter((name) => /^log\/\d+\.dir$/.test(name));
      return sealed.length >= 3 && killed.frames().at(-1)?.kind === markKind;
    });
    second.close();
    return { clean: Image.of(folder), killed };
  }

  /** Appends to every stream, and waits until all of it is durable. */
  async #fill(folder: string, random: Random): Promise<Open> {
    const opened = this.#open(folder);
    if ("status" in opened) throw new Error(opened.words);
    const { store } = opened;
    for (let i = 0; i < batches; i += 1) {
      const at = random.below(streams);
      const stream = store.openStream(topicOf(at), partitionIndex(at))?.stream;
      const written = this.#written[at];
      if (stream === undefined || written === undefined) throw new Error("no stream to write to");
      const base = written.at(-1)?.end ?? 0;
      const { count, bytes } = batchOf(random, base);
      const mark = offset(base);
      const ticket = store.append(stream, epoch, offset(base), count, mark, -1, true, bytes);
      stampBatch(new DataView(bytes.buffer), 0, offset(base), epoch);
      written.push({ stream, base, end: base + count, bytes });
      if (i % groupBatches !== 0 && i !== batches - 1) continue;
      await until("the batch is durable", () => store.poll().durable >= ticket);
    }
    return opened;
  }

  /** Opens a directory, lets `hit` happen, and reads all that was ever written to it. */
  async read(folder: string, hit: () => void = () => {}): Promise<Verdict> {
    const opened = this.#open(folder);
    if ("status" in opened) {
      return { refused: opened.words, wrong: null, missing: 0, damaged: [], reports: [] };
    }
    hit();
    const damaged: Written[] = [];
    let wrong: string | null = null;
    let missing = 0;
    try {
      for (const [at, written] of this.#written.entries()) {
        const found = opened.store.openStream(topicOf(at), partitionIndex(at));
        const [first] = written;
        const last = written.at(-1);
        if (first === undefined || last === undefined) throw new Error("every stream has batches");
        if (found === null || found.stream !== first.stream) wrong ??= `stream ${at} is unknown`;
        const end = found?.end ?? 0;
        if (end > last.end) wrong ??= `stream ${at} ends at ${end} instead of ${last.end}`;
        const left = written.filter((batch) => batch.end <= end);
        missing += written.length - left.length;
        wrong ??= await this.#readStream(opened, left, end, damaged);
      }
      opened.poll();
    } finally {
      opened.close();
    }
    const reports = opened.events.filter((event) => event.kind === CompletionKind.damage);
    return { refused: null, wrong, missing, damaged, reports };
  }

  /** What is wrong with the bytes that are served, or null. */
  async #readStream(
    opened: Open,
    written: readonly Written[],
    end: number,
    damaged: Written[],
  ): Promise<string | null> {
    for (let i = 0; i < written.length; ) {
      const batch = written[i];
      if (batch === undefined) break;
      const answer = await this.#ask(opened, batch, end);
      if (answer.status === Status.damaged) {
        damaged.push(batch);
        i += 1;
        continue;
      }
      const name = `stream ${batch.stream} offset ${batch.base}`;
      if (answer.status !== Status.ok) return `${name} answers status ${answer.status}`;
      if (answer.bytes.byteLength === 0) return `${name} answers nothing`;
      for (let at = 0; at < answer.bytes.byteLength; i += 1) {
        const want = written[i]?.bytes;
        if (want === undefined) return `${name}: more is served than was written`;
        const got = answer.bytes.subarray(at, at + want.byteLength);
        if (Buffer.compare(got, want) !== 0) return `${name}: wrong bytes at batch ${i}`;
        at += want.byteLength;
      }
    }
    return null;
  }

  /**
   * One read from the files. A sorted directory that is damaged answers damage for all that it
   * speaks of until it is built again: only what stays is lost.
   */
  async #ask(
    opened: Open,
    batch: Written,
    end: number,
  ): Promise<{ status: number; bytes: Uint8Array }> {
    let answer = await this.#askOnce(opened, batch, end);
    for (let tries = 0; tries < rebuildTries && answer.status === Status.damaged; tries += 1) {
      await Bun.sleep(rebuildMs);
      answer = await this.#askOnce(opened, batch, end);
    }
    return answer;
  }

  async #askOnce(
    { store, events, poll }: Open,
    batch: Written,
    end: number,
  ): Promise<{ status: number; bytes: Uint8Array }> {
    const request = 1;
    const status = store.readLater(
      request,
      batch.stream,
      offset(batch.base),
      offset(end),
      readBytes,
      true,
    );
    if (status !== Status.ok) return { status, bytes: noBytes };
    const isOurs = (event: Completion): boolean => event.kind === CompletionKind.read;
    for (let spins = 0; !events.some(isOurs); spins += 1) {
      poll();
      if (spins > 20) await Bun.sleep(0);
    }
    const at = events.findIndex(isOurs);
    const [done] = events.splice(at, 1);
    if (done === undefined) throw new Error("a read is answered");
    return { status: done.status, bytes: store.takeSlot(done.slot, done.bytes) };
  }
}

const noBytes = new Uint8Array(0);
const readBytes = 64 * 1024;
const rebuildTries = 40;
const rebuildMs = 5;
