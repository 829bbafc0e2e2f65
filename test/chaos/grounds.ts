// The disasters that one machine can stage: the power goes, the process is killed, the disk is full.

import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { code, createTopic, deleteTopic, produce } from "../harness/apis.ts";
import { encodeBatch } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import type { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";
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
/** Topic that is written to in order to see whether writes are taken. */
const probe = "probe";

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

const storageError = 56; // KAFKA_STORAGE_ERROR

/** What full disks have shown, over all grounds of a run. */
export interface FullFigures {
  /** Batches that were refused with KAFKA_STORAGE_ERROR. */
  refusedBatches: number;
  /** Starts after kill -9 on a disk without a free block. */
  fullStarts: number;
  /** From the moment there is room again to the first write that is taken. */
  recoveryMsMax: number;
}

/**
 * Somebody else's file takes the last block under load, and goes again later. Every second time the
 * server is killed meanwhile.
 */
export class FullDisks implements Ground {
  readonly #volume = new Volume("ext4");
  readonly #figures: FullFigures;
  readonly dataDir = join(this.#volume.path, "data");
  #strikes = 0;

  constructor(figures: FullFigures) {
    this.#figures = figures;
  }

  async strike(server: Server, load: Load): Promise<void> {
    const connection = await Connection.open(server.address);
    const made = await createTopic(connection, this.#victim, { partitions: 3 });
    if (made.error !== code.none) throw new Error(`CreateTopics: ${made.error} ${made.message}`);
    await this.#writes(connection, this.#victim);
    await until("every writer is refused", () => {
      if (!server.running) throw new Error(`the server ended\n${server.logTail()}`);
      load.check();
      this.#volume.fill();
      return load.writers === 0;
    });
    await load.stop();
    for (const [error, batches] of load.troubles) {
      if (error !== storageError) throw new Error(`a full disk refuses with error ${error}`);
      this.#figures.refusedBatches += batches;
    }
    this.#expectLogged(server, "disk-full");
    const deleted = await deleteTopic(connection, this.#victim);
    if (deleted !== code.none) throw new Error(`DeleteTopics on a full disk: error ${deleted}`);
    connection.close();
    this.#volume.fill();
    this.#strikes += 1;
    if (this.#strikes % 2 === 1) return;
    this.#figures.fullStarts += 1;
    await server.kill9();
  }

  async strikeStart(server: Server, random: Random): Promise<void> {
    await Bun.sleep(random.below(startMsMax));
    await server.kill9();
  }

  async mend(server: Server): Promise<void> {
    const connection = await Connection.open(server.address);
    await createTopic(connection, probe, {});
    const start = performance.now();
    this.#volume.free();
    await this.#writes(connection, probe);
    const spentMs = Math.round(performance.now() - start);
    this.#figures.recoveryMsMax = Math.max(this.#figures.recoveryMsMax, spentMs);
    this.#expectLogged(server, "disk-recovered");
    connection.close();
  }

  get #victim(): string {
    return `victim-${this.#strikes}`;
  }

  #expectLogged(server: Server, event: string): void {
    const log = server.logTail();
    if (!log.includes(`"${event}"`)) throw new Error(`no line ${event}\n${log}`);
  }

  async #writes(connection: Connection, topic: string): Promise<void> {
    const bytes = encodeBatch([
      { key: null, value: Buffer.alloc(1000, topic), timestamp: Date.now() },
    ]);
    await until(`${topic} takes a write`, async () => {
      return (await produce(connection, topic, 0, bytes)).error === code.none;
    });
  }

  worn(): boolean {
    return this.#volume.usedPart() > usedPartMax;
  }

  dispose(): void {
    this.#volume.dispose();
  }
}
