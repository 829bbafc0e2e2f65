// Topic ids as the 16 bytes that a store keeps, and back.

import { assert } from "../core/base/assert.ts";
import type { TopicId } from "../core/base/ids.ts";

export function bytesOfId(id: TopicId): Uint8Array {
  const bytes = Buffer.from(id, "base64url");
  assert(bytes.byteLength === 16, "a topic id has 16 bytes");
  return bytes;
}

export function idOfBytes(view: DataView, at: number): string {
  return Buffer.from(view.buffer, view.byteOffset + at, 16).toString("base64url");
}
