// kcat in the terms of the scenario set. It writes text, one header list per invocation and no
// timestamps, so a partition's records go out in one invocation each.

import type { Codec, Header } from "../../harness/batch.ts";
import { kcat } from "../../harness/kcat.ts";
import type { ConsumedRecord, Family, PartitionRecord, ProduceOptions } from "./scenario.ts";

/** Unit separator: in no key and no value. */
const keyDelimiter = "\x1f";

function headersOf(partition: number): Header[] {
  const text = (value: string): Uint8Array => Buffer.from(value);
  return [
    ["partition", text(String(partition))],
    ["same", text("first")],
    ["same", text("second")],
  ];
}

function asString(bytes: Uint8Array | null): string {
  return bytes === null ? "" : Buffer.from(bytes).toString("utf8");
}

/** Text of one line; anything else becomes a word about its size. */
function asText(bytes: Uint8Array | null): Uint8Array | null {
  if (bytes === null) return null;
  return /^[^\0-\x1f\ufffd]+$/.test(asString(bytes)) ? bytes : Buffer.from(`bytes ${bytes.length}`);
}

export function kcatShape(record: PartitionRecord): PartitionRecord {
  return {
    ...record,
    key: asText(record.key),
    value: asText(record.value),
    headers: headersOf(record.partition),
  };
}

/** Writes the records as kcat can, and returns them as they must come back. */
export async function kcatProduce(
  address: string,
  topic: string,
  records: readonly PartitionRecord[],
  options: { codec: Codec; acks: -1 | 0 | 1 },
): Promise<PartitionRecord[]> {
  const shaped = records.map(kcatShape);
  for (const partition of new Set(shaped.map((record) => record.partition))) {
    const lines = shaped
      .filter((record) => record.partition === partition)
      .map((record) => {
        const key = record.key === null ? "" : `${asString(record.key)}${keyDelimiter}`;
        return `${key}${asString(record.value)}\n`;
      });
    const headers = headersOf(partition).flatMap(([key, value]) => [
      "-H",
      `${key}=${asString(value)}`,
    ]);
    const settings = [
      "linger.ms=200",
      `compression.codec=${options.codec}`,
      `acks=${options.acks}`,
    ];
    await kcat(
      address,
      [
        ...["-P", "-t", topic, "-p", String(partition), "-K", keyDelimiter, "-Z"],
        ...settings.flatMap((setting) => ["-X", setting]),
        ...headers,
      ],
      lines.join(""),
    );
  }
  return shaped;
}

const format = "%p %o %T %K %S %k%s%h\\n";

/** Output of `format`; keys and values are told by their sizes, not by delimiters. */
function parse(output: Buffer): ConsumedRecord[] {
  const found: ConsumedRecord[] = [];
  for (let start = 0; start < output.length; ) {
    const numbers: number[] = [];
    for (let field = 0; field < 5; field += 1) {
      const end = output.indexOf(" ", start);
      numbers.push(Number(output.toString("latin1", start, end)));
      start = end + 1;
    }
    const [partition = -1, offset = -1, timestamp = -1, keySize = -1, valueSize = -1] = numbers;
    const take = (size: number): Buffer | null => {
      if (size < 0) return null;
      start += size;
      return output.subarray(start - size, start);
    };
    const key = take(keySize);
    const value = take(valueSize);
    const end = output.indexOf("\n", start);
    const headers = output
      .toString("utf8", start, end)
      .split(",")
      .filter((each) => each !== "")
      .map((each): Header => {
        const equals = each.indexOf("=");
        return [each.slice(0, equals), Buffer.from(each.slice(equals + 1))];
      });
    start = end + 1;
    found.push({ partition, offset, timestamp, key, value, headers });
  }
  return found;
}

export const kcatFamily: Family = {
  name: "kcat",
  codecs: ["none", "gzip", "snappy", "lz4", "zstd"],
  acks: [-1, 0, 1],
  withoutGroup: true,
  timestamps: false,
  shape: kcatShape,
  async open(address) {
    return {
      async produce(topic, records, options: ProduceOptions) {
        await kcatProduce(address, topic, records, options);
      },
      async consume(topic, { group, count }) {
        const earliest = ["-X", "auto.offset.reset=earliest"];
        const output =
          group === null
            ? await kcat(address, ["-C", "-t", topic, "-o", "beginning", "-e", "-f", format])
            : await kcat(address, [
                ...["-G", group, "-c", String(count), "-f", format, ...earliest],
                topic,
              ]);
        return parse(output);
      },
      async close() {},
    };
  },
};
