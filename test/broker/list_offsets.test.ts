// ListOffsets of the shipping broker, on disks in memory.

import { describe, expect, test } from "bun:test";
import { ErrorCode } from "../../src/core/base/error_code.ts";
import { buildBatch } from "../../src/wire/records.ts";
import { listed, produced, record, withTopic } from "./data_asks.ts";

describe("broker: list offsets", () => {
  test("special times and times of records", () => {
    const node = withTopic();
    produced(node, new Uint8Array(buildBatch([record("a", 1000), record("b", 3000)])));
    produced(
      node,
      new Uint8Array(buildBatch([record("c", 2000), record("d", 5000), record("e", 4000)])),
    );
    const at = (timestamp: number, version?: number) => listed(node, timestamp, version);
    expect(at(-1)).toMatchObject({ errorCode: 0, offset: 5 });
    expect(at(-2)).toMatchObject({ errorCode: 0, offset: 0 });
    expect(at(-3)).toMatchObject({ errorCode: 0, offset: 3, timestamp: 5000 });
    expect(at(-3, 6)?.errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION);
    expect(at(-4)).toMatchObject({ errorCode: 0, offset: 0 });
    expect(at(-5)).toMatchObject({ errorCode: 0, offset: -1 });
    expect(at(2500)).toMatchObject({ offset: 1, timestamp: 3000 });
    expect(at(3001)).toMatchObject({ offset: 3, timestamp: 5000 });
    expect(at(6000)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  });
});
