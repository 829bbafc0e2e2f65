// `npx -y bun@1.4.5 start [arguments]`: sets everything up, then runs a node in the foreground. The
// arguments are the server's. Signals go on to it, and its exit code is ours.

import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { entry, setUp } from "./toolchain.ts";

const forwarded = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
const launcherPollMs = 500;

/** Parent of a process, from /proc; null where there is no such process or no /proc. */
function parentOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return null;
  }
}

function isLauncher(pid: number): boolean {
  try {
    const [program = "", ...rest] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return /(^|\/)(bun|bunx|npx)(\.exe)?$|^npm /.test(program) || / start\b/.test(rest.join(" "));
  } catch {
    return false;
  }
}

/**
 * npx stands behind a shell that does not pass signals on: ending npx would leave the node running
 * with nobody to stop it. So the chain of launchers above us is watched, and the node is stopped
 * when a link of it goes.
 */
function watchLaunchers(stop: () => void): void {
  const chain = [process.pid];
  for (let pid = parentOf(process.pid); pid !== null && isLauncher(pid); pid = parentOf(pid)) {
    chain.push(pid);
  }
  const timer = setInterval(() => {
    for (const [index, pid] of chain.entries()) {
      const parent = chain[index + 1];
      if (parent === undefined || parentOf(pid) === parent) continue;
      clearInterval(timer);
      stop();
      return;
    }
  }, launcherPollMs);
  timer.unref();
}

async function start(): Promise<number> {
  const { bun } = await setUp();
  const child = Bun.spawn([bun, "src/main.ts", ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit"],
  });
  // A terminal gives its keys' signals to the whole foreground group, the child included.
  const fromKeyboard = process.stdin.isTTY ? ["SIGINT", "SIGQUIT"] : [];
  for (const signal of forwarded) {
    process.on(signal, () => {
      if (!fromKeyboard.includes(signal)) child.kill(signal);
    });
  }
  watchLaunchers(() => child.kill("SIGTERM"));
  await child.exited;
  if (child.exitCode !== null) return child.exitCode;
  // As a shell says it: 128 and the number of the signal.
  const signal = Object.entries(constants.signals).find(([name]) => name === child.signalCode);
  return 128 + (signal?.[1] ?? 0);
}

await entry(start);
