// What a bench knows about a broker under load, whoever made it.

import { Child } from "../child.ts";
import { treeCpuSeconds, treeRssBytes } from "../proc.ts";

export interface Peer {
  /** Short name for the result line: "kafka", "null", "pyralog". */
  readonly name: string;
  readonly version: string;
  /** What sets this run apart, as in the peer's own configuration. */
  readonly config: string;
  /** host:port of the Kafka listener. */
  readonly address: string;
  readonly pid: number;
  /** Folder of the log; empty for a peer that keeps nothing. */
  readonly dataDir: string;
  /** Configs that the bench's topics need so that this peer acknowledges as `config` says. */
  readonly topicConfigs: Readonly<Record<string, string>>;
  /** Resolves when the process is gone and its folder is removed. */
  stop(): Promise<void>;
  /** User + system seconds of the server and its descendants so far. */
  cpuSeconds(): number;
  rssBytes(): number;
  /** Everything the server has written so far. */
  log(): string;
}

/** The part of a `Peer` that every child process has. */
export function peerOf(
  child: Child,
  fields: Pick<Peer, "name" | "version" | "config" | "address" | "dataDir" | "topicConfigs">,
  cleanUp: () => void,
  stopDeadlineMs = 20_000,
): Peer {
  return {
    ...fields,
    pid: child.pid,
    async stop() {
      await child.stop(stopDeadlineMs);
      cleanUp();
    },
    cpuSeconds: () => treeCpuSeconds(child.pid),
    rssBytes: () => treeRssBytes(child.pid),
    log: () => child.log(),
  };
}
