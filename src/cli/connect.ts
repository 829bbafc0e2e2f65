// From the options that all commands share to a client. Which cluster: -b, then PYRALOG_BOOTSTRAP,
// then the profile of --profile, of PYRALOG_PROFILE or the current one, then this machine.

import { readFileSync } from "node:fs";
import { Client, KafkaError } from "../client/client.ts";
import { nearest } from "../core/base/suggestion.ts";
import { CommandError, CommandExit } from "./failure.ts";
import { type Profile, profileNamed, readProfiles } from "./profiles.ts";

export interface Target {
  readonly bootstrap?: string;
  readonly profile?: string;
  readonly tls?: boolean;
  /** File with the certificates that are trusted; implies `tls`. */
  readonly tlsCa?: string;
}

const defaultAddress = "127.0.0.1:9092";
/** A person waits: a node that is not there is told soon. */
const connectTimeoutMs = 3000;
const retryMs = 3000;
/** And a record that cannot be delivered sooner than a program would give it up. */
export const deliveryMs = 20_000;

/** What a client has to know to find the cluster. */
export interface Way {
  readonly bootstrap: readonly string[];
  readonly tls: boolean | Bun.TLSOptions;
}

function addresses(text: string): readonly string[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");
}

/** The profile that is asked for; null where addresses are said, or nobody made one. */
function profileOf({ bootstrap, profile }: Target): Profile | null {
  const { env } = process;
  if (bootstrap !== undefined && profile === undefined) return null;
  if (profile === undefined && env["PYRALOG_BOOTSTRAP"]) return null;
  const profiles = readProfiles();
  const name = profile ?? (env["PYRALOG_PROFILE"] || profiles.current);
  return name === null ? null : profileNamed(name, profiles);
}

export function wayOf(target: Target): Way {
  const profile = profileOf(target);
  const said = target.bootstrap ?? (profile === null ? process.env["PYRALOG_BOOTSTRAP"] : "");
  const bootstrap = said ? addresses(said) : (profile?.bootstrap ?? [defaultAddress]);
  const ca = target.tlsCa ?? profile?.ca ?? null;
  if (ca !== null) return { bootstrap, tls: { ca: readFileSync(ca, "utf8") } };
  return { bootstrap, tls: target.tls ?? profile?.tls ?? false };
}

/** Runs `use` with a client that is closed afterwards, however it ends. */
export async function withClient<T>(
  target: Target,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({
    ...wayOf(target),
    clientId: "pyralog-cli",
    connectTimeoutMs,
    retryMs,
  });
  try {
    return await use(client);
  } catch (error) {
    throw await better(client, error);
  } finally {
    await client.close();
  }
}

/** An unknown topic gets the name that may have been meant. */
async function better(client: Client, error: unknown): Promise<unknown> {
  if (!(error instanceof KafkaError) || error.codeName !== "UNKNOWN_TOPIC_OR_PARTITION")
    return error;
  const name = /^topic (.*)$/.exec(error.subject)?.[1];
  if (name === undefined) return error;
  const { topics } = await client.admin.cluster();
  const near = nearest(
    name,
    topics.map((each) => each.name),
  );
  const hint = near === null ? "" : ` Did you mean "${near}"?`;
  const next = `create it: pyralog topic create ${name}`;
  return new CommandError(CommandExit.notFound, `unknown topic "${name}".${hint}`, next);
}
