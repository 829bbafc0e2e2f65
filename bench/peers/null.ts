// The null broker as a peer: the ceiling of the client and the machine.

import { join } from "node:path";
import { Child, removeScratchDir, scratchDir, waitUntil } from "../child.ts";
import { answers } from "../kafka_client.ts";
import { peerOf, type Peer } from "./peer.ts";

export async function start(): Promise<Peer> {
  const folder = scratchDir("null");
  const child = new Child({
    command: [process.execPath, join(import.meta.dir, "null_server.ts")],
    logPath: join(folder, "server.log"),
  });
  const address = await waitUntil(
    "the null broker listens",
    child,
    10_000,
    () => /listening (\S+)/.exec(child.log())?.[1],
  );
  await waitUntil("the null broker answers", child, 10_000, () => answers(address));
  return peerOf(
    child,
    {
      name: "null",
      version: Bun.version,
      config: "parses and acknowledges",
      address,
      dataDir: "",
      topicConfigs: {},
    },
    () => removeScratchDir(folder),
  );
}
