// A client that follows all partitions through one fetch session (KIP-227): it says only where it has
// got further, and is told only what has changed. Whatever it is not told, it does not read.

import type { FetchResponse } from "../../proto/kafka/01_fetch.ts";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import { Client, expectRetriable, partitions, recordsOf, topic } from "./clients.ts";
import { Violation } from "./truth.ts";

type Told = FetchResponse["responses"][number]["partitions"][number];

export class SessionReader extends Client {
  #session = 0;
  #epoch = 0;
  /** What the next record of each partition is, and whether the session knows it. */
  readonly #next = new Array<number>(partitions).fill(0);
  readonly #changed = new Set<number>();

  /** True when it has read all that anybody was told of. */
  get caughtUp(): boolean {
    return this.#next.every((next, partition) => next >= this.truth.highWatermark(partition));
  }

  act(): void {
    if (this.inFlight > 0) return;
    const all = this.#next.map((_, partition) => partition);
    const named = this.#epoch === 0 ? all : all.filter((at) => this.#changed.has(at));
    this.#changed.clear();
    const asked = all.map((partition) => this.truth.highWatermark(partition));
    const request = {
      replicaId: -1,
      maxWaitMs: this.random.below(200),
      minBytes: this.random.below(2),
      maxBytes: 1 + this.random.below(4096),
      isolationLevel: 0,
      sessionId: this.#session,
      sessionEpoch: this.#epoch,
      topics:
        named.length === 0
          ? []
          : [{ topic, topicId: noTopicId, partitions: named.map(this.#from) }],
      forgottenTopicsData: [],
      rackId: "",
    };
    this.ask<FetchResponse>("Fetch", 12, request, (response) => {
      if (response.errorCode !== ErrorCode.NONE)
        throw new Violation(`a fetch session was refused with code ${response.errorCode}`);
      if (this.#epoch > 0 && response.sessionId !== this.#session)
        throw new Violation(`session ${this.#session} was answered as ${response.sessionId}`);
      this.#session = response.sessionId;
      this.#epoch += 1;
      for (const told of response.responses.flatMap((answer) => answer.partitions))
        this.#told(told, asked[told.partitionIndex] ?? 0);
    });
  }

  readonly #from = (partition: number) => ({
    partition,
    currentLeaderEpoch: -1,
    fetchOffset: this.#next[partition] ?? 0,
    lastFetchedEpoch: -1,
    logStartOffset: -1,
    partitionMaxBytes: 1 << 20,
  });

  #told(told: Told, asked: number): void {
    const partition = told.partitionIndex;
    const from = this.#next[partition] ?? 0;
    if (told.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
      if (!this.truth.mayBeGone(partition, from))
        throw new Violation(`partition ${partition}: offset ${from} is said to be out of range`);
      return this.#go(
        partition,
        Math.max(from, told.logStartOffset, this.truth.logStart(partition)),
      );
    }
    if (told.errorCode !== ErrorCode.NONE) return expectRetriable(told.errorCode, "Fetch");
    this.truth.watermarks(partition, asked, told.highWatermark, told.logStartOffset);
    const records = recordsOf(told.records);
    this.truth.read(partition, from, records);
    const last = records.at(-1);
    if (last !== undefined) this.#go(partition, last.offset + 1);
  }

  #go(partition: number, next: number): void {
    this.#next[partition] = next;
    this.#changed.add(partition);
  }

  /** Sessions live in the memory of a node. */
  protected lost(): void {
    this.#session = 0;
    this.#epoch = 0;
  }
}
