// The power cut does what the recovery rules count on. Without this the other tests prove nothing:
// a cut that loses nothing would find no fault anywhere.

import { afterAll, expect, test } from "bun:test";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Volume, type Drop, type FileSystem } from "./volume.ts";

const testMsMax = 60_000;
const volumes: Volume[] = [];

afterAll(() => {
  for (const volume of volumes) volume.dispose();
});

function write(path: string, text: string, sync: boolean): void {
  const file = openSync(path, "a");
  writeSync(file, text);
  if (sync) fsyncSync(file);
  closeSync(file);
}

for (const fileSystem of ["ext4", "xfs"] satisfies FileSystem[]) {
  for (const drop of ["everything", "data-only"] satisfies Drop[]) {
    test(
      `power cut: synced bytes stay and unsynced bytes go (${fileSystem}, ${drop})`,
      () => {
        const volume = new Volume(fileSystem);
        volumes.push(volume);
        const synced = join(volume.path, "synced");
        const unsynced = join(volume.path, "unsynced");
        write(synced, "first ", true);
        write(synced, "second", false);
        write(unsynced, "third", false);
        volume.cutPower(drop);
        expect(() => write(synced, "too late", false)).toThrow();
        volume.unmount();
        volume.mount();
        expect(readFileSync(synced, "utf8").slice(0, 6)).toBe("first ");
        expect(readFileSync(synced, "utf8")).not.toContain("second");
        expect(existsSync(unsynced) ? readFileSync(unsynced, "utf8") : "").not.toContain("third");
      },
      testMsMax,
    );
  }
}
