// The hostile side, a process of its own: opens everything, says `ready` on stdout once all of it is
// connected, and goes on until it is killed. A connection that the node closes is opened again.
//
//   bun test/chaos/hostile_clients.ts ADDRESS TOPIC '{"idle":100,...}'

import type { Socket } from "bun";
import { BodyWriter, parseAddress } from "../../bench/kafka_client.ts";

/** Connections of each kind. */
export interface Hostility {
  /** Say nothing. */
  readonly idle: number;
  /** Name a request of a megabyte and send a byte of it a second. */
  readonly slow: number;
  /** Ask once, and close the half of the connection that they speak on. */
  readonly half: number;
  /** Ask for megabytes over and over, and read nothing. */
  readonly deaf: number;
  /** Ask for the metadata of everything as fast as they are answered. */
  readonly floods: number;
  /** Name a length that is out of bounds, and come back when they are closed. */
  readonly liars: number;
}

const byteMs = 1000;
const againMs = 200;
/** Requests that a flood has in flight. */
const depth = 16;
const deafRequests = 64;
/** Connections that are opened at a time: the listener's queue is finite. */
const opening = 128;

function framed(key: number, version: number, body: Uint8Array): Uint8Array {
  const head = new BodyWriter().int16(key).int16(version).int32(1).string("hostile").done();
  return new BodyWriter()
    .int32(head.length + body.length)
    .raw(head)
    .raw(body)
    .done();
}

const apiVersions = framed(18, 0, new Uint8Array(0));
const allMetadata = framed(3, 1, new BodyWriter().int32(-1).done());

function fetchOf(topic: string): Uint8Array {
  const body = new BodyWriter().int32(-1).int32(0).int32(0).int32(50_000_000).int8(0);
  body.int32(1).string(topic).int32(1).int32(0).int64(0).int64(-1).int32(50_000_000);
  return framed(1, 5, body.done());
}

/** What one kind of connection does when it is open, and when it is answered. */
interface Behaviour {
  open(socket: Socket<undefined>): void;
  data?(socket: Socket<undefined>, chunk: Uint8Array): void;
  readonly halfOpen?: boolean;
}

function times(bytes: Uint8Array, count: number): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, () => bytes));
}

const prefix = (length: number): Uint8Array => new BodyWriter().int32(length).done();
const slowHead = Buffer.concat([prefix(1 << 20), Uint8Array.from([0, 3, 0, 1])]);

function behaviours(topic: string): Readonly<Record<keyof Hostility, Behaviour>> {
  const requests = times(fetchOf(topic), deafRequests);
  return {
    idle: { open: () => {} },
    slow: {
      open: (socket) => {
        socket.write(slowHead);
        const timer = setInterval(() => {
          if (socket.write(Uint8Array.from([0])) < 0) clearInterval(timer);
        }, byteMs);
      },
    },
    half: {
      halfOpen: true,
      open: (socket) => {
        socket.write(apiVersions);
        socket.shutdown();
      },
    },
    deaf: {
      open: (socket) => {
        socket.pause();
        socket.write(requests);
      },
    },
    floods: {
      open: (socket) => void socket.write(times(allMetadata, depth)),
      // As many more as the bytes that came: about one for each answer.
      data: (socket, chunk) => void socket.write(times(allMetadata, 1 + (chunk.length >> 12))),
    },
    liars: {
      open: (socket) => {
        const lengths = [0x7fffffff, -1, 0, 0x7f000000];
        socket.write(prefix(lengths[Math.floor(Math.random() * lengths.length)] ?? 0));
      },
    },
  };
}

async function main([address = "", topic = "", counts = "{}"]: readonly string[]): Promise<void> {
  const { hostname, port } = parseAddress(address);
  const how = behaviours(topic);
  const connect = async (behaviour: Behaviour): Promise<void> => {
    const again = (): void => void setTimeout(() => void connect(behaviour), againMs);
    try {
      await Bun.connect<undefined>({
        hostname,
        port,
        allowHalfOpen: behaviour.halfOpen === true,
        socket: {
          open: (socket) => behaviour.open(socket),
          data: (socket, chunk) => behaviour.data?.(socket, chunk),
          close: again,
          error: () => {},
        },
      });
    } catch {
      again();
    }
  };
  const wanted: Hostility = JSON.parse(counts);
  const all = Object.entries(how).flatMap(
    ([kind, behaviour]) => Array.from({ length: wanted[kind as keyof Hostility] }, () => behaviour), // proof: its own keys
  );
  for (let at = 0; at < all.length; at += opening) {
    await Promise.all(all.slice(at, at + opening).map(connect));
  }
  console.log("ready");
}

if (import.meta.main) await main(process.argv.slice(2));
