// The files that git knows or would take, as the laws see them.

import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Tree } from "./documents.ts";

export const top = resolve(import.meta.dir, "../..");

function list(): readonly string[] {
  const command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"];
  const result = Bun.spawnSync(command, { cwd: top });
  if (result.exitCode !== 0) throw new Error(`git ls-files: ${result.stderr.toString()}`);
  const paths = result.stdout.toString().split("\0");
  return paths.filter((path) => path !== "" && existsSync(join(top, path))).sort();
}

class Files implements Tree {
  readonly list = list();
  readonly paths: ReadonlySet<string> = new Set(this.list);
  readonly #texts = new Map<string, string>();

  read(path: string): string {
    let text = this.#texts.get(path);
    if (text === undefined) {
      text = readFileSync(join(top, path), "utf8");
      this.#texts.set(path, text);
    }
    return text;
  }

  bytes(path: string): number {
    return statSync(join(top, path)).size;
  }
}

export const files = new Files();

export function typescript(...folders: readonly string[]): readonly string[] {
  return files.list.filter(
    (path) =>
      /\.tsx?$/.test(path) &&
      !path.endsWith(".gen.ts") &&
      folders.some((folder) => path.startsWith(`${folder}/`)),
  );
}
