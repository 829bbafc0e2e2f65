import { describe, expect, test } from "bun:test";
import { shapeOf } from "./cases/produce.ts";
import { parseOptions, UsageError } from "./options.ts";

describe("options", () => {
  test("options: without any, our node at fsync beside the null broker, nine pairs", () => {
    const options = parseOptions(["produce"]);
    expect(options).toMatchObject({
      caseName: "produce",
      subject: "pyralog",
      peers: ["null"],
      shape: "B1",
      sizeBytes: 100,
      durability: "fsync",
      pairs: 9,
      gateTries: 10,
      quick: false,
      settings: [],
    });
  });

  test("options: every option reaches its field", () => {
    const options = parseOptions([
      ...["latency", "--shape", "B2", "--size", "1024", "--partitions", "7", "--count", "11"],
      ...["--rate", "500", "--durability", "os", "--vs", "kafka,floor,null", "--pairs", "3"],
      ...["--set", "a.b=c", "--set", "d.e=f", "--gate", "2", "--idempotent", "--subject", "kafka"],
    ]);
    expect(options).toEqual({
      caseName: "latency",
      subject: "kafka",
      peers: ["null", "kafka"],
      limits: ["floor"],
      shape: "B2",
      sizeBytes: 1024,
      partitions: 7,
      count: 11,
      rate: 500,
      durability: "os",
      pairs: 3,
      idempotent: true,
      gateTries: 2,
      quick: false,
      settings: ["a.b=c", "d.e=f"],
    });
  });

  test("options: a quick run has two pairs, one try of the gate and a tenth of the records", () => {
    const full = parseOptions(["produce", "--vs", "none"]);
    const quick = parseOptions(["produce", "--vs", "none", "--quick"]);
    expect(quick).toMatchObject({ pairs: 2, gateTries: 1, peers: [] });
    expect(shapeOf(quick).count * 10).toBe(shapeOf(full).count);
  });

  test.each([
    [[], "no case"],
    [["--quick"], "no case"],
    [["produce", "--size", "0"], "--size needs a number"],
    [["produce", "--size", "many"], "--size needs a number"],
    [["produce", "--size"], "--size needs a value"],
    [["produce", "--vs", "redis"], "--vs is one of"],
    [["produce", "--durability", "none"], "--durability is one of"],
    [["produce", "--colour", "blue"], "--colour is unknown"],
  ])("options: %p is refused in words", (args, words) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(words);
  });
});

describe("produce", () => {
  test("produce: B1 is one partition and large batches, B2 100 partitions and 16 KiB", () => {
    const shape = (...args: readonly string[]) => shapeOf(parseOptions(["produce", ...args]));
    expect(shape("--shape", "B1")).toMatchObject({ partitions: 1, count: 5_000_000 });
    expect(shape("--shape", "B1").load.batchBytes).toBeUndefined();
    expect(shape("--shape", "B2")).toMatchObject({
      partitions: 100,
      count: 2_000_000,
      load: { batchBytes: 16_384 },
    });
    // Kafka that syncs each batch is an order of magnitude slower, so both sides send less
    expect(shape("--shape", "B2", "--vs", "kafka").count).toBe(1_000_000);
    expect(shape("--shape", "B2", "--vs", "kafka", "--durability", "os").count).toBe(2_000_000);
    expect(shape("--size", "1024").count).toBe(976_562);
  });
});
