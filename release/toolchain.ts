// Gets the pinned tools and builds the native library, on a machine that has only Python and either
// Bun or Node. It runs before anything is installed, so it imports no package.
//
// Each tool is looked for first and fetched only when it is missing, through its ordinary client:
// packages by `bun install` from the lock file, Zig by pip from the hashes in release/zig.txt.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildLibrary } from "./library.ts";
import { checked, root, run, SetupError, say, seconds } from "./progress.ts";

export const zigVersion = "0.17.0";

/** Runs the body of an entry file. A set-up error is printed as its message, without a stack. */
export async function entry(body: () => Promise<number>): Promise<never> {
  process.chdir(root);
  try {
    process.exit(await body());
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`error: ${error.message}`);
    process.exit(1);
  }
}

function manifest(): { readonly bun: string } {
  const parsed: unknown = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  if (typeof parsed === "object" && parsed !== null && "engines" in parsed) {
    const { engines } = parsed;
    if (typeof engines === "object" && engines !== null && "bun" in engines) {
      if (typeof engines.bun === "string") return { bun: engines.bun };
    }
  }
  throw new SetupError('package.json does not name the Bun version under "engines"');
}

/** Older versions crash in what the storage library relies on, so the version is exact. */
export function checkBun(): void {
  const wanted = manifest().bun;
  if (Bun.version === wanted) return;
  throw new SetupError(
    `Pyralog needs Bun ${wanted}, this is Bun ${Bun.version}.\n` +
      `  With Node: npx -y bun@${wanted} start     With Bun: bunx bun@${wanted} run start`,
  );
}

/**
 * Packages exactly as the lock file says, without their install scripts. The only one whose script
 * matters is Bun's own: without it `node_modules/.bin/bun` is a text that says so and stops every
 * later `bun run`; so it is run by name.
 */
async function installPackages(): Promise<void> {
  const stamp = join(root, "node_modules", ".pyralog-installed");
  const lock = readFileSync(join(root, "bun.lock"), "utf8");
  const wanted = Bun.hash(lock + readFileSync(join(root, "package.json"), "utf8")).toString(16);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const startMs = performance.now();
  say("packages: installing from bun.lock");
  const install = ["install", "--frozen-lockfile", "--ignore-scripts", "--no-progress"];
  await checked([process.execPath, ...install], "installing packages");
  const local = join(root, "node_modules", "bun", "bin", "bun.exe");
  const textBytesMax = 1_000_000;
  if (existsSync(local) && statSync(local).size < textBytesMax) {
    const script = join(root, "node_modules", "bun", "install.js");
    await checked([process.execPath, script], "completing the Bun package");
  }
  await Bun.write(stamp, wanted);
  say(`packages: ready in ${seconds(startMs)}`);
}

async function versionOf(zig: string): Promise<string | null> {
  if (!existsSync(zig)) return null;
  const result = await run([zig, "version"]);
  return result.exitCode === 0 ? result.text.trim() : null;
}

/** Fetched beside the final place and renamed, so that a broken download is never taken for Zig. */
async function fetchZig(): Promise<string> {
  const manual = "python3 -m pip install --target .zig --require-hashes -r release/zig.txt";
  const python = Bun.which("python3") ?? Bun.which("python");
  if (python === null) {
    throw new SetupError(
      `Zig ${zigVersion} is not here, and Python, which fetches it, is missing.\n` +
        "  Debian: apt-get install python3 python3-pip     then run this again,\n" +
        `  or name a Zig ${zigVersion} of your own: PYRALOG_ZIG=<path to zig>`,
    );
  }
  if ((await run([python, "-m", "pip", "--version"])).exitCode !== 0) {
    throw new SetupError(
      `Zig ${zigVersion} is not here, and pip, which fetches it, is missing.\n` +
        "  Debian: apt-get install python3-pip     elsewhere: python3 -m ensurepip\n" +
        `  or name a Zig ${zigVersion} of your own: PYRALOG_ZIG=<path to zig>`,
    );
  }
  const startMs = performance.now();
  say(`zig ${zigVersion}: fetching (about 90 MB, once)`);
  const target = join(root, ".zig");
  const fresh = `${target}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
  const what = ["--require-hashes", "--target", fresh, "-r", join(root, "release", "zig.txt")];
  try {
    await checked([python, ...pip, ...what], `fetching Zig ${zigVersion}`);
    rmSync(target, { recursive: true, force: true });
    renameSync(fresh, target);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(`${error.message}\n  By hand: ${manual}`);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  say(`zig ${zigVersion}: ready in ${seconds(startMs)}`);
  return join(target, "ziglang", "zig");
}

/** `PYRALOG_ZIG`, then `zig` on the PATH, then `.zig/` of the repository, then a download. */
export async function findZig(): Promise<string> {
  const named = process.env["PYRALOG_ZIG"];
  if (named !== undefined && named !== "") {
    const version = await versionOf(named);
    if (version === zigVersion) return named;
    const found = version === null ? "does not run" : `is Zig ${version}`;
    throw new SetupError(`PYRALOG_ZIG=${named} ${found}; Pyralog needs Zig ${zigVersion}`);
  }
  const onPath = Bun.which("zig");
  if (onPath !== null && (await versionOf(onPath)) === zigVersion) return onPath;
  const local = join(root, ".zig", "ziglang", "zig");
  if ((await versionOf(local)) === zigVersion) return local;
  return await fetchZig();
}

export interface Toolchain {
  readonly bun: string;
  readonly zig: string;
}

/** Packages and compiler: what the suites need that do not load the library. */
export async function findTools(): Promise<Toolchain> {
  checkBun();
  mkdirSync(join(root, ".cache"), { recursive: true });
  await installPackages();
  return { bun: process.execPath, zig: await findZig() };
}

/** Everything that a node needs to run from its sources. */
export async function setUp(): Promise<Toolchain> {
  const tools = await findTools();
  await buildLibrary(tools.zig);
  return tools;
}
