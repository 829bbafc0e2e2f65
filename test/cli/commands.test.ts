// Every command against a real node: what it prints is data on standard output, what it says is on
// standard error, and other programs read what it wrote.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { Client } from "../../src/client/client.ts";
import { type CliOptions, cli, type CliRun } from "../harness/cli.ts";
import { kcat, kcatCommand } from "../harness/kcat.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";

const folder = scratchDir("cli");
let server: Server;

beforeAll(async () => {
  server = await Server.start();
});

afterAll(async () => {
  await server.dispose();
  removeScratchDir(folder);
});

function at(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  return cli([...args, "-b", server.address], options);
}

async function good(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const run = await at(args, options);
  expect({ args, code: run.code, err: run.code === 0 ? "" : run.err }).toEqual({
    args,
    code: 0,
    err: "",
  });
  return run;
}

test("cli: a topic is made, filled from standard input, and read by kcat", async () => {
  const made = await good(["topic", "create", "orders", "-p", "3", "-c", "retention.ms=86400000"]);
  expect(made.out).toBe(
    "TOPIC   PARTITIONS  REPLICAS  STATUS\norders           3         1  created\n",
  );
  expect(made.err).toBe("");
  const line = '{"id":12345678901234567890,"x":1.0}';
  const produced = await good(["produce", "orders", "-k", "c-42", "-H", "trace=1"], {
    input: `${line}\n`,
  });
  expect(produced.out).toMatch(/^orders\/[0-2] @ 0 {3}35 B {3}[\d.]+ ms\n$/);
  const format = ["-t", "orders", "-C", "-e", "-q", "-f", "%k %s %h\\n"];
  expect((await kcat(server.address, format)).toString()).toBe(`c-42 ${line} trace=1\n`);
});

test("cli: records are shown for people, as JSON, as YAML, by a format, and raw", async () => {
  await good(["topic", "create", "shown", "-p", "1"]);
  const sent = await good(["produce", "shown", "-K", ":", "-o", "json", "--timestamp", "1000"], {
    input: "a:one\nb:zwölf\n",
  });
  expect(
    sent.out
      .trim()
      .split("\n")
      .map((each) => JSON.parse(each)),
  ).toEqual([
    { topic: "shown", partition: 0, offset: 0, timestamp: 1000 },
    { topic: "shown", partition: 0, offset: 1, timestamp: 1000 },
  ]);
  expect((await good(["consume", "shown"])).out).toMatch(
    /^\d\d:\d\d:01\.000 {2}0@0 {2}a {2}one\n\d\d:\d\d:01\.000 {2}0@1 {2}b {2}zwölf\n$/,
  );
  expect((await good(["consume", "shown", "--raw", "--from", "1"])).out).toBe("zwölf\n");
  expect(
    (await good(["consume", "shown", "--format", "%t/%p@%o %k=%s %T%%\\n", "-n", "1"])).out,
  ).toBe("shown/0@0 a=one 1000%\n");
  const json = (await good(["consume", "shown", "-o", "json", "-n", "1"])).out;
  expect(JSON.parse(json)).toEqual({
    topic: "shown",
    partition: 0,
    offset: 0,
    timestamp: 1000,
    key: "a",
    value: "one",
  });
  const yaml = (await good(["consume", "shown", "-o", "yaml", "-n", "1"])).out;
  expect(Bun.YAML.parse(yaml.replace("---\n", ""))).toMatchObject({ key: "a", offset: 0 });
});

test("cli: topics are listed, described, configured, grown, trimmed and deleted", async () => {
  await good(["topic", "create", "life", "-p", "2"]);
  await good(["produce", "life", "-p", "1", "one", "two", "three"]);
  const [row] = JSON.parse((await good(["topic", "list", "-o", "json"])).out).filter(
    ({ name }: { name: string }) => name === "life",
  );
  expect(row).toMatchObject({ partitions: 2, replicas: 1, records: 3, internal: false });
  expect((await good(["topic", "list"])).out).not.toContain("__consumer_offsets");

  const described = JSON.parse((await good(["topic", "describe", "life", "-o", "json"])).out);
  expect(described.partitions[1]).toMatchObject({ partition: 1, leader: 1, start: 0, end: 3 });

  const set = await good(["topic", "config", "life", "--set", "retention.ms=5000"]);
  expect(set.out).toBe("SETTING       VALUE  SOURCE\nretention.ms  5000   topic\n");
  expect(set.err).toBe("life: retention.ms = 5000\n");
  const unset = await good(["topic", "config", "life", "--unset", "retention.ms"]);
  expect(unset.out).toContain("604800000  default");

  await good(["topic", "add-partitions", "life", "4"]);
  const trimmed = await good(["topic", "trim", "life", "-p", "1", "--before", "2", "--yes"]);
  expect(trimmed.out).toBe("TOPIC  PARTITION  START\nlife           1      2\n");
  expect((await good(["consume", "life", "--raw"])).out).toBe("three\n");
  expect((await good(["topic", "delete", "life", "--yes"])).err).toBe("topic life is deleted\n");
  expect((await at(["topic", "describe", "life"])).code).toBe(3);
});

test("cli: groups are listed with lag, described and deleted", async () => {
  await good(["topic", "create", "grouped", "-p", "1"]);
  await good(["produce", "grouped", "a", "b", "c"]);
  await using client = new Client({ bootstrap: [server.address] });
  await client.admin.groups.commit("billing", [{ topic: "grouped", partition: 0, offset: 1 }]);
  expect((await good(["group", "list"])).out).toMatch(/billing +Empty +2\n/);
  const described = await good(["group", "describe", "billing"]);
  expect(described.err).toBe("billing · Empty · 0 members · lag 2\n");
  expect(described.out).toBe(
    "TOPIC    PARTITION  OFFSET  END  LAG  CLIENT\ngrouped          0       1    3    2\n",
  );
  await good(["group", "delete", "billing", "--yes"]);
  expect((await at(["group", "describe", "billing"])).code).toBe(3);
});

test("cli: a live member of a group is shown with what it reads", async () => {
  await good(["topic", "create", "joined", "-p", "2"]);
  await good(["produce", "joined", "x"]);
  const member = Bun.spawn(
    kcatCommand(server.address, [
      ...["-X", "client.id=reader-7", "-X", "auto.offset.reset=earliest"],
      ...["-G", "joiners", "joined"],
    ]),
    { stdout: "ignore", stderr: "ignore" },
  );
  try {
    let group: { state?: string; members: { clientId: string; assigned: unknown }[] } = {
      members: [],
    };
    await until("the member has joined", async () => {
      const run = await at(["group", "describe", "joiners", "-o", "json"]);
      if (run.code === 0) group = JSON.parse(run.out);
      return group.state === "Stable";
    });
    expect(group.members.map(({ clientId }) => clientId)).toEqual(["reader-7"]);
    expect(group.members[0]?.assigned).toEqual([
      { topic: "joined", partition: 0 },
      { topic: "joined", partition: 1 },
    ]);
    const refused = await at(["group", "delete", "joiners", "--yes"]);
    expect(refused.code).toBe(4);
    expect(refused.err).toContain("NON_EMPTY_GROUP");
  } finally {
    member.kill("SIGKILL");
    await member.exited;
  }
});

test("cli: health and doctor find a good node good", async () => {
  const health = JSON.parse((await good(["health", "-o", "json"])).out);
  expect(health).toMatchObject({ healthy: true, leaderless: [], underReplicated: [] });
  const doctor = await good(["doctor", "--data-dir", server.dataDir, "-o", "json"]);
  const findings: { check: string; status: string }[] = JSON.parse(doctor.out);
  expect(findings.filter(({ status }) => status === "bad")).toEqual([]);
  expect(findings.map(({ check }) => check)).toContain("node 1 as advertised");
});

test("cli: bench counts what it sent, and takes its topic away", async () => {
  const args = ["bench", "--size", "1KiB", "-d", "300ms", "--rate", "500", "-o", "json"];
  const report = JSON.parse((await good(args)).out);
  expect(report).toMatchObject({ recordBytes: 1024, failed: 0 });
  expect(report.records).toBeGreaterThan(0);
  expect(report.latencyMs.p50).toBeGreaterThan(0);
  expect(report.latencyMs.max).toBeGreaterThanOrEqual(report.latencyMs.p99);
  expect((await good(["topic", "list"])).out).not.toContain("pyralog-bench");
  const text = await good(["bench", "kept", "-d", "200ms", "-p", "1", "--keep"]);
  expect(text.out).toMatch(/█+ +[\d.]+ %/);
  const kept = JSON.parse((await good(["topic", "describe", "kept", "-o", "json"])).out);
  expect(`${Number(/records +([\d,]+) of/.exec(text.out)?.[1]?.replaceAll(",", ""))}`).toBe(
    `${kept.partitions[0].end}`,
  );
});

test("cli: a profile names a cluster, -b and the environment win over it", async () => {
  const env = { XDG_CONFIG_HOME: folder };
  const dead = "127.0.0.1:1";
  const mine = (args: readonly string[], more = {}): Promise<CliRun> =>
    cli(args, { env: { ...env, ...more } });
  expect((await mine(["profile", "create", "here", "-b", server.address])).code).toBe(0);
  expect((await mine(["profile", "create", "gone", "-b", dead])).code).toBe(0);
  expect((await mine(["profile", "current"])).out).toBe("gone\n");
  expect((await mine(["health"])).code).toBe(5);
  expect((await mine(["health", "--profile", "here"])).code).toBe(0);
  expect((await mine(["health", "-b", server.address])).code).toBe(0);
  expect((await mine(["health"], { PYRALOG_BOOTSTRAP: server.address })).code).toBe(0);
  expect((await mine(["health"], { PYRALOG_PROFILE: "here" })).code).toBe(0);
  expect((await mine(["profile", "use", "here"])).code).toBe(0);
  expect((await mine(["health"])).code).toBe(0);
  const wrong = await mine(["profile", "use", "hore"]);
  expect(wrong.code).toBe(3);
  expect(wrong.err).toContain('Did you mean "here"?');
  expect((await mine(["profile", "delete", "gone"])).code).toBe(0);
  const left = JSON.parse((await mine(["profile", "list", "-o", "json"])).out);
  const here = { name: "here", bootstrap: [server.address], tls: false, ca: null };
  expect(left).toEqual([{ ...here, current: true }]);
  const secure = ["profile", "create", "secure", "-b", server.address, "--tls"];
  expect((await mine(secure)).code).toBe(0);
  expect((await mine(["health"])).code).toBe(5);
  await Bun.write(join(folder, "pyralog/profiles.toml"), "current = [");
  const broken = await mine(["health"]);
  expect(broken.code).toBe(2);
  expect(broken.err).toContain("profiles.toml");
});

test("cli: colour is for terminals, unless it is asked for", async () => {
  expect((await good(["consume", "shown"])).out).not.toContain("\u001b");
  const forced = await good(["consume", "shown"], { env: { CLICOLOR_FORCE: "1" } });
  expect(forced.out).toContain("\u001b[36ma\u001b[0m");
});

test("cli: whoever has read enough of the output may go", async () => {
  await good(["topic", "create", "long", "-p", "1"]);
  const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${"x".repeat(50)}`);
  await good(["produce", "long", "-q"], { input: lines.join("\n") });
  const { nodeCommand } = await import("../harness/node.ts");
  const command = [...nodeCommand(), "consume", "long", "--raw", "-b", server.address]
    .map((each) => `'${each}'`)
    .join(" ");
  const child = Bun.spawn(["bash", "-c", `set -o pipefail; ${command} | head -n 1`], {
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await new Response(child.stdout).text()).toBe(`${lines[0]}\n`);
  expect(await new Response(child.stderr).text()).toBe("");
  expect(await child.exited).toBe(0);
});

test("cli: records in bytes that are no text come through as what they are", async () => {
  await good(["topic", "create", "bytes", "-p", "1"]);
  await using client = new Client({ bootstrap: [server.address] });
  await client.producer().send({ topic: "bytes", key: null, value: new Uint8Array([0xff, 0xfe]) });
  expect(JSON.parse((await good(["consume", "bytes", "-o", "json"])).out)).toMatchObject({
    key: null,
    valueBase64: "//4=",
  });
  expect((await good(["consume", "bytes", "--raw"])).out).toBe("0xfffe\n");
});
