// A few rounds of every disaster. The long runs are `bun run powercut`, `bun test/chaos/kill9.ts`
// and `bun test/chaos/full.ts`.

import { expect, test } from "bun:test";
import { testsKafka } from "../harness/server.ts";
import { full, kills, powercut, powercutUnsynced } from "./disasters.ts";
import { noFaults } from "./history.ts";

const rounds = 3;
const testMsMax = 600_000;
const seed = 20_260_101;

for (const fs of ["ext4", "xfs"] as const) {
  test(
    `chaos: power cuts lose nothing that was acknowledged (${fs})`,
    async () => {
      const summary = await powercut(fs, rounds, seed);
      expect(summary.words).toEqual([]);
      expect(summary).toMatchObject(noFaults());
      expect(summary.acked).toBeGreaterThan(0);
      expect(summary.commitsAcked).toBeGreaterThan(0);
    },
    testMsMax,
  );
}

test(
  "chaos: kill -9 loses nothing that was acknowledged",
  async () => {
    const summary = await kills(rounds, seed);
    expect(summary.words).toEqual([]);
    expect(summary).toMatchObject(noFaults());
    expect(summary.acked).toBeGreaterThan(0);
    expect(summary.commitsAcked).toBeGreaterThan(0);
  },
  testMsMax,
);

// Apache Kafka ends when its disk is full: there is nothing to compare with.
if (!testsKafka) {
  test(
    "chaos: a full disk ends nothing, loses nothing, and takes writes again when there is room",
    async () => {
      const summary = await full(rounds, seed);
      expect(summary.words).toEqual([]);
      expect(summary).toMatchObject(noFaults());
      expect(summary.acked).toBeGreaterThan(0);
      expect(summary.refusedBatches).toBeGreaterThan(0);
      expect(summary.fullStarts).toBeGreaterThan(0);
    },
    testMsMax,
  );
}

test(
  "chaos: power cuts do lose what was acknowledged before it was synced (control)",
  async () => {
    const summary = await powercutUnsynced(rounds, seed, !testsKafka);
    expect(summary.lost).toBeGreaterThan(0);
  },
  testMsMax,
);
