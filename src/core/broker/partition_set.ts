// Partitions by topic and index, as a request names them. Topics are not joined with indexes into one
// text: a request may name many partitions of a topic whose name is long.

export class PartitionSet {
  readonly #topics = new Map<string, Set<number>>();

  /** False: it was there before. */
  add(topic: string, partition: number): boolean {
    let partitions = this.#topics.get(topic);
    if (partitions === undefined) {
      partitions = new Set();
      this.#topics.set(topic, partitions);
    }
    const before = partitions.size;
    return partitions.add(partition).size > before;
  }

  has(topic: string, partition: number): boolean {
    return this.#topics.get(topic)?.has(partition) ?? false;
  }
}
