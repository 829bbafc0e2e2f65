// DescribeLogDirs (35): what lies on this node's disks. v2 flexible; v3 error of the whole answer;
// v4 size of the volume (KIP-827); v5 cordoned directories (KIP-1066).

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  bool,
  int16,
  int32,
  int64,
  partitionIndex,
  string,
} from "../schema.ts";

export const DescribeLogDirs = api("DescribeLogDirs", {
  key: 35,
  versions: [1, 5],
  flexible: 2,
  request: {
    /** Null = all topics. */
    topics: array({ topic: string, partitions: array(partitionIndex) }).nullable(),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    /** 0, or: 31 not authorised. */
    errorCode: int16.since(3).ignorable(),
    results: array({
      /** 0, or: 56 the directory failed. */
      errorCode: int16,
      /** Absolute path. */
      logDir: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex,
          /** Bytes that the partition takes in the log. */
          partitionSize: int64,
          /** Offsets that this copy is behind. */
          offsetLag: int64,
          /** A copy that will replace another directory's: never here. */
          isFutureKey: bool,
        }),
      }),
      /** Bytes of the volume; -1 = unknown. */
      totalBytes: int64.since(4).default(-1).ignorable(),
      /** Bytes free on the volume; -1 = unknown. */
      usableBytes: int64.since(4).default(-1).ignorable(),
      /** Takes no new partitions. */
      isCordoned: bool.since(5).ignorable(),
    }),
  },
});
export type DescribeLogDirsRequest = RequestOf<typeof DescribeLogDirs>;
export type DescribeLogDirsResponse = ResponseOf<typeof DescribeLogDirs>;
