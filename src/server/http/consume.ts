// Consume and browse over HTTP: a page of records, a stream of events, or one record by its offset.

import { type Static, Type } from "@sinclair/typebox";
import type { PartitionIndex } from "../../core/base/ids.ts";
import { batchBytesMax, httpRecordsMax, httpWaitMsMax } from "../../core/base/limits.ts";
import type { Topic } from "../../core/cluster/cluster.ts";
import type { StoredRecord } from "../../wire/records.ts";
import type { Bridge } from "./bridge.ts";
import { streamEvents } from "./events.ts";
import { Poll, textOfPositions } from "./poll.ts";
import { positionsFrom } from "./positions.ts";
import { Problem } from "./problems.ts";
import { linesMedia } from "./producing.ts";
import { type Formats, formatSchema, viewOf, viewSchema } from "./record_view.ts";
import { type Exchange, exactly, noQuery, param, type Route, route } from "./routes.ts";
import { partitionSchema } from "./schemas.ts";
import { Shape } from "./shape.ts";
import { endsOf } from "./topics.ts";

const tag = "Records";
const eventsMedia = "text/event-stream";
const bytesMedia = "application/octet-stream";
const limitDefault = 100;
const pageBytesDefault = 1024 * 1024;

const formats = {
  keyFormat: Type.Optional(formatSchema),
  valueFormat: Type.Optional(formatSchema),
};

const query = new Shape(
  exactly({
    partition: Type.Optional(partitionSchema),
    from: Type.Optional(
      Type.String({
        description:
          "earliest (default), latest (default of events), offset:N, time:RFC3339, -N (the last N of each partition), or positions as an answer names them in `next`.",
        examples: ["earliest", "latest", "offset:42", "time:2026-01-02T03:04:05Z", "-10"],
      }),
    ),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: httpRecordsMax, description: "Records at most." }),
    ),
    maxBytes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: batchBytesMax, description: "Of stored batches." }),
    ),
    wait: Type.Optional(
      Type.String({
        pattern: "^[0-9]{1,5}(ms|s)$",
        description: "How long to wait for the first record, up to 60s.",
        examples: ["10s"],
      }),
    ),
    clamp: Type.Optional(
      Type.Boolean({ description: "Take the nearest offset that there is instead of 416." }),
    ),
    delimiter: Type.Optional(Type.String({ description: "Between values as bytes." })),
    ...formats,
  }),
);
type Query = Static<typeof query.schema>;

const pageSchema = Type.Object({
  records: Type.Array(viewSchema),
  next: Type.String({ description: "Where to go on: `from` of the next request." }),
});

export function consumeRoutes(bridge: Bridge): readonly Route[] {
  return [
    route(
      "GET",
      "/v1/topics/:topic/records",
      query,
      {
        tag,
        summary: "Consume and browse",
        description:
          "As JSON, as lines, as bytes, or as a stream of events that goes on where Last-Event-ID says.",
        headers: { "last-event-id": Type.String({ description: "The id of the last event." }) },
        answers: {
          200: {
            description: "Records.",
            content: {
              "application/json": pageSchema,
              [linesMedia]: Type.String(),
              [eventsMedia]: Type.String(),
              [bytesMedia]: Type.String({ format: "binary" }),
            },
          },
        },
        problems: [404, 406, 416],
      },
      async (exchange) => {
        const topic = bridge.knownTopic(param(exchange, "topic"));
        const media = acceptable(exchange.request, [
          ...["application/json", linesMedia, eventsMedia, bytesMedia],
        ]);
        if (media === eventsMedia) return events(bridge, topic, exchange);
        return page(bridge, topic, exchange, media);
      },
    ),
    route(
      "HEAD",
      "/v1/topics/:topic/records",
      noQuery,
      {
        tag,
        summary: "First and next offset of each partition",
        description: "In the header Pyralog-Offsets, as partition:first-next.",
        answers: { 200: { description: "See the header." } },
        problems: [404],
      },
      async (exchange) => {
        const ends = await endsOf(bridge, bridge.knownTopic(param(exchange, "topic")));
        const shown = ends.map(({ start, end }, partition) => `${partition}:${start}-${end}`);
        return new Response(null, { headers: { "pyralog-offsets": shown.join(",") } });
      },
    ),
    route(
      "GET",
      "/v1/topics/:topic/partitions/:partition/records/:offset",
      new Shape(exactly(formats)),
      {
        tag,
        summary: "One record",
        answers: {
          200: {
            description: "The record, which never changes.",
            content: { "application/json": viewSchema, [bytesMedia]: Type.String() },
          },
          304: { description: "The client has it." },
        },
        problems: [404, 406],
      },
      (exchange) => single(bridge, exchange),
    ),
  ];
}

/** The first of the offered media types that the client accepts. */
function acceptable(request: Request, offered: readonly string[]): string {
  const accept = request.headers.get("accept") ?? "*/*";
  const wanted = accept.split(",").map((part) => (part.split(";")[0] ?? "").trim().toLowerCase());
  for (const each of wanted) {
    const found = offered.find(
      (media) =>
        each === media ||
        each === "*/*" ||
        (each.endsWith("/*") && media.startsWith(each.slice(0, -1))),
    );
    if (found !== undefined) return found;
  }
  throw new Problem(
    "not-acceptable",
    `there is no ${accept} of this. Accept one of ${offered.join(", ")}.`,
  );
}

function waitMsOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const ms = text.endsWith("ms") ? Number(text.slice(0, -2)) : Number(text.slice(0, -1)) * 1000;
  return Math.min(ms, httpWaitMsMax);
}

async function page(
  bridge: Bridge,
  topic: Topic,
  exchange: Exchange<Query>,
  media: string,
): Promise<Response> {
  const { query, request } = exchange;
  const positions = await positionsFrom(bridge, topic, query.partition, query.from ?? "earliest");
  const { limit = limitDefault, maxBytes = pageBytesDefault, clamp = false } = query;
  const poll = new Poll(bridge, topic, positions, maxBytes, clamp);
  const found: (readonly [PartitionIndex, StoredRecord])[] = [];
  const stop = (): void => poll.stop();
  request.signal.addEventListener("abort", stop);
  try {
    const waitMs = waitMsOf(query.wait);
    if (waitMs > 0) exchange.patient();
    await poll.next(limit, waitMs, (partition, record) => found.push([partition, record]));
  } finally {
    request.signal.removeEventListener("abort", stop);
    poll.stop();
  }
  const next = textOfPositions(positions);
  const headers = { "pyralog-next": next, "content-type": media };
  if (media === bytesMedia)
    return new Response(joined(found, query.delimiter ?? "\n"), { headers });
  const views = found.map(([partition, record]) => viewOf(partition, record, query));
  if (media === linesMedia)
    return new Response(views.map((view) => `${view}\n`).join(""), { headers });
  const text = `{"records":[${views.join(",")}],"next":${JSON.stringify(next)}}`;
  return new Response(text, { headers });
}

function joined(
  found: readonly (readonly [PartitionIndex, StoredRecord])[],
  delimiter: string,
): Uint8Array<ArrayBuffer> {
  const between = Buffer.from(delimiter);
  return new Uint8Array(
    Buffer.concat(found.flatMap(([, { value }]) => [value ?? new Uint8Array(0), between])),
  );
}

async function events(bridge: Bridge, topic: Topic, exchange: Exchange<Query>): Promise<Response> {
  const { query, request } = exchange;
  const last = request.headers.get("last-event-id") ?? "";
  const from = last === "" ? (query.from ?? "latest") : last;
  const positions = await positionsFrom(bridge, topic, query.partition, from);
  const { maxBytes = pageBytesDefault, clamp = false } = query;
  exchange.patient();
  const whole = query.partition === undefined;
  return streamEvents(bridge, topic, { positions, maxBytes, clamp, whole, formats: query });
}

async function single(bridge: Bridge, exchange: Exchange<Formats>): Promise<Response> {
  const topic = bridge.knownTopic(param(exchange, "topic"));
  const partition = bridge.knownPartition(topic, numberOf(exchange, "partition"));
  const at = numberOf(exchange, "offset");
  const media = acceptable(exchange.request, ["application/json", bytesMedia]);
  let found: StoredRecord | null = null;
  const poll = new Poll(bridge, topic, new Map([[partition, at]]), 1, true);
  try {
    await poll.next(1, 0, (_partition, record) => {
      found = record;
    });
  } finally {
    poll.stop();
  }
  const record = found as StoredRecord | null; // proof: set by the callback, which the compiler cannot see
  if (record === null || record.offset !== at) {
    throw new Problem(
      "not-found",
      `partition ${partition} of "${topic.name}" has no record ${at}. HEAD /v1/topics/${topic.name}/records tells where it begins and ends.`,
    );
  }
  const { keyFormat = "auto", valueFormat = "auto" } = exchange.query;
  const etag = `"${topic.id}-${partition}-${at}-${media === bytesMedia ? "bytes" : keyFormat + valueFormat}"`;
  const headers = { etag, "cache-control": "public, max-age=31536000, immutable" };
  if (exchange.request.headers.get("if-none-match")?.split(/,\s*/).includes(etag) === true)
    return new Response(null, { status: 304, headers });
  if (media === bytesMedia) {
    const bytes = new Uint8Array(record.value ?? new Uint8Array(0));
    return new Response(bytes, { headers: { ...headers, "content-type": media } });
  }
  const text = viewOf(partition, record, exchange.query);
  return new Response(text, { headers: { ...headers, "content-type": media, vary: "accept" } });
}

function numberOf(exchange: Exchange, name: string): number {
  const text = param(exchange, name);
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new Problem("not-found", `"${text}" is no ${name}. Use a whole number from 0 on.`);
}
