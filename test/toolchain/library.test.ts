// The library is compiled by a direct call with flags of its own (release/library.ts), for a quick
// first start. They must be the flags of build.zig.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { libraryFlags } from "../../release/library.ts";
import { root } from "../../release/progress.ts";
import { findZig } from "../../release/toolchain.ts";

/** What `zig build` adds for itself: where it stands, where it caches, how it talks to the compiler. */
const own = /^--(cache-dir|global-cache-dir|build-root|zig-lib-dir)$/;

/** Installed aside: the library in use stays as it is. */
const prefix = join(root, ".cache", "toolchain");

test("release: the library is built with the flags of build.zig", async () => {
  const zig = await findZig();
  const built = Bun.spawnSync([zig, "build", "lib", "--verbose", "--prefix", prefix], {
    cwd: root,
  });
  const said = `${built.stdout.toString()}${built.stderr.toString()}`;
  const command = /^.*?\/zig (build-lib .*)$/m.exec(said)?.[1]?.split(" ") ?? [];
  const flags = command.filter(
    (word, index) =>
      !own.test(word) && !own.test(command[index - 1] ?? "") && word !== "--listen=-",
  );
  expect(flags).toEqual([...libraryFlags()]);
}, 600_000);
