// Consumer groups over HTTP, beside Kafka consumers that are in them.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { kcat, kcatCommand } from "../harness/kcat.ts";
import { until } from "../harness/until.ts";
import { get, type HttpServer, send, slugOf, startHttp } from "./http.ts";

let node: HttpServer;
let base: string;

beforeAll(async () => {
  node = await startHttp();
  base = node.base();
  await send(`${base}/v1/topics`, "POST", { name: "t", partitions: 2 });
});

afterAll(() => node.server.dispose());

test("http: a group that there is not is 404 before anybody has used a group, and so are offsets of an absent topic", async () => {
  for (const path of ["", "/lag"]) {
    const answer = await get(`${base}/v1/groups/nobody${path}`);
    expect([answer.status, slugOf(answer)]).toEqual([404, "unknown-group"]);
  }
  const offsets = [{ topic: "absent", partition: 0, offset: 1 }];
  const answer = await send(`${base}/v1/groups/g/offsets`, "PUT", { offsets });
  expect([answer.status, slugOf(answer)]).toEqual([404, "unknown-topic"]);
});

test("http: a group of a Kafka consumer is listed, described with its members, and measured", async () => {
  await kcat(node.server.address, ["-P", "-t", "t", "-p", "1"], "a\nb\nc\n");
  const args = ["-u", "-G", "readers", "-X", "auto.offset.reset=earliest", "t"];
  const consumer = Bun.spawn(kcatCommand(node.server.address, args), {
    stdout: "pipe",
    stderr: "ignore",
  });
  try {
    // It commits what it has printed when it is told to end.
    let read = "";
    for await (const chunk of consumer.stdout) {
      read += Buffer.from(chunk).toString();
      if (read.endsWith("c\n")) break;
    }
    await until("the group is stable", async () => {
      const { status, body } = await get(`${base}/v1/groups/readers`);
      return status === 200 && body.state === "Stable";
    });
    const { body } = await get(`${base}/v1/groups/readers`);
    expect(body.members).toHaveLength(1);
    expect(body.members[0].assigned).toEqual([
      { topic: "t", partition: 0 },
      { topic: "t", partition: 1 },
    ]);
    const busy = await send(`${base}/v1/groups/readers`, "DELETE");
    expect([busy.status, slugOf(busy)]).toEqual([409, "group-not-empty"]);
    const offsets = [{ topic: "t", partition: 1, offset: 0 }];
    const held = await send(`${base}/v1/groups/readers/offsets`, "PUT", { offsets });
    expect([held.status, slugOf(held)]).toEqual([409, "group-not-empty"]);
  } finally {
    consumer.kill();
    await consumer.exited;
  }
  await until("the group is empty", async () => {
    return (await get(`${base}/v1/groups/readers`)).body.state === "Empty";
  });
  const lag = await get(`${base}/v1/groups/readers/lag`);
  expect(lag.body.items).toEqual([{ topic: "t", partition: 1, committed: 3, end: 3, lag: 0 }]);
  const offsets = [{ topic: "t", partition: 1, offset: 1 }];
  const back = await send(`${base}/v1/groups/readers/offsets`, "PUT", { offsets });
  expect([back.body.lag, back.body.items[0].committed]).toEqual([2, 1]);
  expect((await get(`${base}/v1/groups?prefix=read`)).body.items).toEqual([
    { group: "readers", state: "Empty", type: "classic", protocol: "consumer" },
  ]);
  expect((await send(`${base}/v1/groups/readers`, "DELETE")).status).toBe(204);
  expect((await get(`${base}/v1/groups/readers`)).status).toBe(404);
});
