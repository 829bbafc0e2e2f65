// Which partition a record goes to: by its key as Kafka's Java client does it (murmur2), so that every
// client of a topic agrees; without a key to one partition until its batch is full, then to another
// (KIP-480).

const seed = 0x9747b28c;
const multiplier = 0x5bd1e995;

/** Kafka's murmur2 of `bytes`, as a signed 32-bit number. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
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

/** Where records without a key go. */
export class StickyPartitioner {
  #current = -1;

  /** A partition of `usable`, the same one until `turn`. */
  pick(usable: readonly number[]): number {
    if (!usable.includes(this.#current)) {
      this.#current = usable[Math.floor(Math.random() * usable.length)] ?? 0;
    }
    return this.#current;
  }

  /** The batch for `partition` is full: the next pick is another partition, where there is one. */
  turn(partition: number, usable: readonly number[]): void {
    if (partition !== this.#current) return;
    const others = usable.filter((each) => each !== partition);
    this.#current = others[Math.floor(Math.random() * others.length)] ?? partition;
  }
}
