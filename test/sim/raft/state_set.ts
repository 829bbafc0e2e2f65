// States in flat arrays, so that tens of millions fit in memory and none is an object: the set of the
// known ones (62 bits of hash of each, and how it was reached), and queues of those to go on from.

export class StateSet {
  #low: Uint32Array;
  #high: Uint32Array;
  /** Position of the state that it was reached from, and by what. */
  #parent: Uint32Array;
  #action: Uint32Array;
  #mask: number;
  size = 0;

  constructor(bits = 16) {
    const slots = 2 ** bits;
    this.#mask = slots - 1;
    this.#low = new Uint32Array(slots);
    this.#high = new Uint32Array(slots);
    this.#parent = new Uint32Array(slots);
    this.#action = new Uint32Array(slots);
  }

  /** The number of a new state, >= 1; 0: it is known. Numbers stay while the set does not grow. */
  add(words: readonly number[], parent: number, action: number): number {
    let low = 0x811c9dc5;
    let high = 0x2545f491;
    for (const word of words) {
      low = Math.imul(low ^ word, 0x01000193);
      low ^= low >>> 15;
      high = Math.imul(high ^ word ^ (low >>> 7), 0x9e3779b1);
      high ^= high >>> 13;
    }
    low = Math.imul(low ^ (high >>> 16), 0x85ebca6b);
    low = (low ^ (low >>> 13)) >>> 0;
    // Never zero, which marks a free slot.
    high = (high | 1) >>> 0;
    let slot = low & this.#mask;
    while (this.#high[slot] !== 0) {
      if (this.#high[slot] === high && this.#low[slot] === low) return 0;
      slot = (slot + 1) & this.#mask;
    }
    this.#high[slot] = high;
    this.#low[slot] = low;
    this.#parent[slot] = parent;
    this.#action[slot] = action;
    this.size += 1;
    return slot + 1;
  }

  /** The actions that lead to a state, first one first. */
  path(state: number): readonly number[] {
    const actions: number[] = [];
    for (let at = state; at !== 0; at = this.#parent[at - 1] ?? 0) {
      const action = this.#action[at - 1] ?? 0;
      if (action !== 0) actions.unshift(action);
    }
    return actions;
  }
}

export class StateQueue {
  /** Number, count of words, words; one state behind the other. */
  #words = new Uint32Array(1024);
  #used = 0;
  count = 0;

  push(number: number, state: readonly number[]): void {
    const end = this.#used + 2 + state.length;
    if (end > this.#words.length) {
      const larger = new Uint32Array(2 * end);
      larger.set(this.#words);
      this.#words = larger;
    }
    this.#words[this.#used] = number;
    this.#words[this.#used + 1] = state.length;
    this.#words.set(state, this.#used + 2);
    this.#used = end;
    this.count += 1;
  }

  forEach(visit: (number: number, state: readonly number[]) => void): void {
    for (let at = 0; at < this.#used; ) {
      const length = this.#words[at + 1] ?? 0;
      visit(this.#words[at] ?? 0, Array.from(this.#words.subarray(at + 2, at + 2 + length)));
      at += 2 + length;
    }
  }
}
