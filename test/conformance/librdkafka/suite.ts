// librdkafka's own test suite as a judge: which entries, how the runner is called, and what its
// report says. Exit code 0 of the runner proves nothing (a skipped or unknown entry exits 0 too),
// so only the state that the report gives to each entry counts.

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { kafkaLibs, kafkaVersion } from "../../../bench/peers/kafka.ts";
import { removeScratchDir, scratchDir } from "../../../bench/child.ts";
import { cached, needJava, needTool, run } from "../../../bench/tools.ts";
import { confluentPackage } from "../../harness/recipes.ts";
import { Server } from "../../harness/server.ts";

export type EntryClass = "A" | "B" | "C";
/** How the runner and the server are set up for an entry; one runner per mode. */
export type Mode = "plain" | "sockem" | "noautocreate";

export interface Entry {
  readonly name: string;
  readonly class: EntryClass;
  readonly mode: Mode;
  /** -Q leaves the entry as it is. */
  readonly quick: boolean;
  /** Duration against Apache Kafka without -Q. */
  readonly seconds: number;
}

export type State = "PASSED" | "FAILED" | "SKIPPED" | "MISSING";

export interface Outcome {
  readonly entry: Entry;
  readonly state: State;
  readonly seconds: number;
  readonly tries: number;
}

const modes: readonly Mode[] = ["plain", "sockem", "noautocreate"];

/** A busy machine and a slower run may take this much longer than the table says. */
const slowness = 4;
const runnerSecondsMin = 300;

export function loadEntries(): Entry[] {
  const text = readFileSync(join(import.meta.dir, "entries.tsv"), "utf8");
  const rows = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return rows.slice(1).map((line): Entry => {
    const [name = "", entryClass, mode, quick, seconds] = line.split("\t");
    if (entryClass !== "A" && entryClass !== "B" && entryClass !== "C") {
      throw new Error(`entries.tsv: class of ${line}`);
    }
    const known = modes.find((each) => each === mode);
    if (known === undefined) throw new Error(`entries.tsv: mode of ${line}`);
    const full = quick === "full";
    return { name, class: entryClass, mode: known, quick: full, seconds: Number(seconds) };
  });
}

/** Names of entries that must pass, one a line; `#` starts a comment. */
export function loadAllowList(text = readFileSync(allowListPath, "utf8")): Set<string> {
  const lines = text.split("\n").map((line) => line.replace(/#.*/, "").trim());
  return new Set(lines.filter((line) => line !== ""));
}

export const allowListPath = join(import.meta.dir, "librdkafka.allow");

/** Entries that the allow-list once held, in any commit, and no longer holds. */
export function removedFromAllowList(): string[] {
  const git = Bun.which("git");
  const command = ["log", "--format=", "--patch", "--unified=0", "--", allowListPath];
  const log = git === null ? undefined : Bun.spawnSync([git, ...command], { cwd: import.meta.dir });
  if (log === undefined || log.exitCode !== 0) return []; // a tarball has no history
  const now = loadAllowList();
  const ever = log.stdout.toString().matchAll(/^\+(\d{4}_\w+)/gm);
  return [...new Set([...ever].map((match) => match[1] ?? ""))].filter((name) => !now.has(name));
}

/**
 * Some entries call Kafka's own command line tools and Java clients; they look for a Kafka
 * installation in KAFKA_PATH.
 */
function kafkaInstallation(tests: string): string {
  const home = cached(`librdkafka-kafka-path-${kafkaVersion}`, (scratch) => {
    const scripts = {
      "kafka-run-class.sh": "",
      "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand ",
      "kafka-acls.sh": "org.apache.kafka.tools.AclCommand ",
    };
    mkdirSync(join(scratch, "bin"));
    symlinkSync(kafkaLibs(), join(scratch, "libs"));
    for (const [name, mainClass] of Object.entries(scripts)) {
      const quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error";
      const command = `java -Xmx256M ${quiet} -cp "$CLASSPATH:$here/../libs/*" ${mainClass}"$@"`;
      const here = 'here=$(cd "$(dirname "$0")" && pwd)';
      writeFileSync(join(scratch, "bin", name), `#!/bin/sh\n${here}\nexec ${command}\n`, {
        mode: 0o755,
      });
    }
    return scratch;
  });
  needJava(17);
  needTool("javac", "openjdk-17-jdk-headless");
  if (!existsSync(join(tests, "java", "IncrementalRebalanceCli.class"))) {
    run(["make", "-C", join(tests, "java"), `KAFKA_PATH=${home}`], tests);
  }
  return home;
}

export interface RunOptions {
  /** -Q: parts of entries that librdkafka marks as slow are left out. */
  readonly quick: boolean;
  /** Folder for the runner's output, one file a mode: long, and needed only after a failure. */
  readonly logFolder: string;
}

/** Runs the entries, one server for each mode among them. */
export async function runEntries(
  entries: readonly Entry[],
  options: RunOptions,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  mkdirSync(options.logFolder, { recursive: true });
  for (const mode of modes) {
    const chosen = entries.filter((entry) => entry.mode === mode);
    if (chosen.length > 0) outcomes.push(...(await runMode(mode, chosen, options)));
  }
  return outcomes;
}

async function runMode(
  mode: Mode,
  entries: readonly Entry[],
  options: RunOptions,
): Promise<Outcome[]> {
  const server = await Server.start({
    kafka: {
      "auto.create.topics.enable": mode !== "noautocreate",
      // Several entries need more than one partition in an auto-created topic, and three of the
      // rebalance entries rely on Kafka's default delay.
      "num.partitions": 4,
      "group.initial.rebalance.delay.ms": 3000,
    },
  });
  const log = openSync(join(options.logFolder, `librdkafka-${mode}.log`), "w");
  try {
    const first = await runRunner(server.address, mode, entries, options.quick, log);
    // The suite measures wall clock, so on a busy machine an entry may fail by chance; and a runner
    // that dies takes every result with it. What did not pass is tried again, each number alone.
    const again = first.filter(
      (outcome) => outcome.state !== "PASSED" && outcome.state !== "SKIPPED",
    );
    const second = new Map<Entry, Outcome>();
    for (const number of new Set(again.map(({ entry }) => numberOf(entry)))) {
      const few = again.map(({ entry }) => entry).filter((entry) => numberOf(entry) === number);
      for (const outcome of await runRunner(server.address, mode, few, options.quick, log)) {
        second.set(outcome.entry, { ...outcome, tries: 2 });
      }
    }
    return first.map((outcome) => second.get(outcome.entry) ?? outcome);
  } finally {
    closeSync(log);
    await server.dispose();
  }
}

function numberOf(entry: Entry): string {
  return entry.name.slice(0, 4);
}

async function runRunner(
  address: string,
  mode: Mode,
  entries: readonly Entry[],
  quick: boolean,
  log: number,
): Promise<Outcome[]> {
  const { librdkafka, libraryPath } = confluentPackage();
  const tests = join(librdkafka, "tests");
  const folder = scratchDir("librdkafka");
  try {
    const config = join(folder, "test.conf");
    writeFileSync(config, `bootstrap.servers=${address}\ntest.timeout.multiplier=2\n`);
    const report = join(folder, "report.json");
    const seconds = entries.reduce((sum, entry) => sum + entry.seconds, 0);
    const flags = [
      "-p1",
      "-L", // not the entries that need no broker and share a number
      ...(mode === "sockem" ? [] : ["-E"]),
      ...(mode === "noautocreate" ? ["-s", "noautocreate"] : []),
      ...(quick ? ["-Q"] : []),
    ];
    const child = Bun.spawn(["./test-runner", ...flags], {
      cwd: tests,
      stdin: "ignore",
      stdout: log,
      stderr: log,
      timeout: Math.ceil(Math.max(runnerSecondsMin, seconds * slowness)) * 1000,
      killSignal: "SIGKILL",
      env: {
        ...process.env,
        LD_LIBRARY_PATH: libraryPath,
        TEST_KAFKA_VERSION: kafkaVersion,
        TEST_REPORT: report,
        RDKAFKA_TEST_CONF: config,
        TESTS: [...new Set(entries.map(numberOf))].join(" "),
        KAFKA_PATH: kafkaInstallation(tests),
        BROKERS: address,
      },
    });
    await child.exited;
    return readReport(existsSync(report) ? readFileSync(report, "utf8") : "", entries);
  } finally {
    removeScratchDir(folder);
  }
}

/** The report is JSON only as long as no entry puts a quote into its words, so it is searched. */
export function readReport(text: string, entries: readonly Entry[]): Outcome[] {
  const found = new Map<string, { state: State; seconds: number }>();
  const each = /"name": "(\w+)", "state": "(\w+)",.*?"duration": ([\d.]+)/g;
  for (const [, name = "", state, seconds] of text.matchAll(each)) {
    const known = state === "PASSED" || state === "SKIPPED" ? state : "FAILED";
    found.set(name, { state: known, seconds: Number(seconds) });
  }
  return entries.map((entry) => ({
    entry,
    tries: 1,
    ...(found.get(entry.name) ?? { state: "MISSING", seconds: 0 }),
  }));
}
