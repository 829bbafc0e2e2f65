// Programs from outside that a bench or a suite needs: found on PATH, installed from Debian where
// that is possible, otherwise refused with the command that gets them.

import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Top of the checkout. */
export const root = join(import.meta.dir, "..");
/** Downloads and builds that may be deleted at any time; never committed. */
export const cacheDir = join(root, ".cache");

/** Path of `program`; installs `debianPackage` when it is missing and this process may do so. */
export function needTool(program: string, debianPackage: string): string {
  const found = Bun.which(program);
  if (found !== null) return found;
  const command = `apt-get install -y --no-install-recommends ${debianPackage}`;
  if (Bun.which("apt-get") === null || process.getuid?.() !== 0) {
    throw new Error(`${program} is missing; get it with: ${command} (as root, on Debian)`);
  }
  console.error(`${program} is missing: ${command}`);
  run(["apt-get", "update", "-q"], root);
  run(command.split(" "), root);
  const installed = Bun.which(program);
  if (installed === null) throw new Error(`${program} is still missing after: ${command}`);
  return installed;
}

/** Java of at least `major`, because Kafka 4 brokers do not start on an older one. */
export function needJava(major: number): string {
  const java = needTool("java", `openjdk-${major}-jre-headless`);
  const said = Bun.spawnSync([java, "-version"]).stderr.toString();
  const found = Number(/version "(\d+)/.exec(said)?.[1] ?? 0);
  if (found >= major) return java;
  const wanted = `apt-get install -y --no-install-recommends openjdk-${major}-jre-headless`;
  throw new Error(`java ${major} or newer is needed, ${java} is ${found}; get it with: ${wanted}`);
}

/** Runs to the end; its output goes to stderr because stdout belongs to the result line. */
export function run(command: readonly string[], cwd: string): void {
  const done = Bun.spawnSync([...command], { cwd, stdout: "pipe", stderr: "pipe" });
  if (done.exitCode === 0) return;
  const output = `${done.stdout.toString()}${done.stderr.toString()}`.slice(-4000);
  throw new Error(`${command.join(" ")}\nexit code ${done.exitCode}\n${output}`);
}

/**
 * The folder or file `.cache/<name>`. `make` fills a scratch folder and returns the path in it that
 * becomes the result. The rename at the end is atomic: two runs at the same time both succeed, and
 * a run that is killed leaves nothing that looks finished.
 */
export function cached(name: string, make: (scratch: string) => string): string {
  const target = join(cacheDir, name);
  if (existsSync(target)) return target;
  const scratch = join(cacheDir, `scratch-${process.pid}-${crypto.randomUUID().slice(0, 8)}`);
  mkdirSync(scratch, { recursive: true });
  try {
    const made = make(scratch);
    mkdirSync(join(target, ".."), { recursive: true });
    try {
      renameSync(made, target);
    } catch (error) {
      if (!existsSync(target)) throw error;
    }
    return target;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
