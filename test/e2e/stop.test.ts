// A clean stop under load: what was written is answered, so that nobody sends it again.

import { expect, test } from "bun:test";
import { createTopic, listOffset, produce } from "../harness/apis.ts";
import { encodeBatch } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { Server } from "../harness/server.ts";

const connections = 8;
const inFlight = 4;

test("e2e: a stop answers every record that it keeps", async () => {
  const server = await Server.start();
  try {
    const admin = await Connection.open(server.address);
    await createTopic(admin, "t");
    const batch = encodeBatch([{ key: null, value: Buffer.from("v"), timestamp: 1 }]);
    let answered = 0;
    const send = async (connection: Connection): Promise<void> => {
      for (;;) {
        expect((await produce(connection, "t", 0, batch)).error).toBe(0);
        answered += 1;
      }
    };
    const clients = await Promise.all(
      Array.from({ length: connections }, () => Connection.open(server.address)),
    );
    const loops = clients.flatMap((client) =>
      Array.from({ length: inFlight }, () => send(client).catch(() => undefined)),
    );
    while (answered < 500) await Bun.sleep(1);
    await server.stop();
    await Promise.all(loops);
    for (const client of [admin, ...clients]) client.close();
    await server.start();
    const again = await Connection.open(server.address);
    expect((await listOffset(again, "t", 0, -1)).offset).toBe(answered);
    again.close();
  } finally {
    await server.dispose();
  }
}, 60_000);
