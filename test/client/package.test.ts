// The packed client library as a stranger uses it: installed from its tarball into an empty folder,
// its examples run against a node, and its declarations check under strict settings.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, removeScratchDir, scratchDir } from "../../bench/child.ts";
import { root } from "../../bench/tools.ts";
import { Server } from "../harness/server.ts";

const folder = scratchDir("client-package");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const tarball = join(root, "dist", `pyralog-client-${version}.tgz`);
let server: Server;

beforeAll(async () => {
  server = await Server.start();
  await output([process.execPath, join(root, "release/client_package.ts")], { cwd: root });
  writeFileSync(join(folder, "package.json"), '{ "name": "stranger", "type": "module" }\n');
  await output([process.execPath, "add", tarball], { cwd: folder });
}, 120_000);

afterAll(async () => {
  await server.dispose();
  removeScratchDir(folder);
});

function example(name: string): Promise<string> {
  const file = join("node_modules/pyralog-client/examples", `${name}.ts`);
  return output([process.execPath, file, server.address], { cwd: folder, timeoutMs: 60_000 });
}

test("client: the packed examples run in an empty project", async () => {
  expect(readdirSync(join(folder, "node_modules"))).toEqual(["pyralog-client"]);
  expect(await example("produce")).toMatch(
    /^order 1 is record 0 of partition [0-2]\n999 more, 0 of them refused\n$/,
  );
  const read = await example("consume");
  expect(read).toEndWith("1000 records\n");
  expect(read).toContain('{"id":1,"item":"tea"}');
  expect(await example("lag")).toBe("1 nodes, 1 topics\n");
}, 120_000);

test("client: every example of the sources is packed", () => {
  const packed = readdirSync(join(folder, "node_modules/pyralog-client/examples")).sort();
  expect(packed).toEqual(readdirSync(join(root, "src/client/examples")).sort());
});

test("client: the packed declarations check in a strict project, and catch a wrong use", async () => {
  const good = readFileSync(join(root, "src/client/examples/produce.ts"), "utf8");
  writeFileSync(join(folder, "good.ts"), good.replace('"../client.ts"', '"pyralog-client"'));
  writeFileSync(
    join(folder, "bad.ts"),
    'import { Client } from "pyralog-client";\nnew Client({ bootstrap: 9092 });\n',
  );
  const check = (file: string): Promise<string> => {
    const settings = {
      compilerOptions: {
        strict: true,
        noEmit: true,
        target: "ESNext",
        module: "Preserve",
        lib: ["ESNext", "DOM"],
        skipLibCheck: true,
        types: ["bun"],
        typeRoots: [join(root, "node_modules/@types")],
      },
      files: [file],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
    const compiler = join(root, "node_modules/typescript/bin/tsc");
    return output([process.execPath, compiler, "-p", folder], { codes: [0, 1, 2] });
  };
  expect(await check("good.ts")).toBe("");
  expect(await check("bad.ts")).toContain("Type 'number' is not assignable");
}, 120_000);
