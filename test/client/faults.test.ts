// The idempotent producer against a cluster that moves leaders, cuts connections before and after it
// appends, and refuses: whatever a seed makes happen, each record is there once, in order, at the
// offset that its sender was told.

import { describe, expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { Random } from "../../src/core/base/random.ts";
import { DecodeRefusal } from "../../src/wire/refusal.ts";
import { readBatch } from "../../src/wire/records.ts";
import { SmallCluster } from "../harness/small_cluster.ts";

const partitions = 3;
const records = 900;

interface Life {
  readonly cluster: SmallCluster;
  /** What each partition holds, by offset. */
  readonly stored: readonly (readonly string[])[];
  /** "partition@offset" that the sender of each record was told; an error's words otherwise. */
  readonly told: readonly string[];
}

async function live(
  seed: number,
  faults: SmallCluster["faults"],
  deliveryMs = 60_000,
): Promise<Life> {
  const random = new Random([seed, 2, 3, 4], 0);
  const chance = (): number => random.uint32() / 2 ** 32;
  const cluster = new SmallCluster(3, partitions, chance);
  cluster.faults = faults;
  const client = new Client({ bootstrap: cluster.addresses, retryMs: 30_000 });
  const told: string[] = new Array<string>(records).fill("nothing");
  try {
    const producer = client.producer({ batchBytes: 300, lingerMs: 0, deliveryMs });
    for (let i = 0; i < records; i += 1) {
      producer.enqueue({ topic: "t", partition: i % partitions, value: `${i}` }, (error, place) => {
        told[i] = error === null ? `${place?.partition}@${place?.offset}` : error.message;
      });
      if (random.below(20) === 0) await Bun.sleep(0);
    }
    await producer.flush();
  } finally {
    await client.close();
    cluster.stop();
  }
  const stored = cluster.partitions.map(({ batches }) =>
    batches.flatMap((batch) => {
      const found = readBatch(batch);
      if (found instanceof DecodeRefusal) throw new Error("a batch that cannot be read");
      return found.map(({ value }) => new TextDecoder().decode(value ?? new Uint8Array(0)));
    }),
  );
  return { cluster, stored, told };
}

function expectOnceInOrder({ stored, told }: Life): void {
  for (let partition = 0; partition < partitions; partition += 1) {
    const sent = Array.from({ length: records }, (_, i) => i).filter(
      (i) => i % partitions === partition,
    );
    expect(stored[partition]).toEqual(sent.map(String));
    expect(sent.map((i) => told[i])).toEqual(sent.map((_, index) => `${partition}@${index}`));
  }
}

describe("client: an idempotent producer", () => {
  test("client: without faults every batch arrives at the first attempt", async () => {
    const life = await live(1, { cutBefore: 0, cutAfter: 0, refuse: 0, move: 0 });
    expectOnceInOrder(life);
    expect(life.cluster.counts).toMatchObject({ duplicates: 0, gaps: 0 });
  });

  const single = { cutBefore: 0, cutAfter: 0, refuse: 0, move: 0 };
  for (const fault of ["cutBefore", "cutAfter", "refuse", "move"] as const) {
    test(`client: each record is there once, in order (${fault})`, async () => {
      const life = await live(7, { ...single, [fault]: 0.08 });
      expectOnceInOrder(life);
      expect(life.cluster.counts[fault]).toBeGreaterThan(0);
      // What was appended before the cut came again, and was known.
      if (fault === "cutAfter") expect(life.cluster.counts.duplicates).toBeGreaterThan(0);
    });
  }

  for (let seed = 1; seed <= 12; seed += 1) {
    test(`client: each record is there once, in order (everything, seed ${seed})`, async () => {
      const life = await live(seed, { cutBefore: 0.03, cutAfter: 0.03, refuse: 0.05, move: 0.03 });
      expectOnceInOrder(life);
    });
  }

  test("client: a leader that forgot its producers gets a new one, and no record is lost or doubled", async () => {
    const random = new Random([5, 5, 5, 5], 0);
    const cluster = new SmallCluster(2, 1, () => random.uint32() / 2 ** 32);
    const client = new Client({ bootstrap: cluster.addresses });
    try {
      const producer = client.producer({ batchBytes: 200, lingerMs: 0 });
      const send = (i: number) => producer.send({ topic: "t", value: `${i}` });
      for (let i = 0; i < 5; i += 1) await send(i);
      cluster.partitions[0]?.producers.clear();
      const rest = await Promise.all(Array.from({ length: 50 }, (_, i) => send(5 + i)));
      expect(rest.map(({ offset }) => offset)).toEqual(Array.from({ length: 50 }, (_, i) => 5 + i));
      expect(cluster.counts.gaps).toBeGreaterThan(0);
    } finally {
      await client.close();
      cluster.stop();
    }
  });

  test("client: what cannot be delivered in time is given up, and says whether it may be there", async () => {
    const life = await live(3, { ...single, refuse: 1 }, 300);
    expect(life.stored.flat()).toEqual([]);
    for (const words of life.told)
      expect(words).toContain("not delivered in time; they were not appended");
  });
});
