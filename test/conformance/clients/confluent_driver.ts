// @confluentinc/kafka-javascript (librdkafka) behind the line protocol of line_driver.ts. It runs
// under Node, which the native add-on is built for. Arguments: package folder, bootstrap address.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** The few parts of the package that this driver uses; its own types are not installed here. */
interface Message {
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | string | null | undefined;
  readonly value: Buffer | null;
  readonly headers?: readonly Readonly<Record<string, Buffer | string>>[];
}

interface Client {
  connect(options: object, done: (error: Error | null, metadata: unknown) => void): void;
  disconnect(done: () => void): void;
  on(event: string, listener: (...args: never[]) => void): void;
}

interface Producer extends Client {
  produce(
    topic: string,
    partition: number,
    value: Buffer | null,
    key: Buffer | null,
    timestamp: number,
    opaque: undefined,
    headers: readonly Record<string, Buffer | null>[],
  ): void;
  setPollInterval(ms: number): void;
  flush(timeoutMs: number, done: (error: Error | null) => void): void;
}

interface Consumer extends Client {
  assign(partitions: readonly { topic: string; partition: number; offset: number }[]): void;
  subscribe(topics: readonly string[]): void;
  setDefaultConsumeTimeout(ms: number): void;
  consume(count: number, done: (error: Error | null, messages: readonly Message[]) => void): void;
  commitSync(offsets: readonly { topic: string; partition: number; offset: number }[]): void;
  getMetadata(
    options: { topic: string; timeout: number },
    done: (
      error: Error | null,
      found: { topics: readonly { name: string; partitions: readonly { id: number }[] }[] },
    ) => void,
  ): void;
}

interface Package {
  readonly Producer: new (settings: object, topicSettings: object) => Producer;
  readonly KafkaConsumer: new (settings: object, topicSettings: object) => Consumer;
}

const [home = "", address = ""] = process.argv.slice(2);
const load = createRequire(join(home, "package.json"));
// proof: the package of the pinned version exports both classes in this shape
const { Producer, KafkaConsumer } = load("@confluentinc/kafka-javascript") as Package;

/** A call of the package with a callback at its end, as a promise. */
function done<T>(call: (callback: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) =>
    call((error, value) => (error ? reject(error) : resolve(value))),
  );
}

function bytes(text: string): Buffer | null {
  return text === "-" ? null : Buffer.from(text, "base64");
}

function text(content: Buffer | string | null | undefined): string {
  return content === null || content === undefined ? "-" : Buffer.from(content).toString("base64");
}

async function produce(
  topic: string,
  codec: string,
  acks: number,
  lines: readonly string[],
): Promise<void> {
  const producer = new Producer(
    {
      "bootstrap.servers": address,
      "compression.codec": codec,
      "linger.ms": 200,
      dr_cb: true,
    },
    { acks },
  );
  let failed: Error | undefined;
  let delivered = 0;
  producer.on("delivery-report", (error: Error | null) => {
    failed ??= error ?? undefined;
    delivered += 1;
  });
  await done((callback) => producer.connect({ timeout: 30_000 }, callback));
  producer.setPollInterval(10);
  for (const line of lines) {
    const [partition, , timestamp, key = "-", value = "-", headers = ""] = line.split("\t");
    const list = headers.split(",").filter((each) => each !== "");
    producer.produce(
      topic,
      Number(partition),
      bytes(value),
      bytes(key),
      Number(timestamp),
      undefined,
      list.map((each) => {
        const [name = "", content = "-"] = each.split(":");
        return { [Buffer.from(name, "base64").toString("utf8")]: bytes(content) };
      }),
    );
  }
  await done((callback) => producer.flush(60_000, (error) => callback(error, undefined)));
  while (delivered < lines.length) await new Promise((resolve) => setTimeout(resolve, 10));
  await new Promise<void>((resolve) => producer.disconnect(resolve));
  if (failed) throw failed;
}

async function consume(topic: string, group: string, count: number): Promise<string[]> {
  const alone = group === "-";
  const consumer = new KafkaConsumer(
    {
      "bootstrap.servers": address,
      // The client asks for a name even where no group is joined.
      "group.id": alone ? "unused" : group,
      "enable.auto.commit": false,
    },
    { "auto.offset.reset": "earliest" },
  );
  await done((callback) => consumer.connect({ timeout: 30_000 }, callback));
  if (alone) {
    const found = await done<{
      topics: readonly { name: string; partitions: readonly { id: number }[] }[];
    }>((callback) => consumer.getMetadata({ topic, timeout: 30_000 }, callback));
    const partitions = found.topics.find((each) => each.name === topic)?.partitions ?? [];
    consumer.assign(partitions.map(({ id }) => ({ topic, partition: id, offset: 0 })));
  } else {
    consumer.subscribe([topic]);
  }
  consumer.setDefaultConsumeTimeout(500);
  const lines: string[] = [];
  const next = new Map<number, number>();
  while (lines.length < count) {
    const wanted = count - lines.length;
    for (const message of await done<readonly Message[]>((call) =>
      consumer.consume(wanted, call),
    )) {
      next.set(message.partition, message.offset + 1);
      lines.push(toLine(message));
    }
  }
  if (!alone) {
    const offsets = [...next].map(([partition, offset]) => ({ topic, partition, offset }));
    consumer.commitSync(offsets);
  }
  await new Promise<void>((resolve) => consumer.disconnect(resolve));
  return lines;
}

function toLine(message: Message): string {
  const headers = (message.headers ?? []).flatMap((each) =>
    Object.entries(each).map(([name, content]) => `${text(name)}:${text(content)}`),
  );
  const { partition, offset, timestamp, key, value } = message;
  return [partition, offset, timestamp, text(key), text(value), headers.join(",")].join("\t");
}

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function nextLine(): Promise<string | undefined> {
  const { value, done: ended } = await input.next();
  return ended ? undefined : value;
}

for (let line = await nextLine(); line !== undefined; line = await nextLine()) {
  const [command, topic = "", ...rest] = line.split(" ");
  try {
    let answer: string[] = [];
    if (command === "produce") {
      const [codec = "none", acks, count] = rest;
      const lines: string[] = [];
      while (lines.length < Number(count)) lines.push((await nextLine()) ?? "");
      await produce(topic, codec, Number(acks), lines);
    } else if (command === "consume") {
      const [group = "-", count] = rest;
      answer = await consume(topic, group, Number(count));
    } else {
      throw new Error(`unknown command ${line}`);
    }
    process.stdout.write([...answer, "ok"].map((each) => `${each}\n`).join(""));
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    process.stdout.write(`error ${words.replaceAll("\n", " ")}\n`);
  }
}
process.exit(0);
