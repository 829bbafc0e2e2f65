// Starting a server by hand: from exec to the first acknowledged record, as one client sees it.

import { join } from "node:path";
import { Child } from "./child.ts";
import { KafkaClient, singleRecordBatch } from "./kafka_client.ts";
import type { Prepared } from "./peers/peer.ts";

const deadlineMs = 120_000;
/** Between two tries; the resolution of the result. */
const pauseMs = 1;

/** One try: undefined while the server does not acknowledge yet. */
async function acknowledged(
  address: string,
  topic: string,
  batch: Uint8Array,
): Promise<true | undefined> {
  let client: KafkaClient | undefined;
  try {
    client = await KafkaClient.connect(address);
    await client.requestTopic(topic, 1);
    const deadline = performance.now() + deadlineMs;
    while (performance.now() < deadline) {
      // after CreateTopics a leader may need a moment: Kafka answers error 3 or 6 until then
      const { errorCode } = await client.produce(topic, 0, batch);
      if (errorCode === 0) return true;
      await Bun.sleep(pauseMs);
    }
    return undefined;
  } catch {
    return undefined; // not listening yet, or closed while starting
  } finally {
    client?.close();
  }
}

export interface Started {
  readonly child: Child;
  readonly address: string;
  /** From exec to the first acknowledged record. */
  readonly millis: number;
}

/** The caller stops the child. A server that does not come is stopped here, with its last words. */
export async function startUntilAcknowledged(
  prepared: Prepared,
  topic = "startup",
): Promise<Started> {
  const { command, env, folder, address } = prepared;
  if (address === undefined) throw new Error("this needs an address that is known before");
  const batch = singleRecordBatch(crypto.getRandomValues(new Uint8Array(100)), Date.now());
  const startMs = performance.now();
  const child = new Child({
    command,
    logPath: join(folder, "server.log"),
    cwd: folder,
    guarded: false,
    ...(env === undefined ? {} : { env }),
  });
  while ((await acknowledged(address, topic, batch)) === undefined) {
    if (!child.running || performance.now() - startMs > deadlineMs) {
      await child.stop();
      throw new Error(`${prepared.name} did not acknowledge:\n${child.log().slice(-3000)}`);
    }
    await Bun.sleep(pauseMs);
  }
  return { child, address, millis: performance.now() - startMs };
}
