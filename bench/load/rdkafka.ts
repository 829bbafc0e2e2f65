// librdkafka's own load program, rdkafka_performance, built from the npm package node-rdkafka, which
// carries the whole source of librdkafka 2.12.0. Native, and the same client for every peer.

import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cached, needTool, run } from "../tools.ts";

export const nodeRdkafkaVersion = "3.6.1";
export const librdkafkaVersion = "2.12.0";

/** Path of the program; builds it in about a minute when the cache has none. */
export function rdkafkaPerformance(): string {
  return cached(`rdkafka_performance-${librdkafkaVersion}`, (scratch) => {
    needTool("gcc", "gcc libc6-dev");
    const make = needTool("make", "make");
    needTool("python3", "python3"); // librdkafka's build makes its symbol list with it
    console.error(`building rdkafka_performance ${librdkafkaVersion} (about a minute) ...`);
    writeFileSync(
      join(scratch, "package.json"),
      JSON.stringify({ dependencies: { "node-rdkafka": nodeRdkafkaVersion } }),
    );
    // The package's own install script would build the Node add-on, which nobody needs here.
    run([process.execPath, "install", "--ignore-scripts", "--no-save"], scratch);
    const source = join(scratch, "node_modules/node-rdkafka/deps/librdkafka");
    const without = ["ssl", "gssapi", "curl", "zstd", "lz4-ext"].map((name) => `--disable-${name}`);
    run(["./configure", "--enable-static", ...without], source);
    const jobs = `-j${Math.max(1, Math.min(4, availableParallelism()))}`;
    run([make, jobs, "-C", "src", "librdkafka.a"], source);
    run([make, "-C", "examples", "rdkafka_performance"], source);
    return join(source, "examples/rdkafka_performance");
  });
}
