// `bun run client-package`: dist/pyralog-client-VERSION.tgz, the client library for projects on Bun.
// One bundled module, its type declarations, and the examples with the import that a user writes.

import { version, license, engines } from "../package.json" with { type: "json" };
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checked, root, say } from "./progress.ts";
import { entry } from "./toolchain.ts";

const name = "pyralog-client";
const source = "src/client/client.ts";

const readme = `# ${name}

A Kafka client for Bun: idempotent producer, consumer by assignment, administration.

    bun add ./${name}-VERSION.tgz

    import { Client } from "${name}";

    await using client = new Client({ bootstrap: ["127.0.0.1:9092"] });
    const producer = client.producer();
    await producer.send({ topic: "orders", key: "c-42", value: '{"id":1}' });
    for await (const { records } of client.consumer([{ topic: "orders" }], { untilEnd: true })) {
      for (const { offset, value } of records) console.log(offset, value?.toString());
    }

\`examples/\` holds programs to begin with; every call is described in its declaration.
`;

async function bundle(folder: string): Promise<void> {
  await checked(
    [process.execPath, "build", source, "--target=bun", `--outfile=${join(folder, "client.js")}`],
    "bundling the client",
  );
}

async function declare(folder: string): Promise<void> {
  const project = join(folder, "tsconfig.json");
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        declaration: true,
        emitDeclarationOnly: true,
        stripInternal: true,
        rootDir: root,
        outDir: join(folder, "types"),
        typeRoots: [join(root, "node_modules/@types")],
      },
      include: [],
      files: [join(root, source)],
    }),
  );
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  await checked([process.execPath, compiler, "-p", project], "declaring the types");
  rmSync(project);
}

function examples(folder: string): void {
  const from = join(root, "src/client/examples");
  mkdirSync(join(folder, "examples"));
  for (const file of readdirSync(from)) {
    const text = readFileSync(join(from, file), "utf8");
    writeFileSync(join(folder, "examples", file), text.replace('"../client.ts"', `"${name}"`));
  }
}

await entry(async () => {
  const dist = join(root, "dist");
  const folder = join(dist, `.client-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    await bundle(folder);
    await declare(folder);
    examples(folder);
    cpSync(join(root, "LICENSE"), join(folder, "LICENSE"));
    writeFileSync(join(folder, "README.md"), readme.replace("VERSION", version));
    writeFileSync(
      join(folder, "package.json"),
      `${JSON.stringify(
        {
          name,
          version,
          description: "A Kafka client for Bun",
          license,
          type: "module",
          engines: { bun: `>=${engines.bun}` },
          exports: {
            ".": { types: `./types/${source.replace(".ts", ".d.ts")}`, default: "./client.js" },
          },
          files: ["client.js", "types", "examples", "README.md", "LICENSE"],
        },
        null,
        2,
      )}\n`,
    );
    const pack = ["pm", "pack", "--quiet", "--destination", dist];
    await checked([process.execPath, `--cwd=${folder}`, ...pack], "packing the client");
    say(`dist/${name}-${version}.tgz`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return 0;
});
