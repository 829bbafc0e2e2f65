// From exec to the first acknowledged Produce, on an empty directory and on the one it leaves behind.
// One process measures: it starts the server, tries to connect, makes a topic, sends one record.

import { join } from "node:path";
import { Child, removeScratchDir } from "../child.ts";
import { checkLimits } from "../limits.ts";
import { KafkaClient, singleRecordBatch } from "../kafka_client.ts";
import type { Options } from "../options.ts";
import type { Prepared } from "../peers/peer.ts";
import { type PeerName, preparePeer } from "../peers/peers.ts";
import { treeRssBytes } from "../proc.ts";
import { publish, sideReport } from "../report.ts";
import { type Figures, runRounds, type Side } from "../rounds.ts";

const topic = "startup";
const deadlineMs = 60_000;
const stopDeadlineMs = 20_000;
/** Between two tries; the resolution of the result. */
const pauseMs = 1;

/** One try: undefined while the server does not acknowledge yet. */
async function acknowledged(address: string, batch: Uint8Array): Promise<true | undefined> {
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

async function startOnce(prepared: Prepared): Promise<{ millis: number; rssBytes: number }> {
  const { command, env, folder, address } = prepared;
  if (address === undefined) throw new Error("startup needs an address that is known before");
  const batch = singleRecordBatch(crypto.getRandomValues(new Uint8Array(100)), Date.now());
  const startMs = performance.now();
  const child = new Child({
    command,
    logPath: join(folder, "server.log"),
    cwd: folder,
    guarded: false,
    ...(env === undefined ? {} : { env }),
  });
  try {
    while ((await acknowledged(address, batch)) === undefined) {
      if (!child.running || performance.now() - startMs > deadlineMs) {
        throw new Error(`${prepared.name} did not acknowledge:\n${child.log().slice(-3000)}`);
      }
      await Bun.sleep(pauseMs);
    }
    return { millis: performance.now() - startMs, rssBytes: treeRssBytes(child.pid) };
  } finally {
    await child.stop(stopDeadlineMs);
  }
}

function sideOf(name: PeerName, options: Options, described: Map<string, Prepared>): Side {
  let prepared: Prepared | undefined;
  return {
    name,
    prepare() {
      const { durability, settings } = options;
      prepared = preparePeer(name, { durability, settings }, true);
      described.set(name, prepared);
      return Promise.resolve();
    },
    async measure(): Promise<Figures> {
      if (prepared === undefined) throw new Error("prepare comes first");
      const { folder } = prepared;
      const empty = await startOnce(prepared);
      const existing = await startOnce(prepared);
      removeScratchDir(folder);
      return { empty_ms: empty.millis, existing_ms: existing.millis, rss_mb: empty.rssBytes / 1e6 };
    },
  };
}

export async function benchStartup(options: Options, command: string): Promise<void> {
  checkLimits(options, []);
  const described = new Map<string, Prepared>();
  const names = [options.subject, ...options.peers];
  const sides = names.map((name) => sideOf(name, options, described));
  for (const side of sides) {
    console.error(`warming ${side.name} up ...`);
    await side.prepare(-1);
    await side.measure(-1);
  }
  const runs = await runRounds(sides, options);
  const [ours, ...others] = names.map((name) => {
    const peer = described.get(name);
    if (peer === undefined) throw new Error(`${name} was not prepared`);
    return { ...sideReport({ name, peer }, runs), folder: peer.folder };
  });
  if (ours === undefined) throw new Error("no server was started");
  publish({
    options,
    folder: ours.folder,
    shape: { from: "exec", to: "first acknowledged produce" },
    ours,
    others,
    compared: { empty_ms: "cost", existing_ms: "cost" },
    command,
  });
}
