// What a result line says about where it was taken: without it a figure is worth nothing.

import { readFileSync, statfsSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import { zigVersion } from "../release/toolchain.ts";
import { root } from "./tools.ts";

export interface Machine {
  readonly at: string;
  /** Short commit; `+` = the tree has changes that are not committed. */
  readonly commit: string;
  readonly bun: string;
  readonly zig: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memory_gb: number;
  /** File system of the folder that the servers write to. */
  readonly fs: string;
}

function git(...args: readonly string[]): string {
  const done = Bun.spawnSync(["git", ...args], { cwd: root, stdout: "pipe", stderr: "ignore" });
  return done.exitCode === 0 ? done.stdout.toString().trim() : "";
}

/** Type of the file system that holds `folder`, from the longest mount point above it. */
export function fileSystemOf(folder: string): string {
  let found = "unknown";
  let longest = -1;
  for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
    const [, mount = "", type = ""] = line.split(" ");
    const above = mount === "/" || folder === mount || folder.startsWith(`${mount}/`);
    if (above && mount.length > longest) {
      longest = mount.length;
      found = type;
    }
  }
  return found;
}

export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

export function describeMachine(folder: string): Machine {
  const [processor] = cpus();
  const changed = git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "+";
  return {
    at: new Date().toISOString(),
    commit: `${git("rev-parse", "--short=12", "HEAD")}${changed}`,
    bun: Bun.version,
    zig: zigVersion,
    kernel: `${release()} ${arch()}`,
    cpu: processor?.model ?? "unknown",
    cpus: cpus().length,
    memory_gb: Math.round(totalmem() / 2 ** 30),
    fs: fileSystemOf(folder),
  };
}
