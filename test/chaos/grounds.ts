// The two disasters that one machine can stage: the power goes, or the process is killed.

import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import type { Server } from "../harness/server.ts";
import type { Load } from "./load.ts";
import type { Random } from "./payload.ts";
import type { Ground } from "./rounds.ts";
import { Volume, type Drop, type FileSystem } from "./volume.ts";

/** How long a server whose disk is gone may go on before it is killed as well. */
const lingerMs = 300;
/** A start is struck somewhere in its first moments, which a seed chooses. */
const startMsMax = 250;
/** A volume is replaced when so much of it is used. */
const usedPartMax = 0.7;
/** A folder that was only killed is replaced after so many strikes, to bound what is read. */
const killsPerFolder = 10;

export class PowerCuts implements Ground {
  readonly #volume: Volume;
  readonly #nextDrop: () => Drop;
  readonly dataDir: string;

  constructor(fileSystem: FileSystem, nextDrop: () => Drop) {
    this.#volume = new Volume(fileSystem);
    this.#nextDrop = nextDrop;
    this.dataDir = join(this.#volume.path, "data");
  }

  async #cut(server: Server): Promise<void> {
    await server.kill9();
    this.#volume.unmount();
    this.#volume.mount();
  }

  async strike(server: Server, load: Load, random: Random): Promise<void> {
    load.doubtInFlight();
    this.#volume.cutPower(this.#nextDrop());
    // Half of the time the server lives on without its disk, and must not acknowledge any more.
    if (random.chance(50)) await Promise.race([load.settled(), Bun.sleep(lingerMs)]);
    await this.#cut(server);
  }

  async strikeStart(server: Server, random: Random): Promise<void> {
    await Bun.sleep(random.below(startMsMax));
    this.#volume.cutPower(this.#nextDrop());
    await this.#cut(server);
  }

  worn(): boolean {
    return this.#volume.usedPart() > usedPartMax;
  }

  dispose(): void {
    this.#volume.dispose();
  }
}

export class Kills implements Ground {
  readonly dataDir: string;
  readonly #folder = scratchDir("kills");
  #strikes = 0;

  constructor() {
    this.dataDir = join(this.#folder, "data");
  }

  async strike(server: Server): Promise<void> {
    this.#strikes += 1;
    await server.kill9();
  }

  async strikeStart(server: Server, random: Random): Promise<void> {
    await Bun.sleep(random.below(startMsMax));
    await server.kill9();
  }

  worn(): boolean {
    return this.#strikes >= killsPerFolder;
  }

  dispose(): void {
    removeScratchDir(this.#folder);
  }
}
