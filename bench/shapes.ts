// The shapes of load by name. B1 is Kafka's best case, B2 the everyday case; S1 to S5 stand for the
// shapes of the OpenMessaging Benchmark, scaled to a machine of two cores.

import type { Options } from "./options.ts";
import { UsageError } from "./usage_error.ts";

export const shapeNames = ["B1", "B2", "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8"] as const;
export type ShapeName = (typeof shapeNames)[number];

export interface Shape {
  readonly name: ShapeName;
  readonly partitions: number;
  readonly sizeBytes: number;
  /** Records of a run, of all producers together. */
  readonly count: number;
  readonly producers: number;
  /** Members of one group, reading while the producers write. */
  readonly consumers: number;
  /** Records per second of all producers together; undefined = as fast as they may. */
  readonly rate: number | undefined;
  readonly lingerMs: number;
  readonly batchRecords: number;
  /** Largest batch; undefined = librdkafka's default of 1,000,000. */
  readonly batchBytes: number | undefined;
}

interface Row {
  readonly partitions: number;
  readonly sizeBytes: number;
  readonly producers?: number;
  readonly consumers?: number;
  readonly rate?: number;
  readonly batchBytes?: number;
  /** Most records and most bytes of a run: about 20 s on the slowest side. */
  readonly most: readonly [records: number, bytes: number];
}

/** Kafka's default batch.size. */
const everydayBatchBytes = 16_384;
/** A shape with a rate runs for so long. */
const secondsAtRate = 10;

const rows: Readonly<Partial<Record<ShapeName, Row>>> = {
  B1: { partitions: 1, sizeBytes: 100, most: [5e6, 1e9] },
  B2: { partitions: 100, sizeBytes: 100, batchBytes: everydayBatchBytes, most: [2e6, 3e8] },
  S1: { partitions: 1, sizeBytes: 100, most: [5e6, 1e9] },
  S2: { partitions: 16, sizeBytes: 1024, most: [5e6, 1e9] },
  S3: {
    ...{ partitions: 100, sizeBytes: 1024, producers: 4, consumers: 4, rate: 100_000 },
    most: [5e6, 5e9],
  },
  S4: { partitions: 10_000, sizeBytes: 1024, rate: 50_000, most: [5e6, 5e9] },
  S5: { partitions: 16, sizeBytes: 1024, most: [2 ** 21, 2 ** 31] },
};

/** Where the shapes are measured that are no load of one producer. */
const elsewhere: Readonly<Partial<Record<ShapeName, string>>> = {
  S6: "`bun run bench latency`",
  S7: "nothing yet: it compares settling on and off, and the node has no settling",
  S8: "`bun run bench density`",
};

/** Kafka that syncs every batch takes a tenth of the records at many small batches. */
const flushedMost = [1e6, 1e8] as const;

export function shapeOf(options: Options): Shape {
  const { shape: name, durability, peers, quick } = options;
  const row = rows[name];
  if (row === undefined) throw new UsageError(`${name} is measured by ${elsewhere[name]}`);
  const sizeBytes = options.sizeBytes ?? row.sizeBytes;
  const flushing = name === "B2" && durability === "fsync" && peers.includes("kafka");
  const [recordsMax, bytesMax] = flushing ? flushedMost : row.most;
  const atRate = row.rate === undefined ? recordsMax : row.rate * secondsAtRate;
  const full = options.count ?? Math.min(atRate, recordsMax, Math.floor(bytesMax / sizeBytes));
  return {
    name,
    partitions: options.partitions ?? row.partitions,
    sizeBytes,
    count: quick && options.count === undefined ? Math.ceil(full / 10) : full,
    producers: row.producers ?? 1,
    consumers: row.consumers ?? 0,
    rate: row.rate,
    lingerMs: 5,
    batchRecords: 10_000,
    batchBytes: row.batchBytes,
  };
}

/** The fields of a result line that say what the load was. */
export function shapeFields(
  shape: Shape,
  options: Options,
): Record<string, string | number | boolean> {
  return {
    name: shape.name,
    size: shape.sizeBytes,
    partitions: shape.partitions,
    count: shape.count,
    acks: -1,
    linger_ms: shape.lingerMs,
    batch_records: shape.batchRecords,
    batch_bytes: shape.batchBytes ?? 1_000_000,
    idempotent: options.idempotent,
    producers: shape.producers,
    ...(shape.consumers === 0 ? {} : { consumers: shape.consumers }),
    ...(shape.rate === undefined ? {} : { rate: shape.rate }),
  };
}
