// @confluentinc/kafka-javascript: the newest librdkafka, as a Node add-on.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cached, needTool } from "../../../bench/tools.ts";
import { confluentPackage } from "../../harness/recipes.ts";
import { lineSession } from "./line_driver.ts";
import { roundTrips, type PartitionRecord } from "./scenario.ts";

/** The driver as JavaScript, for a Node that takes no TypeScript; keyed by its source. */
async function driverScript(): Promise<string> {
  const source = await Bun.file(join(import.meta.dir, "confluent_driver.ts")).text();
  return cached(`confluent-driver-${Bun.hash(source).toString(36)}.mjs`, (scratch) => {
    const script = join(scratch, "driver.mjs");
    writeFileSync(script, new Bun.Transpiler({ loader: "ts" }).transformSync(source));
    return script;
  });
}

function emptyIsNull(bytes: Uint8Array | null): Uint8Array | null {
  return bytes?.length === 0 ? null : bytes;
}

/** The add-on hands over no empty buffers and no headers without a value. */
function shape(record: PartitionRecord): PartitionRecord {
  return {
    ...record,
    key: emptyIsNull(record.key),
    value: emptyIsNull(record.value),
    headers: (record.headers ?? []).map(([key, value]) => [key, value ?? new Uint8Array(0)]),
  };
}

roundTrips({
  name: "@confluentinc/kafka-javascript",
  codecs: ["none", "gzip", "snappy", "lz4", "zstd"],
  acks: [-1, 0, 1],
  withoutGroup: true,
  timestamps: true,
  shape,
  async open(address) {
    const { home, libraryPath } = confluentPackage();
    const command = [needTool("node", "nodejs"), await driverScript(), home, address];
    return lineSession(command, { LD_LIBRARY_PATH: libraryPath });
  },
});
