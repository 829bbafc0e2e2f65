// What one pass over a record batch reports: the contract between the batch check in Zig, its plain
// twin in `wire/batch.ts`, and everybody who judges a batch. A batch fills `batchFacts` numbers of a
// Float64Array, so a request's batches lie one behind the other in one array.

/** Numbers per batch. */
export const batchFacts = 16;

/** Bits of the faults below; 0 = every check holds. Under the first three the rest may be zero. */
export const factFaults = 0;
/** Bytes of the batch with its 12-byte head, as its length field says. */
export const factBytes = 1;
/** Bits 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon. Unsigned. */
export const factAttributes = 2;
export const factLastOffsetDelta = 3;
export const factBaseTimestamp = 4;
export const factMaxTimestamp = 5;
export const factProducerId = 6;
export const factProducerEpoch = 7;
export const factBaseSequence = 8;
export const factRecordsCount = 9;
/** Lowest record timestamp; of a compressed batch its base timestamp. */
export const factTimestampLowest = 10;
/** Highest record timestamp; of a compressed batch its max timestamp. */
export const factTimestampHighest = 11;
/** Index of the first record without a key; -1 = all have one, or compressed. */
export const factKeylessIndex = 12;
export const factPartitionLeaderEpoch = 13;
export const factBaseOffset = 14;
/** Index of the first malformed record; -1 = none. */
export const factBadRecordIndex = 15;

/** Fewer than 61 bytes, or the length field is below 49 or reaches past the end. */
export const faultLength = 1;
export const faultMagic = 2;
export const faultCrc = 4;
/** Bytes follow the batch: a second one, or rubbish. */
export const faultTrailing = 8;
/**
 * Uncompressed only: a record is malformed, the records do not fill the batch exactly, their count
 * is not `recordsCount`, or their offset deltas are not 0, 1, 2, ...
 */
export const faultRecords = 16;
/** A timestamp, producer id or base offset is 2^53 or more in either direction. */
export const faultUnsafe = 32;
/** Uncompressed only: a record has attributes, which no version of Kafka gave a meaning. */
export const faultRecordAttributes = 64;
