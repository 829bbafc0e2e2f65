// Draws the steps of a run: a request of any advertised key and version, as it is, or damaged, or
// with damage around it. Step `index` of `seed` is always drawn alike from what was learned before.

import { type AnyApi, apis } from "../../src/wire/apis.ts";
import { encodeRequestFrame } from "../../src/wire/frame.ts";
import { Writer } from "../../src/wire/writer.ts";
import { Random } from "../chaos/payload.ts";
import { mutate } from "../wire/mutate.ts";
import { connections, type Step } from "./life.ts";
import { Plausible } from "./plausible.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Every advertised pair. */
export const pairs: readonly (readonly [AnyApi, number])[] = Object.values(apis).flatMap((api) => {
  const [first, last] = api.versions;
  return Array.from({ length: last - first + 1 }, (_, i) => [api, first + i] as const);
});

/** Larger bodies are damaged in place: cutting and moving them would cost more than the node does. */
const movedBytesMax = 4096;
const clientIds = [null, "fuzz", "", "client-of-a-longer-name"];
const noBytes = new Uint8Array(0);
const writer = new Writer();

function request(api: AnyApi, version: number, random: Random, vocabulary: Vocabulary): Uint8Array {
  const value = new Plausible(random, version, vocabulary).struct(api.request.root.spec, "");
  writer.reset();
  const clientId = clientIds[random.below(clientIds.length)] ?? null;
  encodeRequestFrame(api, version, random.word(), clientId, writer, value);
  return writer.written().slice();
}

function damaged(body: Uint8Array, random: Random): Uint8Array {
  const dice: number[] = [];
  for (let left = 2 + random.below(4) * 2; left > 0; left -= 1) dice.push(random.word() >>> 0);
  if (body.length <= movedBytesMax) return mutate(body, dice);
  const bytes = body.slice();
  for (const die of dice) bytes[die % bytes.length] = die >>> 24;
  return bytes;
}

function framed(head: Uint8Array, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(4 + head.length + body.length);
  new DataView(frame.buffer).setInt32(0, head.length + body.length);
  frame.set(head, 4);
  frame.set(body, 4 + head.length);
  return frame;
}

/** Key, version and correlation id stay as they are in most: else hardly a body would be read. */
const idBytes = 8;

function withDamage(frame: Uint8Array, random: Random): Uint8Array {
  const die = random.below(100);
  if (die < 40) return frame;
  if (die < 94) {
    return framed(frame.subarray(4, 4 + idBytes), damaged(frame.subarray(4 + idBytes), random));
  }
  if (die < 97) return framed(noBytes, damaged(frame.subarray(4), random));
  const lying = frame.slice();
  const view = new DataView(lying.buffer);
  if (die < 98) view.setInt32(0, random.chance(50) ? random.word() : random.below(300));
  else view.setInt16(6, random.chance(50) ? random.below(40) - 10 : random.word());
  return lying;
}

function cut(bytes: Uint8Array, random: Random): Uint8Array[] {
  const at = random.below(bytes.length);
  const rest = bytes.subarray(at);
  const then = random.below(rest.length);
  return [bytes.subarray(0, at), rest.subarray(0, then), rest.subarray(then)].filter(
    (chunk) => chunk.length > 0,
  );
}

export function draw(seed: number, index: number, vocabulary: Vocabulary): Step {
  const random = new Random(seed, index);
  const [api, version] = pairs[random.below(pairs.length)] ?? [apis.Metadata, 0];
  let bytes = withDamage(request(api, version, random, vocabulary), random);
  const die = random.below(100);
  if (die < 6) {
    const behind = request(apis.ApiVersions, 2, random, vocabulary);
    bytes = new Uint8Array(Buffer.concat([bytes, behind]));
  }
  return {
    connection: random.below(connections),
    chunks: random.chance(12) ? cut(bytes, random) : [bytes],
    window: random.chance(4) ? 1 + random.below(200) : 0,
    tickMs: random.chance(20) ? random.below(2000) : 0,
    patient: random.chance(1),
    hangUp: random.chance(3),
  };
}
