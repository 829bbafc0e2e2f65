// The peers by the names that `--vs` takes.

import { freePort } from "../child.ts";
import { prepare as prepareKafka } from "./kafka.ts";
import { prepare as prepareNats } from "./nats.ts";
import { prepare as prepareNull } from "./null.ts";
import { type Durability, type Peer, type Prepared, startPrepared } from "./peer.ts";
import { prepare as prepareNode } from "./pyralog.ts";

/** `os` is our own node with the other durability: the price of the sync. */
export const peerNames = ["pyralog", "os", "null", "kafka", "nats"] as const;
export type PeerName = (typeof peerNames)[number];

/** Physical limits: programs without a server, see limits.ts. */
export const limitNames = ["floor", "fdatasync", "fio"] as const;
export type LimitName = (typeof limitNames)[number];
/** `one` is our own node with one partition, the control of density. */
export type SideName = PeerName | LimitName | "one";

/** Controls show what is possible and come as `ours / control`; the others are rivals. */
export const controlNames: readonly SideName[] = ["null", "os", "one", ...limitNames];

export interface PeerOptions {
  readonly durability: Durability;
  /** `section.key=value` settings for our node. */
  readonly settings: readonly string[];
}

const readyDeadlineMs = 90_000;

/** Kafka's own default leaves deleted files for a minute; here they would pile up between runs. */
const kafkaExtra = { "log.segment.delete.delay.ms": "1000" };

/** `fixedPort`: also our node listens where the caller can know before it runs. */
export function preparePeer(name: PeerName, options: PeerOptions, fixedPort = false): Prepared {
  const { durability, settings } = options;
  const port = fixedPort ? freePort() : 0;
  switch (name) {
    case "pyralog":
      return prepareNode({ durability, settings, port });
    case "os":
      return {
        ...prepareNode({ durability: "os", settings, port }),
        name: "os",
      };
    case "null":
      return prepareNull();
    case "kafka":
      return prepareKafka({ flush: durability === "fsync", extra: kafkaExtra });
    case "nats":
      return prepareNats({ flush: durability === "fsync" });
  }
}

export function startPeer(name: PeerName, options: PeerOptions): Promise<Peer> {
  return startPrepared(preparePeer(name, options), readyDeadlineMs);
}
