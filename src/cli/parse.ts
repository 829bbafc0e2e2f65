// Parses the arguments, runs what they say, and turns how it ends into words and an exit code.

import { isatty } from "node:tty";
import { type Command, CommanderError } from "commander";
import { nearest } from "../core/base/suggestion.ts";
import { CommandError, CommandExit, usageError } from "./failure.ts";
import { type Ports, programOf } from "./program.ts";
import { talk } from "./terminal.ts";

/** Of a help text that goes elsewhere than to a terminal. */
const helpWidth = 100;

export async function parse(argv: readonly string[], ports: Ports): Promise<number> {
  const program = programOf(ports);
  quieten(program);
  try {
    if (argv[0] === "complete") {
      const { complete } = await import("./completion.ts");
      await complete(program, argv.slice(argv[1] === "--" ? 2 : 1));
      return CommandExit.ok;
    }
    needKnown(program, argv[0]);
    await program.parseAsync([...argv], { from: "user" });
    return CommandExit.ok;
  } catch (error) {
    // It has said what is wrong itself.
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? CommandExit.ok : CommandExit.usage;
    const failure =
      error instanceof CommandError ? error : (await import("./outcome.ts")).failureOf(error);
    if (failure === null) {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      talk(`pyralog: a bug of Pyralog; please report it\n${words}`);
      return CommandExit.bug;
    }
    talk(`pyralog: ${failure.message}`);
    if (failure.next !== null) talk(`  next: ${failure.next}`);
    return failure.code;
  }
}

/** A first word that is no command would be taken for an argument of the default one. */
function needKnown(program: Command, word: string | undefined): void {
  if (word === undefined || word.startsWith("-")) return;
  const names = [...program.commands.flatMap((each) => [each.name(), ...each.aliases()]), "help"];
  if (names.includes(word)) return;
  const near = nearest(word, names);
  const hint = near === null ? "" : `; did you mean "${near}"?`;
  throw usageError(`there is no command "${word}"${hint}`, "see them: pyralog --help");
}

/** Errors instead of exits, in the words of the other messages. */
function quieten(command: Command): void {
  command.exitOverride().configureOutput({
    // Not process.stdout where it can be helped: its first use takes longer than all the rest.
    writeOut: (text) => console.log(text.replace(/\n$/, "")),
    getOutHelpWidth: () => (isatty(1) ? process.stdout.columns : helpWidth),
    getOutHasColors: () => false,
    writeErr: (text) => process.stderr.write(text),
    outputError: (text, write) => write(`pyralog: ${ours(text)}`),
  });
  command.showHelpAfterError(`  next: ${path(command)} --help`);
  for (const each of command.commands) quieten(each);
}

function ours(text: string): string {
  return text
    .replace(/^error: /, "")
    .replace("unknown option", "unknown argument")
    .replace(/'([^']*)'/g, '"$1"');
}

function path(command: Command): string {
  return command.parent === null ? command.name() : `${path(command.parent)} ${command.name()}`;
}
