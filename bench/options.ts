// The command line of `bun run bench`.

import { type LimitName, limitNames, type PeerName, peerNames } from "./peers/peers.ts";
import type { Durability } from "./peers/peer.ts";

/**
 * B1: one partition, batches of 10,000 records, Kafka's best case. B2: 100 partitions, batches of
 * 16 KiB, Kafka's default: the everyday case.
 */
export type ShapeName = "B1" | "B2";

export interface Options {
  readonly caseName: string;
  /** What is measured; normally our node. */
  readonly subject: PeerName;
  /** Servers beside it. */
  readonly peers: readonly PeerName[];
  /** Physical limits beside it. */
  readonly limits: readonly LimitName[];
  readonly shape: ShapeName;
  readonly sizeBytes: number;
  readonly partitions: number | undefined;
  /** Records per run; undefined = what the case finds right for the shape. */
  readonly count: number | undefined;
  /** Requests per second of the open-loop cases. */
  readonly rate: number;
  readonly durability: Durability;
  readonly pairs: number;
  readonly idempotent: boolean;
  /** Tries of the pressure gate before each run. */
  readonly gateTries: number;
  /** Two pairs and a tenth of the records: does it work, not how fast is it. */
  readonly quick: boolean;
  readonly settings: readonly string[];
}

export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const usage = `bun run bench CASE [options]
  CASE                 produce, fetch, latency, startup
  --shape B1|B2        B1: 1 partition, batches of 10,000 records; B2: 100 partitions, 16 KiB (B1)
  --size BYTES         bytes of a record (100)
  --partitions N       instead of the shape's
  --count N            records of a run, instead of the shape's
  --rate N             requests per second, latency only (1000)
  --durability fsync|os    when our node acknowledges; Kafka flushes each batch or not alike (fsync)
  --vs A,B             null: a broker that parses and acknowledges only; kafka: Apache Kafka;
                       os: our node at os; floor: receive, CRC and write, or send, without a
                       broker (produce, fetch); fdatasync: a sync per tick (latency); none (null)
  --pairs N            interleaved rounds (9)
  --idempotent         an idempotent producer
  --set KEY=VALUE      a setting of our node, may be repeated
  --subject NAME       what is measured instead of our node
  --gate N             tries to find a quiet moment before each run (10)
  --quick              two rounds, a tenth of the records, no gate`;

const pairsDefault = 9;

function number(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`${name} needs a number above 0, not ${text}`);
}

function choice<T extends string>(text: string, name: string, choices: readonly T[]): T {
  const found = choices.find((each) => each === text);
  if (found !== undefined) return found;
  throw new UsageError(`${name} is one of ${choices.join(", ")}, not ${text}`);
}

export function parseOptions(args: readonly string[]): Options {
  const [caseName, ...rest] = args;
  if (caseName === undefined || caseName.startsWith("-")) throw new UsageError("no case is named");
  const single = new Map<string, string>();
  const settings: string[] = [];
  const flags = new Set<string>();
  const known = ["shape", "size", "partitions", "count", "rate", "durability", "vs", "pairs"];
  for (let index = 0; index < rest.length; index += 1) {
    const name = (rest[index] ?? "").replace(/^--/, "");
    if (name === "quick" || name === "idempotent") {
      flags.add(name);
      continue;
    }
    index += 1;
    const value = rest[index];
    if (value === undefined) throw new UsageError(`--${name} needs a value`);
    if (name === "set") settings.push(value);
    else if ([...known, "subject", "gate"].includes(name)) single.set(name, value);
    else throw new UsageError(`--${name} is unknown`);
  }
  const numeric = (name: string) => {
    const text = single.get(name);
    return text === undefined ? undefined : number(text, `--${name}`);
  };
  const quick = flags.has("quick");
  const sides = (single.get("vs") ?? "null")
    .split(",")
    .filter((each) => each !== "none")
    .map((each) => choice(each, "--vs", [...peerNames, ...limitNames]));
  return {
    caseName,
    subject: choice(single.get("subject") ?? "pyralog", "--subject", peerNames),
    peers: peerNames.filter((each) => sides.includes(each)),
    limits: limitNames.filter((each) => sides.includes(each)),
    shape: choice(single.get("shape") ?? "B1", "--shape", ["B1", "B2"]),
    sizeBytes: numeric("size") ?? 100,
    partitions: numeric("partitions"),
    count: numeric("count"),
    rate: numeric("rate") ?? 1000,
    durability: choice(single.get("durability") ?? "fsync", "--durability", ["fsync", "os"]),
    pairs: numeric("pairs") ?? (quick ? 2 : pairsDefault),
    idempotent: flags.has("idempotent"),
    gateTries: numeric("gate") ?? (quick ? 1 : 10),
    quick,
    settings,
  };
}
