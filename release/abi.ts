// The two faces of zig/abi.zig, src/storage/abi.gen.ts and zig/include/pyralog.h:
// `bun run abi` writes them, `bun run abi --check` fails where the checked-in ones are stale.

import { join } from "node:path";
import { checked, root, SetupError, say } from "./progress.ts";
import { entry, findZig } from "./toolchain.ts";

const faces = [
  { fresh: "zig-out/abi/abi.gen.ts", kept: "src/storage/abi.gen.ts" },
  { fresh: "zig-out/abi/pyralog.h", kept: "zig/include/pyralog.h" },
] as const;

async function textOf(path: string): Promise<string> {
  const file = Bun.file(join(root, path));
  return (await file.exists()) ? await file.text() : "";
}

await entry(async () => {
  const options = process.argv.slice(2);
  if (options.some((option) => option !== "--check")) {
    throw new SetupError("usage: bun run abi [--check]");
  }
  await checked([await findZig(), "build", "abi-output"], "generating the ABI files");
  let stale = 0;
  for (const { fresh, kept } of faces) {
    const text = await textOf(fresh);
    if (text === (await textOf(kept))) continue;
    stale += 1;
    if (options.length === 0) await Bun.write(join(root, kept), text);
    say(`abi: ${kept} ${options.length === 0 ? "written" : "is stale; run: bun run abi"}`);
  }
  if (stale === 0) say("abi: fresh");
  return options.length > 0 && stale > 0 ? 1 : 0;
});
