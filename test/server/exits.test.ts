// How a node says no and ends: one exit code per reason, and words that name the directory and what
// to do. Against real files, a real mount and a C library whose sync fails.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child, removeScratchDir, scratchDir, waitUntil } from "../../bench/child.ts";
import { needTool, run } from "../../bench/tools.ts";
import { ExitCode } from "../../src/server/exit.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { createTopic, fetchPartition, produce } from "../harness/apis.ts";
import { encodeBatch } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { nodeCommand } from "../harness/node.ts";

const testMsMax = 120_000;
const readyMsMax = 60_000;
const folder = scratchDir("exits");
const living: Child[] = [];
let logs = 0;

afterAll(async () => {
  await Promise.all(living.map((child) => child.stop()));
  removeScratchDir(folder);
});

interface Around {
  readonly env?: Readonly<Record<string, string>>;
  /** Words before the command, such as `unshare -m ...`. */
  readonly before?: readonly string[];
}

function spawn(dataDir: string, { env = {}, before = [] }: Around = {}): Child {
  logs += 1;
  const child = new Child({
    command: [
      ...[...before, ...nodeCommand()],
      ...["--set", "server.bind_addr=127.0.0.1:0", "--set", `server.data_dir=${dataDir}`],
      ...["--set", "server.http_addr=off", "--set", "storage.segment_max_size=16777216"],
    ],
    logPath: join(folder, `node-${logs}.log`),
    env,
  });
  living.push(child);
  return child;
}

async function ready(child: Child): Promise<string> {
  return waitUntil("a node", child, readyMsMax, () =>
    child.log().includes("ready in") ? /Kafka\s+(\S+:\d+)/.exec(child.log())?.[1] : undefined,
  );
}

/** Code and words of a node that does not start. */
async function refusal(dataDir: string, around: Around = {}): Promise<readonly [number, string]> {
  const child = spawn(dataDir, around);
  const code = await child.exited;
  const line =
    child
      .log()
      .split("\n")
      .find((each) => each.startsWith("pyralog: ")) ?? "";
  return [code, line];
}

/** A directory that a node has made and left. */
async function made(name: string): Promise<string> {
  const path = join(folder, name);
  const child = spawn(path);
  await ready(child);
  expect(await child.stop()).toBe(ExitCode.ok);
  return path;
}

test(
  "server: a second process on a directory is refused, and names the first",
  async () => {
    const path = join(folder, "shared");
    const first = spawn(path);
    await ready(first);
    const [code, words] = await refusal(path);
    expect(code).toBe(ExitCode.locked);
    expect(words).toContain(`data directory ${path} is in use by process ${first.pid}.`);
    expect(words).toContain("another server.data_dir");
    expect(await first.stop()).toBe(ExitCode.ok);
  },
  testMsMax,
);

test(
  "server: a directory that cannot be written is refused, and stays as it is",
  async () => {
    const path = await made("readonly");
    let around: Around = {};
    if (process.getuid?.() === 0) {
      // Root may write whatever the mode says; a mount of this process alone says no.
      const mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"';
      around = { before: ["unshare", "-m", "sh", "-c", mount, path] };
    } else {
      chmodSync(path, 0o500);
      chmodSync(join(path, "LOCK"), 0o400);
    }
    const before = readFileSync(join(path, "boot"));
    const [code, words] = await refusal(path, around);
    chmodSync(path, 0o700);
    expect(code).toBe(ExitCode.readOnly);
    expect(words).toContain(`data directory ${path} cannot be written`);
    expect(words).toContain("write permission");
    expect(readFileSync(join(path, "boot"))).toEqual(before);
  },
  testMsMax,
);

/** Bytes of a record of the file up to its checksum; it lies there twice. */
const records = { identity: 60, boot: 76 } as const;

for (const [name, size] of Object.entries(records)) {
  test(
    `server: a directory of a newer format is refused, and stays as it is (${name})`,
    async () => {
      const path = await made(`newer-${name}`);
      const file = join(path, name);
      const bytes = readFileSync(file);
      for (const start of [0, 4096]) {
        bytes.writeUInt32LE(2, start + 8);
        bytes.writeUInt32LE(crc32c(bytes, start, start + size), start + size);
      }
      writeFileSync(file, bytes);
      const [code, words] = await refusal(path);
      expect(code).toBe(ExitCode.format);
      expect(words).toContain(`data directory ${path} has an unknown newer or foreign format`);
      expect(words).toContain("Nothing was changed");
      expect(readFileSync(file)).toEqual(bytes);
    },
    testMsMax,
  );
}

test(
  "server: a data directory that is a file, or lies below one, is refused in words",
  async () => {
    const file = join(folder, "file");
    writeFileSync(file, "mine");
    for (const path of [file, join(file, "below")]) {
      const [code, words] = await refusal(path);
      expect(code).toBe(ExitCode.usage);
      expect(words).toContain(`server.data_dir ${path}`);
      expect(words).toContain(path === file ? "is a file" : "lies below a file");
      expect(words).not.toContain("EEXIST");
    }
    expect(readFileSync(file, "utf8")).toBe("mine");
  },
  testMsMax,
);

/**
 * The first sync after a file was made fails, and takes the file away. The ones after it succeed, as
 * they do on Linux although the bytes of the first are gone: trying again proves nothing.
 */
const shim = `
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int fails(void) { return unlink(getenv("FAIL_SYNC")) == 0; }
int fdatasync(int fd) {
  if (!fails()) return (int)syscall(SYS_fdatasync, fd);
  errno = EIO;
  return -1;
}
int fsync(int fd) {
  if (!fails()) return (int)syscall(SYS_fsync, fd);
  errno = EIO;
  return -1;
}
`;
const shimPath = join(folder, "shim.so");

beforeAll(() => {
  writeFileSync(join(folder, "shim.c"), shim);
  const compiler = needTool("gcc", "gcc");
  run([compiler, "-shared", "-fPIC", "-o", shimPath, join(folder, "shim.c")], folder);
});

function record(text: string): Buffer {
  const timestamp = 1_700_000_000_000;
  return encodeBatch([{ key: null, value: Buffer.from(text), timestamp }]);
}

test(
  "server: a failed sync ends the process, acknowledges nothing more, and loses nothing before it",
  async () => {
    const path = join(folder, "failing");
    mkdirSync(path);
    const flag = join(folder, "fail-now");
    const child = spawn(path, { env: { LD_PRELOAD: shimPath, FAIL_SYNC: flag } });
    const connection = await Connection.open(await ready(child));
    expect((await createTopic(connection, "t")).error).toBe(0);
    expect(await produce(connection, "t", 0, record("kept"))).toMatchObject({ error: 0 });
    writeFileSync(flag, "");
    const outcome = await produce(connection, "t", 0, record("lost")).then(
      ({ error }) => error,
      () => "no answer",
    );
    expect(outcome).toBe("no answer");
    expect(await child.exited).toBe(ExitCode.diskFailed);
    expect(child.log()).toContain(`a write or sync of the log in ${path} failed (error 5)`);
    expect(child.log()).toContain("Check the disk");
    const again = spawn(path);
    const reader = await Connection.open(await ready(again));
    const found = await fetchPartition(reader, "t", 0, 0);
    expect(found.error).toBe(0);
    expect(found.bytes.includes("kept")).toBe(true);
    expect(again.log()).toContain("failed-sync");
    reader.close();
    expect(await again.stop()).toBe(ExitCode.ok);
    expect(existsSync(flag)).toBe(false);
  },
  testMsMax,
);
