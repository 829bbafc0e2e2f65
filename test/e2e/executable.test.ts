// The node as a process: where it may be started from, what it must not pick up there, how it stops
// and how it says no. The executable of `bun run build` where there is one, else the sources.

import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { root } from "../../bench/tools.ts";
import { kcat } from "../harness/kcat.ts";
import { nodeCommand } from "../harness/node.ts";

const folder = scratchDir("executable");
const testMsMax = 120_000;
/** It may have to build the library first. */
const startMsMax = 600_000;
afterAll(() => removeScratchDir(folder));

interface Started {
  readonly address: string;
  /** Ends it with SIGTERM; returns its exit code and everything that it said. */
  stop(): Promise<{ readonly exitCode: number; readonly said: string }>;
}

interface Place {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
}

const anyPort = "server.bind_addr=127.0.0.1:0";
const noHttp = "server.http_addr=off";

function spawn(args: readonly string[], { cwd = root, env = {}, command = nodeCommand() }: Place) {
  return Bun.spawn([...command, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
}

async function startNode(args: readonly string[], place: Place = {}): Promise<Started> {
  const child = spawn(args, place);
  const reader = child.stderr.getReader();
  const decoder = new TextDecoder();
  let said = "";
  const more = async (): Promise<boolean> => {
    const { done, value } = await reader.read();
    if (!done) said += decoder.decode(value, { stream: true });
    return !done;
  };
  // `bun run start` says before it that its tools are ready.
  while (!/Kafka\s+\S+:\d+[\s\S]*ready in/.test(said)) {
    if (!(await more())) throw new Error(`the node ended before it was ready:\n${said}`);
  }
  return {
    address: /Kafka\s+(\S+:\d+)/.exec(said)?.[1] ?? "",
    stop: async () => {
      child.kill("SIGTERM");
      while (await more());
      return { exitCode: await child.exited, said };
    },
  };
}

async function refused(args: readonly string[], exitCode = 2, place: Place = {}): Promise<string> {
  const child = spawn(args, place);
  const said = await new Response(child.stderr).text();
  expect(await child.exited).toBe(exitCode);
  return said;
}

async function roundTrip(address: string, topic: string): Promise<string> {
  await kcat(address, ["-P", "-t", topic], "one\ntwo\n");
  return (await kcat(address, ["-C", "-t", topic, "-e", "-q"])).toString();
}

test(
  "e2e: a configuration file names what differs, and a clean stop keeps the records",
  async () => {
    const file = join(folder, "node.toml");
    const data = join(folder, "from-file");
    writeFileSync(
      file,
      `[server]\nbind_addr = "127.0.0.1:0"\nhttp_addr = "127.0.0.1:0"\ndata_dir = "${data}"\n`,
    );
    const first = await startNode(["--config", file]);
    expect(await roundTrip(first.address, "t")).toBe("one\ntwo\n");
    expect((await first.stop()).exitCode).toBe(0);
    const second = await startNode(["--config", file]);
    const again = await kcat(second.address, ["-C", "-t", "t", "-e", "-q"]);
    expect(again.toString()).toBe("one\ntwo\n");
    expect((await second.stop()).exitCode).toBe(0);
  },
  testMsMax,
);

test(
  "e2e: files of the working directory change nothing (.env, bunfig.toml), nor does a temporary directory that is not there",
  async () => {
    const cwd = join(folder, "hostile");
    mkdirSync(cwd, { recursive: true });
    writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./foreign.ts"]\n');
    writeFileSync(join(cwd, "foreign.ts"), 'console.error("foreign code ran");\n');
    writeFileSync(join(cwd, ".env"), "PYRALOG_SERVER_NODE_ID=77\n");
    const command = nodeCommand();
    // The sources run under a Bun that reads both files by design.
    const compiled = command.length === 1;
    const node = await startNode(["--set", anyPort, "--set", noHttp], {
      cwd: compiled ? cwd : root,
      env: { BUN_TMPDIR: join(folder, "absent"), PYRALOG_SERVER_DATA_DIR: join(cwd, "data") },
      command,
    });
    expect(await roundTrip(node.address, "t")).toBe("one\ntwo\n");
    const { exitCode, said } = await node.stop();
    expect(exitCode).toBe(0);
    expect(said).not.toContain("foreign code ran");
    expect(said).toContain("node 1 ");
  },
  testMsMax,
);

test(
  "e2e: mistakes of a first start are answered with the way out",
  async () => {
    const file = join(folder, "wrong.toml");
    writeFileSync(file, "[server]\nbind_adr = 1\n");
    expect(await refused(["--config", file])).toContain(
      `${file}:2:1: unknown setting "server.bind_adr"; did you mean "server.bind_addr"?`,
    );
    expect(await refused(["--config", join(folder, "absent.toml")])).toContain(
      "there is no such file",
    );
    expect(await refused(["--set", "server.bind_addr=0.0.0.0:0"])).toContain("insecure_listeners");
    expect(await refused(["--verbos"])).toContain('unknown argument "--verbos"');
  },
  testMsMax,
);

test(
  "e2e: a port in use is named before anything is made on the disk",
  async () => {
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    const data = join(folder, "no-trace");
    const address = `127.0.0.1:${taken.port}`;
    const said = await refused(
      ["--set", `server.bind_addr=${address}`, "--set", `server.data_dir=${data}`],
      14,
    );
    taken.stop(true);
    const holder = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    expect(said).toContain(`cannot listen on ${address}: another process uses the port`);
    const same = await refused(
      [
        ...["--set", "server.bind_addr=127.0.0.1:0", "--set", `server.data_dir=${data}`],
        ...["--set", noHttp, "--set", `observability.metrics_port=${holder.port}`],
      ],
      14,
    );
    holder.stop(true);
    expect(same).toContain("observability.metrics_port");
    expect(existsSync(data)).toBe(false);
  },
  testMsMax,
);

test(
  "e2e: `bun run start` runs a node in the foreground and hands its signals on",
  async () => {
    const data = join(folder, "started");
    const node = await startNode(
      ["--set", anyPort, "--set", noHttp, "--set", `server.data_dir=${data}`],
      {
        command: [process.execPath, "release/start.ts"],
      },
    );
    expect(await roundTrip(node.address, "t")).toBe("one\ntwo\n");
    expect((await node.stop()).exitCode).toBe(0);
  },
  startMsMax,
);
