// Produce and consume over one WebSocket (HTTP/1.1). Messages are JSON, one object each.
//
//   -> { "op": "produce", "id": 1, "topic": "t", "record": { "value": ... } }
//   <- { "id": 1, "partition": 0, "offset": 12 }
//   -> { "op": "consume", "id": 2, "topic": "t", "from": "earliest", "partition": 0 }
//   <- { "id": 2, "next": "0:13", "record": { ... } }      for each record, until
//   -> { "op": "stop", "id": 2 }
//   <- { "id": 1, "problem": { ... } }                     what went wrong, with either
//
// The client gives the ids. Records of one subscription come in order; answers to produces come when
// they are known. A client that does not read is sent no more than a little ahead.

import { type Static, Type } from "@sinclair/typebox";
import {
  httpRecordsMax,
  httpStreamsMax,
  httpWaitMsMax,
  jsonBytesMax,
  jsonDepthMax,
  socketProducesMax,
  socketSubscriptionsMax,
} from "../../core/base/limits.ts";
import { parseJson, tooDeep } from "./body.ts";
import type { Bridge } from "./bridge.ts";
import { JsonScan, known } from "./json_text.ts";
import { Poll, textOfPositions } from "./poll.ts";
import { positionsFrom } from "./positions.ts";
import { busy, Problem, stopped } from "./problems.ts";
import { RecordReader } from "./record_text.ts";
import { viewOf } from "./record_view.ts";
import { exactly, noQuery, type Peer, type Route, route, type SocketHandlers } from "./routes.ts";
import { partitionSchema, topicNameSchema } from "./schemas.ts";
import { Shape } from "./shape.ts";
import { Outcomes, Spread } from "./spread.ts";

const id = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const produceShape = new Shape(
  exactly({
    op: Type.Literal("produce"),
    id,
    topic: topicNameSchema,
    record: Type.Unknown(),
  }),
);
const consumeShape = new Shape(
  exactly({
    op: Type.Literal("consume"),
    id,
    topic: topicNameSchema,
    from: Type.Optional(Type.String()),
    partition: Type.Optional(partitionSchema),
  }),
);
const stopShape = new Shape(exactly({ op: Type.Literal("stop"), id }));
const anyShape = new Shape(
  Type.Object({
    op: Type.Union([Type.Literal("produce"), Type.Literal("consume"), Type.Literal("stop")]),
    id,
  }),
);

type Consume = Static<typeof consumeShape.schema>;

const names = known(["record", "op", "id", "topic"]);
const encoder = new TextEncoder();
const goingAway = 1001;
const tryAgainLater = 1013;

class Socket implements SocketHandlers {
  readonly #bridge: Bridge;
  readonly #reader = new RecordReader();
  readonly #polls = new Map<number, Poll>();
  /** Bun pings a silent client, and closes the socket of one that does not answer. */
  readonly #running = { end: () => this.#end(), lastActive: null, giveUp: () => this.#end() };
  #peer: Peer | null = null;
  #producing = 0;
  #ending = false;
  #drained = Promise.resolve();
  #wake: () => void = () => {};

  constructor(bridge: Bridge) {
    this.#bridge = bridge;
  }

  open(peer: Peer): void {
    this.#peer = peer;
    this.#bridge.streams.add(this.#running);
  }

  message(_peer: Peer, message: string | Buffer): void {
    let of: number | null = null;
    try {
      const bytes = typeof message === "string" ? encoder.encode(message) : new Uint8Array(message);
      if (bytes.byteLength > jsonBytesMax) {
        const next = "Send it by POST, as application/octet-stream.";
        throw new Problem("body-too-large", `a message has at most ${jsonBytesMax} bytes. ${next}`);
      }
      const parsed = parseJson(bytes);
      const { op, id } = anyShape.read(parsed, "the message");
      of = id;
      if (op === "produce") this.#produce(parsed, bytes);
      else if (op === "consume") void this.#consume(consumeShape.read(parsed, "the message"));
      else this.#polls.get(stopShape.read(parsed, "the message").id)?.stop();
    } catch (error) {
      this.#refuse(of, error);
    }
  }

  drain(): void {
    this.#wake();
  }

  close(): void {
    this.#peer = null;
    this.#bridge.streams.delete(this.#running);
    for (const poll of this.#polls.values()) poll.stop();
    this.#wake();
  }

  /** The node stops: what was taken is answered, then the client is sent away. */
  #end(): void {
    for (const poll of this.#polls.values()) poll.stop();
    this.#ending = true;
    this.#endWhenIdle();
  }

  #endWhenIdle(): void {
    if (this.#ending && this.#producing === 0) this.#peer?.close(goingAway, "the node stops");
  }

  #say(text: string): void {
    const taken = this.#peer?.send(text);
    // Dropped: the client comes back with its last `next`, rather than to miss a record.
    if (taken === 0) return this.#peer?.close(tryAgainLater, "the client reads too slowly");
    if (taken !== -1) return;
    this.#drained = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #refuse(of: number | null, error: unknown): void {
    if (!(error instanceof Problem)) throw error;
    this.#say(JSON.stringify({ id: of, problem: error.body() }));
  }

  #produce(parsed: unknown, bytes: Uint8Array<ArrayBuffer>): void {
    const { id, topic: name } = produceShape.read(parsed, "the message");
    if (this.#ending) throw stopped();
    if (this.#producing >= socketProducesMax) throw busy();
    let [start, end] = [0, 0];
    const scan = new JsonScan(names).reset(bytes);
    scan.members((member, from, to) => {
      if (member === "record") [start, end] = [from, to];
    });
    if (scan.depth > jsonDepthMax) throw tooDeep();
    const topic = this.#bridge.knownTopic(name);
    const { wall } = this.#bridge.host.node.broker;
    const record = this.#reader.read(bytes, start, end, wall, 1, "the record");
    const spread = new Spread(this.#bridge, topic, -1);
    const outcomes = new Outcomes();
    const sent: Promise<void>[] = [];
    spread.add(record, spread.place(record), outcomes, sent);
    spread.flush(outcomes, sent);
    this.#producing += 1;
    void Promise.all(sent).then(() => this.#produced(id, outcomes));
  }

  #produced(id: number, outcomes: Outcomes): void {
    this.#producing -= 1;
    const problem = outcomes.problems.get(0);
    const [partition] = outcomes.partitions;
    const [offset] = outcomes.offsets;
    this.#say(
      JSON.stringify(
        problem === undefined ? { id, partition, offset } : { id, problem: problem.body() },
      ),
    );
    this.#endWhenIdle();
  }

  async #consume({ id, topic: name, from = "latest", partition }: Consume): Promise<void> {
    try {
      if (this.#polls.has(id)) {
        const next = "Take another id, or stop that one first.";
        throw new Problem("validation", `id ${id} is a subscription already. ${next}`);
      }
      if (this.#polls.size >= socketSubscriptionsMax) throw busy();
      const topic = this.#bridge.knownTopic(name);
      const positions = await positionsFrom(this.#bridge, topic, partition, from);
      if (this.#peer === null || this.#ending) throw stopped();
      const poll = new Poll(this.#bridge, topic, positions, jsonBytesMax, false);
      this.#polls.set(id, poll);
      await this.#follow(id, poll);
    } catch (error) {
      // A subscription that was stopped ends without a word.
      if (this.#polls.get(id)?.stopped !== true && this.#peer !== null) this.#refuse(id, error);
    } finally {
      this.#polls.get(id)?.stop();
      this.#polls.delete(id);
    }
  }

  async #follow(id: number, poll: Poll): Promise<void> {
    while (!poll.stopped && this.#peer !== null) {
      await this.#drained;
      await poll.next(httpRecordsMax, httpWaitMsMax, (partition, record) => {
        const next = textOfPositions(poll.positions);
        this.#say(`{"id":${id},"next":"${next}","record":${viewOf(partition, record, {})}}`);
      });
    }
  }
}

export function socketRoutes(bridge: Bridge): readonly Route[] {
  return [
    route(
      "GET",
      "/v1/stream",
      noQuery,
      {
        tag: "Records",
        summary: "Produce and consume over a WebSocket (HTTP/1.1)",
        description:
          'Messages are JSON: {"op":"produce","id":1,"topic":"t","record":{"value":1}} is answered with {"id":1,"partition":0,"offset":0}; {"op":"consume","id":2,"topic":"t","from":"earliest"} with {"id":2,"next":"0:1","record":{...}} for each record, until {"op":"stop","id":2}.',
        answers: { 101: { description: "The socket is open." } },
        problems: [426],
      },
      (exchange) => {
        if (bridge.streams.size >= httpStreamsMax) throw busy();
        const response = exchange.upgrade(new Socket(bridge));
        if (response !== null) return response;
        throw new Problem(
          "upgrade-required",
          "this is a WebSocket. Connect with ws:// over HTTP/1.1, or use /v1/topics/{topic}/records.",
          {},
          { upgrade: "websocket" },
        );
      },
    ),
  ];
}
