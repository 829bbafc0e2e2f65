// Completion in real shells in a real terminal: Tab completes commands, options and the names of
// topics that the cluster has.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { needTool, run } from "../../bench/tools.ts";
import { cli } from "../harness/cli.ts";
import { nodeCommand } from "../harness/node.ts";
import { Screen } from "../harness/screen.ts";
import { Server } from "../harness/server.ts";

const folder = scratchDir("completion");
const bin = join(folder, "bin");
const bashCompletion = "/usr/share/bash-completion/bash_completion";
let server: Server;

beforeAll(async () => {
  server = await Server.start();
  await cli(["topic", "create", "invoices", "-b", server.address]);
  mkdirSync(bin);
  const command = nodeCommand()
    .map((each) => `'${each}'`)
    .join(" ");
  writeFileSync(join(bin, "pyralog"), `#!/bin/sh\nexec ${command} "$@"\n`);
  chmodSync(join(bin, "pyralog"), 0o755);
});

afterAll(async () => {
  await server.dispose();
  removeScratchDir(folder);
});

interface Shell {
  readonly name: string;
  readonly debian: string;
  /** Files below its home, and the command that starts it. */
  readonly files: Readonly<Record<string, string>>;
  readonly args: (home: string) => readonly string[];
}

const shells: readonly Shell[] = [
  {
    name: "bash",
    debian: "bash",
    files: {
      rc: `. ${bashCompletion}\n. <(pyralog completion bash)\nPS1='$ '\necho ready\n`,
    },
    args: (home) => ["--noprofile", "--rcfile", join(home, "rc"), "-i"],
  },
  {
    name: "zsh",
    debian: "zsh",
    files: {
      ".zshrc":
        "autoload -U compinit; compinit -u\nsource <(pyralog completion zsh)\nPS1='$ '\necho ready\n",
    },
    args: () => ["-i"],
  },
  {
    name: "fish",
    debian: "fish",
    files: {
      "fish/config.fish":
        "function fish_prompt; echo -n '$ '; end\nset -g fish_greeting\npyralog completion fish | source\necho ready\n",
    },
    args: () => ["-i"],
  },
];

/** A script that is sourced, so no program can be looked for. */
function needBashCompletion(): void {
  if (existsSync(bashCompletion)) return;
  const install = ["apt-get", "install", "-y", "--no-install-recommends", "bash-completion"];
  console.error(`${bashCompletion} is missing: ${install.join(" ")}`);
  run(["apt-get", "update", "-q"], "/");
  run(install, "/");
}

for (const { name, debian, files, args } of shells) {
  test(`cli: Tab completes commands, options and topics (${name})`, async () => {
    if (name === "bash") needBashCompletion();
    const home = join(folder, name);
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(join(home, file, ".."), { recursive: true });
      writeFileSync(join(home, file), text);
    }
    const screen = Screen.open({
      folder: home,
      command: [needTool(name, debian), ...args(home)],
      env: {
        PATH: `${bin}:${process.env["PATH"] ?? ""}`,
        HOME: home,
        ZDOTDIR: home,
        XDG_CONFIG_HOME: home,
        XDG_DATA_HOME: home,
        PYRALOG_BOOTSTRAP: server.address,
      },
    });
    try {
      await screen.shows(/ready\n+\$/);
      screen.type("pyralog topic desc");
      screen.key("Tab");
      await screen.shows("$ pyralog topic describe");
      screen.type("inv");
      screen.key("Tab");
      await screen.shows("$ pyralog topic describe invoices");
      screen.key("C-u");
      screen.type("pyralog topic create x --part");
      screen.key("Tab");
      const text = await screen.shows("$ pyralog topic create x --partitions");
      expect(text).not.toContain("error");
    } finally {
      screen.close();
    }
  });
}
