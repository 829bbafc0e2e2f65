// The servers of a case: all of them run through all rounds, because a fresh JVM or a cold page cache
// would be measured instead of the server; only one of them has work at a time.

import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { scratchDir, removeScratchDir } from "./child.ts";
import { KafkaClient } from "./kafka_client.ts";
import type { Options } from "./options.ts";
import type { Peer } from "./peers/peer.ts";
import { type PeerName, startPeer } from "./peers/peers.ts";

export interface Server {
  readonly name: PeerName;
  readonly peer: Peer;
}

const logTailCharacters = 3_000;

/** Starts the subject and its peers, runs `body`, stops them all whatever happened. */
export async function withServers<T>(
  options: Options,
  body: (ours: Server, others: readonly Server[]) => Promise<T>,
): Promise<T> {
  const started: Server[] = [];
  const { durability, settings } = options;
  try {
    for (const name of [options.subject, ...options.peers]) {
      console.error(`starting ${name} ...`);
      started.push({ name, peer: await startPeer(name, { durability, settings }) });
    }
    const [ours, ...others] = started;
    if (ours === undefined) throw new Error("no server was started");
    return await body(ours, others);
  } catch (error) {
    for (const { name, peer } of started) {
      console.error(`last words of ${name}:\n${peer.log().slice(-logTailCharacters)}`);
    }
    throw error;
  } finally {
    await Promise.all(started.map(({ peer }) => peer.stop()));
  }
}

/**
 * Makes `topic` anew and removes `previous`. The sync afterwards keeps the write-back of one side's
 * dirty pages out of the next side's run.
 */
export async function freshTopic(
  peer: Peer,
  topic: string,
  partitions: number,
  previous: string | undefined,
): Promise<void> {
  const client = await KafkaClient.connect(peer.address);
  try {
    if (previous !== undefined) await client.deleteTopic(previous);
    await client.createTopic(topic, partitions, peer.topicConfigs);
  } finally {
    client.close();
  }
  await Bun.spawn(["sync"]).exited;
}

/**
 * Writes and deletes as much as a run will: the first touch of a guest's memory costs some 20 times
 * the CPU of the second, and the first run would pay it for all others.
 */
export function warmMemory(bytes: number): void {
  const folder = scratchDir("warm");
  const path = join(folder, "warm");
  const chunk = crypto.getRandomValues(new Uint8Array(65_536));
  const file = openSync(path, "w");
  for (let written = 0; written < bytes; written += chunk.length) writeSync(file, chunk);
  closeSync(file);
  rmSync(path);
  removeScratchDir(folder);
}
