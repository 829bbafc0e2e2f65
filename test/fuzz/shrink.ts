// The least steps that do the same harm: fewer steps first, then fewer bytes in them.

import type { Step } from "./life.ts";

/** Lives spent on it. */
const triesMax = 1500;

/** What two runs of one bug have in common: no positions, numbers or paths. */
function signature(words: string): string {
  return words.slice(0, 300).replace(/\d+/g, "#");
}

/** A chunk with its length prefix made right, when it is one whole frame. */
function reframed(bytes: Uint8Array): Uint8Array {
  if (bytes.length >= 4) new DataView(bytes.buffer).setInt32(0, bytes.length - 4);
  return bytes;
}

function without(bytes: Uint8Array, at: number, count: number): Uint8Array {
  const rest = new Uint8Array(bytes.length - count);
  rest.set(bytes.subarray(0, at));
  rest.set(bytes.subarray(at + count), at);
  return rest;
}

function isFrame(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return bytes.length > 4 && view.getInt32(0) === bytes.length - 4;
}

export function shrink(
  steps: readonly Step[],
  words: string,
  harmOf: (steps: readonly Step[]) => string | null,
): readonly Step[] {
  const wanted = signature(words);
  let tries = 0;
  const same = (candidate: readonly Step[]): boolean => {
    tries += 1;
    const harm = harmOf(candidate);
    return harm !== null && signature(harm) === wanted;
  };
  let least = steps;
  const last = steps.slice(-1);
  if (same(last)) least = last;
  for (
    let size = Math.ceil(least.length / 2);
    size >= 1 && tries < triesMax;
    size = Math.floor(size / 2)
  ) {
    for (let at = 0; at < least.length && least.length > 1 && tries < triesMax; ) {
      const fewer = [...least.slice(0, at), ...least.slice(at + size)];
      if (fewer.length > 0 && same(fewer)) least = fewer;
      else at += size;
    }
  }
  for (let i = least.length - 1; i >= 0; i -= 1) {
    least = shrinkBytes(least, i, (candidate) => tries < triesMax && same(candidate));
  }
  return least;
}

/** Cuts pieces out of step `i` where it is one whole frame. */
function shrinkBytes(
  steps: readonly Step[],
  i: number,
  same: (steps: readonly Step[]) => boolean,
): readonly Step[] {
  let least = steps;
  const step = steps[i];
  if (step === undefined) return least;
  let bytes = new Uint8Array(Buffer.concat([...step.chunks]));
  const put = (chunk: Uint8Array): readonly Step[] =>
    least.map((each, at) => (at === i ? { ...each, chunks: [chunk] } : each));
  if (!isFrame(bytes) || !same(put(bytes))) return least;
  least = put(bytes);
  for (let size = bytes.length >> 1; size >= 1; size >>= 1) {
    for (let at = 4; at + size <= bytes.length; ) {
      const fewer = new Uint8Array(reframed(without(bytes, at, size)));
      if (fewer.length > 4 && same(put(fewer))) {
        bytes = fewer;
        least = put(bytes);
      } else at += size;
    }
  }
  return least;
}
