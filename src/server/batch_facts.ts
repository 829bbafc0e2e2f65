// The facts of the batches of a Produce, whichever door it came through: one call into Zig for all of
// them, and a look into those compressed batches whose records the answer depends on.

import { Attribute, Codec, Fact, factStride } from "../core/base/facts.ts";
import type { ProduceRequest } from "../../proto/kafka/00_produce.ts";
import { inspectBatch } from "./disk/open_batch.ts";
import type { Host } from "./host.ts";

/** Scratch of the batch check, shared: a check ends before the step that uses it begins. */
const scratch = { ranges: new Uint32Array(64), facts: new Float64Array(32 * factStride) };

/** The batches are views of `frame`. Valid until the next call. */
export function factsOf(host: Host, request: ProduceRequest, frame: Uint8Array): Float64Array {
  let count = 0;
  for (const topic of request.topics) {
    for (const { records } of topic.partitions) {
      if (records === null) continue;
      if ((count + 1) * 2 > scratch.ranges.length) {
        const wider = new Uint32Array(scratch.ranges.length * 2);
        wider.set(scratch.ranges);
        scratch.ranges = wider;
      }
      scratch.ranges[count * 2] = records.byteOffset - frame.byteOffset;
      scratch.ranges[count * 2 + 1] = records.byteLength;
      count += 1;
    }
  }
  if (count * factStride > scratch.facts.length)
    scratch.facts = new Float64Array(count * factStride * 2);
  if (count > 0) host.checkBatches(frame, scratch.ranges, count, scratch.facts);
  inspect(host, request);
  return scratch.facts;
}

/**
 * Whether the answer needs the records of a compressed batch: on a compacted topic, and where the
 * batch claims more records than it has bytes, because the count hands out offsets.
 */
function opens(host: Host, topic: ProduceRequest["topics"][number], at: number): boolean {
  const count = scratch.facts[at + Fact.recordsCount] ?? 0;
  if (count > (scratch.facts[at + Fact.bytes] ?? 0)) return true;
  return host.compacts(topic.name, topic.topicId);
}

/**
 * A compacted topic needs a key in every record, and a compressed batch shows them only when it is
 * opened: its facts are completed here, with a bounded output.
 */
function inspect(host: Host, request: ProduceRequest): void {
  let at = 0;
  for (const topic of request.topics) {
    for (const { records } of topic.partitions) {
      if (records === null) continue;
      const flaws = scratch.facts[at + Fact.flaws] ?? 0;
      const codec = (scratch.facts[at + Fact.attributes] ?? 0) & Attribute.codecMask;
      if (codec !== Codec.none && flaws === 0 && opens(host, topic, at)) {
        inspectBatch(records, scratch.facts, at);
      }
      at += factStride;
    }
  }
}
