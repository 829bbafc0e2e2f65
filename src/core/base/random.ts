// The one source of randomness of the core: xoshiro128** (Blackman and Vigna) with a seed of 128
// bits that is handed in, so that a run can be replayed. One instance per concern.

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: readonly [number, number, number, number], concern: number) {
    this.#a = seed[0] ^ Math.imul(concern + 1, 0x9e3779b1);
    this.#b = seed[1] | 0;
    this.#c = seed[2] | 0;
    this.#d = seed[3] | 1; // never all zero, where the generator would stay
    for (let i = 0; i < 16; i += 1) this.uint32();
  }

  /** 0 .. 2^32 - 1. */
  uint32(): number {
    const five = Math.imul(this.#b, 5);
    const result = Math.imul((five << 7) | (five >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** 0 .. limit - 1, limit <= 2^32. */
  below(limit: number): number {
    return Math.floor((this.uint32() / 4294967296) * limit);
  }

  /** 16 random bytes as 22 characters of base64url. */
  id(): string {
    let text = "";
    let bits = 0;
    let held = 0;
    for (let i = 0; i < 22; i += 1) {
      if (held < 6) {
        // Refill 24 bits at a time: four characters.
        bits = this.uint32() >>> 8;
        held = 24;
      }
      held -= 6;
      const index = (bits >>> held) & 63;
      // The last character carries 2 bits of the 128; the other 4 are zero in canonical base64url.
      text += alphabet[i === 21 ? index & 48 : index];
    }
    return text;
  }
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
