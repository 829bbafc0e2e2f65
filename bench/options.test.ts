import { describe, expect, test } from "bun:test";
import { cases } from "./cases.ts";
import { type Options, parseOptions } from "./options.ts";
import { shapeOf } from "./shapes.ts";
import { UsageError } from "./usage_error.ts";

function optionsOf(args: readonly string[]): Options {
  const [name = "", ...rest] = args;
  return parseOptions(name, rest, cases[name] ?? { vs: "null", defaultShapes: ["B1"], pairs: 9 });
}

describe("options", () => {
  test("options: without any, our node at fsync beside the null broker, nine pairs", () => {
    const options = optionsOf(["produce"]);
    expect(options).toMatchObject({
      caseName: "produce",
      subject: "pyralog",
      peers: ["null"],
      shape: "B1",
      shapes: ["B1"],
      sizeBytes: undefined,
      durability: "fsync",
      pairs: 9,
      gateTries: 10,
      quick: false,
      settings: [],
    });
  });

  test("options: every option reaches its field", () => {
    const options = optionsOf([
      ...["latency", "--shape", "B2,S2", "--size", "1024", "--partitions", "7", "--count", "11"],
      ...["--rate", "500", "--durability", "os", "--vs", "kafka,floor,null", "--pairs", "3"],
      ...["--set", "a.b=c", "--set", "d.e=f", "--gate", "2", "--idempotent", "--subject", "kafka"],
      ...["--gib", "3"],
    ]);
    expect(options).toEqual({
      caseName: "latency",
      subject: "kafka",
      peers: ["null", "kafka"],
      limits: ["floor"],
      shape: "B2",
      shapes: ["B2", "S2"],
      gib: 3,
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
    const full = optionsOf(["produce", "--vs", "none"]);
    const quick = optionsOf(["produce", "--vs", "none", "--quick"]);
    expect(quick).toMatchObject({ pairs: 2, gateTries: 1, peers: [] });
    expect(shapeOf(quick).count * 10).toBe(shapeOf(full).count);
  });

  test.each([
    [["produce", "--size", "0"], "--size needs a number"],
    [["produce", "--size", "many"], "--size needs a number"],
    [["produce", "--size"], "--size needs a value"],
    [["produce", "--vs", "redis"], "--vs is one of"],
    [["produce", "--shape", "B1,B9"], "--shape is one of"],
    [["produce", "--durability", "none"], "--durability is one of"],
    [["produce", "--colour", "blue"], "--colour is unknown"],
  ])("options: %p is refused in words", (args, words) => {
    expect(() => optionsOf(args)).toThrow(UsageError);
    expect(() => optionsOf(args)).toThrow(words);
  });
});

describe("shapes", () => {
  test("shapes: B1 is one partition and large batches, B2 100 partitions and 16 KiB", () => {
    const shape = (...args: readonly string[]) => shapeOf(optionsOf(["produce", ...args]));
    expect(shape("--shape", "B1")).toMatchObject({ partitions: 1, count: 5_000_000 });
    expect(shape("--shape", "B1").batchBytes).toBeUndefined();
    expect(shape("--shape", "B2")).toMatchObject({
      partitions: 100,
      count: 2_000_000,
      batchBytes: 16_384,
    });
    // Kafka that syncs each batch is an order of magnitude slower, so both sides send less
    expect(shape("--shape", "B2", "--vs", "kafka").count).toBe(1_000_000);
    expect(shape("--shape", "B2", "--vs", "kafka", "--durability", "os").count).toBe(2_000_000);
    expect(shape("--size", "1024").count).toBe(976_562);
  });

  test("shapes: a size on the command line wins over the shape's, a rate bounds the records", () => {
    const shape = (...args: readonly string[]) => shapeOf(optionsOf(["produce", ...args]));
    expect(shape("--shape", "S2")).toMatchObject({ partitions: 16, sizeBytes: 1024 });
    expect(shape("--shape", "S2", "--size", "200").sizeBytes).toBe(200);
    expect(shape("--shape", "S3")).toMatchObject({
      ...{ partitions: 100, producers: 4, consumers: 4, rate: 100_000, count: 1_000_000 },
    });
    expect(shape("--shape", "S4")).toMatchObject({ partitions: 10_000, count: 500_000 });
    expect(shape("--shape", "S5").count * 1024).toBe(2 ** 31);
  });

  test.each([
    ["S6", "bench latency"],
    ["S7", "settling"],
    ["S8", "bench density"],
  ])(
    "shapes: %s is no load of one producer, and the refusal says where it is measured",
    (name, where) => {
      expect(() => shapeOf(optionsOf(["produce", "--shape", name]))).toThrow(where);
    },
  );
});
