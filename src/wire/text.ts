// Strings and ids between bytes and JavaScript. The same few topic names, group ids and topic ids
// arrive again and again: a small cache returns the string made before, which saves making it and
// lets a Map find it by its remembered hash.

import { assert } from "../core/base/assert.ts";
import { stringBytesMax } from "../core/base/limits.ts";
import { fail } from "./refusal.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Longest string, in bytes, that the cache keeps. */
const cachedBytesMax = 64;
const slotCount = 4096;
const slotBytes = new Uint8Array(slotCount * cachedBytesMax);
const slotLengths = new Uint8Array(slotCount);
const slotStrings: string[] = new Array<string>(slotCount).fill("");

/** `length` bytes at `start` as a string; the caller has checked that they are there. */
export function readString(bytes: Uint8Array, start: number, length: number): string {
  if (length > cachedBytesMax) return decodeUtf8(bytes, start, length);
  const end = start + length;
  // The last bytes differ most between names that belong together.
  let hash = length;
  for (let i = length > 12 ? end - 12 : start; i < end; i += 1) {
    hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  }
  const slot = (hash ^ (hash >>> 15)) & (slotCount - 1);
  let kept = slot * cachedBytesMax;
  if (slotLengths[slot] === length) {
    let i = start;
    while (i < end && bytes[i] === slotBytes[kept]) {
      i += 1;
      kept += 1;
    }
    if (i === end) return slotStrings[slot] ?? "";
  }
  const text = decodeUtf8(bytes, start, length);
  slotBytes.set(bytes.subarray(start, end), slot * cachedBytesMax);
  slotLengths[slot] = length;
  slotStrings[slot] = text;
  return text;
}

function decodeUtf8(bytes: Uint8Array, start: number, length: number): string {
  if (length > stringBytesMax) fail("string");
  try {
    return decoder.decode(bytes.subarray(start, start + length));
  } catch {
    return fail("string"); // TextDecoder throws for nothing but bytes that are no UTF-8
  }
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** Two characters for 12 bits. */
const pairs: string[] = [];
for (const first of alphabet) for (const second of alphabet) pairs.push(first + second);
/** Value of a character of the alphabet; 255 = not in it. */
const sextets = new Uint8Array(128).fill(255);
for (let i = 0; i < alphabet.length; i += 1) sextets[alphabet.charCodeAt(i)] = i;

const idSlotCount = 1024;
const idWords = new Int32Array(idSlotCount * 4);
const idStrings: string[] = new Array<string>(idSlotCount).fill("A".repeat(22));

/** 16 bytes at `at` as 22 characters of base64url. */
export function readUuid(view: DataView, at: number): string {
  const a = view.getInt32(at);
  const b = view.getInt32(at + 4);
  const c = view.getInt32(at + 8);
  const d = view.getInt32(at + 12);
  const hash = a ^ b ^ c ^ d;
  const slot = (hash ^ (hash >>> 10) ^ (hash >>> 20)) & (idSlotCount - 1);
  const kept = slot * 4;
  if (
    idWords[kept] === a &&
    idWords[kept + 1] === b &&
    idWords[kept + 2] === c &&
    idWords[kept + 3] === d
  ) {
    return idStrings[slot] ?? "";
  }
  const text = uuidText(a, b, c, d);
  idWords[kept] = a;
  idWords[kept + 1] = b;
  idWords[kept + 2] = c;
  idWords[kept + 3] = d;
  idStrings[slot] = text;
  return text;
}

/** 128 bits from the top: ten groups of 12, then 8 bits and four zeros. */
function uuidText(a: number, b: number, c: number, d: number): string {
  const pair = (bits: number) => pairs[bits & 0xfff] ?? "";
  return (
    pair(a >>> 20) +
    pair(a >>> 8) +
    pair((a << 4) | (b >>> 28)) +
    pair(b >>> 16) +
    pair(b >>> 4) +
    pair((b << 8) | (c >>> 24)) +
    pair(c >>> 12) +
    pair(c) +
    pair(d >>> 20) +
    pair(d >>> 8) +
    pair(d << 4)
  );
}

function sextet(text: string, index: number): number {
  const value = sextets[text.charCodeAt(index)] ?? 255;
  assert(value < 64, "an id is base64url");
  return value;
}

/** Writes the 16 bytes of an id that `readUuid` or `noTopicId` gave. */
export function writeUuid(bytes: Uint8Array, at: number, text: string): void {
  assert(text.length === 22, "an id has 22 characters");
  let from = 0;
  for (let to = at; to < at + 15; to += 3) {
    const high = (sextet(text, from) << 6) | sextet(text, from + 1);
    const low = (sextet(text, from + 2) << 6) | sextet(text, from + 3);
    bytes[to] = high >>> 4;
    bytes[to + 1] = (high << 4) | (low >>> 8);
    bytes[to + 2] = low;
    from += 4;
  }
  bytes[at + 15] = (sextet(text, 20) << 2) | (sextet(text, 21) >>> 4);
}
