// What one pass over a record batch reports: the contract between the batch check in Zig, its plain
// twin in `wire/batch.ts`, and everybody who judges a batch. A batch fills `factStride` numbers of a
// Float64Array, so a request's batches lie one behind the other in one array.

/** Numbers per batch. */
export const factStride = 16;

/** Index of each number. */
export const Fact = {
  /** Bits of `Flaw`; 0 = every check holds. With size, magic or crc set the rest may be zero. */
  flaws: 0,
  /** Bytes of the batch with its 12-byte head, as its length field says. */
  bytes: 1,
  /** Bits of `Attribute`, as an unsigned number. */
  attributes: 2,
  lastOffsetDelta: 3,
  baseTimestamp: 4,
  maxTimestamp: 5,
  producerId: 6,
  producerEpoch: 7,
  baseSequence: 8,
  recordsCount: 9,
  /** Lowest record timestamp; of a compressed batch its base timestamp. */
  lowestTimestamp: 10,
  /** Highest record timestamp; of a compressed batch its max timestamp. */
  highestTimestamp: 11,
  /** Index of the first record without a key; -1 = all have one, or compressed. */
  firstWithoutKey: 12,
  partitionLeaderEpoch: 13,
  baseOffset: 14,
  /** Index of the first malformed record; -1 = none. */
  firstBadRecord: 15,
} as const;

/** Bits of `Fact.flaws`. */
export const Flaw = {
  /** Fewer than 61 bytes, or a length field that is below 49 or reaches past the end. */
  size: 1,
  magic: 2,
  crc: 4,
  /** Bytes follow the batch: another one, or rubbish. */
  severalBatches: 8,
  /**
   * Uncompressed only: a record is malformed, the records do not fill the batch exactly, their count
   * is not `recordsCount`, or their offset deltas are not 0, 1, 2, ...
   */
  records: 16,
  /** A timestamp, the producer id or the base offset is 2^53 or more in either direction. */
  unsafeInt64: 32,
  /** Uncompressed only: a record has attributes, to which no version of Kafka gave a meaning. */
  recordAttributes: 64,
} as const;

/** Bits of a batch's attributes. */
export const Attribute = {
  codecMask: 7,
  logAppendTime: 8,
  transactional: 16,
  control: 32,
  deleteHorizon: 64,
} as const;

/** Values under `Attribute.codecMask`; 5 to 7 mean nothing. */
export const Codec = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
