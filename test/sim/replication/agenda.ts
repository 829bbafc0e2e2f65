// Virtual time: what is due, in order of time and then of being planned. Nothing here waits.

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class Agenda {
  readonly #heap: Entry[] = [];
  #order = 0;
  /** Milliseconds since the start of the run. */
  now = 0;
  steps = 0;

  plan(delay: number, run: () => void): void {
    const entry = { at: this.now + delay, order: this.#order, run };
    this.#order += 1;
    const heap = this.#heap;
    heap.push(entry);
    for (let at = heap.length - 1; at > 0; ) {
      const above = (at - 1) >> 1;
      if (before(heap[above], entry)) break;
      heap[at] = heap[above] ?? entry;
      heap[above] = entry;
      at = above;
    }
  }

  /** Runs all that is due up to `until`. */
  runTo(until: number): void {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > until) break;
      this.#pop();
      this.now = next.at;
      this.steps += 1;
      next.run();
    }
    this.now = until;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      let least = at;
      let lowest = last;
      for (const child of [left, left + 1]) {
        const entry = heap[child];
        if (entry === undefined || before(lowest, entry)) continue;
        least = child;
        lowest = entry;
      }
      heap[at] = lowest;
      if (least === at) return;
      at = least;
    }
  }
}

function before(a: Entry | undefined, b: Entry): boolean {
  return a !== undefined && (a.at < b.at || (a.at === b.at && a.order < b.order));
}
