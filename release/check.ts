// `bun run check`: the quick half of the suites, for the time of writing.

import { say } from "./progress.ts";
import { runSuites } from "./runner.ts";
import { runnable } from "./suites.ts";
import { entry, findTools } from "./toolchain.ts";

await entry(async () => {
  const tools = await findTools();
  const { passed, failed } = await runSuites(
    runnable().filter(({ quick }) => quick),
    tools,
  );
  say(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
