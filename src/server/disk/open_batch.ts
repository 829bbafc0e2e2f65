// Opens a compressed batch for a question that needs its records: which of them has a timestamp.
// The bytes come from clients, so the output is bounded before anything is unpacked.

import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { Attribute, Codec, Fact, factStride, Flaw } from "../../core/base/facts.ts";
import { inspectedBytesMax, inspectedBytesMin, inspectedRatioMax } from "../../core/base/limits.ts";
import { lz4Decompress, snappyDecompress } from "../../storage/storage.ts";
import { checkBatch, stampCrc } from "../../wire/batch.ts";

const headerBytes = 61;
const lengthAt = 8;
const attributesAt = 21;

/** The batch with its records in the clear (its CRC no longer holds); null when they do not open. */
export function openBatch(batch: Uint8Array): Uint8Array | null {
  const attributes = ((batch[attributesAt] ?? 0) << 8) | (batch[attributesAt + 1] ?? 0);
  const codec = attributes & Attribute.codecMask;
  if (codec === Codec.none) return batch;
  const packed = batch.subarray(headerBytes);
  const records = decompress(
    codec,
    packed,
    Math.min(inspectedBytesMax, Math.max(inspectedBytesMin, packed.byteLength * inspectedRatioMax)),
  );
  if (records === null) return null;
  const opened = new Uint8Array(headerBytes + records.byteLength);
  opened.set(batch.subarray(0, headerBytes), 0);
  opened.set(records, headerBytes);
  opened[attributesAt + 1] = attributes & 0xff & ~Attribute.codecMask;
  new DataView(opened.buffer).setInt32(lengthAt, opened.byteLength - lengthAt - 4);
  return opened;
}

/**
 * Completes the facts of a compressed batch by its records: the first without a key, the first that
 * is malformed, and the times that the records really have.
 */
export function inspectBatch(batch: Uint8Array, facts: Float64Array, at: number): void {
  const opened = openBatch(batch);
  if (opened === null) {
    facts[at + Fact.flaws] = Flaw.records;
    facts[at + Fact.firstBadRecord] = 0;
    return;
  }
  stampCrc(opened, new DataView(opened.buffer), 0);
  checkBatch(opened, 0, opened.byteLength, inspected, 0);
  facts[at + Fact.flaws] = inspected[Fact.flaws] ?? 0;
  facts[at + Fact.firstBadRecord] = inspected[Fact.firstBadRecord] ?? -1;
  facts[at + Fact.firstWithoutKey] = inspected[Fact.firstWithoutKey] ?? -1;
  facts[at + Fact.lowestTimestamp] = inspected[Fact.lowestTimestamp] ?? -1;
  facts[at + Fact.highestTimestamp] = inspected[Fact.highestTimestamp] ?? -1;
}

const inspected = new Float64Array(factStride);

function decompress(codec: number, packed: Uint8Array, bytesMax: number): Uint8Array | null {
  switch (codec) {
    case Codec.gzip:
      return attempt(() => gunzipSync(packed, { maxOutputLength: bytesMax }));
    case Codec.zstd:
      return attempt(() => zstdDecompressSync(packed, { maxOutputLength: bytesMax }));
    case Codec.lz4:
      return lz4Decompress(packed, bytesMax);
    case Codec.snappy:
      return snappyDecompress(packed, bytesMax);
    default:
      return null;
  }
}

/** zlib throws on bad or too large input, which is a client's fault and no bug. */
function attempt(run: () => Uint8Array): Uint8Array | null {
  try {
    return run();
  } catch {
    return null;
  }
}
