// From exec to the first acknowledged Produce, on an empty directory and on the one it leaves behind.
// One process measures: it starts the server, tries to connect, makes a topic, sends one record.

import { removeScratchDir } from "../child.ts";
import { startUntilAcknowledged } from "../first_ack.ts";
import type { Options } from "../options.ts";
import type { Prepared } from "../peers/peer.ts";
import { type PeerName, preparePeer } from "../peers/peers.ts";
import { treeRssBytes } from "../proc.ts";
import { publish, sideReport } from "../report.ts";
import { type Figures, runRounds, type Side } from "../rounds.ts";

const stopDeadlineMs = 20_000;

async function startOnce(prepared: Prepared): Promise<{ millis: number; rssBytes: number }> {
  const { child, millis } = await startUntilAcknowledged(prepared);
  try {
    return { millis, rssBytes: treeRssBytes(child.pid) };
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
      const empty = await startOnce(prepared);
      const existing = await startOnce(prepared);
      removeScratchDir(prepared.folder);
      return { empty_ms: empty.millis, existing_ms: existing.millis, rss_mb: empty.rssBytes / 1e6 };
    },
  };
}

export async function benchStartup(options: Options, command: string): Promise<void> {
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
