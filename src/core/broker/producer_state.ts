// Producer state of a partition that is being opened, from the headers of its stored batches: what
// an idempotent producer sent before the restart is still recognised after it.

import { Attribute } from "../base/facts.ts";
import type { ProducerTable } from "../replication/replication.ts";
import {
  batchAttributes,
  batchBaseOffset,
  batchBaseSequence,
  batchHeaderBytes,
  batchLastOffsetDelta,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
} from "../../wire/batch.ts";

/** `headers`: batch headers of 61 bytes each, in offset order. */
export function rememberProducers(table: ProducerTable, headers: Uint8Array, wall: number): void {
  const view = new DataView(headers.buffer, headers.byteOffset, headers.byteLength);
  for (let at = 0; at + batchHeaderBytes <= headers.byteLength; at += batchHeaderBytes) {
    const producerId = batchProducerId(view, at);
    if (producerId < 0 || (batchAttributes(view, at) & Attribute.control) !== 0) continue;
    table.remember(
      producerId,
      batchProducerEpoch(view, at),
      batchBaseSequence(view, at),
      batchLastOffsetDelta(view, at) + 1,
      batchBaseOffset(view, at),
      batchMaxTimestamp(view, at),
      wall,
    );
  }
}
