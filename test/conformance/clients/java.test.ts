// Java kafka-clients of the Kafka release that the wire promises: the reference client. It can say
// everything, so nothing is cut down; its producer is idempotent at acks=all.

import { join } from "node:path";
import { kafkaLibs } from "../../../bench/peers/kafka.ts";
import { cached, needJava, needTool, run } from "../../../bench/tools.ts";
import { lineSession } from "./line_driver.ts";
import { roundTrips } from "./scenario.ts";

/** Folder of the compiled driver, keyed by its source. */
async function driverClasses(libs: string): Promise<string> {
  const source = join(import.meta.dir, "ClientDriver.java");
  const key = Bun.hash(await Bun.file(source).bytes()).toString(36);
  return cached(`java-driver-${key}`, (scratch) => {
    const compiler = needTool("javac", "openjdk-17-jdk-headless");
    run([compiler, "-cp", `${libs}/*`, "-d", scratch, source], scratch);
    return scratch;
  });
}

roundTrips({
  name: "java kafka-clients",
  codecs: ["none", "gzip", "snappy", "lz4", "zstd"],
  acks: [-1, 0, 1],
  withoutGroup: true,
  timestamps: true,
  shape: (record) => record,
  async open(address) {
    const libs = kafkaLibs();
    const quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error";
    const classPath = `${await driverClasses(libs)}:${libs}/*`;
    return lineSession([
      needJava(17),
      "-Xmx256M",
      quiet,
      "-cp",
      classPath,
      "ClientDriver",
      address,
    ]);
  },
});
