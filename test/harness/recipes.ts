// What the suites need from package registries and Debian, built once into `.cache`, keyed by
// version: librdkafka with its own tests and the Node add-on over it, both from one npm package.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cached, needTool, run } from "../../bench/tools.ts";

const confluentVersion = "1.10.1";
const nodeGypVersion = "11.5.0";

export interface ConfluentPackage {
  /** Folder from which Node resolves `@confluentinc/kafka-javascript`. */
  readonly home: string;
  /** librdkafka's tree; `tests/test-runner` is its test suite. */
  readonly librdkafka: string;
  /** Value of LD_LIBRARY_PATH for everything that links librdkafka of this tree. */
  readonly libraryPath: string;
}

/** About 350 MB and five minutes of one core, once. */
export function confluentPackage(): ConfluentPackage {
  const home = cached(`confluent-kafka-javascript-${confluentVersion}`, (scratch) => {
    console.error(`building librdkafka's tests and the Node add-on ${confluentVersion}: minutes`);
    const npm = needTool("npm", "npm");
    needCompiler();
    npmInstall(npm, scratch, {
      "@confluentinc/kafka-javascript": confluentVersion,
      "node-gyp": nodeGypVersion,
    });
    const made = layout(scratch);
    allowOneBroker(join(made.librdkafka, "tests"));
    run(["./configure", "--disable-curl", "--disable-gssapi"], made.librdkafka);
    run(["nice", "make", "-j2", "libs"], made.librdkafka);
    run(["nice", "make", "-j2", "-C", "tests", "build"], made.librdkafka);
    buildAddon(made);
    return scratch;
  });
  return layout(home);
}

function layout(home: string): ConfluentPackage {
  const librdkafka = join(home, "node_modules/@confluentinc/kafka-javascript/deps/librdkafka");
  return {
    home,
    librdkafka,
    libraryPath: `${join(librdkafka, "src")}:${join(librdkafka, "src-cpp")}`,
  };
}

function needCompiler(): void {
  for (const program of ["gcc", "g++", "make"]) needTool(program, "build-essential");
  needTool("python3", "python3");
  // Without the last two the build succeeds and silently leaves zstd and JSON tests out.
  needHeader("openssl/ssl.h", "libssl-dev");
  needHeader("zlib.h", "zlib1g-dev");
  needHeader("zstd.h", "libzstd-dev");
  needHeader("rapidjson/document.h", "rapidjson-dev");
}

/** Installs the Debian package that brings `header` when no include folder has it. */
function needHeader(header: string, debianPackage: string): void {
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  const folders = ["/usr/include", `/usr/include/${triplet}`, "/usr/local/include"];
  const present = (): boolean => folders.some((folder) => existsSync(join(folder, header)));
  if (present()) return;
  const install = `apt-get install -y --no-install-recommends ${debianPackage}`;
  if (Bun.which("apt-get") === null || process.getuid?.() !== 0) {
    throw new Error(`${header} is missing; get it with: ${install} (as root, on Debian)`);
  }
  console.error(`${header} is missing: ${install}`);
  run(["apt-get", "update", "-q"], "/");
  run(install.split(" "), "/");
  if (!present()) throw new Error(`${header} is still missing after: ${install}`);
}

/** An npm folder of its own: nothing of these suites enters the product's lock file. */
function npmInstall(npm: string, folder: string, packages: Readonly<Record<string, string>>): void {
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name: "cache", version: "0.0.0", private: true, dependencies: packages }),
  );
  // Install scripts would fetch a binary from outside the registry.
  run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund"], folder);
}

/**
 * Six files ask for three replicas. -1 means the broker's default, and with it these entries run on
 * one node; without it they end in INVALID_REPLICATION_FACTOR.
 */
function allowOneBroker(tests: string): void {
  const wanted = new Set(["0098", "0103", "0107", "0111", "0126", "0142"]);
  for (const name of readdirSync(tests)) {
    if (!wanted.has(name.slice(0, 4)) || !/\.c(pp)?$/.test(name)) continue;
    const path = join(tests, name);
    const before = readFileSync(path, "utf8");
    const after = before
      .split("\n")
      .map((line) =>
        /create_topic(_wait_exists)?\(/.test(line)
          ? line.replace(/, 3(, 5000)?\);/, ", -1$1);")
          : line,
      )
      .join("\n");
    if (after === before)
      throw new Error(`${name} asks for no three replicas: the package changed`);
    writeFileSync(path, after);
    wanted.delete(name.slice(0, 4));
  }
  if (wanted.size > 0) throw new Error(`librdkafka has no tests ${[...wanted].join(" ")}`);
}

/** Linked against the tree that the test suite uses: one build of librdkafka for both. */
function buildAddon(made: ConfluentPackage): void {
  const prefix = join(dirname(needTool("node", "nodejs")), "..");
  const headers = existsSync(join(prefix, "include/node/node.h")) ? [`--nodedir=${prefix}`] : [];
  const { librdkafka } = made;
  const environment = [
    "BUILD_LIBRDKAFKA=0",
    `CXXFLAGS=-I${join(librdkafka, "src")} -I${join(librdkafka, "src-cpp")}`,
    `LDFLAGS=-L${join(librdkafka, "src")} -L${join(librdkafka, "src-cpp")}`,
  ];
  const gyp = join(made.home, "node_modules/node-gyp/bin/node-gyp.js");
  run(
    ["nice", "env", ...environment, "node", gyp, "rebuild", "-j", "2", ...headers],
    join(made.home, "node_modules/@confluentinc/kafka-javascript"),
  );
}
