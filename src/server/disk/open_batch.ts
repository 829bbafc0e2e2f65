// Opens a compressed batch for a question that needs its records: which of them has a timestamp.
// The bytes come from clients, so the output is bounded before anything is unpacked.

import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { Attribute, Codec } from "../../core/base/facts.ts";
import { inspectedBytesMax, inspectedRatioMax } from "../../core/base/limits.ts";
import { lz4Decompress, snappyDecompress } from "../../storage/storage.ts";

const headerBytes = 61;
const lengthAt = 8;
const attributesAt = 21;

/** The batch with its records in the clear (its CRC no longer holds); null when they do not open. */
export function openBatch(batch: Uint8Array): Uint8Array | null {
  const attributes = ((batch[attributesAt] ?? 0) << 8) | (batch[attributesAt + 1] ?? 0);
  const codec = attributes & Attribute.codecMask;
  if (codec === Codec.none) return batch;
  const packed = batch.subarray(headerBytes);
  const records = decompress(codec, packed, Math.min(inspectedBytesMax, packed.byteLength * inspectedRatioMax));
  if (records === null) return null;
  const opened = new Uint8Array(headerBytes + records.byteLength);
  opened.set(batch.subarray(0, headerBytes), 0);
  opened.set(records, headerBytes);
  opened[attributesAt + 1] = attributes & 0xff & ~Attribute.codecMask;
  new DataView(opened.buffer).setInt32(lengthAt, opened.byteLength - lengthAt - 4);
  return opened;
}

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
