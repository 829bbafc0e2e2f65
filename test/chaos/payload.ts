// Records that are a function of where they belong, so that a checker needs no copy of what was
// written to know every byte of it.

import type { NewRecord, StoredRecord } from "../harness/batch.ts";

/** Seeded pseudo-random numbers (sfc32); the same seed gives the same run of numbers. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    this.#c = 0x9e3779b9 | 0;
    for (let round = 0; round < 12; round += 1) this.word();
  }

  /** 32 bits, signed. */
  word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum;
  }

  /** 0 <= result < limit. */
  below(limit: number): number {
    return Math.floor(((this.word() >>> 0) / 2 ** 32) * limit);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

/** Where the records of one partition come from. */
export interface Source {
  readonly seed: number;
  readonly topic: string;
  readonly partition: number;
}

/**
 * An hour ago, so that no timestamp lies in the future. It must not be much older: Apache Kafka
 * forgets an idempotent producer whose last record is older than a day.
 */
const firstTimestamp = Date.now() - 3_600_000;

function valueSize(random: Random): number {
  if (random.chance(2)) return 20_000 + random.below(40_000);
  return random.chance(30) ? random.below(20) : 100 + random.below(1500);
}

/** Record number `sequence` of a source. */
export function recordOf(source: Source, sequence: number): NewRecord {
  const random = new Random(
    source.seed ^ Bun.hash.crc32(source.topic),
    source.partition * 7919 + sequence,
  );
  const value = Buffer.alloc(valueSize(random));
  let at = 0;
  for (; at + 4 <= value.length; at += 4) value.writeInt32LE(random.word(), at);
  for (; at < value.length; at += 1) value[at] = random.word();
  return {
    key: Buffer.from(`${source.topic}/${source.partition}/${sequence}`),
    value,
    headers: sequence % 7 === 0 ? [["sequence", Buffer.from(String(sequence))]] : [],
    timestamp: firstTimestamp + sequence,
  };
}

/**
 * The sequence number of a stored record, or what is wrong with it. Its key says which record it
 * claims to be; every byte is then compared with the one that was sent.
 */
export function sequenceOf(source: Source, stored: StoredRecord): number | string {
  const key = Buffer.from(stored.key ?? []).toString("utf8");
  const prefix = `${source.topic}/${source.partition}/`;
  const sequence = Number(key.slice(prefix.length));
  if (!key.startsWith(prefix) || !Number.isSafeInteger(sequence)) return `key ${key}`;
  const sent = recordOf(source, sequence);
  if (!same(sent.value, stored.value)) return `value of ${key}`;
  if (sent.timestamp !== stored.timestamp) return `timestamp of ${key}`;
  const headers = sent.headers ?? [];
  if (headers.length !== stored.headers.length) return `headers of ${key}`;
  const equal = headers.every(([name, value], index) => {
    const [storedName, storedValue] = stored.headers[index] ?? [];
    return name === storedName && same(value, storedValue ?? null);
  });
  return equal ? sequence : `headers of ${key}`;
}

function same(left: Uint8Array | null, right: Uint8Array | null): boolean {
  if (left === null || right === null) return left === right;
  return Buffer.compare(left, right) === 0;
}
