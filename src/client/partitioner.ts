// Which partition a record without a key goes to: one until its batch is full, then another (KIP-480).
// With a key it is `partitionOfKey` of the wire room, as Kafka's Java client does it.

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
