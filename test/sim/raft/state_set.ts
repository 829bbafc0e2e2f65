// A set of states that remembers 62 bits of hash of each, and how each was reached, in flat arrays:
// tens of millions fit in memory.

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

  get full(): boolean {
    return this.size * 4 > (this.#mask + 1) * 3;
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
