// Completion for bash, zsh and fish, as the only user of @bomb.sh/tab: the script that a shell loads,
// and the answers that it asks for while somebody types (`pyralog complete -- words...`). Names of
// topics and groups come from the cluster; when that is slow or away there are none.

import tab from "@bomb.sh/tab/commander";
import { type RootCommand, script } from "@bomb.sh/tab";
import type { Command } from "commander";
import { Client } from "../client/client.ts";
import { wayOf } from "./connect.ts";
import { usageError } from "./failure.ts";
import { readProfiles } from "./profiles.ts";

const shells = ["bash", "zsh", "fish"];
/** Somebody waits for the answer to a keystroke. */
const patienceMs = 700;

export function printScript(shell: string): void {
  if (!shells.includes(shell)) {
    throw usageError(`there is no completion for "${shell}"`, `say ${shells.join(", ")}`);
  }
  const hint = `${hints[shell] ?? ""}\n`;
  // The first line of a file of zsh's functions says what it completes.
  if (shell !== "zsh") process.stdout.write(hint);
  script(shell, "pyralog", "pyralog");
  if (shell === "zsh") process.stdout.write(hint);
}

const hints: Readonly<Record<string, string>> = {
  bash:
    "# Needs the package bash-completion, and pyralog on the PATH. Load it in ~/.bashrc:\n" +
    "#   source <(pyralog completion bash)",
  zsh: "# Needs pyralog on the PATH. In ~/.zshrc, after compinit:\n#   source <(pyralog completion zsh)",
  fish: "# Needs pyralog on the PATH. Once:\n#   pyralog completion fish > ~/.config/fish/completions/pyralog.fish",
};

/** Arguments by their name in the program's declaration. */
const sources: Readonly<Record<string, (client: Client) => Promise<readonly string[]>>> = {
  topic: topicNames,
  topics: topicNames,
  group: groupNames,
  groups: groupNames,
};

async function topicNames(client: Client): Promise<readonly string[]> {
  const { topics } = await client.admin.cluster();
  return topics.filter(({ internal }) => !internal).map(({ name }) => name);
}

async function groupNames(client: Client): Promise<readonly string[]> {
  return (await client.admin.groups.list()).map(({ group }) => group);
}

/** Answers for the words that have been typed; the last one is being typed. */
export async function complete(program: Command, words: readonly string[]): Promise<void> {
  const root: RootCommand = tab(program);
  const wanted = new Set<string>();
  const typed = words.filter((word) => !word.startsWith("-")).join(" ");
  for (const [path, command] of root.commands) {
    // "complete" is the adapter's own.
    if (path === "" || (typed !== path && !typed.startsWith(`${path} `))) continue;
    for (const name of command.arguments.keys()) wanted.add(name);
  }
  root.commands.delete("complete");
  const names = new Map<string, readonly string[]>();
  for (const name of wanted) {
    if (name === "profile") {
      names.set(
        name,
        readProfiles().all.map((each) => each.name),
      );
    } else names.set(name, await ask(sources[name]));
  }
  for (const command of root.commands.values()) {
    for (const [name, argument] of command.arguments) {
      const found = names.get(name);
      if (found === undefined || found.length === 0) continue;
      argument.handler = (add) => {
        for (const each of found) add(each, "");
      };
    }
  }
  root.parse([...words]);
}

async function ask(
  source: ((client: Client) => Promise<readonly string[]>) | undefined,
): Promise<readonly string[]> {
  if (source === undefined) return [];
  const client = new Client({
    ...wayOf({}),
    connectTimeoutMs: patienceMs,
    requestTimeoutMs: patienceMs,
    retryMs: 0,
  });
  try {
    return await source(client);
  } catch {
    // No names, then: words on a line that somebody is typing on would be worse than none.
    return [];
  } finally {
    await client.close();
  }
}
