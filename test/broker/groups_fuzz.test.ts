// Hostile clients of the group APIs: requests made from the tables themselves, with ids that half fit
// together and values at their limits, time that jumps and power cuts. Whatever comes, the node
// answers in the client's version or lets it wait; it never stops.

import { expect, test } from "bun:test";
import fc from "fast-check";
import type { FieldSpec } from "../../proto/schema.ts";
import { noTopicId } from "../../src/core/base/ids.ts";
import { type AnyApi, type ApiName, apis } from "../../src/wire/apis.ts";
import { decodeRequest, encodeRequest, encodeResponse } from "../../src/wire/codec.ts";
import { isRefused } from "../../src/wire/refusal.ts";
import { Writer } from "../../src/wire/writer.ts";
import { OneNode } from "../sim/one_node.ts";

/** Beside busy neighbours; timing decides nothing here. */
const longMs = 240_000;

const groupApis = [
  "OffsetCommit",
  "OffsetFetch",
  "FindCoordinator",
  "JoinGroup",
  "Heartbeat",
  "LeaveGroup",
  "SyncGroup",
  "DescribeGroups",
  "ListGroups",
  "DeleteGroups",
  "OffsetDelete",
] as const satisfies readonly ApiName[];

const longText = "x".repeat(32_767);
const wide = "\u{1F600}".repeat(8_191);
const int32Max = 2 ** 31 - 1;

/** Ids that the node has given out, so that later requests may use them. */
interface Known {
  readonly members: string[];
}

/** Draws values for one message from a stream of random numbers. */
class Draw {
  readonly #numbers: readonly number[];
  #at = 0;
  readonly #known: Known;
  readonly #topicId: string;

  constructor(numbers: readonly number[], known: Known, topicId: string) {
    this.#numbers = numbers;
    this.#known = known;
    this.#topicId = topicId;
  }

  below(limit: number): number {
    const number = this.#numbers[this.#at % this.#numbers.length] ?? 0;
    this.#at += 1;
    return (number + this.#at) % limit;
  }

  pick<T>(...of: readonly T[]): T | undefined {
    return of[this.below(of.length)];
  }

  /** `of`: the field that the message lies in. */
  message(
    of: string,
    fields: Readonly<Record<string, FieldSpec>>,
    version: number,
  ): Record<string, unknown> {
    const entries = Object.entries(fields).map(([name, spec]) => [
      name,
      // What a name means depends on what it names.
      this.field(name === "name" ? of : name, spec, version),
    ]);
    return Object.fromEntries(entries) as Record<string, unknown>; // proof: pairs of name and value
  }

  field(name: string, spec: FieldSpec, version: number): unknown {
    if (version < spec.since || version > spec.until) return absent(spec);
    if (version >= spec.nullableSince && this.below(3) > 0) return null;
    return this.value(name, spec, version);
  }

  value(name: string, spec: FieldSpec, version: number): unknown {
    switch (spec.kind) {
      case "bool":
        return this.below(2) === 0;
      case "int8":
        return this.pick(0, 0, 0, 1, 2, -1, 127);
      case "int16":
        return this.pick(0, 1, -1, 32_767);
      case "int32":
        return this.int32(name);
      case "int64":
        return this.pick(-1, 0, 5, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER);
      case "string":
        return this.text(name);
      case "uuid":
        return this.pick(this.#topicId, noTopicId, "AAAAAAAAAAAAAAAAAAAAAg");
      case "bytes":
        return this.pick(
          new Uint8Array(0),
          new Uint8Array([0, 0, 0, 0, 0, 1, 0, 1, 116]),
          new Uint8Array([0, 0, 0, 0, 0, 1, 0, 1, 116, 255, 255, 255, 255]),
          new Uint8Array(5_000),
        );
      case "array": {
        const of = spec.of;
        if (of === null) throw new Error("an array has elements");
        return Array.from({ length: this.below(4) }, () => this.value(name, of, version));
      }
      case "struct":
        return this.message(name, spec.fields ?? {}, version);
      default:
        throw new Error(`no group API has a ${spec.kind}`);
    }
  }

  int32(name: string): number | undefined {
    if (name.includes("imeout") && this.below(8) > 0) return this.pick(6_000, 10_000, 1_800_000);
    if (name.includes("imeout")) return this.pick(0, -1, int32Max);
    if (name.includes("artition")) return this.pick(0, 1, 2, 3, -1, int32Max);
    return this.pick(0, 1, 2, 3, -1, int32Max, -int32Max - 1);
  }

  text(name: string): string | undefined {
    return this.below(12) === 0 ? this.pick("", longText, wide, "other") : this.sensible(name);
  }

  sensible(name: string): string | undefined {
    const { members } = this.#known;
    switch (name) {
      case "memberId":
        return this.pick("", "", ...members.slice(-4), "stranger");
      case "groupInstanceId":
        return this.pick("one", "two");
      case "protocolType":
        return "consumer";
      case "protocolName":
        return "range";
      case "protocols":
        return this.pick("range", "range", "sticky");
      case "topics":
        return this.pick("t", "t", "u");
      default:
        return this.pick("g", "g", "g", "h", "stable");
    }
  }
}

function absent(spec: FieldSpec): unknown {
  if (spec.default !== undefined) return spec.default;
  if (spec.nullableSince < 32_767) return null;
  switch (spec.kind) {
    case "bool":
      return false;
    case "string":
      return "";
    case "uuid":
      return noTopicId;
    case "bytes":
      return new Uint8Array(0);
    case "array":
      return [];
    default:
      return 0;
  }
}

interface Ask {
  readonly api: (typeof groupApis)[number];
  readonly version: number;
  readonly numbers: readonly number[];
}

type Step =
  | { readonly kind: "ask"; readonly ask: Ask }
  | { readonly kind: "tick"; readonly ms: number }
  | { readonly kind: "full"; readonly takesWrites: boolean }
  | { readonly kind: "power-cut" }
  /** A member that knows the protocol joins, and hands in an assignment if it leads. */
  | { readonly kind: "member" };

const ask: fc.Arbitrary<Ask> = fc.record({
  api: fc.constantFrom(...groupApis, "JoinGroup", "JoinGroup", "SyncGroup", "OffsetCommit"),
  version: fc.nat(10),
  numbers: fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 40 }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: ask.map((each): Step => ({ kind: "ask", ask: each })) },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom(10, 100, 3_000, 12_000, 400_000)
      .map((ms): Step => ({ kind: "tick", ms })),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map((takesWrites): Step => ({ kind: "full", takesWrites })),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "power-cut" }) },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: "member" }) },
);

class World {
  node = new OneNode({
    "group.initial.rebalance.delay.ms": "100",
    "offsets.topic.num.partitions": "3",
    "group.max.size": "4",
  });
  readonly known: Known = { members: [] };
  answered = 0;

  constructor() {
    const topic = {
      name: "t",
      partitions: 3,
      replicationFactor: 1,
      assignments: [],
      configs: [],
      internal: false,
    };
    this.node.propose(0, { kind: "create-topics", topics: [topic], validateOnly: false });
    this.node.settle();
  }

  run(step: Step): void {
    switch (step.kind) {
      case "ask":
        this.ask(step.ask);
        break;
      case "tick":
        this.node.tick(step.ms);
        break;
      case "full":
        this.node.node.step({ kind: "disk-state", takesWrites: step.takesWrites }, this.node);
        this.node.settle();
        break;
      case "power-cut":
        this.node = this.node.powerCut();
        break;
      case "member":
        this.member();
        break;
    }
    this.hear();
  }

  ask({ api: name, version: wanted, numbers }: Ask): void {
    const api: AnyApi = apis[name];
    const [first, last] = api.versions;
    const version = first + (wanted % (last - first + 1));
    const topicId = this.node.node.broker.image.topicByName("t")?.id ?? noTopicId;
    const value = new Draw(numbers, this.known, topicId).message(
      "",
      api.request.root.spec.fields ?? {},
      version,
    );
    const writer = new Writer();
    encodeRequest(api, version, writer, value as never); // proof: drawn from this table
    const bytes = writer.written().slice();
    const request = decodeRequest(api, version, bytes, 0, bytes.length);
    if (isRefused(request))
      throw new Error(`${name} v${version} was drawn badly: ${request.refusal}`);
    this.node.send(name, version, request, 1);
    this.node.settle();
  }

  member(): void {
    const { node } = this;
    const join = (memberId: string): { memberId: string; generationId: number } | undefined =>
      node.ask("JoinGroup", 9, {
        groupId: "g",
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 2_000,
        memberId,
        groupInstanceId: null,
        protocolType: "consumer",
        protocols: [{ name: "range", metadata: new Uint8Array(6) }],
        reason: null,
      });
    const { memberId = "" } = join("") ?? {};
    join(memberId);
    // The initial delay, or the others' time to join again; less than its own to sync.
    node.tick(100);
    node.tick(1_900);
    const joined = node.answers.map(
      (each) => each.response as { memberId?: string; generationId?: number },
    ); // proof: only looked at
    const generationId = joined.findLast((each) => each.memberId === memberId)?.generationId ?? 0;
    node.ask("SyncGroup", 5, {
      groupId: "g",
      generationId,
      memberId,
      groupInstanceId: null,
      protocolType: "consumer",
      protocolName: "range",
      assignments: [{ memberId, assignment: new Uint8Array(3) }],
    });
  }

  hear(): void {
    for (const { call, response } of this.node.answers.splice(0)) {
      const api = Object.values(apis).find((each) => each.key === call.apiKey) as AnyApi; // proof: it was asked
      const writer = new Writer();
      encodeResponse(api, call.version, writer, response as never); // proof: the API's own file made it
      this.answered += 1;
      const { memberId } = response as { memberId?: string }; // proof: only looked at
      if (memberId !== undefined && memberId !== "" && this.known.members.length < 50)
        this.known.members.push(memberId);
    }
  }
}

test(
  "broker: whatever clients of groups send, the node answers and goes on (random requests of every version)",
  () => {
    let answered = 0;
    let members = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 30, maxLength: 150, size: "max" }), (steps) => {
        const world = new World();
        for (const each of steps) world.run(each);
        answered += world.answered;
        members += world.known.members.length;
      }),
      { numRuns: 60 },
    );
    expect(answered).toBeGreaterThan(1_000);
    expect(members).toBeGreaterThan(100);
  },
  longMs,
);
