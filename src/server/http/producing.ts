// What every kind of produce over HTTP has.

import { type Static, Type } from "@sinclair/typebox";
import type { Topic } from "../../core/cluster/cluster.ts";
import type { Bridge } from "./bridge.ts";
import { type Exchange, exactly } from "./routes.ts";
import { partitionSchema, timeSchema } from "./schemas.ts";
import { Shape } from "./shape.ts";

export const batchMedia = "application/vnd.pyralog.batch";
export const linesMedia = "application/x-ndjson";
const acksSchema = Type.Union([Type.Literal("all"), Type.Literal("leader"), Type.Literal("none")], {
  description: "all (default) and leader wait until the record is as durable as its topic wants.",
});
export const produceQuery = new Shape(
  exactly({
    acks: Type.Optional(acksSchema),
    key: Type.Optional(Type.String({ description: "Of a body that is one value." })),
    partition: Type.Optional(partitionSchema),
    timestamp: Type.Optional(timeSchema),
  }),
);

/** A request to produce, with what all kinds of it need. */
export interface Producing {
  readonly bridge: Bridge;
  readonly topic: Topic;
  readonly query: Static<typeof produceQuery.schema>;
  readonly exchange: Exchange;
  /** acks of the Kafka request. */
  readonly acks: number;
}
