// The Kafka listener: accepts connections, and closes those that are idle or too slow.

import type { TCPSocketListener } from "bun";
import { frameMsMax, outputBytesMax, outputStallMs } from "../../core/base/limits.ts";
import type { Host } from "../host.ts";
import { KafkaConnection } from "./connection.ts";
import { AssemblyPool } from "./frame_cutter.ts";

export interface KafkaListenerOptions {
  readonly hostname: string;
  readonly port: number;
  /** What clients are told to come back to; null = the address that they used. */
  readonly advertised: { readonly host: string; readonly port: number } | null;
  readonly idleMsMax: number;
  readonly connectionsMax: number;
  /** Of one request. */
  readonly bytesMax: number;
}

export class KafkaListener {
  readonly #host: Host;
  readonly #options: KafkaListenerOptions;
  readonly #pool = new AssemblyPool();
  readonly #connections = new Set<KafkaConnection>();
  /** Connections refused since the last sweep: told once for all of them. */
  #refused = 0;
  /** More than one where a name means two addresses. */
  readonly #listeners: TCPSocketListener<KafkaConnection | undefined>[];

  constructor(host: Host, options: KafkaListenerOptions) {
    this.#host = host;
    this.#options = options;
    const first = this.#listen(options.hostname, options.port);
    this.#listeners = [first];
    // `localhost` may mean ::1 to a client: a node on the loopback of one family answers on both.
    if (options.hostname !== "127.0.0.1") return;
    try {
      this.#listeners.push(this.#listen("::1", first.port));
    } catch (error) {
      host.log("debug", "loopback-ipv6", {
        because: error instanceof Error ? error.message : String(error),
      });
    }
  }

  #listen(hostname: string, port: number): TCPSocketListener<KafkaConnection | undefined> {
    const host = this.#host;
    return Bun.listen<KafkaConnection | undefined>({
      hostname,
      port,
      socket: {
        open: (socket) => {
          const { advertised, connectionsMax, bytesMax } = this.#options;
          if (this.#connections.size >= connectionsMax) {
            this.#refused += 1;
            host.refused("too many connections", socket.remoteAddress);
            socket.end();
            return;
          }
          socket.setNoDelay(true);
          socket.setKeepAlive(true, 60_000);
          const connection = new KafkaConnection(host, socket, this.#pool, advertised, bytesMax);
          socket.data = connection;
          this.#connections.add(connection);
        },
        data: (socket, chunk) => {
          const connection = socket.data;
          if (connection === undefined) return;
          connection.received(chunk);
          host.flush();
        },
        drain: (socket) => {
          socket.data?.drained();
          host.flush();
        },
        close: (socket) => this.#ended(socket.data),
        error: (socket, error) => {
          // The code, not the words: reasons are counted one by one.
          const code = "code" in error ? String(error.code) : error.name;
          host.refused(`socket error: ${code}`, socket.remoteAddress);
          socket.end();
          this.#ended(socket.data);
        },
      },
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** What clients are told to come back to when nobody knows the address that they used. */
  get told(): { readonly host: string; readonly port: number } {
    return this.#options.advertised ?? { host: this.#options.hostname, port: this.port };
  }

  get address(): string {
    return `${this.#options.hostname}:${this.port}`;
  }
  get port(): number {
    return this.#listeners[0]?.port ?? this.#options.port;
  }

  /** Called about once a second. */
  sweep(now: number): void {
    if (this.#refused > 0) {
      this.#host.log("warn", "connections-refused", {
        count: this.#refused,
        max: this.#options.connectionsMax,
      });
      this.#refused = 0;
    }
    for (const connection of this.#connections) {
      if (connection.partialSince >= 0 && now - connection.partialSince > frameMsMax)
        connection.close("request not whole in time");
      else if (now - connection.lastActive > this.#options.idleMsMax) connection.close("idle");
      // A consumer may be slow for as long as there is memory for what it does not take.
      else if (connection.stalledMs(now) > outputStallMs && this.#host.owed.bytes > outputBytesMax)
        connection.close("answer not taken in time");
      if (connection.closed) this.#connections.delete(connection);
    }
  }

  /** No new connections; the ones that are there go on until `closeAll`. */
  stopAccepting(): void {
    for (const listener of this.#listeners) listener.stop(false);
  }

  /** No new requests; true once every produce that was taken is answered. */
  finish(): boolean {
    let owes = false;
    for (const connection of this.#connections) {
      connection.finish();
      owes ||= connection.owes;
    }
    return !owes;
  }

  closeAll(): void {
    for (const connection of this.#connections) connection.close("node stops");
    this.#connections.clear();
  }

  #ended(connection: KafkaConnection | undefined): void {
    if (connection === undefined) return;
    connection.ended();
    this.#connections.delete(connection);
    this.#host.flush();
  }
}
