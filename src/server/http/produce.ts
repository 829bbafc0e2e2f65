// Produce over HTTP. The media type says what the body is: JSON with one record or many, NDJSON with a
// record per line, bytes that are one value, or a record batch as Kafka stores it.

import { Type } from "@sinclair/typebox";
import { jsonBytesMax, jsonDepthMax, jsonRecordsMax } from "../../core/base/limits.ts";

import { mediaTypeOf, parseJson, tooDeep, withBody, wrongMediaType } from "./body.ts";
import type { Bridge } from "./bridge.ts";
import { conditionsOf, expectedHeader, keyHeader, refuseConditions } from "./conditions.ts";
import { JsonScan, known } from "./json_text.ts";
import { produceLines } from "./lines.ts";
import { Problem } from "./problems.ts";
import { batchMedia, linesMedia, produceQuery, type Producing } from "./producing.ts";
import { RecordReader, recordSchema, type SentRecord, timeOf } from "./record_text.ts";
import { exactly, json, param, type Route, route } from "./routes.ts";
import { offsetSchema, partitionSchema, problemSchema, timeSchema, isoTime } from "./schemas.ts";
import { Shape } from "./shape.ts";
import { Outcomes, problemOfProduced, Spread } from "./spread.ts";

const mediaTypes = [
  "application/json",
  linesMedia,
  "application/octet-stream",
  "text/plain",
  batchMedia,
];
const headerPrefix = "x-record-header-";

const acksNumbers = { all: -1, leader: 1, none: 1 } as const;

const storedSchema = Type.Object({
  partition: partitionSchema,
  offset: offsetSchema,
  timestamp: Type.Union([timeSchema, Type.Null()]),
});
const offsetsSchema = Type.Object({ offsets: Type.Array(storedSchema) });
const partlySchema = Type.Object({
  offsets: Type.Array(Type.Union([storedSchema, Type.Object({ problem: problemSchema })])),
});
const manySchema = exactly({
  records: Type.Array(recordSchema, { minItems: 1, maxItems: jsonRecordsMax }),
});
const many = new Shape(exactly({ records: Type.Array(Type.Unknown()) }));

export function produceRoutes(bridge: Bridge): readonly Route[] {
  return [
    route(
      "POST",
      "/v1/topics/:topic/records",
      produceQuery,
      {
        tag: "Records",
        summary: "Produce",
        description:
          "Lines (application/x-ndjson) are answered one by one while the request is still open when the client accepts application/x-ndjson. A string is stored as its characters, any other JSON value byte for byte as it is written. Headers X-Record-Header-NAME become headers of a record that is sent as bytes.",
        headers: {
          accept: Type.String({ examples: [linesMedia] }),
          [keyHeader]: Type.String({
            description: "The same request with the same key is stored once and answered again.",
          }),
          [expectedHeader]: Type.String({
            description: "Stored only if the record gets this offset; else 409.",
          }),
        },
        body: {
          "application/json": Type.Union([recordSchema, manySchema]),
          [linesMedia]: Type.String(),
          "application/octet-stream": Type.String({ format: "binary" }),
          "text/plain": Type.String(),
          [batchMedia]: Type.String({ format: "binary" }),
        },
        answers: {
          200: {
            description: "Every record is stored.",
            content: { "application/json": offsetsSchema, [linesMedia]: Type.String() },
          },
          202: {
            description: "Taken, with acks=none.",
            content: { "application/json": offsetsSchema },
          },
          207: {
            description: "Some records are stored.",
            content: { "application/json": partlySchema },
          },
        },
        problems: [404, 409, 413, 415, 504, 507],
      },
      (exchange) => {
        const media = mediaTypeOf(exchange.request);
        if (!mediaTypes.includes(media)) throw wrongMediaType(media, mediaTypes);
        const topic = bridge.knownTopic(param(exchange, "topic"));
        const acks = acksNumbers[exchange.query.acks ?? "all"];
        const producing = { bridge, topic, query: exchange.query, exchange, acks };
        if (media !== linesMedia) refuseUnused(producing, media);
        if (media === linesMedia || media === batchMedia)
          refuseConditions(exchange.request, `bodies of ${media}`);
        switch (media) {
          case "application/json":
            return produceJson(producing);
          case linesMedia:
            return produceLines(producing);
          case batchMedia:
            return produceBatch(producing);
          default:
            return produceValue(producing);
        }
      },
    ),
  ];
}

/** Where the records themselves say it, the query does not. */
function refuseUnused({ query }: Producing, media: string): void {
  const bytes = media === "application/octet-stream" || media === "text/plain";
  const unused = bytes ? [] : (["key", "timestamp"] as const);
  const given = unused.find((name) => query[name] !== undefined);
  if (given === undefined) return;
  throw new Problem(
    "validation",
    `the query has ${given}, which belongs to a body of one value. Put it into the record.`,
    { pointer: `/${given}` },
  );
}

const listNames = known(["records"]);
const reader = new RecordReader();

function produceJson(producing: Producing): Promise<Response> {
  const { bridge, topic, exchange, query, acks } = producing;
  return withBody(bridge.memory, exchange.request, jsonBytesMax, (body) => {
    const records = readRecords(body, bridge.host.node.broker.wall);
    const spread = new Spread(bridge, topic, acks, conditions(producing, body));
    const places = records.map((record) =>
      spread.place({ ...record, partition: record.partition ?? query.partition ?? null }),
    );
    const outcomes = new Outcomes();
    const sent: Promise<void>[] = [];
    for (const [i, record] of records.entries()) {
      const place = places[i];
      if (place !== undefined) spread.add(record, place, outcomes, sent);
    }
    spread.flush(outcomes, sent);
    return answer(producing, outcomes, sent);
  });
}

/** One record, or `{ records }`. All are judged before the first is stored. */
function readRecords(body: Uint8Array<ArrayBuffer>, wall: number): readonly SentRecord[] {
  const scan = new JsonScan(listNames);
  let [start, end] = [-1, -1];
  const isObject = scan.reset(body).members((name, from, to) => {
    if (name !== "records") return;
    start = from;
    end = to;
  });
  if (scan.depth > jsonDepthMax) throw tooDeep();
  if (!isObject || start < 0) return [reader.read(body, 0, body.byteLength, wall, 0, "the record")];
  many.read(parseJson(body), "the body");
  const records: SentRecord[] = [];
  scan.reset(body, start, end).elements((from, to) => {
    if (records.length === jsonRecordsMax) {
      const next = "Send them in parts, or as application/x-ndjson.";
      throw new Problem("body-too-large", `there are more than ${jsonRecordsMax} records. ${next}`);
    }
    records.push(reader.read(body, from, to, wall, 2, `record ${records.length}`));
  });
  if (records.length > 0) return records;
  throw new Problem("validation", "records is empty. Send at least one.", { pointer: "/records" });
}

function conditions(
  { exchange, query }: Producing,
  body: Uint8Array,
  more: readonly (string | Uint8Array)[] = [],
) {
  const { key = "", partition = "", timestamp = "" } = query;
  const around = [mediaTypeOf(exchange.request), key, String(partition), timestamp];
  return conditionsOf(exchange.request, () => [...around, body, ...more]);
}

/** The whole body is one value. */
function produceValue(producing: Producing): Promise<Response> {
  const { bridge, topic, exchange, query, acks } = producing;
  return withBody(bridge.memory, exchange.request, topic.maxMessageBytes, (body) => {
    const record: SentRecord = {
      key: query.key === undefined ? null : new TextEncoder().encode(query.key),
      value: body,
      headers: [...exchange.request.headers]
        .filter(([name]) => name.startsWith(headerPrefix))
        .map(([name, text]) => ({
          key: name.slice(headerPrefix.length),
          value: new TextEncoder().encode(text),
        })),
      timestamp:
        query.timestamp === undefined
          ? bridge.host.node.broker.wall
          : timeOf(query.timestamp, "the query"),
      partition: query.partition ?? null,
    };
    const told = record.headers?.flatMap(({ key, value }) => [key, value ?? ""]) ?? [];
    const spread = new Spread(bridge, topic, acks, conditions(producing, body, told));
    const outcomes = new Outcomes();
    const sent: Promise<void>[] = [];
    spread.add(record, spread.place(record), outcomes, sent);
    spread.flush(outcomes, sent);
    return answer(producing, outcomes, sent);
  });
}

/** A batch as Kafka stores it; the node judges it like one of a Kafka client. */
function produceBatch(producing: Producing): Promise<Response> {
  const { bridge, topic, exchange, query, acks } = producing;
  const { partition } = query;
  if (partition === undefined) {
    throw new Problem(
      "validation",
      "a record batch belongs to one partition. Add ?partition= with its number.",
      { pointer: "/partition" },
    );
  }
  const at = bridge.knownPartition(topic, partition);
  return withBody(bridge.memory, exchange.request, topic.maxMessageBytes, async (body) => {
    const produced = bridge.produce(topic.id, at, body, acks);
    if (query.acks === "none") {
      produced.catch(() => {});
      return json({ offsets: [] }, 202);
    }
    const { baseOffset, logAppendTimeMs, ...rest } = await produced;
    const problem = problemOfProduced(bridge, { baseOffset, logAppendTimeMs, ...rest });
    if (problem !== null) throw problem;
    const timestamp = isoTime(logAppendTimeMs);
    return json({ offsets: [{ partition: at, offset: baseOffset, timestamp }] });
  });
}

async function answer(
  { query, exchange }: Producing,
  outcomes: Outcomes,
  sent: readonly Promise<void>[],
): Promise<Response> {
  if (query.acks === "none") return json({ offsets: [] }, 202);
  await Promise.all(sent);
  const { problems } = outcomes;
  const first = problems.values().next().value;
  if (first !== undefined && problems.size === outcomes.count) throw first;
  const offsets = outcomes.offsets.map((offset, i) => {
    const problem = problems.get(i);
    if (problem !== undefined) return { problem: problem.body() };
    // Of a repeat the first time is not known here.
    const isKeyed = exchange.request.headers.has(keyHeader);
    const timestamp = isKeyed ? null : isoTime(outcomes.timestamps[i] ?? -1);
    return { partition: outcomes.partitions[i], offset, timestamp };
  });
  return json({ offsets }, problems.size > 0 ? 207 : 200);
}
