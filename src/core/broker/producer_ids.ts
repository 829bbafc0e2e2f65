// Producer ids: unique in the cluster and never given twice, because a node takes them from the
// metadata in blocks and a block that was not used up is lost with the process.

import type { ProducerId } from "../base/ids.ts";
import { producerId } from "../base/ids.ts";
import { producerIdBlock } from "../base/limits.ts";
import type { Broker } from "./broker.ts";

/** Null: the cluster gave no block. */
export type OnProducerId = (id: ProducerId | null) => void;

export class ProducerIds {
  readonly #broker: Broker;
  #next = 0;
  #left = 0;
  #asking = false;
  #waiting: OnProducerId[] = [];

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  take(done: OnProducerId): void {
    if (this.#left > 0 && this.#waiting.length === 0) return done(this.#one());
    this.#waiting.push(done);
    if (!this.#asking) this.#ask();
  }

  #one(): ProducerId {
    const id = producerId(this.#next);
    this.#next += 1;
    this.#left -= 1;
    return id;
  }

  #ask(): void {
    this.#asking = true;
    this.#broker.propose({ kind: "allocate-producer-ids", count: producerIdBlock }, (outcome) => {
      this.#asking = false;
      if (outcome.kind === "refused" || outcome.count === 0) {
        const failed = this.#waiting;
        this.#waiting = [];
        for (const done of failed) done(null);
        return;
      }
      this.#next = outcome.first;
      this.#left = outcome.count;
      const served = this.#waiting.splice(0, this.#left);
      for (const done of served) done(this.#one());
      if (this.#waiting.length > 0) this.#ask();
    });
  }
}

const perBroker = new WeakMap<Broker, ProducerIds>();

/** The block of a broker lives beside it: only InitProducerId looks at it. */
export function producerIdsOf(broker: Broker): ProducerIds {
  let ids = perBroker.get(broker);
  if (ids === undefined) {
    ids = new ProducerIds(broker);
    perBroker.set(broker, ids);
  }
  return ids;
}
