// The data thread's node: one step takes one input, and everything that it wants done goes into the
// effects. The server and the simulator run exactly this.

import { assert } from "../base/assert.ts";
import type { Effects, Input } from "../base/node_contract.ts";
import type { Settings } from "../base/settings.ts";
import { Broker } from "../broker/broker.ts";
import { entryByKey, ranges } from "../broker/apis.ts";

export class DataNode {
  readonly broker: Broker;

  constructor(settings: Settings) {
    this.broker = new Broker(settings, ranges);
  }

  step(input: Input, effects: Effects): void {
    this.broker.begin(effects);
    if (input.kind === "request") {
      const entry = entryByKey[input.call.apiKey];
      assert(entry !== undefined, "the door lets only known APIs in");
      entry.plan(this.broker, input.call);
    } else {
      this.broker.take(input);
    }
    this.broker.end();
  }
}
