// CRC-32C (Castagnoli, RFC 3720 appendix B.4), plain: slicing by 8. The node checks batches in Zig;
// this one serves the simulator, the client and batches of our own.

const polynomial = 0x82f63b78; // reflected
const slices = 8;
/** tables[k * 256 + byte]: what a byte contributes when k more bytes follow it in the same step. */
const tables = new Int32Array(slices * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? polynomial : 0);
  tables[byte] = crc;
}
for (let at = 256; at < slices * 256; at += 1) {
  const shorter = tables[at - 256] ?? 0;
  tables[at] = (shorter >>> 8) ^ (tables[shorter & 0xff] ?? 0);
}

/** Checksum of `bytes[start..end)` as an unsigned number; `seed` continues an earlier checksum. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  const t = tables;
  let crc = ~seed;
  let at = start;
  for (const last = end - 8; at <= last; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (t[1792 + (low & 0xff)] as number) ^
      (t[1536 + ((low >>> 8) & 0xff)] as number) ^
      (t[1280 + ((low >>> 16) & 0xff)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (bytes[at + 4] as number)] as number) ^
      (t[512 + (bytes[at + 5] as number)] as number) ^
      (t[256 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number); // proof of every `as`: the index is in range
  }
  for (; at < end; at += 1) {
    crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 0xff] as number); // proof: as above
  }
  return ~crc >>> 0;
}
