// A set of numbers that takes ten million without an object for each.

/** Numbers below 2^53 in one flat table: ten million of them have to fit. */
export class NumberSet {
  #table = new Float64Array(1 << 16);
  size = 0;

  /** False: it was there. */
  add(value: number): boolean {
    if (this.size * 2 > this.#table.length) this.#grow();
    if (!this.#put(this.#table, value)) return false;
    this.size += 1;
    return true;
  }

  #put(table: Float64Array, value: number): boolean {
    const mask = table.length - 1;
    for (let at = value % table.length; ; at = (at + 1) & mask) {
      if (table[at] === value) return false;
      if (table[at] !== 0) continue;
      table[at] = value;
      return true;
    }
  }

  #grow(): void {
    const table = new Float64Array(this.#table.length * 2);
    for (const value of this.#table) if (value !== 0) this.#put(table, value);
    this.#table = table;
  }
}
