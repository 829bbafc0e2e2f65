// Type tests: what a table says is what the compiler knows. The runtime half only reads specs.

import { expect, test } from "bun:test";
import type {
  LeaderEpoch,
  NodeId,
  None,
  Offset,
  PartitionIndex,
  ProducerId,
  TopicId,
} from "../src/core/base/ids.ts";
import type { ProduceRequest, ProduceResponse } from "./kafka/00_produce.ts";
import type { FetchRequest, FetchResponse } from "./kafka/01_fetch.ts";
import type { MetadataRequest } from "./kafka/03_metadata.ts";
import type { InitProducerIdResponse } from "./kafka/22_init_producer_id.ts";
import type { DescribeTopicPartitionsResponse } from "./kafka/75_describe_topic_partitions.ts";
import type { GroupMetadataValue } from "./records/consumer_offsets.ts";
import { type MessageOf, array, int32, message, string, struct, versionMax } from "./schema.ts";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function holds<T extends true>(): T | undefined {
  return undefined;
}

type Produced = ProduceResponse["topics"][number]["partitions"][number];
type Fetched = FetchRequest["topics"][number]["partitions"][number];
type Answered = FetchResponse["responses"][number]["partitions"][number];

test("proto: the types of messages follow from their tables", () => {
  holds<Equal<Produced["baseOffset"], Offset | None>>();
  holds<Equal<Produced["index"], PartitionIndex>>();
  holds<Equal<Produced["currentLeader"]["leaderEpoch"], LeaderEpoch | None>>();
  holds<Equal<Produced["errorMessage"], string | null>>();
  holds<Equal<ProduceRequest["topics"][number]["topicId"], TopicId>>();
  holds<
    Equal<ProduceRequest["topics"][number]["partitions"][number]["records"], Uint8Array | null>
  >();
  holds<Equal<Fetched["highWatermark"], Offset | None | null>>();
  holds<Equal<Answered["preferredReadReplica"], NodeId | None>>();
  holds<Equal<InitProducerIdResponse["producerId"], ProducerId | None>>();
  holds<
    Equal<
      MetadataRequest["topics"],
      readonly { readonly topicId: TopicId; readonly name: string | null }[] | null
    >
  >();
  holds<
    Equal<
      DescribeTopicPartitionsResponse["nextCursor"],
      { readonly topicName: string; readonly partitionIndex: PartitionIndex } | null
    >
  >();
  holds<Equal<GroupMetadataValue["members"][number]["assignment"], Uint8Array>>();
  // @ts-expect-error a raw number is not an Offset
  const raw: Produced["baseOffset"] = 5;
  // @ts-expect-error an epoch is not an offset
  const swapped = (epoch: LeaderEpoch): Produced["baseOffset"] => epoch;
  // @ts-expect-error a message is read-only
  const written = (response: ProduceResponse): void => void (response.throttleTimeMs = 5);
  expect<unknown>([raw, typeof swapped, typeof written]).toEqual([5, "function", "function"]);
});

test("proto: a default has the type of its field", () => {
  // @ts-expect-error null is no default of a field that is never null
  expect(string.default(null).spec.default).toBe(null);
  // @ts-expect-error a string is no default of a number
  expect(int32.default("5").spec.default).toBe("5");
  expect(string.nullable(3).default(null).spec.default).toBe(null);
});

test("proto: every method returns a new field and leaves the old one as it was", () => {
  const before = { ...string.spec };
  const field = string.since(2).until(5).nullable(3).tag(1).ignorable();
  expect(string.spec).toEqual(before);
  expect(field.spec).toMatchObject({
    kind: "string",
    since: 2,
    until: 5,
    nullableSince: 3,
    tag: 1,
    ignorable: true,
  });
});

test("proto: members keep the order of the table", () => {
  const Pair = message("Pair", {
    versions: [0, 0],
    flexible: versionMax,
    fields: { second: int32, first: struct({ b: int32, a: array({ z: string, y: string }) }) },
  });
  holds<
    Equal<
      MessageOf<typeof Pair>,
      {
        readonly second: number;
        readonly first: {
          readonly b: number;
          readonly a: readonly { readonly z: string; readonly y: string }[];
        };
      }
    >
  >();
  const members = Pair.root.spec.fields ?? {};
  expect(Object.keys(members)).toEqual(["second", "first"]);
  expect(Object.keys(members["first"]?.fields?.["a"]?.of?.fields ?? {})).toEqual(["z", "y"]);
});
