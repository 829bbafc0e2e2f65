// One scenario set for every client family: what it writes must lie in the log as it said, and what
// it reads must be what was written: content, order, headers, timestamps, tombstones, once each.

import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  createTopic,
  earliest,
  fetchPartition,
  latest,
  listOffset,
  metadata,
} from "../../harness/apis.ts";
import { readBatches, type Codec, type Header, type NewRecord } from "../../harness/batch.ts";
import { Connection } from "../../harness/connection.ts";
import { findCoordinator, offsetFetch } from "../../harness/groups.ts";
import { Server } from "../../harness/server.ts";
import { until } from "../../harness/until.ts";
import { kcatProduce } from "./kcat_driver.ts";

export interface PartitionRecord extends NewRecord {
  readonly partition: number;
}

export interface ConsumedRecord extends PartitionRecord {
  readonly offset: number;
}

export type Acks = -1 | 0 | 1;

export interface ProduceOptions {
  readonly codec: Codec;
  readonly acks: Acks;
}

export interface ConsumeOptions {
  /** Null = without a group, from the start. With one, from where it committed. */
  readonly group: string | null;
  /** Resolves once so many records came. */
  readonly count: number;
}

export interface Session {
  produce(
    topic: string,
    records: readonly PartitionRecord[],
    options: ProduceOptions,
  ): Promise<void>;
  /** With a group: the offsets of everything returned are committed before this resolves. */
  consume(topic: string, options: ConsumeOptions): Promise<ConsumedRecord[]>;
  close(): Promise<void>;
}

/** What a client can say at all; the records of a scenario are cut down to it. */
export interface Family {
  readonly name: string;
  /** Codecs that its producer has. */
  readonly codecs: readonly Codec[];
  readonly acks: readonly Acks[];
  readonly withoutGroup: boolean;
  /** The producer lets the caller set a record's timestamp. */
  readonly timestamps: boolean;
  /** The expected form of a record; identity for a client that can say everything. */
  shape(record: PartitionRecord): PartitionRecord;
  open(address: string): Promise<Session>;
}

const partitions = 3;
const allCodecs: readonly Codec[] = ["none", "gzip", "snappy", "lz4", "zstd"];
const testMsMax = 120_000;

/** Not a multiple of anything, in the past, so that a broker's own clock never fits by chance. */
const firstTimestamp = 1_700_000_000_123;

function headersOf(index: number): readonly Header[] {
  const text = (value: string): Uint8Array => Buffer.from(value);
  switch (index % 6) {
    case 0:
      return [];
    case 1:
      return [["trace", text(`t-${index}`)]];
    case 2:
      return [
        ["same", text("first")],
        ["same", text("second")],
        ["other", text("between")],
        ["same", text("third")],
      ];
    case 3:
      return [["empty", text("")]];
    case 4:
      return [["none", null]];
    default:
      return [["größe-Ω", text("ünïcode ☃")]];
  }
}

const allBytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);

function valueOf(index: number, run: string): Uint8Array | null {
  switch (index % 8) {
    case 3:
      return null;
    case 4:
      return new Uint8Array(0);
    case 5:
      return allBytes;
    case 6:
      return Buffer.from(`${run} long ${index} `.repeat(1500));
    default:
      return Buffer.from(`${run} value ${index} ☃`);
  }
}

function keyOf(index: number): Uint8Array | null {
  switch (index % 5) {
    case 0:
      return null;
    case 1:
      return new Uint8Array(0);
    case 2:
      return allBytes.subarray(100, 200);
    default:
      return Buffer.from(`key-${index}`);
  }
}

/** Records of every shape, dealt to the partitions in turn. */
export function scenarioRecords(count: number, run: string): PartitionRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    partition: index % partitions,
    key: keyOf(index),
    // A record without key and value says nothing that could be compared.
    value: keyOf(index) === null ? Buffer.from(`${run} keyless ${index}`) : valueOf(index, run),
    headers: headersOf(index),
    timestamp: firstTimestamp + index * 1009,
  }));
}

function hex(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString("hex");
}

/** A record in a form that a failed comparison prints readably. */
function shown(record: PartitionRecord, timestamps: boolean): unknown {
  return {
    key: hex(record.key),
    value: hex(record.value),
    headers: (record.headers ?? []).map(([key, value]) => [key, hex(value)]),
    ...(timestamps ? { timestamp: record.timestamp } : {}),
  };
}

/** Same records, in order within each partition, at consecutive offsets from `start` on. */
export function expectSame(
  got: readonly ConsumedRecord[],
  wanted: readonly PartitionRecord[],
  options: { timestamps: boolean; start?: (partition: number) => number },
): void {
  for (let partition = 0; partition < partitions; partition += 1) {
    const have = got.filter((record) => record.partition === partition);
    const want = wanted.filter((record) => record.partition === partition);
    const start = options.start?.(partition) ?? 0;
    expect(have.map((record) => record.offset)).toEqual(want.map((_, index) => start + index));
    expect(have.map((record) => shown(record, options.timestamps))).toEqual(
      want.map((record) => shown(record, options.timestamps)),
    );
  }
  expect(got).toHaveLength(wanted.length);
}

/** What only the log itself can tell. */
class Log {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(address: string): Promise<Log> {
    return new Log(await Connection.open(address));
  }

  close(): void {
    this.#connection.close();
  }

  /** A new topic whose partitions all take requests. */
  async topic(name: string): Promise<string> {
    const { error, message } = await createTopic(this.#connection, name, { partitions });
    if (error !== 0) throw new Error(`CreateTopics ${name}: error ${error} ${message}`);
    await until(`${name} has leaders`, async () => {
      const [state] = await metadata(this.#connection, [name]);
      const found = state?.partitions ?? [];
      if (found.length < partitions || found.some((each) => each.error !== 0)) return false;
      const ends = await Promise.all(
        found.map((_, index) => listOffset(this.#connection, name, index, latest)),
      );
      return ends.every((end) => end.error === 0);
    });
    return name;
  }

  /** Kafka makes the offsets topic at the first look-up and loads it behind the answer. */
  async coordinator(group: string): Promise<void> {
    await until(`${group} has a coordinator`, async () => {
      if ((await findCoordinator(this.#connection, group)) !== 0) return false;
      return (await offsetFetch(this.#connection, group, "any", [0])).error === 0;
    });
  }

  /** Records in the log, over all partitions. */
  async count(topic: string): Promise<number> {
    let sum = 0;
    for (let partition = 0; partition < partitions; partition += 1) {
      const end = await listOffset(this.#connection, topic, partition, latest);
      const start = await listOffset(this.#connection, topic, partition, earliest);
      sum += end.offset - start.offset;
    }
    return sum;
  }

  /** Codecs that batches of the topic carry in their attributes. */
  async codecs(topic: string): Promise<Set<Codec>> {
    const found = new Set<Codec>();
    for (let partition = 0; partition < partitions; partition += 1) {
      for (let offset = 0; ; ) {
        const { bytes } = await fetchPartition(this.#connection, topic, partition, offset);
        const batches = readBatches(bytes);
        for (const batch of batches) found.add(batch.codec);
        const last = batches.at(-1);
        if (last === undefined) break;
        expect(batches.every((batch) => batch.crcHolds)).toBe(true);
        offset = last.lastOffset + 1;
      }
    }
    return found;
  }
}

/** A client keeps a batch as it is where compression would not make it smaller. */
function expectCodec(found: ReadonlySet<Codec>, codec: Codec): void {
  expect([...found]).toContain(codec);
  expect([...found].filter((each) => each !== codec && each !== "none")).toEqual([]);
}

const recordsPerRun = 120;

/** Registers the tests of one family. The server starts once for all of them. */
export function roundTrips(family: Family): void {
  let server: Server;
  let log: Log;
  let session: Session;
  const named = (what: string): string => `${family.name.replaceAll(/[^a-z0-9]+/g, "-")}-${what}`;
  const wanted = (run: string, count = recordsPerRun): PartitionRecord[] =>
    scenarioRecords(count, run).map((record) => family.shape(record));

  beforeAll(async () => {
    server = await Server.start({ kafka: { "group.initial.rebalance.delay.ms": 0 } });
    log = await Log.open(server.address);
    session = await family.open(server.address);
  }, 600_000);

  afterAll(async () => {
    await session?.close();
    log?.close();
    await server?.stop();
    await server?.dispose();
  }, testMsMax);

  /** Any way of reading that the family has. */
  const read = async (topic: string, count: number): Promise<ConsumedRecord[]> => {
    const group = family.withoutGroup ? null : `${topic}-readers`;
    if (group !== null) await log.coordinator(group);
    return session.consume(topic, { group, count });
  };

  for (const codec of family.codecs) {
    test(
      `${family.name}: produces and consumes every shape of record (${codec})`,
      async () => {
        const topic = await log.topic(named(`codec-${codec}`));
        const records = wanted(codec);
        await session.produce(topic, records, { codec, acks: -1 });
        expect(await log.count(topic)).toBe(records.length);
        expectCodec(await log.codecs(topic), codec);
        expectSame(await read(topic, records.length), records, family);
      },
      testMsMax,
    );
  }

  for (const acks of family.acks.filter((each) => each !== -1)) {
    test(
      `${family.name}: produces with acks=${acks}`,
      async () => {
        const topic = await log.topic(named(`acks-${acks}`));
        const records = wanted(`acks ${acks}`);
        await session.produce(topic, records, { codec: "none", acks });
        // Without an answer the client cannot know when the records are in.
        await until("every record is in the log", async () => {
          return (await log.count(topic)) >= records.length;
        });
        expectSame(await read(topic, records.length), records, family);
        expect(await log.count(topic)).toBe(records.length);
      },
      testMsMax,
    );
  }

  for (const codec of allCodecs) {
    test(
      `${family.name}: consumes what librdkafka compressed (${codec})`,
      async () => {
        const topic = await log.topic(named(`foreign-${codec}`));
        const records = await kcatProduce(server.address, topic, scenarioRecords(60, codec), {
          codec,
          acks: -1,
        });
        expectCodec(await log.codecs(topic), codec);
        const visible = records.map((record) => family.shape(record));
        expectSame(await read(topic, records.length), visible, { timestamps: false });
      },
      testMsMax,
    );
  }

  test(
    `${family.name}: a group goes on where it committed`,
    async () => {
      const topic = await log.topic(named("group"));
      const group = named("members");
      await log.coordinator(group);
      const first = wanted("first");
      await session.produce(topic, first, { codec: "none", acks: -1 });
      expectSame(await session.consume(topic, { group, count: first.length }), first, family);
      const second = wanted("second", recordsPerRun / 2);
      await session.produce(topic, second, { codec: "none", acks: -1 });
      expectSame(await session.consume(topic, { group, count: second.length }), second, {
        ...family,
        start: (partition) => first.filter((record) => record.partition === partition).length,
      });
    },
    testMsMax,
  );
}
