// What a bench knows about a broker under load, whoever made it.

import { join } from "node:path";
import { Child, removeScratchDir, waitUntil } from "../child.ts";
import { answers } from "../kafka_client.ts";
import { treeCpuSeconds, type TreeIo, treeIo, treeRssBytes } from "../proc.ts";

/** When a peer acknowledges: after a sync, or with the bytes in the operating system's cache. */
export type Durability = "fsync" | "os";

export interface Description {
  /** Short name for the result line: "kafka", "null", "pyralog". */
  readonly name: string;
  readonly version: string;
  /** What sets this run apart, as in the peer's own configuration. */
  readonly config: string;
  /** Working directory; holds the server's own output, is removed at the end. */
  readonly folder: string;
  /** Folder of the records; empty for a peer that keeps nothing. */
  readonly dataDir: string;
  /** Configs that the bench's topics need so that this peer acknowledges as `config` says. */
  readonly topicConfigs: Readonly<Record<string, string>>;
}

/** Everything up to, but without, starting the server. */
export interface Prepared extends Description {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** host:port of the Kafka listener; undefined when the server chooses and says so in its log. */
  readonly address: string | undefined;
  /** Finds the address in the log of a server that chooses it. */
  readonly addressIn?: RegExp;
  /** True once it takes requests; default: it answers a Kafka client. */
  readonly ready?: (address: string) => Promise<true | undefined>;
}

export interface Peer extends Description {
  /** host:port of the Kafka listener. */
  readonly address: string;
  readonly pid: number;
  /** Resolves when the process is gone and its folder is removed. */
  stop(): Promise<void>;
  /** User + system seconds of the server and its descendants so far. */
  cpuSeconds(): number;
  rssBytes(): number;
  /** What the server and its descendants did with files and disks so far. */
  io(): TreeIo;
  /** Everything the server has written so far. */
  log(): string;
}

const stopDeadlineMs = 20_000;

/** Starts the server and waits until it answers ApiVersions and Metadata. */
export async function startPrepared(prepared: Prepared, readyDeadlineMs: number): Promise<Peer> {
  const { command, env, folder, addressIn } = prepared;
  const logPath = join(folder, "server.log");
  const child = new Child({ command, logPath, cwd: folder, ...(env === undefined ? {} : { env }) });
  try {
    const address =
      prepared.address ??
      (await waitUntil(`${prepared.name} says where it listens`, child, readyDeadlineMs, () =>
        addressIn === undefined ? undefined : addressIn.exec(child.log())?.[1],
      ));
    const what = `${prepared.name} answers at ${address}`;
    await waitUntil(what, child, readyDeadlineMs, () => (prepared.ready ?? answers)(address));
    return {
      ...prepared,
      address,
      pid: child.pid,
      async stop() {
        await child.stop(stopDeadlineMs);
        removeScratchDir(folder);
      },
      cpuSeconds: () => treeCpuSeconds(child.pid),
      rssBytes: () => treeRssBytes(child.pid),
      io: () => treeIo(child.pid),
      log: () => child.log(),
    };
  } catch (error) {
    await child.stop();
    removeScratchDir(folder);
    throw error;
  }
}
