// In which order a node steps what has come in: as it came, or as a seed says.

import type { Input } from "../../src/core/base/node_contract.ts";
import type { Random } from "../../src/core/base/random.ts";

/** Where an input comes from. Within one origin the order is kept, except that reads may overtake. */
export type Origin = "client" | "control" | "disk" | "read";

/** What waits to be stepped. An input is made only when it is taken: a read sees the disk of then. */
export interface Schedule {
  push(origin: Origin, make: () => Input): void;
  /** Null: nothing is left. */
  next(): Input | null;
}

export class InOrder implements Schedule {
  readonly #waiting: (() => Input)[] = [];

  push(_origin: Origin, make: () => Input): void {
    this.#waiting.push(make);
  }

  next(): Input | null {
    return this.#waiting.shift()?.() ?? null;
  }
}

/** Any order that threads, sockets and disks could bring about. */
export class Shuffled implements Schedule {
  readonly #random: Random;
  readonly #waiting: Record<Origin, (() => Input)[]> = {
    client: [],
    control: [],
    disk: [],
    read: [],
  };

  constructor(random: Random) {
    this.#random = random;
  }

  push(origin: Origin, make: () => Input): void {
    this.#waiting[origin].push(make);
  }

  next(): Input | null {
    const origins = Object.entries(this.#waiting).filter(([, waiting]) => waiting.length > 0);
    const [origin, waiting] = origins[this.#random.below(origins.length)] ?? [];
    if (waiting === undefined) return null;
    const at = origin === "read" ? this.#random.below(waiting.length) : 0;
    return waiting.splice(at, 1)[0]?.() ?? null;
  }
}
