// A NATS client with just what a bench needs before its load starts: is JetStream there, make a
// stream. The load itself comes from native programs.

import { parseAddress } from "../kafka_client.ts";

const inbox = "_INBOX.bench";

export class NatsClient {
  /** Set once, before the client is handed out. */
  #socket: Bun.Socket | undefined;
  #received = "";
  readonly #waiting: PromiseWithResolvers<string>[] = [];

  static async connect(address: string): Promise<NatsClient> {
    const { hostname, port } = parseAddress(address);
    const client = new NatsClient();
    client.#socket = await Bun.connect({
      hostname,
      port,
      socket: {
        data: (_, chunk) => client.#take(chunk.toString("latin1")),
        close: () => client.#fail(new Error(`${address} closed the connection`)),
        error: (_, error) => client.#fail(error),
      },
    });
    client.#socket.write(`CONNECT {"verbose":false}\r\nSUB ${inbox} 1\r\n`);
    return client;
  }

  close(): void {
    this.#socket?.end();
  }

  /** One request and its answer; answers come in the order of the requests. */
  request(subject: string, body: string): Promise<string> {
    const waiting = Promise.withResolvers<string>();
    this.#waiting.push(waiting);
    this.#socket?.write(`PUB ${subject} ${inbox} ${body.length}\r\n${body}\r\n`);
    return waiting.promise;
  }

  #take(chunk: string): void {
    this.#received += chunk;
    for (;;) {
      const end = this.#received.indexOf("\r\n");
      if (end < 0) return;
      const line = this.#received.slice(0, end);
      // MSG <subject> <sid> [reply] <bytes>, then the body; INFO, PING and +OK have no body
      const size = line.startsWith("MSG ") ? Number(line.slice(line.lastIndexOf(" ") + 1)) : 0;
      const next = line.startsWith("MSG ") ? end + 4 + size : end + 2;
      if (this.#received.length < next) return;
      const body = this.#received.slice(end + 2, end + 2 + size);
      this.#received = this.#received.slice(next);
      if (line.startsWith("MSG ")) this.#waiting.shift()?.resolve(body);
      else if (line === "PING") this.#socket?.write("PONG\r\n");
      else if (line.startsWith("-ERR")) this.#fail(new Error(`nats: ${line}`));
    }
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

/** Makes the stream `name` of the subject `name` anew, in files, without limits. */
export async function freshStream(address: string, name: string): Promise<void> {
  const client = await NatsClient.connect(address);
  try {
    await client.request(`$JS.API.STREAM.DELETE.${name}`, "");
    const config = { name, subjects: [name], storage: "file", num_replicas: 1 };
    const answer = await client.request(`$JS.API.STREAM.CREATE.${name}`, JSON.stringify(config));
    if (answer.includes('"error"')) throw new Error(`nats made no stream ${name}: ${answer}`);
  } finally {
    client.close();
  }
}
