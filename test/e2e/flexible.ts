// Three flexible versions by hand, with every tag section of the answer kept: the tags that an
// older version does not know must not be in it.

import { BodyWriter } from "../../bench/kafka_client.ts";
import { Reader, type Connection } from "../harness/connection.ts";

export type Tags = ReadonlyMap<number, Buffer>;

/** Below 127 bytes or entries: one byte of unsigned varint. */
function compact(body: BodyWriter, text: string): BodyWriter {
  const bytes = Buffer.from(text);
  return body.int8(bytes.length + 1).raw(bytes);
}

function compactBytes(body: BodyWriter, bytes: Uint8Array): BodyWriter {
  let rest = bytes.length + 1;
  while (rest >= 128) {
    body.raw(Uint8Array.of((rest % 128) + 128));
    rest = Math.floor(rest / 128);
  }
  return body.raw(Uint8Array.of(rest)).raw(bytes);
}

export interface Feature {
  readonly name: string | null;
  readonly min: number;
  readonly max: number;
}

/** ApiVersions v3 or v4. */
export async function apiVersionsFlexible(
  connection: Connection,
  version: 3 | 4,
): Promise<{ error: number; keys: number[]; tags: Tags; supported: Feature[] }> {
  const body = compact(compact(new BodyWriter(), "pyralog-judge"), "1.0.0").int8(0);
  const answer = await connection.requestFlexible(18, version, body);
  const error = answer.int16();
  const keys = answer.compactArray(() => {
    const key = answer.int16();
    answer.int16();
    answer.int16();
    answer.tags();
    return key;
  });
  answer.int32(); // throttle time
  const tags = answer.tags();
  const bytes = tags.get(0);
  const supported = bytes === undefined ? [] : features(new Reader(bytes));
  return { error, keys, tags, supported };
}

function features(reader: Reader): Feature[] {
  return reader.compactArray(() => {
    const feature = { name: reader.compactString(), min: reader.int16(), max: reader.int16() };
    reader.tags();
    return feature;
  });
}

/** Fetch v12 of one partition without a session; returns the tags by level. */
export async function fetchFlexible(
  connection: Connection,
  topic: string,
  offset: number,
): Promise<{ error: number; top: Tags; partition: Tags }> {
  const body = new BodyWriter()
    .int32(-1)
    .int32(0)
    .int32(0)
    .int32(2 ** 20)
    .int8(0);
  body.int32(0).int32(-1); // no session
  compact(body.int8(2), topic).int8(2).int32(0).int32(-1).int64(offset).int32(-1).int64(-1);
  body
    .int32(2 ** 20)
    .int8(0)
    .int8(0);
  compact(body.int8(1), "").int8(0); // nothing forgotten, no rack
  const answer = await connection.requestFlexible(1, 12, body);
  answer.int32();
  answer.int16();
  answer.int32();
  let error = -1;
  let partition: Tags = new Map();
  answer.compactArray(() => {
    answer.compactString();
    answer.compactArray(() => {
      answer.int32();
      error = answer.int16();
      for (let count = 0; count < 3; count += 1) answer.int64();
      answer.compactArray(() => [answer.int64(), answer.int64(), answer.tags()]);
      answer.int32();
      answer.take(Math.max(0, answer.unsigned() - 1));
      partition = answer.tags();
    });
    answer.tags();
  });
  return { error, top: answer.tags(), partition };
}

/** Produce v9 of one batch to partition 0. */
export async function produceFlexible(
  connection: Connection,
  topic: string,
  batch: Uint8Array,
): Promise<{ error: number; top: Tags; partition: Tags }> {
  const body = new BodyWriter().int8(0).int16(-1).int32(30_000);
  compactBytes(compact(body.int8(2), topic).int8(2).int32(0), batch)
    .int8(0)
    .int8(0)
    .int8(0);
  const answer = await connection.requestFlexible(0, 9, body);
  let error = -1;
  let partition: Tags = new Map();
  answer.compactArray(() => {
    answer.compactString();
    answer.compactArray(() => {
      answer.int32();
      error = answer.int16();
      for (let count = 0; count < 3; count += 1) answer.int64();
      answer.compactArray(() => [answer.int32(), answer.compactString(), answer.tags()]);
      answer.compactString();
      partition = answer.tags();
    });
    answer.tags();
  });
  answer.int32();
  return { error, top: answer.tags(), partition };
}
