// What a user does first: a text file in and out with kcat, with each codec, alone and in a group,
// and again after the server was killed. PYRALOG_E2E_MB sets the size of the file.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { createTopic, latest, listOffset } from "../harness/apis.ts";
import { codecs, type Codec } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import { offsetFetch } from "../harness/groups.ts";
import { kcat, kcatCommand } from "../harness/kcat.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";
import { lineFormat, LineFile, LineJudge } from "./lines.ts";

const mebibytes = Number(process.env["PYRALOG_E2E_MB"] ?? "8");
const partitions = 6;
const testMsMax = 120_000 + mebibytes * 10_000;

const folder = scratchDir("e2e");
const file = new LineFile(folder, mebibytes * 2 ** 20);
const more = new LineFile(folder, (mebibytes * 2 ** 20) / 10, file.count);
let server: Server;

beforeAll(async () => {
  server = await Server.start({
    kafka: { "num.partitions": partitions, "auto.create.topics.enable": true },
  });
}, testMsMax);

afterAll(async () => {
  await server?.stop();
  await server?.dispose();
  removeScratchDir(folder);
}, testMsMax);

/** Without stickiness every line goes to a partition of its own choice, so all of them get some. */
async function write(topic: string, codec: Codec, lines: LineFile): Promise<void> {
  const settings = [`compression.codec=${codec}`, "sticky.partitioning.linger.ms=0"];
  const args = settings.flatMap((setting) => ["-X", setting]);
  await kcat(server.address, ["-P", "-t", topic, ...args, "-l", lines.path]);
}

/** Every line of the file, as `kcat -C` prints the topic. */
async function expectWhole(topic: string): Promise<void> {
  const judge = new LineJudge(file);
  const args = ["-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", lineFormat];
  const child = Bun.spawn(kcatCommand(server.address, args), { stdout: "pipe", stderr: "inherit" });
  for await (const chunk of child.stdout) judge.take(child, chunk);
  expect(await child.exited).toBe(0);
  expect(judge.complaints()).toEqual([]);
  expect(judge.partitions).toBe(partitions);
}

for (const codec of codecs) {
  test(
    `e2e: a file goes in and comes out (${codec}, ${mebibytes} MiB)`,
    async () => {
      const topic = `lines-${codec}`;
      await write(topic, codec, file);
      await expectWhole(topic);
    },
    testMsMax,
  );
}

/** A member of a group that prints what it gets, and says on stderr what it was assigned. */
class Member {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #output: Promise<void>;
  #said = "";
  /** Partitions of the last assignment. */
  assigned = 0;
  lines = 0;

  constructor(group: string, topic: string, judge: LineJudge) {
    const settings = ["auto.offset.reset=earliest", "auto.commit.interval.ms=100"];
    const args = [...settings.flatMap((setting) => ["-X", setting]), "-f", lineFormat, topic];
    this.#child = Bun.spawn(kcatCommand(server.address, ["-G", group, ...args]), {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    process.once("exit", () => this.#child.kill("SIGKILL"));
    this.#output = Promise.all([this.#read(judge), this.#listen()]).then(() => {});
  }

  async #read(judge: LineJudge): Promise<void> {
    for await (const chunk of this.#child.stdout) {
      const before = judge.count;
      judge.take(this, chunk);
      this.lines += judge.count - before;
    }
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) {
      const text = decoder.decode(chunk, { stream: true });
      this.#said += text; // kcat writes a line in many pieces
      // "% Group g rebalanced (memberid m): assigned: t [0], t [1]"
      const list = [...this.#said.matchAll(/rebalanced .*?: (?:assigned: (.*)|revoked: .*)\n/g)].at(
        -1,
      )?.[1];
      this.assigned = list?.split(", ").length ?? 0;
    }
  }

  /** Throws when the process ended by itself. */
  check(): void {
    const exit = this.#child.exitCode;
    if (exit !== null) throw new Error(`a member ended with exit code ${exit}:\n${this.#said}`);
  }

  /** Leaves the group in order: what it printed is committed. */
  async leave(): Promise<void> {
    this.#child.kill("SIGINT");
    await this.#output;
    const exit = await this.#child.exited;
    if (exit !== 0) throw new Error(`a member ended with exit code ${exit}:\n${this.#said}`);
  }
}

/** `alive` throws when nobody is left to commit. */
async function whenCommitted(group: string, topic: string, alive: () => void): Promise<void> {
  const connection = await Connection.open(server.address);
  const indexes = Array.from({ length: partitions }, (_, index) => index);
  try {
    await until(
      "the group has committed everything",
      async () => {
        alive();
        const { commits } = await offsetFetch(connection, group, topic, indexes);
        for (const index of indexes) {
          const end = await listOffset(connection, topic, index, latest);
          if (commits.find((each) => each.partition === index)?.offset !== end.offset) return false;
        }
        return true;
      },
      testMsMax,
    );
  } finally {
    connection.close();
  }
}

/** Two members share what is written while they are in the group: each line once. */
async function expectShared(group: string, topic: string, lines: LineFile): Promise<void> {
  const judge = new LineJudge(lines);
  const members = [new Member(group, topic, judge), new Member(group, topic, judge)];
  const alive = (): void => members.forEach((member) => member.check());
  await until("both members have their half", () => {
    alive();
    return members.every((member) => member.assigned === partitions / 2);
  });
  await write(topic, "lz4", lines);
  await whenCommitted(group, topic, alive);
  await Promise.all(members.map((member) => member.leave()));
  expect(judge.complaints()).toEqual([]);
  for (const member of members) expect(member.lines).toBeGreaterThan(0);
}

test(
  "e2e: two members of a group share a file, each line once",
  async () => {
    const connection = await Connection.open(server.address);
    const { error } = await createTopic(connection, "shared", { partitions });
    connection.close();
    expect(error).toBe(0);
    await expectShared("readers", "shared", file);
  },
  testMsMax,
);

test(
  "e2e: after kill -9 everything is still there, with every codec",
  async () => {
    await server.kill9();
    await server.start();
    for (const codec of codecs) await expectWhole(`lines-${codec}`);
  },
  testMsMax,
);

test(
  "e2e: after kill -9 the group goes on where it committed",
  () => expectShared("readers", "shared", more),
  testMsMax,
);

test(
  "e2e: a clean stop and start keeps everything",
  async () => {
    await server.stop();
    await server.start();
    await expectWhole("lines-zstd");
  },
  testMsMax,
);
