// Conditions of a produce that its headers state: once (Idempotency-Key, by the IETF's draft), and only
// at the end that the client knows (Pyralog-Expected-Offset).
//
// A key needs no store of its own. The batch carries a producer id that is made of the key and a
// sequence that is made of the payload: the rules for idempotent producers answer a repeat with the
// first offset, also after a restart, and refuse the same key with another payload as out of
// sequence. The partition of a record without a key is made of the Idempotency-Key, so a repeat is
// not known again once the topic has got more partitions.

import { keyedProducerIdMin, type Offset, offset } from "../../core/base/ids.ts";
import { Problem } from "./problems.ts";
import type { Conditions, Once } from "./spread.ts";

export const keyHeader = "idempotency-key";
export const expectedHeader = "pyralog-expected-offset";
const keyCharsMax = 255;

/** `payload`: everything of the request that makes it another one. */
export function conditionsOf(request: Request, payload: () => readonly (string | Uint8Array)[]) {
  const key = request.headers.get(keyHeader);
  const expected = request.headers.get(expectedHeader);
  const conditions: Conditions = {
    ...(key !== null && { once: onceOf(key, payload()) }),
    ...(expected !== null && { expectedEnd: expectedOf(expected) }),
  };
  return conditions;
}

/** A stream of lines and a batch of a producer have neither. */
export function refuseConditions(request: Request, what: string): void {
  for (const name of [keyHeader, expectedHeader]) {
    if (!request.headers.has(name)) continue;
    const next = "Leave it out, or send the records as application/json.";
    throw new Problem("validation", `${what} take no ${name}. ${next}`);
  }
}

function onceOf(key: string, payload: readonly (string | Uint8Array)[]): Once {
  if (key.length === 0 || key.length > keyCharsMax) {
    const next = "A UUID is a good one.";
    throw new Problem(
      "validation",
      `an Idempotency-Key has 1 to ${keyCharsMax} characters. ${next}`,
    );
  }
  const ofKey = numbersOf([key]);
  const ofPayload = numbersOf(payload);
  const high = ofKey.getUint32(0) % 2 ** 20;
  return {
    producerId: keyedProducerIdMin + high * 2 ** 32 + ofKey.getUint32(4),
    sequence: ofPayload.getUint32(0) >>> 1,
    turn: ofKey.getUint32(8),
  };
}

function numbersOf(parts: readonly (string | Uint8Array)[]): DataView {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const part of parts) {
    // Lengths between the parts: otherwise two different lists could read the same.
    hasher.update(`${part.length}:`);
    hasher.update(part);
  }
  const { buffer, byteOffset, byteLength } = hasher.digest();
  return new DataView(buffer, byteOffset, byteLength);
}

function expectedOf(text: string): Offset {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return offset(value);
  const next = "Send the offset that the next record shall get.";
  throw new Problem("validation", `Pyralog-Expected-Offset "${text}" is no offset. ${next}`);
}
