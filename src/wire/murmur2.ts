// Which partition a key goes to: murmur2 as Kafka's Java client computes it
// (org.apache.kafka.common.utils.Utils), so that every client of a topic agrees.

const seed = 0x9747b28c;
const multiplier = 0x5bd1e995;

/** Kafka's murmur2 of `bytes`, as a signed 32-bit number. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  let hash = seed ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    word = Math.imul(word, multiplier);
    word = Math.imul(word ^ (word >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  const rest = length - at;
  if (rest >= 3) hash ^= (bytes[at + 2] ?? 0) << 16;
  if (rest >= 2) hash ^= (bytes[at + 1] ?? 0) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), multiplier);
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
}

/** The partition of a key among `count`. */
export function partitionOfKey(key: Uint8Array, count: number): number {
  return (murmur2(key) & 0x7fffffff) % count;
}
