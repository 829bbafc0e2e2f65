// The command line of the executable: `pyralog [serve] [--config FILE] [--set section.key=value]...`.
import { version as packageVersion } from "../../package.json" with { type: "json" };

export const usage = `Usage:
  pyralog                                   one node on loopback, data in ./pyralog-data
  pyralog --config node.toml                a node as the file says
  pyralog --set server.bind_addr=127.0.0.1:9093 --set kafka.num_partitions=4

Commands:
  serve      start a node (the default)
  version    print the version
  help       print this text

Options:
  --config FILE              read the configuration from FILE (TOML)
  --set SECTION.KEY=VALUE    set one value; wins over the file and over PYRALOG_SECTION_KEY
`;

export type Arguments =
  | { readonly kind: "serve"; readonly config: string | null; readonly set: readonly string[] }
  | { readonly kind: "version" }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly message: string };

export function parseArguments(argv: readonly string[]): Arguments {
  let config: string | null = null;
  const set: string[] = [];
  for (let i = 0; i < argv.length; i += 1) {
    const argument = argv[i] ?? "";
    if (argument === "version" || argument === "--version" || argument === "-v")
      return { kind: "version" };
    if (argument === "help" || argument === "--help" || argument === "-h") return { kind: "help" };
    if (argument === "serve" && i === 0) continue;
    const [name, inline] = split(argument);
    if (name !== "--config" && name !== "--set")
      return { kind: "wrong", message: `unknown argument "${argument}"` };
    const value = inline ?? argv[i + 1];
    if (value === undefined) return { kind: "wrong", message: `${name} needs a value` };
    if (inline === null) i += 1;
    if (name === "--set") set.push(value);
    else config = value;
  }
  return { kind: "serve", config, set };
}

/** `--set=a.b=c` and `--set a.b=c` mean the same. */
function split(argument: string): readonly [name: string, inline: string | null] {
  const at = argument.indexOf("=");
  if (!argument.startsWith("--") || at < 0) return [argument, null];
  return [argument.slice(0, at), argument.slice(at + 1)];
}

export const version: string = packageVersion;
