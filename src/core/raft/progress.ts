// What a leader knows of one member, and how much is on its way to it.
//
//   probe      where the logs agree is not known: one append at a time
//   replicate  appends follow one another without waiting, within the window
//   snapshot   the log does not reach back far enough: chunks, one at a time
//
// Invariants: match < next; match never falls; the window is empty unless in replicate.

import { assert } from "../base/assert.ts";
import type { Index } from "./contract.ts";

interface InFlight {
  readonly last: Index;
  readonly bytes: number;
}

export class Progress {
  state: "probe" | "replicate" | "snapshot" = "probe";
  /** Durable there, and equal to the log here. */
  match: Index = 0;
  /** Where the next append begins. */
  next: Index;
  /** An append is on its way in probe. */
  waits = false;
  inFlight: InFlight[] = [];
  inFlightBytes = 0;
  /** Of the snapshot that is being sent. */
  snapshotIndex: Index = 0;
  position = 0;
  chunkSentAt = 0;
  /** The highest commit index that it was sent. */
  told: Index = 0;
  /** It was heard since the last check of the quorum. */
  active = true;
  /** The newest round of heartbeats that it has answered. */
  round = 0;

  constructor(next: Index) {
    this.next = next;
  }

  toProbe(): void {
    this.state = "probe";
    this.next = this.match + 1;
    this.waits = false;
    this.#empty();
  }

  toReplicate(): void {
    this.state = "replicate";
    this.next = this.match + 1;
    this.#empty();
  }

  toSnapshot(index: Index): void {
    this.state = "snapshot";
    this.snapshotIndex = index;
    this.position = 0;
    this.#empty();
  }

  #empty(): void {
    this.inFlight = [];
    this.inFlightBytes = 0;
  }

  /** Sent in replicate. */
  sent(last: Index, bytes: number): void {
    assert(last >= this.next, "an append that counts has entries");
    this.next = last + 1;
    this.inFlight.push({ last, bytes });
    this.inFlightBytes += bytes;
  }

  /** True: the member has more than was known. */
  accepted(index: Index): boolean {
    let count = 0;
    for (const each of this.inFlight) {
      if (each.last > index) break;
      this.inFlightBytes -= each.bytes;
      count += 1;
    }
    this.inFlight.splice(0, count);
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    return true;
  }
}
