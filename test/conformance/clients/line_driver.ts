// A client that lives in another runtime, as a child process that takes commands and records as
// lines on stdin and answers on stdout. Bytes cross as base64, "-" is null.
//
//   produce TOPIC CODEC ACKS COUNT    then COUNT record lines; answer: ok
//   consume TOPIC GROUP COUNT         GROUP "-" = without one; answer: record lines, then ok
//   error WORDS                       instead of ok
//
// Record line, tab separated: partition, offset, timestamp, key, value, headers. Headers are
// NAME:VALUE, comma separated, both in base64.

import type { Header } from "../../harness/batch.ts";
import type { ConsumedRecord, PartitionRecord, Session } from "./scenario.ts";

const answerMsMax = 100_000;

function encoded(bytes: Uint8Array | null): string {
  return bytes === null ? "-" : Buffer.from(bytes).toString("base64");
}

function decoded(text: string): Uint8Array | null {
  return text === "-" ? null : Buffer.from(text, "base64");
}

function toLine(record: PartitionRecord): string {
  const headers = (record.headers ?? []).map(
    ([key, value]) => `${encoded(Buffer.from(key))}:${encoded(value)}`,
  );
  const bytes = [encoded(record.key), encoded(record.value), headers.join(",")];
  return [record.partition, 0, record.timestamp, ...bytes].join("\t");
}

function fromLine(line: string): ConsumedRecord {
  const [partition, offset, timestamp, key = "-", value = "-", headers = ""] = line.split("\t");
  return {
    partition: Number(partition),
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: decoded(key),
    value: decoded(value),
    headers: headers
      .split(",")
      .filter((each) => each !== "")
      .map((each): Header => {
        const [name = "", content = "-"] = each.split(":");
        return [Buffer.from(name, "base64").toString("utf8"), decoded(content)];
      }),
  };
}

/** `command` speaks the lines above. Its stderr goes to ours. */
export function lineSession(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Session {
  const child = Bun.spawn([...command], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, ...env },
  });
  const killAtExit = (): void => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const lines = linesOf(child.stdout);

  /** Sends a command and collects the lines before "ok". */
  const ask = async (text: string): Promise<string[]> => {
    await child.stdin.write(text);
    await child.stdin.flush();
    const timer = setTimeout(killAtExit, answerMsMax);
    try {
      for (const found: string[] = []; ; ) {
        const { value: line, done } = await lines.next();
        if (done) throw new Error(`${command[0]} ended or took more than ${answerMsMax} ms`);
        if (line === "ok") return found;
        if (line.startsWith("error ")) throw new Error(line);
        found.push(line);
      }
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    async produce(topic, records, { codec, acks }) {
      const head = `produce ${topic} ${codec} ${acks} ${records.length}\n`;
      await ask(head + records.map((record) => `${toLine(record)}\n`).join(""));
    },
    async consume(topic, { group, count }) {
      return (await ask(`consume ${topic} ${group ?? "-"} ${count}\n`)).map(fromLine);
    },
    async close() {
      await child.stdin.end();
      const code = await child.exited;
      process.off("exit", killAtExit);
      if (code !== 0) throw new Error(`${command[0]} ended with exit code ${code}`);
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
