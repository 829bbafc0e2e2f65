// The command line of `bun run bench`.

import type { Durability } from "./peers/peer.ts";
import { type LimitName, limitNames, type PeerName, peerNames } from "./peers/peers.ts";
import { type ShapeName, shapeNames } from "./shapes.ts";
import { UsageError } from "./usage_error.ts";

export interface Options {
  readonly caseName: string;
  /** What is measured; normally our node. */
  readonly subject: PeerName;
  /** Servers beside it. */
  readonly peers: readonly PeerName[];
  /** Physical limits beside it. */
  readonly limits: readonly LimitName[];
  /** The shape of this run; `shapes` are all that the command line asks for, one run each. */
  readonly shape: ShapeName;
  readonly shapes: readonly ShapeName[];
  /** undefined = the shape's. */
  readonly sizeBytes: number | undefined;
  readonly partitions: number | undefined;
  /** Records per run; undefined = what the case finds right for the shape. */
  readonly count: number | undefined;
  /** Requests per second of the open-loop cases. */
  readonly rate: number;
  /** GiB of records, recovery only. */
  readonly gib: number;
  readonly durability: Durability;
  readonly pairs: number;
  readonly idempotent: boolean;
  /** Tries of the pressure gate before each run. */
  readonly gateTries: number;
  /** Two pairs and a tenth of the records: does it work, not how fast is it. */
  readonly quick: boolean;
  readonly settings: readonly string[];
}

/** What a case is measured with where the command line does not say. */
export interface Defaults {
  readonly vs: string;
  readonly defaultShapes: readonly ShapeName[];
  readonly pairs: number;
}

export const optionsUsage = `  --shape A,B          shapes of produce, one line each: B1 (Kafka's best case), B2 (the everyday
                       case), S1 to S4; fetch also has S5, a backlog of 2 GiB
  --size BYTES         bytes of a record, instead of the shape's
  --partitions N       instead of the shape's
  --count N            records of a run, instead of the shape's
  --rate N             requests per second, latency and density (1000)
  --gib N              GiB of records before the kill, recovery (10)
  --durability fsync|os    when our node acknowledges; Kafka flushes each batch or not alike (fsync)
  --vs A,B             null: a broker that parses and acknowledges only; kafka: Apache Kafka;
                       nats: NATS JetStream (fetch, latency); os: our node at os;
                       floor: receive, CRC and write, or send, without a broker (produce, fetch);
                       fdatasync: a sync per tick (latency); fio: synced writes of 1 MiB (produce);
                       none
  --pairs N            interleaved rounds
  --idempotent         an idempotent producer
  --set KEY=VALUE      a setting of our node, may be repeated
  --subject NAME       what is measured instead of our node
  --gate N             tries to find a quiet moment before each run (10)
  --quick              two rounds, a tenth of the records, no gate`;

const single = [
  ...["shape", "size", "partitions", "count", "rate", "gib", "durability", "vs", "pairs"],
  ...["subject", "gate"],
];
const pairsWhenQuick = 2;

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

/** What follows each name, as it was written. */
interface Words {
  readonly values: ReadonlyMap<string, string>;
  readonly flags: ReadonlySet<string>;
  readonly settings: readonly string[];
}

function wordsOf(args: readonly string[]): Words {
  const values = new Map<string, string>();
  const settings: string[] = [];
  const flags = new Set<string>();
  for (let index = 0; index < args.length; index += 1) {
    const name = (args[index] ?? "").replace(/^--/, "");
    if (name === "quick" || name === "idempotent") {
      flags.add(name);
      continue;
    }
    index += 1;
    const value = args[index];
    if (value === undefined) throw new UsageError(`--${name} needs a value`);
    if (name === "set") settings.push(value);
    else if (single.includes(name)) values.set(name, value);
    else throw new UsageError(`--${name} is unknown`);
  }
  return { values, flags, settings };
}

export function parseOptions(
  caseName: string,
  args: readonly string[],
  defaults: Defaults,
): Options {
  const { values, flags, settings } = wordsOf(args);
  const numeric = (name: string) => {
    const text = values.get(name);
    return text === undefined ? undefined : number(text, `--${name}`);
  };
  const quick = flags.has("quick");
  const sides = (values.get("vs") ?? defaults.vs)
    .split(",")
    .filter((each) => each !== "none")
    .map((each) => choice(each, "--vs", [...peerNames, ...limitNames]));
  const named = values.get("shape")?.split(",");
  const shapes =
    named?.map((each) => choice(each, "--shape", shapeNames)) ?? defaults.defaultShapes;
  const [shape = "B1"] = shapes;
  return {
    caseName,
    subject: choice(values.get("subject") ?? "pyralog", "--subject", peerNames),
    peers: peerNames.filter((each) => sides.includes(each)),
    limits: limitNames.filter((each) => sides.includes(each)),
    shape,
    shapes,
    sizeBytes: numeric("size"),
    partitions: numeric("partitions"),
    count: numeric("count"),
    rate: numeric("rate") ?? 1000,
    gib: numeric("gib") ?? (quick ? 1 : 10),
    durability: choice(values.get("durability") ?? "fsync", "--durability", ["fsync", "os"]),
    pairs: numeric("pairs") ?? (quick ? pairsWhenQuick : defaults.pairs),
    idempotent: flags.has("idempotent"),
    gateTries: numeric("gate") ?? (quick ? 1 : 10),
    quick,
    settings,
  };
}
