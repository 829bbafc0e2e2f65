// Prints the program text that the codec compiler makes for one API in one version.
//
//   bun run wire:show Produce 9 [request|response] [decode|encode]

import { type AnyApi, apis } from "../../src/wire/apis.ts";
import { codecText } from "../../src/wire/codec.ts";
import { hasVersion } from "../../src/wire/layout.ts";

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

const [name = "", version = "", side, direction] = process.argv.slice(2);
const found = Object.entries(apis).find(([each]) => each.toLowerCase() === name.toLowerCase());
if (found === undefined)
  fail(`usage: bun run wire:show API VERSION; APIs: ${Object.keys(apis).join(" ")}`);
const api: AnyApi = found[1];
const [first, last] = api.versions;
const chosen = Number(version === "" ? last : version);
if (!hasVersion(api.request, chosen)) fail(`${api.name} has versions ${first} to ${last}`);

for (const message of [api.request, api.response]) {
  if (side !== undefined && !message.name.toLowerCase().endsWith(side.toLowerCase())) continue;
  for (const way of ["decode", "encode"] as const) {
    if (direction !== undefined && direction !== way) continue;
    console.log(`${codecText(message, chosen, way)}\n`);
  }
}
