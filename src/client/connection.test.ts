import { afterEach, describe, expect, test } from "bun:test";
import { rejectionOf } from "../../test/harness/rejection.ts";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { needTool, run } from "../../bench/tools.ts";
import { apis } from "../wire/apis.ts";
import { encodeResponseFrame } from "../wire/frame.ts";
import { Writer } from "../wire/writer.ts";
import { Connection, parseAddress } from "./connection.ts";
import { Unreachable } from "./failures.ts";

const options = {
  clientId: "t",
  connectTimeoutMs: 5000,
  requestTimeoutMs: 200,
  tls: false,
} as const;
const listeners: Bun.TCPSocketListener[] = [];
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.stop(true);
});

/** A certificate for localhost that signs itself, of this run alone. */
function certificate(): { readonly key: string; readonly cert: string } {
  const folder = scratchDir("client-tls");
  const key = join(folder, "key.pem");
  const cert = join(folder, "cert.pem");
  const openssl = needTool("openssl", "openssl");
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const kind = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
  ];
  run([openssl, "req", "-x509", ...kind, "-keyout", key, "-out", cert, ...names], folder);
  const made = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  removeScratchDir(folder);
  return made;
}

type Answer = (correlationId: number, apiKey: number) => Uint8Array | null;

/** A peer that answers each frame by `answer`; null = it stays silent. */
function peer(answer: Answer, tls: Bun.TLSOptions | null = null): string {
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls === null ? {} : { tls }),
    socket: {
      data(socket, chunk) {
        // The requests of these tests are small and come whole.
        for (let at = 0; at + 4 <= chunk.length; at += 4 + chunk.readInt32BE(at)) {
          const said = answer(chunk.readInt32BE(at + 8), chunk.readInt16BE(at + 4));
          if (said !== null) socket.write(said);
        }
      },
    },
  });
  listeners.push(listener);
  return `127.0.0.1:${listener.port}`;
}

function versions(
  correlationId: number,
  ranges = [
    [18, 0, 5],
    [16, 0, 5],
  ],
): Uint8Array {
  const writer = new Writer();
  encodeResponseFrame(apis.ApiVersions, 3, correlationId, writer, {
    errorCode: 0,
    apiKeys: ranges.map(([apiKey = 0, minVersion = 0, maxVersion = 0]) => ({
      apiKey,
      minVersion,
      maxVersion,
    })),
    throttleTimeMs: 0,
    supportedFeatures: [],
    finalizedFeaturesEpoch: -1,
    finalizedFeatures: [],
    zkMigrationReady: false,
  });
  return writer.written().slice();
}

function groups(correlationId: number, name: string): Uint8Array {
  const writer = new Writer();
  const group = { groupId: name, protocolType: "", groupState: "", groupType: "" };
  const value = { throttleTimeMs: 0, errorCode: 0, groups: [group] };
  encodeResponseFrame(apis.ListGroups, 5, correlationId, writer, value);
  return writer.written().slice();
}

const listed = { statesFilter: [], typesFilter: [] };

describe("client: a connection", () => {
  test("client: many requests are under way at once, and answers arriving in pieces find theirs", async () => {
    const held: number[] = [];
    let piecemeal: Bun.Socket | null = null;
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        async data(socket, chunk) {
          piecemeal = socket;
          for (let at = 0; at + 4 <= chunk.length; at += 4 + chunk.readInt32BE(at)) {
            const correlationId = chunk.readInt32BE(at + 8);
            if (chunk.readInt16BE(at + 4) === 18) socket.write(versions(correlationId));
            else held.push(correlationId);
          }
          if (held.length < 3) return;
          const all = Buffer.concat(held.splice(0).map((id) => groups(id, `group-${id}`)));
          for (const byte of all) {
            piecemeal.write(new Uint8Array([byte]));
            await Bun.sleep(0);
          }
        },
      },
    });
    listeners.push(listener);
    const connection = await Connection.open(`127.0.0.1:${listener.port}`, {
      ...options,
      requestTimeoutMs: 20_000,
    });
    const answers = await Promise.all(
      [1, 2, 3].map(() => connection.request(apis.ListGroups, 5, listed)),
    );
    expect(answers.map(({ groups: [first] }) => first?.groupId)).toEqual([
      "group-2",
      "group-3",
      "group-4",
    ]);
    connection.close();
  });

  test("client: no answer in time ends the connection, and everything that waits", async () => {
    const address = peer((id, key) => (key === 18 ? versions(id) : null));
    const connection = await Connection.open(address, options);
    const first = connection.request(apis.ListGroups, 5, listed);
    const second = connection.request(apis.ListGroups, 5, listed);
    const errors = await Promise.all([rejectionOf(first), rejectionOf(second)]);
    for (const error of errors) {
      expect(error).toBeInstanceOf(Unreachable);
      expect(error.message).toContain("no answer to ListGroups in time");
    }
    expect(connection.lost).toBe(true);
  });

  test("client: an answer out of order, or of rubbish, ends the connection", async () => {
    const late = peer((id, key) => (key === 18 ? versions(id) : groups(id + 1, "x")));
    const connection = await Connection.open(late, options);
    expect((await rejectionOf(connection.request(apis.ListGroups, 5, listed))).message).toContain(
      "out of order",
    );
    const http = peer(() => new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
    expect((await rejectionOf(Connection.open(http, options))).message).toContain("does not speak");
  });

  test("client: a node that only knows ApiVersions 0 says so, and is asked in its way", async () => {
    let asked = 0;
    const address = peer((id, key) => {
      if (key !== 18) return null;
      asked += 1;
      const writer = new Writer();
      encodeResponseFrame(apis.ApiVersions, 0, id, writer, {
        errorCode: asked === 1 ? 35 : 0,
        apiKeys: [{ apiKey: 16, minVersion: 0, maxVersion: 2 }],
        throttleTimeMs: 0,
        supportedFeatures: [],
        finalizedFeaturesEpoch: -1,
        finalizedFeatures: [],
        zkMigrationReady: false,
      });
      return writer.written().slice();
    });
    const connection = await Connection.open(address, options);
    expect(asked).toBe(2);
    expect(connection.versionOf(apis.ListGroups)).toBe(2);
    expect(() => connection.versionOf(apis.Fetch)).toThrow("UNSUPPORTED_VERSION");
    connection.close();
  });

  test("client: TLS is spoken with a peer whose certificate is trusted, and with no other", async () => {
    const own = certificate();
    const answer: Answer = (id, key) => (key === 18 ? versions(id) : groups(id, "secret"));
    const address = peer(answer, own);
    const patient = { ...options, requestTimeoutMs: 10_000 };
    const trusting = { ...patient, tls: { ca: own.cert } };
    const connection = await Connection.open(address, trusting);
    const found = await connection.request(apis.ListGroups, 5, listed);
    expect(found.groups[0]?.groupId).toBe("secret");
    connection.close();
    for (const tls of [true, { ca: certificate().cert }]) {
      const error = await rejectionOf(Connection.open(address, { ...patient, tls }));
      expect(error).toBeInstanceOf(Unreachable);
      expect(error.message).toMatch(/certificate|self.signed|verif/i);
    }
    const clear = peer(answer);
    expect(await rejectionOf(Connection.open(clear, trusting))).toBeInstanceOf(Unreachable);
  });

  test("client: addresses have a host and a port", () => {
    expect(parseAddress("[::1]:9092")).toEqual({ host: "::1", port: 9092 });
    expect(parseAddress("node1")).toEqual({ host: "node1", port: 9092 });
    for (const wrong of ["", "a:b", "a:0", "a:70000", "a b:1"])
      expect(parseAddress(wrong)).toBeNull();
  });
});
