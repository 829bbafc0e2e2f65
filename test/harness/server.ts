// The server under test as a child process: this product, or with PYRALOG_TEST_BROKER=kafka the
// Apache Kafka release whose behaviour it promises. A judge that Kafka does not pass is wrong.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Child, removeScratchDir, scratchDir } from "../../bench/child.ts";
import { broker } from "./broker.ts";
import { node } from "./node.ts";

export interface ServerOptions {
  /** Kafka's own names, such as "num.partitions"; both kinds of server understand them. */
  readonly kafka?: Readonly<Record<string, string | number | boolean>>;
  /** Settings that only this product has, such as "storage.segment_max_size". */
  readonly node?: Readonly<Record<string, string | number | boolean>>;
  /** Settings that only Apache Kafka has or needs. */
  readonly broker?: Readonly<Record<string, string | number | boolean>>;
  /** Kept when the server is disposed of; a fresh folder otherwise. */
  readonly dataDir?: string;
}

/** How one kind of server is started and recognised. */
export interface ServerKind {
  readonly name: "pyralog" | "kafka";
  /** Before the first start; `folder` outlives every start, `dataDir` is where the data goes. */
  prepare(options: ServerOptions, folder: string, dataDir: string): Promise<Prepared>;
}

export interface Prepared {
  /** `port` is 0 at the first start, and the port found then at every later one. */
  command(port: number): Promise<readonly string[]>;
  /** host:port once the server takes requests; undefined while it does not. */
  ready(log: string, port: number): Promise<string | undefined>;
  /** Exit codes of a clean stop after SIGTERM. */
  readonly cleanExits: readonly number[];
}

export const kindUnderTest: ServerKind =
  process.env["PYRALOG_TEST_BROKER"] === "kafka" ? broker : node;
export const testsKafka = kindUnderTest === broker;

const startMsMax = 120_000;
const stopMsMax = 30_000;

/** Start, stop, kill and start again over one data directory; the port stays the same. */
export class Server {
  readonly dataDir: string;
  readonly #kind: ServerKind;
  readonly #folder: string;
  readonly #prepared: Prepared;
  #child: Child | undefined;
  #port = 0;
  #starts = 0;

  private constructor(kind: ServerKind, folder: string, dataDir: string, prepared: Prepared) {
    this.#kind = kind;
    this.#folder = folder;
    this.dataDir = dataDir;
    this.#prepared = prepared;
  }

  /** A server that is not started yet. */
  static async create(options: ServerOptions = {}, kind = kindUnderTest): Promise<Server> {
    const folder = scratchDir(kind.name);
    const dataDir = options.dataDir ?? join(folder, "data");
    mkdirSync(dataDir, { recursive: true });
    return new Server(kind, folder, dataDir, await kind.prepare(options, folder, dataDir));
  }

  static async start(options: ServerOptions = {}, kind = kindUnderTest): Promise<Server> {
    const server = await Server.create(options, kind);
    try {
      await server.start();
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get port(): number {
    if (this.#port === 0) throw new Error("the server was not started yet");
    return this.#port;
  }

  get pid(): number {
    return this.#running().pid;
  }

  get running(): boolean {
    return this.#child?.running ?? false;
  }

  #running(): Child {
    if (this.#child === undefined) throw new Error("the server is not running");
    return this.#child;
  }

  async start(): Promise<void> {
    await this.launch();
    await this.whenReady();
  }

  /** Starts the process and does not wait for it. */
  async launch(): Promise<void> {
    if (this.running) throw new Error("the server is running already");
    this.#starts += 1;
    this.#child = new Child({
      command: await this.#prepared.command(this.#port),
      logPath: join(this.#folder, `server-${this.#starts}.log`),
    });
  }

  async whenReady(): Promise<void> {
    const child = this.#running();
    const deadline = performance.now() + startMsMax;
    for (;;) {
      const address = await this.#prepared.ready(child.log(), this.#port);
      if (address !== undefined) {
        this.#port = Number(address.slice(address.lastIndexOf(":") + 1));
        return;
      }
      if (!child.running) throw new Error(`${this.#kind.name} ended\n${this.logTail()}`);
      if (performance.now() > deadline) {
        throw new Error(`${this.#kind.name} not ready in ${startMsMax} ms\n${this.logTail()}`);
      }
      await Bun.sleep(10);
    }
  }

  /** SIGTERM; an exit code that is not a clean stop is an error. */
  async stop(): Promise<void> {
    const code = await this.#running().stop(stopMsMax);
    if (!this.#prepared.cleanExits.includes(code)) {
      throw new Error(`${this.#kind.name} stopped with exit code ${code}\n${this.logTail()}`);
    }
  }

  async kill9(): Promise<void> {
    const child = this.#running();
    child.kill("SIGKILL");
    await child.exited;
  }

  /** Resolves when the process ended by itself or otherwise. */
  get exited(): Promise<number> {
    return this.#running().exited;
  }

  logTail(): string {
    return this.#child?.log().slice(-4000) ?? "";
  }

  /** Ends the process in whatever way works and removes the folder that this harness made. */
  async dispose(): Promise<void> {
    if (this.running) await this.kill9();
    removeScratchDir(this.#folder);
  }
}
