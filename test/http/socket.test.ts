// Produce and consume over a WebSocket.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { kcat } from "../harness/kcat.ts";
import { curl, type HttpServer, send, startHttp } from "./http.ts";

let node: HttpServer;
let base: string;

beforeAll(async () => {
  node = await startHttp();
  base = node.base();
});

afterAll(() => node.server.dispose());

type Message = Readonly<Record<string, ReturnType<typeof JSON.parse>>>;

/** A socket whose messages can be waited for. */
class Talk {
  readonly heard: Message[] = [];
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  #wake: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      this.heard.push(JSON.parse(String(data)));
      this.#wake();
    };
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code }) => resolve(code);
    });
  }

  static open(): Promise<Talk> {
    const socket = new WebSocket(`${base.replace("http", "ws")}/v1/stream`);
    const talk = new Talk(socket);
    return new Promise((resolve, reject) => {
      socket.onopen = () => resolve(talk);
      socket.onerror = () => reject(new Error("no socket"));
    });
  }

  say(message: object | string): void {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#socket.close();
  }
}

test("http: records go both ways over one socket, stored byte for byte and in order", async () => {
  await send(`${base}/v1/topics`, "POST", { name: "talk", partitions: 1 });
  const talk = await Talk.open();
  talk.say({ op: "consume", id: 1, topic: "talk", from: "earliest" });
  talk.say('{"op":"produce","id":2,"topic":"talk","record":{"value":{"x":1.0, "y":10e2}}}');
  for (let i = 0; i < 200; i += 1)
    talk.say({ op: "produce", id: 100 + i, topic: "talk", record: { value: i } });
  const records = () => talk.heard.filter(({ id, record }) => id === 1 && record !== undefined);
  await talk.until(() => records().length === 201);
  const answers = talk.heard.filter(({ offset }) => offset !== undefined);
  await talk.until(() => talk.heard.filter(({ offset }) => offset !== undefined).length === 201);
  expect(answers[0]).toEqual({ id: 2, partition: 0, offset: 0 });
  expect(records().map(({ record }) => record.offset)).toEqual([...Array(201).keys()]);
  expect(records()[200]?.["next"]).toBe("0:201");
  // A socket that comes back goes on where it was.
  talk.close();
  await talk.closed;
  const again = await Talk.open();
  again.say({ op: "consume", id: 1, topic: "talk", from: records()[198]?.["next"] });
  await again.until(() => again.heard.length === 2);
  expect(again.heard.map(({ record }) => record.value)).toEqual([198, 199]);
  again.say({ op: "stop", id: 1 });
  again.say({ op: "produce", id: 3, topic: "talk", record: { value: "after" } });
  await again.until(() => again.heard.some(({ id }) => id === 3));
  again.say({ op: "consume", id: 1, topic: "talk", from: "-1" });
  await again.until(() => again.heard.filter(({ id }) => id === 1).length === 3);
  expect(again.heard.at(-1)?.["record"].value).toBe("after");
  again.close();
  const stored = await kcat(node.server.address, ["-C", "-t", "talk", "-c", "1", "-q"]);
  expect(stored.toString()).toBe('{"x":1.0, "y":10e2}\n');
});

test("http: what is wrong with a message is told on the socket, which goes on", async () => {
  const talk = await Talk.open();
  for (const message of [
    "no json",
    '{"op":"produce","id":1,"topic":"absent","record":{"value":1}}',
    '{"op":"consume","id":2,"topic":"talk","form":"earliest"}',
    '{"op":"produce","id":3,"topic":"talk","record":{"valu":1}}',
    '{"op":"fly","id":4}',
    `{"op":"produce","id":5,"topic":"talk","record":{"value":${"[".repeat(31)}${"]".repeat(31)}}}`,
    `"${"x".repeat(1_100_000)}"`,
  ])
    talk.say(message);
  await talk.until(() => talk.heard.length === 7);
  expect(talk.heard.map(({ id, problem }) => [id, problem.status])).toEqual([
    ...[
      [null, 400],
      [1, 404],
      [2, 422],
      [3, 422],
      [null, 422],
      [null, 422],
      [null, 413],
    ],
  ]);
  talk.say({ op: "produce", id: 9, topic: "talk", record: { value: 9 } });
  await talk.until(() => talk.heard.length === 8);
  expect(talk.heard[7]?.["offset"]).toBeGreaterThan(0);
  talk.close();
});

test("http: a request that is no WebSocket is told so (HTTP/1.1 and HTTP/2)", async () => {
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    const [text = "", status] = await curl([version, `${base}/v1/stream`]);
    expect([version, status, JSON.parse(text).status]).toEqual([version, "426", 426]);
  }
});

test("http: a node that stops sends its sockets away", async () => {
  const talk = await Talk.open();
  talk.say({ op: "consume", id: 1, topic: "talk", from: "latest" });
  talk.say({ op: "produce", id: 2, topic: "talk", record: { value: "last" } });
  await talk.until(() => talk.heard.some(({ id }) => id === 2));
  await node.server.stop();
  expect(await talk.closed).toBe(1001);
});
