// The tree of commands with their options and examples. Only this is loaded for `--help`: what a
// command does is behind the `import()` of its action.

import { Command, Option } from "commander";
import type { ConfigurationDoor } from "./config.ts";
import type { Target } from "./connect.ts";
import { type Format, formatOf } from "./terminal.ts";

/** What the command line gets from whoever puts the executable together. */
export interface Ports {
  readonly version: string;
  /** Runs a node; ends the process. */
  serve(options: {
    readonly configFile: string | null;
    readonly set: readonly string[];
  }): Promise<void>;
  configuration(): Promise<ConfigurationDoor>;
}

interface Global extends Target {
  readonly output?: string;
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function many(flags: string, description: string): Option {
  return new Option(flags, description).default([], "none").argParser(collect);
}

function examples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText("before", `Examples:\n${lines.map((line) => `  ${line}\n`).join("")}`);
}

function globals(command: Command): Global {
  return command.optsWithGlobals<Global>();
}

function format(command: Command): Format {
  return formatOf(globals(command).output);
}

const yes = ["-y, --yes", "do not ask"] as const;

export function programOf(ports: Ports): Command {
  const program = new Command("pyralog")
    .description("A distributed log in one executable that speaks the Kafka protocol.")
    .version(`pyralog ${ports.version}`, "-v, --version", "print the version")
    .option("-b, --bootstrap <addresses>", "nodes to begin with, host:port,... (PYRALOG_BOOTSTRAP)")
    .option("--profile <name>", "a cluster by its profile (PYRALOG_PROFILE)")
    .option("--tls", "speak TLS, trusting the system's certificates")
    .option("--tls-ca <file>", "speak TLS, trusting the certificates of the file")
    .option("-o, --output <format>", "table, wide, json or yaml")
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .helpOption("-h, --help", "print this text");
  examples(
    program,
    "pyralog                                    one node on loopback, data in ./pyralog-data",
    "pyralog --config node.toml                 a node as the file says",
    "pyralog topic create orders -p 3",
    "echo '{\"id\":1}' | pyralog produce orders -k c-42",
    "pyralog tail orders",
  );
  program.commandsGroup("A node:");
  serve(program, ports);
  config(program, ports);
  program.commandsGroup("Records:");
  produce(program);
  consume(program);
  transfer(program);
  program.commandsGroup("A cluster:");
  topic(program);
  group(program);
  health(program);
  bench(program);
  program.commandsGroup("This program:");
  profile(program);
  program
    .command("completion")
    .description("print the completion script of a shell")
    .argument("<shell>", "bash, zsh or fish")
    .action(async (shell: string) => (await import("./completion.ts")).printScript(shell));
  program.command("version").description("print the version");
  const help = program.createCommand("help").argument("[command]").helpGroup("This program:");
  program.addHelpCommand(help.description("print the help of a command"));
  return program;
}

function serve(program: Command, ports: Ports): void {
  const command = program
    .command("serve", { isDefault: true })
    .description("start a node (what happens without a command)")
    .option("--config <file>", "read the configuration from FILE (TOML)")
    .addOption(many("--set <section.key=value>", "set one value; wins over file and environment"))
    .option("--check-config", "only check the configuration");
  command.action(async () => {
    const {
      config: file = null,
      set,
      checkConfig,
    } = command.opts<{
      config?: string;
      set: readonly string[];
      checkConfig?: boolean;
    }>();
    if (checkConfig !== true) return ports.serve({ configFile: file, set });
    (await import("./config.ts")).check(await ports.configuration(), file, { set });
  });
  examples(command, "pyralog serve --config node.toml --set server.bind_addr=127.0.0.1:9093");
}

function config(program: Command, ports: Ports): void {
  const parent = program
    .command("config")
    .description("write, check and show a node's configuration");
  examples(
    parent,
    "pyralog config init node.toml",
    "pyralog config check node.toml",
    "pyralog config show node.toml --origin",
  );
  const init = parent
    .command("init")
    .description("write a file with every key and its meaning")
    .argument("[file]", 'where to; "-" prints it', "node.toml")
    .option("--force", "write over a file that is there");
  init.action(async (file: string) => {
    const { init: write } = await import("./config.ts");
    await write(await ports.configuration(), file, init.opts());
  });
  const check = parent
    .command("check")
    .description("say whether a node would start with it")
    .argument("[file]", "TOML; without it the environment and --set alone")
    .addOption(many("--set <section.key=value>", "set one value"));
  check.action(async (file: string | undefined) => {
    const { check: judge } = await import("./config.ts");
    judge(await ports.configuration(), file ?? null, check.opts<{ set: readonly string[] }>());
  });
  parent
    .command("schema")
    .description("print the JSON schema of the file, for editors")
    .action(async () => (await import("./config.ts")).showSchema(await ports.configuration()));
  const show = parent
    .command("show")
    .description("every value that a node would use")
    .argument("[file]", "TOML; without it the environment and --set alone")
    .addOption(many("--set <section.key=value>", "set one value"))
    .option("--origin", "where each value comes from")
    .option("--changed", "only what somebody has set");
  show.action(async (file: string | undefined) => {
    const { showConfig } = await import("./config.ts");
    const options = show.opts<{ set: readonly string[]; origin?: boolean; changed?: boolean }>();
    await showConfig(await ports.configuration(), format(show), file ?? null, options);
  });
}

function produce(program: Command): void {
  const command = program
    .command("produce")
    .description("send records: the arguments, or the lines of standard input")
    .argument("<topic>")
    .argument("[values...]", "a record each")
    .option("-k, --key <key>", "key of every record")
    .option("-K, --delimiter <text>", "each line is KEY, this text, VALUE")
    .addOption(many("-H, --header <name=value>", "a header of every record"))
    .option("-p, --partition <number>", "by default the key decides")
    .option("--timestamp <ms>", "milliseconds since 1970; by default now")
    .option("--acks <whose>", "all, leader or none", "all")
    .option("-z, --compression <codec>", "none, gzip or zstd", "none")
    .option("-q, --quiet", "do not say where the records went");
  command.action(async (name: string, values: readonly string[]) => {
    const { produce: send } = await import("./produce.ts");
    await send(globals(command), format(command), name, values, command.opts());
  });
  examples(
    command,
    "echo '{\"id\":1}' | pyralog produce orders -k c-42",
    "pyralog produce orders hello world",
    "pyralog produce orders -K : < lines-of-key:value",
  );
}

function consume(program: Command): void {
  const command = program
    .command("consume")
    .description("print records, by default to the end")
    .argument("<topics...>")
    .option("--from <where>", "earliest, latest, OFFSET, last:N, -5m or a time", "earliest")
    .option("-f, --follow", "go on when the end is reached");
  const tail = program
    .command("tail")
    .description("print the last records and follow")
    .argument("<topics...>")
    .option("--from <where>", "as in consume", "last:10");
  for (const each of [command, tail]) {
    each
      .option("-p, --partition <number>", "one partition")
      .option("-n, --number <count>", "end after so many records")
      .option("--format <text>", "%t topic, %p partition, %o offset, %k key, %s value, %T time, %h")
      .option("--raw", "values alone, one per line");
    each.action(async (topics: readonly string[]) => {
      const { consume: read } = await import("./consume.ts");
      const follow = each === tail ? { follow: true } : {};
      await read(globals(each), format(each), topics, { ...each.opts(), ...follow });
    });
  }
  examples(
    command,
    "pyralog consume orders --from -1h -o json",
    "pyralog consume orders --raw -n 10",
  );
  examples(tail, "pyralog tail orders", "pyralog tail orders clicks --from latest");
}

function transfer(program: Command): void {
  const out = program
    .command("export")
    .description("write the records of a topic as NDJSON")
    .argument("<topic>")
    .option("--from <where>", "as in consume", "earliest")
    .option("-p, --partition <number>", "one partition")
    .option("--file <path>", "by default standard output");
  out.action(async (name: string) => {
    const { exportTopic } = await import("./transfer.ts");
    await exportTopic(globals(out), name, out.opts());
  });
  examples(
    out,
    "pyralog export orders > orders.ndjson",
    'a line: {"topic":"orders","partition":1,"offset":0,"timestamp":1700000000123,"key":"k","value":"v"}',
  );
  const back = program
    .command("import")
    .description("send NDJSON lines to a topic")
    .argument("<topic>")
    .argument("[file]", "by default standard input")
    .option("-z, --compression <codec>", "none, gzip or zstd", "none")
    .option("--keep-partitions", "to the partition that the line names; else the key decides");
  back.action(async (name: string, file: string | undefined) => {
    const { importTopic } = await import("./transfer.ts");
    await importTopic(globals(back), name, file, back.opts());
  });
  examples(back, "pyralog import orders orders.ndjson", "zcat all.gz | pyralog import orders");
}

function topic(program: Command): void {
  const parent = program.command("topic").description("topics, their partitions and settings");
  examples(
    parent,
    "pyralog topic create orders -p 3 -c retention.ms=86400000",
    "pyralog topic describe orders",
    "pyralog topic config orders --set cleanup.policy=compact",
  );
  const list = parent
    .command("list")
    .alias("ls")
    .description("all topics")
    .option("--internal", "with those of the cluster itself");
  list.action(async () =>
    (await import("./topic.ts")).list(globals(list), format(list), list.opts()),
  );
  const create = parent
    .command("create")
    .description("make topics")
    .argument("<names...>")
    .option("-p, --partitions <count>", "by default the cluster's setting")
    .option("-r, --replicas <count>", "by default the cluster's setting")
    .addOption(many("-c, --config <name=value>", "a setting"))
    .option("--dry-run", "only check");
  create.action(async (names: readonly string[]) =>
    (await import("./topic.ts")).create(globals(create), format(create), names, create.opts()),
  );
  const describe = parent
    .command("describe")
    .description("partitions of a topic")
    .argument("<topic>");
  describe.action(async (name: string) =>
    (await import("./topic.ts")).describe(globals(describe), format(describe), name),
  );
  const settings = parent
    .command("config")
    .description("show or change the settings of a topic")
    .argument("<topic>")
    .addOption(many("--set <name=value>", "change a setting"))
    .addOption(many("--unset <name>", "back to the default"))
    .option("--all", "show all settings also after a change");
  settings.action(async (name: string) =>
    (await import("./topic.ts")).config(globals(settings), format(settings), name, settings.opts()),
  );
  topicSizes(parent);
}

/** What changes how much a topic holds. */
function topicSizes(parent: Command): void {
  const grow = parent
    .command("add-partitions")
    .description("raise the number of partitions")
    .argument("<topic>")
    .argument("<count>", "the number afterwards");
  grow.action(async (name: string, count: string) =>
    (await import("./topic.ts")).addPartitions(globals(grow), name, count),
  );
  const trim = parent
    .command("trim")
    .description("delete the oldest records")
    .argument("<topic>")
    .option("-p, --partition <number>", "by default all")
    .requiredOption("--before <offset>", 'first offset that is kept, or "end"')
    .option(...yes);
  trim.action(async (name: string) =>
    (await import("./topic.ts")).trim(globals(trim), format(trim), name, trim.opts()),
  );
  const remove = parent
    .command("delete")
    .alias("rm")
    .description("delete topics with their records")
    .argument("<topics...>")
    .option(...yes);
  remove.action(async (names: readonly string[]) =>
    (await import("./topic.ts")).remove(globals(remove), names, remove.opts()),
  );
}

function group(program: Command): void {
  const parent = program.command("group").description("consumer groups and how far they are");
  examples(parent, "pyralog group list", "pyralog group describe billing");
  const list = parent.command("list").alias("ls").description("all groups with their lag");
  list.action(async () => (await import("./group.ts")).list(globals(list), format(list)));
  const describe = parent
    .command("describe")
    .alias("lag")
    .description("members, offsets and lag of a group")
    .argument("<group>");
  describe.action(async (name: string) =>
    (await import("./group.ts")).describe(globals(describe), format(describe), name),
  );
  const remove = parent
    .command("delete")
    .alias("rm")
    .description("forget groups without members")
    .argument("<groups...>")
    .option(...yes);
  remove.action(async (names: readonly string[]) =>
    (await import("./group.ts")).remove(globals(remove), names, remove.opts()),
  );
}

function health(program: Command): void {
  const state = program.command("health").description("is every partition led and copied");
  state.action(async () => (await import("./health.ts")).health(globals(state), format(state)));
  const doctor = program
    .command("doctor")
    .description("what would keep a node or a client from working")
    .option("--data-dir <path>", "folder of a node's data on this machine", ".");
  doctor.action(async () =>
    (await import("./health.ts")).doctor(globals(doctor), format(doctor), doctor.opts()),
  );
}

function bench(program: Command): void {
  const command = program
    .command("bench")
    .description("produce for a while, and measure")
    .argument("[topic]", "by default one that is made and deleted")
    .option("--size <bytes>", "of a record", "100B")
    .option("-d, --duration <time>", "how long", "10s")
    .option("-p, --partitions <count>", "of a topic that is made", "6")
    .option("--acks <whose>", "all, leader or none", "all")
    .option("-z, --compression <codec>", "none, gzip or zstd", "none")
    .option("--rate <count>", "records a second; by default as many as go")
    .option("--in-flight <count>", "records that wait for their acknowledgement", "10000")
    .option("--keep", "leave the topic that was made");
  command.action(async (name: string | undefined) =>
    (await import("./bench.ts")).bench(globals(command), format(command), name, command.opts()),
  );
  examples(command, "pyralog bench --size 1KiB --duration 10s", "pyralog bench clicks --rate 1000");
}

function profile(program: Command): void {
  const parent = program.command("profile").description("clusters by name");
  examples(
    parent,
    "pyralog profile create prod -b node1:9092,node2:9092",
    "pyralog profile use prod",
  );
  const list = parent.command("list").alias("ls").description("all profiles");
  list.action(async () => (await import("./profiles.ts")).list(format(list)));
  const create = parent
    .command("create")
    .description("write a profile, with what -b, --tls and --tls-ca say, and use it")
    .argument("<name>");
  create.action(async (name: string) =>
    (await import("./profiles.ts")).create(name, globals(create)),
  );
  parent
    .command("use")
    .description("make a profile the current one")
    .argument("<profile>")
    .action(async (name: string) => (await import("./profiles.ts")).use(name));
  parent
    .command("delete")
    .alias("rm")
    .description("forget a profile")
    .argument("<profile>")
    .action(async (name: string) => (await import("./profiles.ts")).remove(name));
  parent
    .command("current")
    .description("name of the current profile")
    .action(async () => (await import("./profiles.ts")).current());
}
