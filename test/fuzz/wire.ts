// Fuzzes the doors of `src/wire`: every message in every version, request headers, record batches.
//
//   bun test/fuzz/wire.ts [seed] [seconds]
//
// A seed and a count of rounds repeat a run exactly. What must hold for any bytes:
//   a value or a refusal, never another exception;
//   a value has no more array elements than bytes, and survives being encoded and decoded again;
//   the reference interpreter gives the same judgement and the same value;
//   no input takes longer than 100 ms, judged again alone before it counts.

import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { factStride } from "../../src/core/base/facts.ts";
import { batchHeaderBytes, checkBatch, stampCrc } from "../../src/wire/batch.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/codec.ts";
import { decodeRequestHeader } from "../../src/wire/frame.ts";
import { interpretDecode } from "../../src/wire/interpreter.ts";
import type { AnyMessage } from "../../src/wire/layout.ts";
import { buildBatch, readBatch } from "../../src/wire/records.ts";
import { isRefused } from "../../src/wire/refusal.ts";
import { Writer } from "../../src/wire/writer.ts";
import { allVersions, valuesOf } from "../wire/arbitrary.ts";
import { mutate } from "../wire/mutate.ts";

const samplesPerPair = 6;
const hangMs = 100;

interface Target {
  readonly message: AnyMessage;
  readonly version: number;
  readonly corpus: readonly Uint8Array[];
}

export interface FuzzReport {
  readonly seed: number;
  readonly rounds: number;
  readonly accepted: number;
  readonly refused: number;
}

/** Mulberry32: 32 bits of state, good enough to choose damage. */
function dice(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

function targets(seed: number): readonly Target[] {
  const writer = new Writer();
  return allVersions.map(([message, version]) => {
    const values = fc.sample(valuesOf(message.root.spec, version), {
      seed,
      numRuns: samplesPerPair,
    });
    const corpus = values.map((value) => {
      writer.reset();
      encodeMessage(message, version, writer, value);
      return writer.written().slice();
    });
    return { message, version, corpus };
  });
}

/** A finding: the words, and the bytes that show it. */
class Finding extends Error {
  constructor(what: string, bytes: Uint8Array) {
    super(`${what}: ${Buffer.from(bytes).toString("hex")}`);
  }
}

function countElements(value: unknown): number {
  if (Array.isArray(value)) {
    return value.reduce((sum: number, one) => sum + 1 + countElements(one), 0);
  }
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return 0;
  return Object.values(value).reduce((sum: number, one) => sum + countElements(one), 0);
}

const writer = new Writer();

/** One input of one message. Returns whether it was accepted. */
function judge({ message, version }: Target, bytes: Uint8Array): boolean {
  const name = `${message.name} v${version}`;
  const decoded = decodeMessage(message, version, bytes);
  let reference: unknown;
  let refused = false;
  try {
    reference = interpretDecode(message, version, bytes);
  } catch {
    refused = true;
  }
  if (refused !== isRefused(decoded)) throw new Finding(`${name}: the codecs disagree`, bytes);
  if (isRefused(decoded)) return false;
  if (!isDeepStrictEqual(decoded, reference)) throw new Finding(`${name}: values differ`, bytes);
  if (countElements(decoded) > bytes.length) throw new Finding(`${name}: too many elements`, bytes);
  writer.reset();
  encodeMessage(message, version, writer, decoded);
  const again = decodeMessage(message, version, writer.bytes, 0, writer.position);
  if (!isDeepStrictEqual(again, decoded)) throw new Finding(`${name}: no round trip`, bytes);
  return true;
}

const facts = new Float64Array(factStride);

/** Any bytes as a batch, and again with a CRC that holds, so that the records are walked. */
function judgeBatch(bytes: Uint8Array): void {
  checkBatch(bytes, 0, bytes.length, facts, 0);
  if (!facts.every((fact) => Number.isFinite(fact))) throw new Finding("facts not finite", bytes);
  const records = readBatch(bytes);
  if (isRefused(records) || bytes.length < batchHeaderBytes) return;
  stampCrc(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
  checkBatch(bytes, 0, bytes.length, facts, 0);
}

/**
 * Runs `rounds` rounds, or until `until` says stop; only then is time judged, since a busy machine
 * must not decide a test. Throws the first finding.
 */
export function fuzzWire(seed: number, rounds: number, until?: () => boolean): FuzzReport {
  const next = dice(seed);
  const all = targets(seed);
  const records = Array.from({ length: 3 }, (_, i) => ({
    key: i === 1 ? null : new Uint8Array(i * 40),
    value: new Uint8Array(i),
    headers: [{ key: "h", value: i === 0 ? null : new Uint8Array(2) }],
    timestamp: 1_700_000_000_000 + i * 1000,
  }));
  const batch = buildBatch(records);
  let accepted = 0;
  let round = 0;
  for (; round < rounds && !(round % 256 === 0 && until?.() === true); round += 1) {
    const target = all[next() % all.length];
    const source = target?.corpus[next() % samplesPerPair];
    if (target === undefined || source === undefined) throw new Error("every pair has its corpus");
    const damage = Array.from({ length: 2 + (next() % 4) * 2 }, next);
    const bytes = mutate(source, damage);
    const started = performance.now();
    if (judge(target, bytes)) accepted += 1;
    const slow = performance.now() - started > hangMs;
    if (slow && until !== undefined) judgeAgain(target, bytes);
    if (round % 4 === 0) judgeBatch(mutate(batch, damage));
    if (round % 4 === 1) decodeRequestHeader(bytes, 0, bytes.length);
  }
  return { seed, rounds: round, accepted, refused: round - accepted };
}

/** The machine may have been busy: only an input that is slow three times over counts. */
function judgeAgain(target: Target, bytes: Uint8Array): void {
  const started = performance.now();
  judge(target, bytes);
  if (performance.now() - started > hangMs * 3) throw new Finding("slow", bytes);
}

if (import.meta.main) {
  const seed = Number(process.argv[2] ?? Math.floor(Math.random() * 2 ** 31));
  const stop = performance.now() + Number(process.argv[3] ?? 60) * 1000;
  console.error(`seed ${seed}`);
  const report = fuzzWire(seed, Number.POSITIVE_INFINITY, () => performance.now() > stop);
  console.log(JSON.stringify({ fuzz: "wire", ...report }));
}
