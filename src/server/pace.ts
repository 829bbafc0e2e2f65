// The ticks of a thread: every 10 ms while there is something to do, and ten times as slow once there
// was nothing for a second, so that an idle node costs next to nothing. Work that comes in brings the
// next tick at once and the quick pace back; what waits for a time is then late by 100 ms at most.

export const tickMs = 10;
const idleTickMs = 100;
/** Quick ticks without work before the pace falls. */
const quietTicks = 100;

export class Pace {
  readonly #tick: (now: number, intervalMs: number) => void;
  readonly #busy: () => boolean;
  #timer: ReturnType<typeof setInterval> | null = null;
  #intervalMs = tickMs;
  /** Quick ticks since the last work. */
  #quiet = 0;

  /** `tick` gets exact monotonic ms and how long it was meant to wait; `busy` = work of its own. */
  constructor(tick: (now: number, intervalMs: number) => void, busy: () => boolean) {
    this.#tick = tick;
    this.#busy = busy;
  }

  start(): void {
    this.#beat();
    this.#run(tickMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Work has come in. */
  touch(): void {
    this.#quiet = 0;
    if (this.#timer === null || this.#intervalMs === tickMs) return;
    this.#run(tickMs);
    this.#beat();
  }

  #run(intervalMs: number): void {
    this.stop();
    this.#intervalMs = intervalMs;
    this.#timer = setInterval(() => this.#beat(), intervalMs);
  }

  #beat(): void {
    this.#tick(Bun.nanoseconds() / 1e6, this.#intervalMs);
    this.#quiet = this.#busy() ? 0 : this.#quiet + 1;
    if (this.#timer === null) return;
    if (this.#quiet >= quietTicks && this.#intervalMs === tickMs) this.#run(idleTickMs);
    else if (this.#quiet === 0 && this.#intervalMs !== tickMs) this.#run(tickMs);
  }
}
